package conformance

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/abi/conformance/model"
	"github.com/tidemill/tidemill/abi/conformance/program"
	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/connectors/collect"
	"github.com/tidemill/tidemill/connectors/spec"
	"github.com/tidemill/tidemill/internal/clock"
	"github.com/tidemill/tidemill/internal/vfs"
	"github.com/tidemill/tidemill/runtime/engine"
	"github.com/tidemill/tidemill/runtime/engine/embedded"
	"github.com/tidemill/tidemill/runtime/job"
	"github.com/tidemill/tidemill/runtime/plan"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/sandbox"
	"github.com/tidemill/tidemill/runtime/state"
	"github.com/tidemill/tidemill/runtime/state/memory"
)

// policyJob runs a case's rows of port in through the interpreter. No time that a timer is set for is reached before the end of input.
const policyJob = `
name: policies
checkpoint: {interval: 1h, store: store}
sources:
  rows: {connector: case, bytes: "%s", event_time: {column: when, out_of_orderness: 24h}}
  none: {connector: case, more: true, event_time: {column: when}}
operators:
  interpreter:
    module: guest.wasm
    entry: interpreter
    input: {in: rows, more: none}
    key_by: [k, g]
    on_error: %s
    limits: {fuel_base: %d, fuel_per_item: %d, traps_per_minute: 1000000}
sinks:
  values: {connector: collect, into: "%[5]s.values", input: interpreter.values}
  passed: {connector: collect, into: "%[5]s.passed", input: interpreter.passed}
  timed: {connector: collect, into: "%[5]s.timed", input: interpreter.timed}
`

func init() {
	connectors.RegisterSource(connectors.SourceType{
		Name: "case", Doc: "The rows of one port of a case.",
		Options: &spec.Object{Fields: []spec.Field{{Name: "bytes", Kind: spec.String, Doc: "the case, in hexadecimal"}, {Name: "more", Kind: spec.Bool}}},
		New: func(_ context.Context, _ connectors.Env, v spec.Values) (connectors.Source, error) {
			data, err := hex.DecodeString(v.String("bytes"))
			c := program.ParseCase(data)
			return &caseSource{steps: c.Steps, more: v.Bool("more")}, err
		},
	})
}

// caseSource has one split, of a case's rows.
type caseSource struct {
	steps []program.Step
	more  bool
}

func (s *caseSource) Schema(context.Context) (*record.Schema, error) {
	if s.more {
		return timed(moreSchema), nil
	}
	return timed(inSchema), nil
}

// timed is a schema with a column more, which has the rows' event time.
func timed(s *record.Schema) *record.Schema {
	return &record.Schema{Fields: append(slices.Clone(s.Fields), record.Field{Name: "when", Type: record.Timestamp})}
}

func (s *caseSource) Bounded() bool { return true }

func (s *caseSource) Enumerator(_ context.Context, state []byte) (connectors.Enumerator, error) {
	return oneSplit{}, nil
}

func (s *caseSource) Open(_ context.Context, _ connectors.Split, at record.Position) (connectors.Reader, error) {
	return &caseReader{s, int(at.Records)}, nil
}

// oneSplit discovers the split of a case.
type oneSplit struct{}

func (oneSplit) Discover(context.Context) ([]connectors.Split, bool, error) {
	return []connectors.Split{{ID: "0"}}, true, nil
}
func (oneSplit) Snapshot() ([]byte, error) { return nil, nil }
func (oneSplit) Close() error              { return nil }

type caseReader struct {
	*caseSource
	at int
}

func (r *caseReader) Next(_ context.Context, dst *record.Batch, most int, _ *[]connectors.BadRecord) error {
	if r.at == len(r.steps) {
		return io.EOF
	}
	for ; most > 0 && r.at < len(r.steps); most-- {
		columns := inRow(&r.steps[r.at])
		for i := range columns {
			dst.Columns[i].AppendRow(&columns[i], 0)
		}
		dst.Columns[len(columns)].AppendInt(r.steps[r.at].EventTime)
		dst.Pos = append(dst.Pos, int64(r.at))
		dst.Rows++
		r.at++
	}
	return nil
}

func (r *caseReader) Position() record.Position {
	return record.Position{Offset: int64(r.at), Records: int64(r.at), Done: r.at == len(r.steps)}
}
func (r *caseReader) Close() error { return nil }

// compiled gives a plan a guest as it was compiled for all tests.
type compiled struct{ guest *Guest }

func (c compiled) Load(_ context.Context, path string) (*plan.Module, error) {
	description, err := sandbox.Describe(c.guest.module, c.guest.limits)
	return &plan.Module{Path: path, Digest: strings.Repeat("0", 64), Guest: c.guest.module, Describe: description}, err
}

func (c compiled) Inspect(m *plan.Module, _ plan.Limits, request abi.OpenRequest) (*sandbox.Inspection, error) {
	return sandbox.Inspect(m.Guest, c.guest.limits, request)
}

