package trial

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/internal/vfs"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/plan"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/sandbox/modcache"
	"github.com/tidemill/tidemill/runtime/sandbox/profile"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
	"github.com/tidemill/tidemill/runtime/sandbox/wazerovm"
	"github.com/tidemill/tidemill/runtime/state/memory"
)

var clicks = &record.Schema{Fields: []record.Field{
	{Name: "user", Type: record.UTF8}, {Name: "page", Type: record.UTF8, Nullable: true}, {Name: "at", Type: record.TimestampTZ, Nullable: true},
}}

const noon = 1_772_366_400_000_000 // 2026-03-01T12:00:00Z

// click is a record: minutes after noon, -1 for none.
type click struct {
	user, page string
	minute     int64
}

// memorySource has one split of clicks.
type memorySource struct {
	connectors.Source
	records []click
}

func (s *memorySource) Enumerator(context.Context, []byte) (connectors.Enumerator, error) {
	return enumerator{}, nil
}

func (s *memorySource) Open(context.Context, connectors.Split, record.Position) (connectors.Reader, error) {
	return &reader{left: s.records}, nil
}

type enumerator struct{ connectors.Enumerator }

func (enumerator) Discover(context.Context) ([]connectors.Split, bool, error) {
	return []connectors.Split{{ID: "only"}}, true, nil
}
func (enumerator) Close() error { return nil }

type reader struct {
	connectors.Reader
	left []click
	read int64
}

func (r *reader) Close() error { return nil }

func (r *reader) Next(_ context.Context, dst *record.Batch, _ int, bad *[]connectors.BadRecord) error {
	if len(r.left) == 0 {
		return io.EOF
	}
	c := r.left[0]
	r.left = r.left[1:]
	r.read++
	if c.user == "" {
		*bad = append(*bad, connectors.BadRecord{At: r.read, Reason: errors.New("no user")})
		return nil
	}
	dst.Columns[0].AppendString(c.user)
	if c.page == "" {
		dst.Columns[1].AppendNull()
	} else {
		dst.Columns[1].AppendString(c.page)
	}
	if c.minute < 0 {
		dst.Columns[2].AppendNull()
	} else {
		dst.Columns[2].AppendInt(noon + c.minute*60_000_000)
	}
	dst.Pos = append(dst.Pos, r.read)
	dst.Rows++
	return nil
}

// cache compiles the module once for all tests.
var cache = modcache.New(func(string) vm.Engine { return wazerovm.New("", nil) },
	modcache.Options{Limits: profile.Limits{MemoryBytesMax: 64 << 20}})

// build plans an entry of the module sessions on records.
func build(t *testing.T, entry string, params map[string]any, records []click) *plan.Plan {
	t.Helper()
	guests := &plan.Guests{Files: vfs.Disk, Cache: cache}
	m, err := guests.Load(t.Context(), "../../../../examples/sessions/sessions.wasm")
	if err != nil {
		t.Fatal(err)
	}
	m.Entry = entry
	key := []record.Field{clicks.Fields[0]}
	inputs := []operator.Input{{Port: "clicks", Schema: clicks, Keys: []int{0}, EventTime: "at"}}
	request := abi.OpenRequest{
		Entry: entry, Parallelism: 1, Params: params, Key: []abi.Field{{Name: "user", Type: "utf8"}},
		Inputs: []abi.OpenInput{{Port: "clicks", Keyed: true, EventTime: "at", Schema: []abi.Field{{Name: "user", Type: "utf8"},
			{Name: "page", Type: "utf8", Nullable: true}, {Name: "at", Type: "timestamp_tz", Nullable: true}}}},
	}
	found, err := guests.Inspect(m, plan.Limits{}, request)
	if err != nil {
		t.Fatal(err)
	}
	op := &plan.Node{ID: 1, Name: entry, Inputs: inputs, Operator: &plan.Operator{Module: m, Params: found.Params, Key: key,
		Descriptor: found.Descriptor, Binding: found.Binding}}
	for _, out := range found.Descriptor.Outputs {
		var fields []record.Field
		for _, f := range out.Schema {
			typ, _ := record.ParseType(f.Type)
			fields = append(fields, record.Field{Name: f.Name, Type: typ, Nullable: f.Nullable})
		}
		op.Outputs = append(op.Outputs, operator.Output{Port: out.Name, Schema: &record.Schema{Fields: fields}})
	}
	source := &plan.Node{Name: "clicks", Outputs: []operator.Output{{Port: "out", Schema: clicks}},
		Source: &plan.Source{Connector: &memorySource{records: records}, EventTime: &plan.EventTime{Column: 2}}}
	return &plan.Plan{Job: "test", MaxParallelism: 8, Nodes: []*plan.Node{source, op}, Edges: []plan.Edge{{From: 0, To: 1}}}
}

