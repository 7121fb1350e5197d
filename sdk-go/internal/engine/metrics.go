package engine

import (
	"math"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
	"github.com/tidemill/tidemill/sdk-go/internal/frame"
)

// MetricLog is what a frame reports, by metric id.
type MetricLog struct {
	changed int // metrics touched
	binds   []abi.BindMetric
	values  []uint64 // counters: to add; gauges: the bits of the float
	touched []bool
}

// AddMetric adds a metric and returns its id.
func (s *Slot) AddMetric(bind abi.BindMetric) int {
	m := &s.Metrics
	m.binds = append(m.binds, bind)
	m.values = append(m.values, 0)
	m.touched = append(m.touched, false)
	return len(m.binds) - 1
}

// Add adds to a counter.
func (m *MetricLog) Add(id int, n uint64) {
	m.values[id] += n
	m.touch(id)
}

// Set sets a gauge.
func (m *MetricLog) Set(id int, v float64) {
	m.values[id] = math.Float64bits(v)
	m.touch(id)
}

func (m *MetricLog) touch(id int) {
	if !m.touched[id] {
		m.touched[id] = true
		m.changed++
	}
}

func (m *MetricLog) reset() {
	if m.changed > 0 {
		m.changed = 0
		clear(m.values)
		clear(m.touched)
	}
}

func (m *MetricLog) flush(b *frame.Builder) {
	n := m.changed
	if n == 0 {
		return
	}
	entry := b.Open(abi.SectionMetrics, 0, abi.MetricsSize+n*abi.MetricEntrySize, 0)
	b.PutU32(entry, uint32(n))
	entry += abi.MetricsSize
	for id, t := range m.touched {
		if t {
			b.PutU16(entry, uint16(id))
			b.PutU64(entry+8, m.values[id])
			entry += abi.MetricEntrySize
		}
	}
	b.Close()
}
