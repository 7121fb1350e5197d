package metrics

import (
	"io"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/telemetry"
)

func job() *telemetry.Job {
	j := telemetry.NewJob("flights")
	j.Restarts.Store(2)
	s := j.Node("in", telemetry.Source, 2)
	s.Subtasks[0].RecordsIn.Store(10)
	s.Subtasks[1].RecordsIn.Store(20)
	s.Subtasks[1].Watermark.Store(1_000_000)
	o := j.Node("op", telemetry.Operator, 1)
	o.Subtasks[0].Cells.Store(-1)
	o.Subtasks[0].Meter.Fuel.Store(77)
	o.Subtasks[0].Meter.Declare([]operator.Reading{{Name: "seen", Doc: "Seen."}, {Name: "level", Gauge: true}})
	o.Subtasks[0].Meter.Custom()[0].Value.Store(5)
	o.Subtasks[0].Meter.Custom()[1].Value.Store(math.Float64bits(2.5))
	j.Completed(telemetry.Checkpoint{ID: 4, At: time.UnixMicro(3_500_000), Duration: 250 * time.Millisecond, Bytes: 100})
	return j
}

func scrape(t *testing.T, s *Server, path string) string {
	t.Helper()
	r, err := http.Get("http://" + s.Address + path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatal(r.Status, err)
	}
	return string(body)
}

func TestServe(t *testing.T) {
	s, err := Serve(":0", job().Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	defer Servers{s}.Close()
	if !strings.HasPrefix(s.Address, "127.0.0.1:") {
		t.Errorf("an address without a host listens on %s", s.Address)
	}
	body := scrape(t, s, "/metrics")
	for _, want := range []string{
		`tidemill_records_in_total{job="flights",kind="source",node="in",subtask="0"} 10`,
		`tidemill_records_in_total{job="flights",kind="source",node="in",subtask="1"} 20`,
		`tidemill_fuel_total{job="flights",kind="operator",node="op",subtask="0"} 77`,
		`tidemill_watermark_seconds{job="flights",kind="source",node="in",subtask="1"} 1`,
		`tidemill_guest_metric_total{job="flights",kind="operator",metric="seen",node="op",subtask="0"} 5`,
		`tidemill_guest_metric{job="flights",kind="operator",metric="level",node="op",subtask="0"} 2.5`,
		`tidemill_checkpoints_completed_total{job="flights"} 1`,
		`tidemill_checkpoint_last_duration_seconds{job="flights"} 0.25`,
		`tidemill_checkpoint_last_time_seconds{job="flights"} 3.5`,
		`tidemill_restarts_total{job="flights"} 2`,
	} {
		if !strings.Contains(body, "\n"+want+"\n") {
			t.Errorf("missing: %s", want)
		}
	}
	for _, no := range []string{
		`tidemill_watermark_seconds{job="flights",kind="source",node="in",subtask="0"}`, // none yet
		`tidemill_state_cells{job="flights",kind="operator",node="op",subtask="0"}`,     // cannot be counted
	} {
		if strings.Contains(body, no) {
			t.Errorf("present: %s", no)
		}
	}
}

func TestProfiles(t *testing.T) {
	s, err := ServeProfiles("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer Servers{s}.Close()
	if got := scrape(t, s, "/debug/pprof/goroutine?debug=1"); !strings.HasPrefix(got, "goroutine profile: total") {
		t.Errorf("profile: %.60s", got)
	}
}

func TestAddresses(t *testing.T) {
	for _, address := range []string{"", "nonsense", "127.0.0.1:99999", "127.0.0.1"} {
		if s, err := Serve(address, job().Snapshot); err == nil {
			t.Errorf("%q is served on %s", address, s.Address)
			Servers{s}.Close()
		}
	}
}

// TestNames holds names, units and help texts against Prometheus' own conventions.
func TestNames(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(&collector{snapshot: job().Snapshot, clock: func() time.Time { return time.Unix(100, 0) }})
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	if len(families) < 20 {
		t.Errorf("only %d families", len(families))
	}
}