// steps runs a trial and returns what was noted as one line a step.
func steps(t *testing.T, p *plan.Plan, step time.Duration) (string, *Summary) {
	t.Helper()
	var b strings.Builder
	trial := &Trial{Plan: p, Backend: memory.Factory{}, Log: slog.New(slog.DiscardHandler), Start: time.UnixMicro(noon), Step: step,
		Note: func(s Step) { s.Print(&b) }}
	summary, err := trial.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return b.String(), summary
}

func TestSessions(t *testing.T) {
	got, summary := steps(t, build(t, "sessions", map[string]any{"gap": int64(600_000)}, []click{
		{"ann", "home", 0}, {"ann", "", 1}, {"", "", 0}, {"bob", "home", -1}, {"bob", "home", 30}, {"ann", "cart", 5},
	}), 0)
	want := `clicks {"user":"ann","page":"home","at":"2026-03-01T12:00:00Z"}
    set open {"user":"ann"} = {"start":"2026-03-01T12:00:00","end":"2026-03-01T12:00:00","clicks":1}
    timer set over {"user":"ann"} for 2026-03-01T12:10:00Z
-- watermark 2026-03-01T11:59:59.999999Z
clicks {"user":"ann","page":null,"at":"2026-03-01T12:01:00Z"}
    rejected: (an error that names the record)
-- watermark 2026-03-01T12:00:59.999999Z
clicks bad record: no user
clicks bad record: column at, its event time, is null
clicks {"user":"bob","page":"home","at":"2026-03-01T12:30:00Z"}
    set open {"user":"bob"} = {"start":"2026-03-01T12:30:00","end":"2026-03-01T12:30:00","clicks":1}
    timer set over {"user":"bob"} for 2026-03-01T12:40:00Z
-- watermark 2026-03-01T12:29:59.999999Z
    fires over {"user":"ann"} at 2026-03-01T12:10:00Z
    clear open {"user":"ann"}
    -> sessions {"user":"ann","start":"2026-03-01T12:00:00","end":"2026-03-01T12:00:00","clicks":1}
clicks (late) {"user":"ann","page":"cart","at":"2026-03-01T12:05:00Z"}
-- watermark end
    fires over {"user":"bob"} at 2026-03-01T12:40:00Z
    clear open {"user":"bob"}
    -> sessions {"user":"bob","start":"2026-03-01T12:30:00","end":"2026-03-01T12:30:00","clicks":1}
-- end
`
	var lines []string
	for line := range strings.Lines(got) {
		if strings.Contains(line, "rejected: ") {
			if !strings.Contains(line, "a click without a page") {
				t.Errorf("rejection: %s", line)
			}
			line = "    rejected: (an error that names the record)\n"
		}
		lines = append(lines, strings.ReplaceAll(strings.ReplaceAll(line, `Z","end"`, `","end"`), `Z","clicks"`, `","clicks"`))
	}
	if got := strings.Join(lines, ""); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	text, _ := json.Marshal(summary)
	if want := fmt.Sprintf(`{"operator":"sessions","records":4,"bad":2,"late":1,"rejected":1,"emitted":{"sessions":2},"fuel":%d}`, summary.Fuel); string(text) != want || summary.Fuel == 0 {
		t.Errorf("summary %s", text)
	}
}

func TestProcessingTimeMovesByStep(t *testing.T) {
	records := []click{{"ann", "home", 0}, {"bob", "home", 0}, {"bob", "home", 0}}
	p := build(t, "presence", map[string]any{"quiet": int64(60_000)}, records)
	if got, _ := steps(t, p, 0); strings.Contains(got, "fires") {
		t.Errorf("a timer fires while processing time stands still:\n%s", got)
	}
	p.Nodes[0].Source.Connector = &memorySource{records: records}
	got, summary := steps(t, p, 40*time.Second)
	if !strings.Contains(got, "-- tick 2026-03-01T12:01:20Z\n    fires gone {\"user\":\"ann\"} at 2026-03-01T12:01:00Z\n") || strings.Count(got, "fires") != 1 {
		t.Errorf("got\n%s", got)
	}
	if summary.Emitted["changes"] != 3 {
		t.Errorf("emitted %v", summary.Emitted)
	}
}
