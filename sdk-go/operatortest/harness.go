package operatortest

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
	"github.com/tidemill/tidemill/sdk-go/internal/engine"
	"github.com/tidemill/tidemill/sdk-go/internal/row"
	"github.com/tidemill/tidemill/sdk-go/operator"
)

// Config says how the operator is run.
type Config struct {
	Params map[string]any // bool, int, float64, string, time.Duration; defaults apply
	Key    []string       // key columns, the same on every port; empty where the input has no key
	// EventTime is the column whose values are the rows' event times, where a row type has no field for it.
	EventTime string
	// Inputs gives a row for a port whose input has more columns than the operator reads, to say which: {"flights": Flight{}}.
	Inputs map[string]any
	// Shake, where not 0, seeds the choice of frames, of states that are asked for, and of replacements of the operator.
	Shake uint64
	// FrameBytes limits an answer, 16 MiB where 0.
	FrameBytes int
}

// Error is an item that the operator rejected, by an error or a panic.
type Error struct {
	Port    string // of a row
	Row     any    // as it was sent
	Timer   string // name of a timer; both are empty for a callback
	Message string
	Place   string // of a panic
	Panic   bool
}

// Harness is an operator under test.
type Harness struct {
	t           testing.TB
	entry       string
	config      Config
	description abi.Entry
	request     abi.OpenRequest
	descriptor  *abi.Descriptor
	slot        *engine.Slot
	random      *rand.Rand // nil without Shake
	store       *store
	inputs      map[string][]field
	outputs     [][]emitted // by port
	errors      []Error
	logs        []string
	metrics     map[string]float64
	sequence    uint64
	watermark   int64
	now         int64
	running     *running
}

// emitted is an output row with its event time.
type emitted struct {
	row  values
	time int64
}

// New opens the registered operator of that name. It fails the test where the operator refuses its parameters or inputs: see Open.
func New(t testing.TB, entry string, config Config) *Harness {
	t.Helper()
	h, err := Open(t, entry, config)
	if err != nil {
		t.Fatalf("opening operator %s: %v", entry, err)
	}
	return h
}

// Open opens the registered operator of that name, or returns the error with which it refuses its parameters or inputs. When the
// test ends with rejected items that it did not take by Errors, it fails.
func Open(t testing.TB, entry string, config Config) (*Harness, error) {
	h := &Harness{
		t: t, entry: entry, config: config, watermark: abi.WatermarkNone,
		inputs: map[string][]field{}, metrics: map[string]float64{},
	}
	if config.Shake != 0 {
		h.random = rand.New(rand.NewPCG(config.Shake, 0))
		t.Logf("operatortest: Shake %d", config.Shake)
	}
	if err := h.describe(); err != nil {
		return nil, err
	}
	if err := h.replace(); err != nil {
		return nil, err
	}
	h.store = newStore(h.descriptor)
	h.outputs = make([][]emitted, len(h.descriptor.Outputs))
	t.Cleanup(func() {
		if t.Failed() {
			return
		}
		for _, e := range h.errors {
			t.Errorf("rejected: %+v", e)
		}
	})
	return h, nil
}

// describe resolves the inputs.
func (h *Harness) describe() error {
	d, err := engine.Registered.Describe()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(d.Entries, func(e abi.Entry) bool { return e.Name == h.entry })
	if i < 0 {
		return fmt.Errorf("no operator %q is registered", h.entry)
	}
	h.description = d.Entries[i]
	h.request = abi.OpenRequest{
		Entry: h.entry, Job: "test", Operator: h.entry, Parallelism: 1, Params: map[string]any{},
		Limits: abi.OpenLimits{
			FrameBytes: h.config.FrameBytes, Rows: abi.RowsMax, CellBytes: abi.CellBytesMax, KeyBytes: abi.KeyBytesMax,
		},
	}
	if h.config.FrameBytes == 0 {
		h.request.Limits.FrameBytes = abi.FrameBytesMax
	}
	for name, v := range h.config.Params {
		h.request.Params[name] = param(v)
	}
	for _, in := range h.description.Inputs {
		if err := h.input(in); err != nil {
			return err
		}
	}
	return nil
}

func (h *Harness) input(in abi.InputPort) error {
	schema := in.Columns
	if given, ok := h.config.Inputs[in.Name]; ok {
		list, _, err := fields(reflect.TypeOf(given), "value", schema)
		if err != nil {
			return err
		}
		schema = nil
		for _, f := range list {
			schema = append(schema, f.Field)
		}
	}
	for _, column := range schema {
		h.inputs[in.Name] = append(h.inputs[in.Name], field{Field: column, typ: row.ParseType(column.Type)})
	}
	var key []abi.Field
	for _, name := range h.config.Key {
		i := slices.IndexFunc(schema, func(f abi.Field) bool { return f.Name == name })
		if i < 0 {
			return fmt.Errorf("port %s has no key column %s: give its rows by Config.Inputs", in.Name, name)
		}
		key = append(key, schema[i])
	}
	h.request.Key = key
	h.request.Inputs = append(h.request.Inputs, abi.OpenInput{
		Port: in.Name, Schema: schema, EventTime: h.config.EventTime, Keyed: len(key) > 0,
	})
	return nil
}

// param is a parameter as JSON would have it.
func param(v any) any {
	if d, ok := v.(time.Duration); ok {
		return d.Milliseconds()
	}
	if x := reflect.ValueOf(v); x.CanInt() {
		return x.Int()
	}
	return v
}

// replace opens a new instance of the operator.
func (h *Harness) replace() (err error) {
	h.slot, h.descriptor, err = engine.Registered.NewSlot(h.request, host{h})
	return err
}