// still is a clock that always shows the time at which a case begins; its timers run.
type still struct{ clock.Clock }

func (still) Now() time.Time { return time.UnixMicro(program.FirstTick) }

// policyCase draws rows of port in, many of which fail, and timers, some of which do. What depends on when the source moves the watermark is
// not drawn.
func policyCase(rng *rand.Rand) program.Case {
	weights := program.Weights{program.Values: 4, program.Echo: 8, program.Pass: 8, program.ValueAdd: 4, program.ValueGet: 4,
		program.ListAppend: 6, program.ListAll: 4, program.MapSet: 6, program.MapScan: 4, program.Fault: 6}
	drawn := program.DrawCase(rng, program.Drawing{Weights: weights, Steps: 160, Commands: 4})
	var c program.Case
	for _, s := range drawn.Steps {
		if s.Kind != program.Row || s.More {
			continue
		}
		if rng.IntN(4) == 0 { // timer_set of event or event_many, with a tag, and a program that emits and then may fail
			kind := []byte{program.FaultError, program.FaultPanic, program.FaultNone, program.FaultNone}[rng.IntN(4)]
			fires := []byte{byte(program.Clock), byte(program.Fault), kind, 2, 0, 1}
			set := []byte{byte(program.TimerSet), byte(rng.IntN(2)), byte(rng.IntN(100)), 1, byte(rng.IntN(3)), byte(len(fires))}
			s.Program = append(append(set, fires...), s.Program...)
			s.Program = s.Program[:min(len(s.Program), 255)]
		}
		c.Steps = append(c.Steps, s)
	}
	return c
}

