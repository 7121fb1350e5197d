package metrics

import (
	"math"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/telemetry"
)

// collector turns a snapshot into metrics at each scrape. It is unchecked: a guest's own metrics become known only as it runs.
type collector struct {
	snapshot func() *telemetry.Snapshot
	clock    func() time.Time
}

// metric describes one number of a subtask.
type metric struct {
	name, help string
	kind       prometheus.ValueType
	of         func(*telemetry.SubtaskSnapshot, time.Time) (float64, bool)
}

func counter(name, help string, of func(*telemetry.Counters) int64) metric {
	return metric{name, help, prometheus.CounterValue, func(s *telemetry.SubtaskSnapshot, _ time.Time) (float64, bool) {
		return float64(of(&s.Counters)), true
	}}
}

func gauge(name, help string, of func(*telemetry.Counters) int64) metric {
	return metric{name, help, prometheus.GaugeValue, func(s *telemetry.SubtaskSnapshot, _ time.Time) (float64, bool) {
		v := of(&s.Counters)
		return float64(v), v >= 0
	}}
}

// known says whether a watermark is a time.
func known(w int64) bool { return w != record.WatermarkNone && w != record.WatermarkEnd }

// subtaskMetrics lists what a subtask has: name, help and kind.
var subtaskMetrics = []metric{
	counter("tidemill_records_in_total", "Records that came in; of a source, those that its readers delivered.", func(c *telemetry.Counters) int64 { return c.RecordsIn }),
	counter("tidemill_records_out_total", "Records that went out.", func(c *telemetry.Counters) int64 { return c.RecordsOut }),
	counter("tidemill_batches_in_total", "Batches that came in.", func(c *telemetry.Counters) int64 { return c.BatchesIn }),
	counter("tidemill_late_records_total", "Records whose event time was not after the watermark; they are delivered all the same.", func(c *telemetry.Counters) int64 { return c.Late }),
	counter("tidemill_bad_records_total", "Records and timers that were skipped or became dead letters.", func(c *telemetry.Counters) int64 { return c.Bad }),
	counter("tidemill_fuel_total", "Fuel that guest code used; one unit is about one executed instruction.", func(c *telemetry.Counters) int64 { return c.Fuel }),
	counter("tidemill_frames_total", "Calls into guest code.", func(c *telemetry.Counters) int64 { return c.Frames }),
	counter("tidemill_traps_total", "Traps, exhausted fuel and invalid answers of guest code.", func(c *telemetry.Counters) int64 { return c.Traps }),
	counter("tidemill_instances_total", "Instances of guest code that were opened.", func(c *telemetry.Counters) int64 { return c.Instances }),
	counter("tidemill_log_lines_dropped_total", "Log lines of guest code over the rate limit.", func(c *telemetry.Counters) int64 { return c.Dropped }),
	counter("tidemill_output_stalls_total", "Times that a task stopped for want of room after it.", func(c *telemetry.Counters) int64 { return c.Stalled }),
	counter("tidemill_state_store_reads_total", "Reads of state that went to the store on disk.", func(c *telemetry.Counters) int64 { return c.StoreReads }),
	counter("tidemill_state_expired_total", "Values, list elements and map entries taken out because their time to live had passed.", func(c *telemetry.Counters) int64 { return c.Expired }),
	gauge("tidemill_queue_rows", "Records that wait before a task.", func(c *telemetry.Counters) int64 { return c.QueueRows }),
	gauge("tidemill_state_cells", "Values, list elements and map entries of keyed state, where the back-end can count them.", func(c *telemetry.Counters) int64 { return c.Cells }),
	gauge("tidemill_state_timers", "Timers that are set.", func(c *telemetry.Counters) int64 { return c.Timers }),
	gauge("tidemill_state_memory_bytes", "Memory of keyed state.", func(c *telemetry.Counters) int64 { return c.StateBytes }),
	gauge("tidemill_state_store_bytes", "Bytes of keyed state in the store on disk.", func(c *telemetry.Counters) int64 { return c.StoreBytes }),
	{"tidemill_watermark_seconds", "The watermark, in seconds since 1970; absent before the first and after the end of input.", prometheus.GaugeValue,
		func(s *telemetry.SubtaskSnapshot, _ time.Time) (float64, bool) {
			return float64(s.Watermark) / 1e6, known(s.Watermark)
		}},
	{"tidemill_watermark_lag_seconds", "How far the watermark is behind the clock.", prometheus.GaugeValue,
		func(s *telemetry.SubtaskSnapshot, now time.Time) (float64, bool) {
			return now.Sub(time.UnixMicro(s.Watermark)).Seconds(), known(s.Watermark)
		}},
}

// Describe implements prometheus.Collector; sending nothing makes the collector an unchecked one.
func (*collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c *collector) Collect(to chan<- prometheus.Metric) {
	s, now := c.snapshot(), c.clock()
	job := prometheus.Labels{"job": s.Job}
	send := func(name, help string, kind prometheus.ValueType, v float64) {
		to <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, nil, job), kind, v)
	}
	send("tidemill_checkpoints_completed_total", "Checkpoints that are durable and published.", prometheus.CounterValue, float64(s.Completed))
	send("tidemill_checkpoints_failed_total", "Checkpoints that did not complete.", prometheus.CounterValue, float64(s.Failed))
	send("tidemill_restarts_total", "Restarts after a failure.", prometheus.CounterValue, float64(s.Restarts))
	if n := len(s.Checkpoints); n > 0 {
		last := s.Checkpoints[n-1]
		send("tidemill_checkpoint_last_id", "The newest complete checkpoint.", prometheus.GaugeValue, float64(last.ID))
		send("tidemill_checkpoint_last_duration_seconds", "From its barrier until it was published.", prometheus.GaugeValue, last.Duration.Seconds())
		send("tidemill_checkpoint_last_bytes", "Bytes written for it.", prometheus.GaugeValue, float64(last.Bytes))
		send("tidemill_checkpoint_last_time_seconds", "When it completed, in seconds since 1970.", prometheus.GaugeValue, float64(last.At.UnixMicro())/1e6)
	}
	for i := range s.Nodes {
		c.node(to, s.Job, &s.Nodes[i], now)
	}
}

func (c *collector) node(to chan<- prometheus.Metric, job string, n *telemetry.NodeSnapshot, now time.Time) {
	for k := range n.Subtasks {
		sub := &n.Subtasks[k]
		labels := prometheus.Labels{"job": job, "node": n.Name, "kind": string(n.Kind), "subtask": strconv.Itoa(k)}
		for _, m := range subtaskMetrics {
			if v, has := m.of(sub, now); has {
				to <- prometheus.MustNewConstMetric(prometheus.NewDesc(m.name, m.help, nil, labels), m.kind, v)
			}
		}
		for _, own := range sub.Custom {
			sendCustom(to, labels, &own)
		}
	}
}

// sendCustom sends a metric that a guest declared. Guests choose its name, so it is a label: names of the host stay the host's.
func sendCustom(to chan<- prometheus.Metric, labels prometheus.Labels, own *telemetry.Custom) {
	with := prometheus.Labels{"metric": own.Name}
	for k, v := range labels {
		with[k] = v
	}
	if own.Gauge {
		to <- prometheus.MustNewConstMetric(prometheus.NewDesc("tidemill_guest_metric", "A gauge that an operator declared.", nil, with),
			prometheus.GaugeValue, math.Float64frombits(own.Bits))
		return
	}
	to <- prometheus.MustNewConstMetric(prometheus.NewDesc("tidemill_guest_metric_total", "A counter that an operator declared.", nil, with),
		prometheus.CounterValue, float64(own.Bits))
}