// Send sends rows to a port, as one batch, and fires the processing-time timers that are due after it.
func Send[R any](h *Harness, port string, rows ...R) {
	h.t.Helper()
	schema, ok := h.inputs[port]
	if !ok {
		h.t.Fatalf("the operator has no port %s", port)
	}
	list, timeField, err := fields(reflect.TypeFor[R](), "value", h.request.Inputs[h.portIndex(port)].Schema)
	if err != nil {
		h.t.Fatal(err)
	}
	items := make([]item, 0, len(rows))
	for i := range rows {
		v := reflect.ValueOf(&rows[i]).Elem()
		it := item{port: port, sent: rows[i], time: int64(operator.NoTime), row: project(h.t, take(h.t, v, list), list, schema)}
		for j, column := range schema {
			if column.Name == h.config.EventTime && it.row[j] != nil {
				it.time = it.row[j].(int64)
			}
		}
		if timeField != nil {
			it.time = v.FieldByIndex(timeField).Int()
		}
		items = append(items, it)
	}
	h.run(abi.KindBatch, h.portIndex(port), items)
	h.fire(abi.DomainProcessing)
}

func (h *Harness) portIndex(port string) int {
	return slices.IndexFunc(h.description.Inputs, func(in abi.InputPort) bool { return in.Name == port })
}

// project orders the values of a row as a schema does.
func project(t testing.TB, row values, list, schema []field) values {
	t.Helper()
	out := make(values, len(schema))
	for i, column := range schema {
		j := slices.IndexFunc(list, func(f field) bool { return f.Name == column.Name })
		if j < 0 {
			t.Fatalf("the rows have no column %s", column.Name)
		}
		out[i] = row[j]
	}
	return out
}

// AdvanceWatermark moves event time: due event timers fire in rounds, then the operator's OnWatermark runs. Going back does nothing.
func (h *Harness) AdvanceWatermark(to operator.Timestamp) {
	if int64(to) <= h.watermark {
		return
	}
	h.watermark = int64(to)
	h.fire(abi.DomainEvent)
	if slices.Contains(h.descriptor.Callbacks, abi.CallbackWatermark) {
		h.run(abi.KindWatermark, abi.NoPort, []item{{}})
	}
}

// AdvanceProcessingTime moves processing time, has state with a time to live expire, and fires the timers that are due. Going back
// does nothing.
func (h *Harness) AdvanceProcessingTime(to operator.Timestamp) {
	if int64(to) <= h.now {
		return
	}
	h.now = int64(to)
	h.fire(abi.DomainProcessing)
}

// End ends the input: the watermark becomes maximal, all event timers fire, then the operator's OnEnd runs.
func (h *Harness) End() {
	h.AdvanceWatermark(operator.EndOfTime)
	if slices.Contains(h.descriptor.Callbacks, abi.CallbackEnd) {
		h.run(abi.KindEnd, abi.NoPort, []item{{}})
	}
}

// fire fires due timers in rounds, one a key each, so that what a round sets or deletes counts for the next.
func (h *Harness) fire(domain byte) {
	reached := h.watermark
	if domain == abi.DomainProcessing {
		reached = h.now
	}
	for range abi.TimerRoundsMax {
		var items []item
		for _, list := range h.store.timers {
			for _, t := range list {
				if t.domain == domain && t.time <= reached {
					items = append(items, item{timer: t, key: t.key, time: t.time})
					break
				}
			}
		}
		if len(items) == 0 {
			return
		}
		slices.SortFunc(items, func(a, b item) int { return compare(values{a.key}, values{b.key}) })
		h.run(abi.KindTimers, abi.NoPort, items)
	}
	h.t.Fatalf("timers fired %d rounds", abi.TimerRoundsMax)
}

// Rows are the rows that a port emitted since the last call, as the columns of R by name. R takes them as an operator takes an
// input: it may leave columns out, whole numbers widen, and a column that may be null needs a field of type operator.Null. Other
// types fail the test.
func Rows[R any](h *Harness, port string) []R {
	h.t.Helper()
	i := slices.IndexFunc(h.descriptor.Outputs, func(o abi.BindOutput) bool { return o.Name == port })
	if i < 0 {
		h.t.Fatalf("the operator has no output port %s", port)
	}
	schema := h.descriptor.Outputs[i].Schema
	list, timeField, err := fields(reflect.TypeFor[R](), "value", schema)
	if err != nil {
		h.t.Fatal(err)
	}
	if err := fit(list, schema); err != nil {
		h.t.Fatalf("the rows of port %s as %v: %v", port, reflect.TypeFor[R](), err)
	}
	named := make([]field, len(schema))
	for j, f := range schema {
		named[j] = field{Field: f}
	}
	out := make([]R, len(h.outputs[i]))
	for r, e := range h.outputs[i] {
		v := reflect.ValueOf(&out[r]).Elem()
		give(v, list, project(h.t, e.row, named, list))
		if timeField != nil {
			v.FieldByIndex(timeField).SetInt(e.time)
		}
	}
	h.outputs[i] = nil
	return out
}

// Errors are the items that were rejected since the last call.
func (h *Harness) Errors() []Error {
	out := h.errors
	h.errors = nil
	return out
}

// Logs are the lines that the operator logged since the last call.
func (h *Harness) Logs() []string {
	out := h.logs
	h.logs = nil
	return out
}

// Metric is the value of a counter or gauge, 0 where it was never reported.
func (h *Harness) Metric(name string) float64 { return h.metrics[name] }