// runPolicy runs a case as a job and returns what it published, and its error.
func runPolicy(t *testing.T, g *Guest, c *program.Case, policy string) (seen *Seen, letters []map[string]any, bad int64, failed error) {
	t.Helper()
	into := t.Name()
	text := fmt.Sprintf(policyJob, hex.EncodeToString(c.Bytes()), policy, g.limits.FuelBase, g.limits.FuelPerItem, into)
	if strings.Contains(policy, "letters") {
		text += fmt.Sprintf("  letters: {connector: collect, into: %q}\n", into+".letters")
	}
	j, err := job.Parse("job.yaml", []byte(text), job.Environment{Lookup: func(string) (string, bool) { return "", false }})
	if err != nil {
		t.Fatal(err)
	}
	files, log := vfs.NewMem(), slog.New(slog.DiscardHandler)
	p, err := plan.Make(t.Context(), j, compiled{g}, connectors.Env{Clock: still{clock.System}, FS: files, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	e := &embedded.Engine{Clock: still{clock.System}, FS: files, Log: log, WorkDir: "work", Backends: map[string]state.Factory{"memory": memory.Factory{}}}
	running, err := e.Deploy(t.Context(), p, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	result, failed := running.Wait()
	seen = newSeen(c.Steps)
	for _, port := range []int{program.PortValues, program.PortPassed, program.PortTimed} {
		name := into + "." + program.Ports[port].Name
		for _, b := range collect.Named(name).Batches() {
			seen.emitted(&program.Ports[port], b, 0)
		}
		collect.Forget(name)
	}
	for _, line := range collect.Named(into + ".letters").Lines() {
		letter := map[string]any{}
		decoder := json.NewDecoder(strings.NewReader(line))
		decoder.UseNumber()
		if err := decoder.Decode(&letter); err != nil {
			t.Fatal(err)
		}
		letters = append(letters, letter)
	}
	collect.Forget(into + ".letters")
	for _, n := range result.Counters.Nodes {
		bad += n.Total.Bad
	}
	return seen, letters, bad, failed
}

// TestPolicies runs a case as a job on each guest by each policy: fail ends the job at the first item that the model refuses, skip and
// dead_letter leave out all that it refuses and nothing else, and dead_letter sets these aside as they were.
func TestPolicies(t *testing.T) {
	c := policyCase(rand.New(rand.NewPCG(6, 5))) // errors, panics, a loop, allocations without end
	want := Expect(&c, &Plan{Subtasks: []int{1}})
	rows, timers := 0, 0
	for _, list := range want.model.Rejected {
		for _, r := range list {
			if r.Pos < 0 {
				timers++
			} else {
				rows++
			}
		}
	}
	if rows < 5 || timers < 5 {
		t.Fatalf("%d rows and %d timers are refused: too few", rows, timers)
	}
	for _, g := range allGuests(t) {
		t.Run(g.Language+"/fail", func(t *testing.T) {
			_, _, _, err := runPolicy(t, g, &c, "fail")
			first := firstRefused(want.model)
			if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("source rows, split 0, position %d,", first.Pos)) || !says(err.Error(), first) {
				t.Errorf("the job ended with %v, want the rejection of %v", err, *first)
			}
		})
		t.Run(g.Language+"/skip", func(t *testing.T) {
			seen, letters, bad, err := runPolicy(t, g, &c, "skip")
			if d := lists("port ", seen.Rows, want.model.Rows); err != nil || d != "" {
				t.Error(err, d)
			}
			if bad != int64(rows+timers) || len(letters) > 0 {
				t.Errorf("%d items were refused, want %d; %d letters", bad, rows+timers, len(letters))
			}
		})
		t.Run(g.Language+"/dead_letter", func(t *testing.T) {
			seen, letters, bad, err := runPolicy(t, g, &c, "{policy: dead_letter, to: letters}")
			if d := lists("port ", seen.Rows, want.model.Rows); err != nil || d != "" {
				t.Error(err, d)
			}
			if bad != int64(rows+timers) {
				t.Errorf("%d items were refused, want %d", bad, rows+timers)
			}
			checkLetters(t, letters, &c, want.model)
		})
	}
}

// firstRefused is the row that ends a job whose policy is fail: timers come after all rows.
func firstRefused(m *model.Model) *model.Rejection {
	var first *model.Rejection
	for _, list := range m.Rejected {
		for i := range list {
			if r := &list[i]; r.Pos >= 0 && (first == nil || r.Pos < first.Pos) {
				first = r
			}
		}
	}
	return first
}

// checkLetters compares dead letters with what the model refused, key by key.
func checkLetters(t *testing.T, letters []map[string]any, c *program.Case, m *model.Model) {
	t.Helper()
	got, want := map[string][]string{}, map[string][]string{}
	for key, list := range m.Rejected {
		for i := range list {
			want[key] = append(want[key], letterOf(&list[i]))
		}
	}
	for _, letter := range letters {
		var key, item string
		if position, ok := letter["position"].(json.Number); ok {
			n, err := position.Int64()
			if err != nil || letter["source"] != "rows" || letter["split"] != "0" || letter["port"] != "in" {
				t.Errorf("a letter of a row: %v", letter)
			}
			key, item = c.Steps[n].Key.String(), rowItem(n)
			checkLetterRecord(t, letter["record"], &c.Steps[n])
		} else {
			key = keyNamed(letter["key"])
			item = fmt.Sprintf("timer %v at %v", letter["timer"], letter["time"])
		}
		if i := len(got[key]); i < len(m.Rejected[key]) && !says(fmt.Sprint(letter["error"]), &m.Rejected[key][i]) {
			t.Errorf("the letter of %s says %q", item, letter["error"])
		}
		if letter["node"] != "interpreter" {
			t.Errorf("a letter of node %v", letter["node"])
		}
		got[key] = append(got[key], item)
	}
	if d := lists("letters of ", got, want); d != "" {
		t.Error(d)
	}
}

// letterOf names a refused item as letters do, which have no tag.
func letterOf(r *model.Rejection) string {
	if r.Pos >= 0 {
		return rowItem(r.Pos)
	}
	return fmt.Sprintf("timer %s at %s", r.Timer, time.UnixMicro(r.Time).UTC().Format(time.RFC3339Nano))
}

// keyNamed finds a key by how the host shows it.
func keyNamed(shown any) string {
	for _, k := range program.Keys {
		if formatKey(k) == shown {
			return k.String()
		}
	}
	return fmt.Sprint("unknown ", shown)
}

// checkLetterRecord compares the row that a letter has with that of the case: columns whose JSON is exact.
func checkLetterRecord(t *testing.T, text any, s *program.Step) {
	t.Helper()
	row := map[string]any{}
	decoder := json.NewDecoder(strings.NewReader(fmt.Sprint(text)))
	decoder.UseNumber()
	if err := decoder.Decode(&row); err != nil {
		t.Errorf("the record of a letter: %v: %v", err, text)
		return
	}
	if want := len(timed(inSchema).Fields); len(row) != want {
		t.Errorf("the record of a letter has %d columns, want %d", len(row), want)
	}
	for i, f := range program.Fields {
		switch f.Type {
		case program.I64, program.UTF8, program.Decimal128, program.ListI64, program.ListUTF8:
			if got, want := jsonText(row[f.Name], f.Type), s.Record[i].Format(f.Type); got != want {
				t.Errorf("column %s of a letter is %s, want %s", f.Name, got, want)
			}
		}
	}
}

// jsonText writes a value of JSON as program.Value.Format would.
func jsonText(v any, typ program.Type) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return program.Text(v).Format(program.UTF8)
	case json.Number:
		n, ok := new(big.Rat).SetString(v.String())
		if !ok {
			return v.String()
		}
		if typ == program.Decimal128 {
			return n.FloatString(program.Scale)
		}
		return n.FloatString(0)
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = jsonText(v[i], typ.Element())
		}
		return "[" + strings.Join(parts, " ") + "]"
	}
	return fmt.Sprint(v)
}
