package task

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/internal/clock"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/exchange"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
	"github.com/tidemill/tidemill/runtime/telemetry"
)

var schema = &record.Schema{Fields: []record.Field{{Name: "at", Type: record.I64}}}

// rows is a batch of rows with these event times.
func rows(times ...int64) *record.Batch {
	b := record.NewBatch(schema, len(times))
	for _, t := range times {
		b.Columns[0].AppendInt(t)
	}
	b.Rows, b.EventTime = len(times), slices.Clone(times)
	return b
}

// tracer is an operator that writes down its calls and passes rows on; hooks do more.
type tracer struct {
	ctx   *operator.Context
	name  string
	trace *trace
	on    map[string]func(o *tracer, at int64) error
	fail  string // the call that returns an error
}

type trace struct {
	mu    sync.Mutex
	lines []string
}

func (t *trace) add(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, fmt.Sprintf(format, args...))
}

func (t *trace) take() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := t.lines
	t.lines = nil
	return lines
}

var errFailed = errors.New("it was made to fail")

func (o *tracer) call(what string, at int64) error {
	if what == "process" {
		o.trace.add("%s process", o.name)
	} else {
		o.trace.add("%s %s %d", o.name, what, at)
	}
	if hook := o.on[what]; hook != nil {
		if err := hook(o, at); err != nil {
			return err
		}
	}
	if o.fail == what {
		return errFailed
	}
	return nil
}

func (o *tracer) Open(ctx *operator.Context) error {
	o.ctx = ctx
	return o.call("open", ctx.Watermark)
}

func (o *tracer) Process(port int, b *record.Batch) error {
	o.trace.add("%s rows %d %v", o.name, port, b.EventTime)
	if err := o.call("process", 0); err != nil {
		return err
	}
	o.ctx.Emit(0, b)
	return nil
}

func (o *tracer) Advance(w int64) error { return o.call("advance", w) }
func (o *tracer) Tick(now int64) error  { return o.call("tick", now) }
func (o *tracer) End() error            { return o.call("end", 0) }
func (o *tracer) Barrier() error        { return o.call("barrier", 0) }
func (o *tracer) Close() error          { return o.call("close", 0) }

// timers is a state.Backend of which only processing-time timers work, one at a time.
type timers struct {
	state.Backend
	at    int64
	set   bool
	trace *trace
}

func (s *timers) NextTimer(d state.Domain) (int64, bool) {
	return s.at, s.set && d == state.ProcessingTime
}
func (s *timers) Stats() state.Stats { return state.Stats{Cells: 3, Timers: 1, HotBytes: 77} }
func (s *timers) Close() error       { s.trace.add("state closed"); return nil }
func (s *timers) Freeze(base bool) (state.Frozen, error) {
	s.trace.add("freeze %t", base)
	return frozen{s.trace}, nil
}

type frozen struct{ trace *trace }

func (f frozen) Write(state.Writer) error { return nil }
func (f frozen) Close() error             { f.trace.add("frozen closed"); return nil }

// host notes acknowledgements; it is a StateWriter too.
type host struct {
	trace *trace
	acks  chan *Snapshot
	fail  error
}

func (h *host) Acknowledge(s *Snapshot)     { h.acks <- s }
func (h *host) Refuse(id uint64, err error) { h.trace.add("refuse %d %v", id, err); h.acks <- nil }
func (h *host) EndOfInput()                 { h.trace.add("end of input") }
func (h *host) WantsBase(id uint64) bool    { return id%2 == 1 }
func (h *host) Write(id uint64, base bool, _ state.Frozen) error {
	h.trace.add("write %d %t", id, base)
	return h.fail
}

// sinkOf is a sink that writes down its calls.
type sinkOf struct {
	name  string
	trace *trace
}

func (s *sinkOf) ExactlyOnce() bool                                       { return true }
func (s *sinkOf) Committer(context.Context) (connectors.Committer, error) { return nil, nil }
func (s *sinkOf) Writer(_ context.Context, subtask int, _ *record.Schema, states [][]byte) (connectors.Writer, error) {
	s.trace.add("%s open %d %q", s.name, subtask, states)
	return s, nil
}
func (s *sinkOf) Write(b *record.Batch) error {
	s.trace.add("%s write %d rows", s.name, b.Rows)
	return nil
}
func (s *sinkOf) Flush(_ context.Context, id uint64, last bool) (connectors.Flushed, error) {
	s.trace.add("%s flush %d %t", s.name, id, last)
	return connectors.Flushed{Committables: [][]byte{[]byte("c")}, State: []byte("s")}, nil
}
func (s *sinkOf) Close() error { s.trace.add("%s close", s.name); return nil }

// rig is a task that its test steps by hand, or runs.
type rig struct {
	t      *testing.T
	task   *Task
	trace  *trace
	host   *host
	clock  *clock.Manual
	inputs []*exchange.Output // into the task's gate
	out    *exchange.Gate     // of what leaves the first node's port 1
	log    bytes.Buffer
	ops    []*tracer
}

const now = 5_000_000

// newRig makes a task of a gate with two queues, operators in a row, and a sink behind the last.
func newRig(t *testing.T, ops []*tracer, change func(*Config)) *rig {
	r := &rig{t: t, trace: &trace{}, clock: clock.NewManual(time.UnixMicro(now)), ops: ops}
	r.host = &host{trace: r.trace, acks: make(chan *Snapshot, 10)}
	signal := exchange.NewSignal()
	gate := exchange.NewGate(signal)
	for port := range 2 {
		r.inputs = append(r.inputs, exchange.NewRebalance([]*exchange.Queue{gate.Add(port, exchange.NewSignal())}, 0))
	}
	r.out = exchange.NewGate(exchange.NewSignal())
	counters := telemetry.NewJob("j")
	cfg := Config{Job: "j", Subtask: 2, Parallelism: 4, MaxParallelism: 128, Signal: signal, Gate: gate, Host: r.host, Clock: r.clock,
		Log: slog.New(slog.NewTextHandler(&r.log, nil))}
	for i, o := range ops {
		o.trace = r.trace
		n := Node{Name: o.name, Watermark: record.WatermarkNone, Metrics: counters.Node(o.name, telemetry.Operator, 4).Subtasks[2],
			Operator: &Operator{New: func() operator.Operator { return o }, Inputs: []operator.Input{{Port: "in", Schema: schema}, {Port: "two", Schema: schema}},
				Outputs: []operator.Output{{Port: "out", Schema: schema}}},
			Routes: []Route{{Port: 0, To: i + 1}}}
		if i == 0 {
			n.Routes = append(n.Routes, Route{Port: 1, Output: exchange.NewRebalance([]*exchange.Queue{r.out.Add(0, signal)}, 0)})
		}
		cfg.Nodes = append(cfg.Nodes, n)
	}
	cfg.Nodes = append(cfg.Nodes, Node{Name: "sink", Watermark: record.WatermarkNone, Metrics: counters.Node("sink", telemetry.Sink, 4).Subtasks[2],
		Sink: &Sink{Connector: &sinkOf{"sink", r.trace}, Schema: schema}})
	if change != nil {
		change(&cfg)
	}
	r.task = New(cfg)
	return r
}

// run starts the task; the returned function ends it and returns its error.
func (r *rig) run() (stop func() error) {
	ctx, cancel := context.WithCancel(r.t.Context())
	done := make(chan error, 1)
	go func() { done <- r.task.Run(ctx) }()
	return func() error {
		cancel()
		return <-done
	}
}

func (r *rig) send(input int, it exchange.Item) {
	if it.Kind == exchange.Batch {
		r.inputs[input].Send(it.Batch)
		return
	}
	r.inputs[input].Broadcast(it)
}

func (r *rig) both(it exchange.Item) {
	r.send(0, it)
	r.send(1, it)
}

func batch(times ...int64) exchange.Item {
	return exchange.Item{Kind: exchange.Batch, Batch: rows(times...)}
}
func mark(w int64) exchange.Item { return exchange.Item{Kind: exchange.Watermark, Watermark: w} }
func barrier(id uint64, last bool) exchange.Item {
	return exchange.Item{Kind: exchange.BarrierKind, Barrier: exchange.Barrier{Checkpoint: id, Last: last}}
}

// expect waits until the trace has these lines and no others.
func (r *rig) expect(want ...string) {
	r.t.Helper()
	var got []string
	for end := time.Now().Add(5 * time.Second); len(got) < len(want) && time.Now().Before(end); time.Sleep(50 * time.Microsecond) {
		got = append(got, r.trace.take()...)
	}
	if !slices.Equal(got, want) {
		r.t.Fatalf("got\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func emits(port int, times ...int64) func(*tracer, int64) error {
	return func(o *tracer, _ int64) error {
		o.ctx.Emit(port, rows(times...))
		return nil
	}
}

// What a timer emits reaches the next node before the watermark does, and END comes last (rule 3, rule 9).
func TestWatermarkGoesDownTheChain(t *testing.T) {
	a := &tracer{name: "a", on: map[string]func(*tracer, int64) error{"advance": emits(0, 1, 2), "end": emits(0, 9)}}
	b := &tracer{name: "b"}
	r := newRig(t, []*tracer{a, b}, nil)
	stop := r.run()
	none := fmt.Sprint(record.WatermarkNone)
	r.expect("a open "+none, "b open "+none, `sink open 2 []`)
	r.both(mark(7))
	r.expect("a advance 7", "b rows 0 [1 2]", "b process", "sink write 2 rows", "b advance 7")
	r.send(0, batch(5))
	r.expect("a rows 0 [5]", "a process", "b rows 0 [5]", "b process", "sink write 1 rows")
	r.send(1, batch(6))
	r.expect("a rows 1 [6]", "a process", "b rows 0 [6]", "b process", "sink write 1 rows")
	end := fmt.Sprint(record.WatermarkEnd)
	r.both(mark(record.WatermarkEnd))
	r.expect("a advance "+end, "b rows 0 [1 2]", "b process", "sink write 2 rows", "a end 0", "b rows 0 [9]", "b process",
		"sink write 1 rows", "b advance "+end, "b end 0")
	if err := stop(); err != nil {
		t.Error(err)
	}
	r.expect("a close 0", "b close 0", "sink close")
}

// At a barrier operators let go, the barrier goes on, state is frozen, writers flush; the acknowledgement comes when frozen state is
// durable.
func TestBarrier(t *testing.T) {
	a := &tracer{name: "a", on: map[string]func(*tracer, int64) error{"barrier": emits(0, 3)}}
	b := &tracer{name: "b"}
	var st *timers
	r := newRig(t, []*tracer{a, b}, nil)
	st = &timers{trace: r.trace}
	r.task.cfg.Nodes[1].Operator.State, r.task.cfg.Nodes[1].Operator.StateWriter = st, r.host
	r.task.keyed = append(r.task.keyed, st)
	stop := r.run()
	r.both(mark(7))
	r.expect(r.opened("a advance 7", "b advance 7")...)
	r.both(barrier(5, false))
	s := <-r.host.acks
	r.expect("a barrier 0", "b rows 0 [3]", "b process", "sink write 1 rows", "b barrier 0", "freeze true", "sink flush 5 false",
		"write 5 true", "frozen closed")
	if s.Checkpoint != 5 || !slices.Equal(s.Watermarks, []int64{7, 7, 7}) || s.ProcessingTime != now || len(s.Splits) != 0 {
		t.Errorf("%+v", s)
	}
	if h := s.Handovers[2]; string(h.State) != "s" || len(h.Committables) != 1 || h.Committables[0].Subtask != 2 ||
		h.Committables[0].Checkpoint != 5 || h.Committables[0].Sink != "sink" || string(h.Committables[0].Data) != "c" {
		t.Errorf("%+v", h)
	}
	var passed []string
	for it, ok := r.out.Next(); ok; it, ok = r.out.Next() {
		passed = append(passed, fmt.Sprint(it.Kind, it.Watermark, it.Barrier))
	}
	if want := []string{fmt.Sprint(exchange.Watermark, 7, exchange.Barrier{}), fmt.Sprint(exchange.BarrierKind, 0, exchange.Barrier{Checkpoint: 5})}; !slices.Equal(passed, want) {
		t.Errorf("sent on %v, want %v", passed, want)
	}
	if m := r.task.links[1].metrics; m.Cells.Load() != 3 || m.Timers.Load() != 1 || m.StateBytes.Load() != 77 {
		t.Error("state was not measured")
	}

	r.host.fail = errFailed
	r.both(barrier(6, true))
	<-r.host.acks
	r.expect("a barrier 0", "b rows 0 [3]", "b process", "sink write 1 rows", "b barrier 0", "freeze false", "sink flush 6 true",
		"write 6 false", "frozen closed", "refuse 6 it was made to fail")
	r.send(0, batch(1)) // nothing follows the last barrier
	st.at, st.set = 0, true
	if err := stop(); err != nil {
		t.Error(err)
	}
	r.expect("a close 0", "b close 0", "sink close", "state closed")
}

// opened is the trace of the start of two operators and a sink, and what comes after it.
func (r *rig) opened(more ...string) []string {
	none := fmt.Sprint(record.WatermarkNone)
	return append([]string{"a open " + none, "b open " + none, `sink open 2 []`}, more...)
}

// Event time goes on from what was restored: receivers are told, a smaller watermark does nothing, and END does not run twice.
func TestRestoredWatermark(t *testing.T) {
	for _, restored := range []int64{50, record.WatermarkEnd} {
		a, b := &tracer{name: "a"}, &tracer{name: "b"}
		a.on = map[string]func(*tracer, int64) error{"open": func(o *tracer, _ int64) error {
			if o.ctx.Now() != now+1000 {
				t.Errorf("processing time went back to %d", o.ctx.Now())
			}
			return nil
		}}
		r := newRig(t, []*tracer{a, b}, func(c *Config) {
			for i := range c.Nodes {
				c.Nodes[i].Watermark = restored
			}
			c.ProcessingTime = now + 1000 // the clock has been set back
			c.Nodes[2].Sink.States = [][]byte{[]byte("x")}
		})
		stop := r.run()
		r.expect(fmt.Sprint("a open ", restored), fmt.Sprint("b open ", restored), `sink open 2 ["x"]`)
		r.both(mark(40))
		r.both(mark(record.WatermarkEnd))
		r.both(barrier(1, true))
		<-r.host.acks
		var want []string
		if restored == 50 {
			end := fmt.Sprint(record.WatermarkEnd)
			want = []string{"a advance " + end, "a end 0", "b advance " + end, "b end 0"}
		}
		r.expect(append(want, "a barrier 0", "b barrier 0", "sink flush 1 true")...)
		if it, ok := r.out.Next(); !ok || it.Kind != exchange.Watermark || it.Watermark != restored {
			t.Errorf("receivers were told %+v at first", it)
		}
		if err := stop(); err != nil {
			t.Error(err)
		}
	}
}

// Late rows are delivered and counted, by each operator against its own watermark.
func TestLateRows(t *testing.T) {
	a, b := &tracer{name: "a"}, &tracer{name: "b"}
	r := newRig(t, []*tracer{a, b}, nil)
	stop := r.run()
	r.send(0, batch(-1, 0, 1))
	r.both(mark(10))
	r.expect(r.opened("a rows 0 [-1 0 1]", "a process", "b rows 0 [-1 0 1]", "b process", "sink write 3 rows", "a advance 10", "b advance 10")...)
	r.send(0, batch(9, 10, 11, 12, 3))
	r.expect("a rows 0 [9 10 11 12 3]", "a process", "b rows 0 [9 10 11 12 3]", "b process", "sink write 5 rows")
	if err := stop(); err != nil {
		t.Error(err)
	}
	for i, want := range []int64{3, 3, 0} {
		if m := r.task.links[i].metrics; m.Late.Load() != want || m.RecordsIn.Load() != 8 || m.BatchesIn.Load() != 2 {
			t.Errorf("node %d counts %d late of %d in %d batches", i, m.Late.Load(), m.RecordsIn.Load(), m.BatchesIn.Load())
		}
	}
}

// Processing-time timers fire between batches once their time has come, not while the task is stalled and not after the end.
func TestProcessingTimers(t *testing.T) {
	a, b := &tracer{name: "a"}, &tracer{name: "b"}
	var st *timers
	a.on = map[string]func(*tracer, int64) error{"tick": func(*tracer, int64) error { st.set = false; return nil }}
	r := newRig(t, []*tracer{a, b}, nil)
	st = &timers{at: now + 1000, set: true, trace: r.trace}
	r.task.cfg.Nodes[0].Operator.State = st
	r.task.keyed = append(r.task.keyed, st)
	stop := r.run()
	r.expect(r.opened()...)
	for end := time.Now().Add(5 * time.Second); r.clock.Waiting() == 0; time.Sleep(50 * time.Microsecond) {
		if time.Now().After(end) {
			t.Fatal("no timer of the clock is armed")
		}
	}
	r.clock.Advance(999 * time.Microsecond)
	r.send(0, batch(1))
	r.expect("a rows 0 [1]", "a process", "b rows 0 [1]", "b process", "sink write 1 rows")
	r.clock.Advance(time.Microsecond)
	r.expect(fmt.Sprint("a tick ", now+1000))
	if err := stop(); err != nil {
		t.Error(err)
	}
	r.trace.take()

	st.at, st.set = now, true
	r.task.links[0].watermark = record.WatermarkEnd
	if fired, err := r.task.tick(); fired || err != nil {
		t.Errorf("a timer fired after the end: %v", err)
	}
}

// A task whose receiver has no credit takes no input, and goes on when the receiver has taken enough.
func TestStalled(t *testing.T) {
	a, b := &tracer{name: "a"}, &tracer{name: "b"}
	a.on = map[string]func(*tracer, int64) error{"process": func(o *tracer, _ int64) error {
		o.ctx.Emit(1, rows(make([]int64, exchange.QueueRowsMax)...)) // more than a batch: it is cut
		return nil
	}}
	r := newRig(t, []*tracer{a, b}, nil)
	stop := r.run()
	r.send(0, batch(1))
	r.send(0, mark(1))
	r.send(0, batch(2))
	r.expect(r.opened("a rows 0 [1]", "a process", "b rows 0 [1]", "b process", "sink write 1 rows")...)
	for end := time.Now().Add(5 * time.Second); r.task.links[2].metrics.Stalled.Load() == 0; time.Sleep(50 * time.Microsecond) {
		if time.Now().After(end) {
			t.Fatal("not stalled")
		}
	}
	if it, _ := r.out.Next(); it.Batch.Rows != record.RowsMax {
		t.Errorf("a batch of %d rows", it.Batch.Rows)
	}
	r.expect()
	r.out.Next()
	r.expect("a rows 0 [2]", "a process", "b rows 0 [2]", "b process", "sink write 1 rows")
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// An operator that emits much in one call waits for room in between: the queue holds its limit and one part at most.
func TestRoom(t *testing.T) {
	const parts = 20
	a, b := &tracer{name: "a"}, &tracer{name: "b"}
	a.on = map[string]func(*tracer, int64) error{"advance": func(o *tracer, _ int64) error {
		for range parts {
			o.ctx.Emit(1, rows(make([]int64, record.RowsMax)...))
			if err := o.ctx.WaitForRoom(); err != nil {
				return err
			}
		}
		return nil
	}}
	r := newRig(t, []*tracer{a, b}, nil)
	stop := r.run()
	r.both(mark(1))
	r.expect(r.opened("a advance 1")...)
	received := 0
	for end := time.Now().Add(5 * time.Second); received < parts && time.Now().Before(end); time.Sleep(50 * time.Microsecond) {
		if n := r.out.Rows(); n > exchange.QueueRowsMax {
			t.Fatalf("%d rows are queued", n)
		}
		if _, ok := r.out.Next(); ok {
			received++
		}
	}
	if received != parts {
		t.Errorf("%d parts arrived", received)
	}
	r.expect("b advance 1")
	r.both(mark(2))
	r.expect("a advance 2")
	for end := time.Now().Add(5 * time.Second); r.out.Rows() < exchange.QueueRowsMax && time.Now().Before(end); {
		time.Sleep(50 * time.Microsecond)
	}
	if err := stop(); err != nil { // in the middle of the call
		t.Error(err)
	}
}

func reject(cause error) map[string]func(*tracer, int64) error {
	return map[string]func(*tracer, int64) error{"process": func(o *tracer, _ int64) error {
		return o.ctx.Reject(&operator.Rejection{Cause: cause, Row: o.row(4)})
	}}
}

func (o *tracer) row(at int64) *record.Batch {
	b := rows(at)
	b.Pos, b.Runs = []int64{17}, []record.Run{{Origin: &record.Origin{Source: "src", Split: "s1"}}}
	return b
}

func TestRejectionPolicies(t *testing.T) {
	a := &tracer{name: "a", on: reject(errFailed)}
	r := newRig(t, []*tracer{a, {name: "b"}}, nil)
	done := make(chan error, 1)
	go func() { done <- r.task.Run(t.Context()) }()
	r.send(0, batch(4))
	err := <-done
	if !errcode.Is(err, ErrRejected) || !errors.Is(err, errFailed) || !strings.Contains(err.Error(), "operator a, source src, split s1, position 17") ||
		!strings.Contains(err.Error(), `a record was rejected, of the record {"at":4}`) {
		t.Errorf("%v", err)
	}

	coded := ErrPanic.Errorf("coded already")
	r = newRig(t, []*tracer{{name: "a", on: reject(coded)}, {name: "b"}}, nil)
	go func() { done <- r.task.Run(t.Context()) }()
	r.send(0, batch(4))
	if err := <-done; !errcode.Is(err, ErrPanic) || !strings.Contains(err.Error(), `coded already, of the record {"at":4}; mend the record or the operator, or set on_error`) {
		t.Errorf("%v", err)
	}

	a = &tracer{name: "a", on: reject(errFailed)}
	r = newRig(t, []*tracer{a, {name: "b"}}, func(c *Config) { c.Nodes[0].OnError = Skip })
	stop := r.run()
	r.trace.take()
	for range 30 {
		r.send(0, batch(4))
		r.send(0, mark(1)) // so that batches are not joined
	}
	r.both(barrier(2, false))
	<-r.host.acks
	if err := stop(); err != nil {
		t.Error(err)
	}
	if n := r.task.links[0].metrics.Bad.Load(); n != 30 {
		t.Errorf("%d rejections counted", n)
	}
	if n := strings.Count(r.log.String(), "rejected a record"); n != rejectionsLogged {
		t.Errorf("%d rejections logged", n)
	}
}

// Dead letters of rows and of timers.
func TestDeadLetters(t *testing.T) {
	n := &Node{Name: "a", Operator: &Operator{Inputs: []operator.Input{{Port: "in"}, {Port: "two"}}}}
	o := &tracer{}
	got := string(operator.AppendRowJSON(nil, rejectionLetter(n, &operator.Rejection{Cause: errFailed, Port: 1, Row: o.row(4)}), 0))
	want := `{"node":"a","code":null,"error":"it was made to fail","source":"src","split":"s1","position":17,"line":null,"port":"two",` +
		`"record":"{\"at\":4}","raw":null,"key":null,"timer":null,"time":null}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	got = string(operator.AppendRowJSON(nil, rejectionLetter(n, &operator.Rejection{Cause: ErrPanic.Errorf("oh"), Timer: &operator.Timer{Key: "UA", Name: "day", Time: 1_000_001}}), 0))
	want = `{"node":"a","code":"TM-RUN-021","error":"TM-RUN-021: oh","source":null,"split":null,"position":null,"line":null,"port":null,` +
		`"record":null,"raw":null,"key":"UA","timer":"day","time":"1970-01-01T00:00:01.000001Z"}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	got = string(operator.AppendRowJSON(nil, badRecordLetter("src", "s1", &connectors.BadRecord{At: 3, Line: 2, Raw: []byte{0xff, 'x'}, Reason: errFailed}), 0))
	want = `{"node":"src","code":null,"error":"it was made to fail","source":"src","split":"s1","position":3,"line":2,"port":null,` +
		`"record":null,"raw":"/3g=","key":null,"timer":null,"time":null}`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// An error of any call ends the task with that error; everything is closed.
func TestErrorsEndTheTask(t *testing.T) {
	for _, call := range []string{"open", "process", "advance", "end", "barrier", "tick", "close"} {
		for _, failing := range []int{0, 1} {
			ops := []*tracer{{name: "a"}, {name: "b"}}
			ops[failing].fail = call
			var st *timers
			r := newRig(t, ops, nil)
			st = &timers{at: now, set: call == "tick", trace: r.trace}
			r.task.cfg.Nodes[failing].Operator.State, r.task.cfg.Nodes[failing].Operator.StateWriter = st, r.host
			r.task.keyed = append(r.task.keyed, st)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- r.task.Run(ctx) }()
			r.send(0, batch(4))
			r.both(mark(record.WatermarkEnd))
			r.both(barrier(1, false))
			if call == "close" {
				<-r.host.acks
				cancel()
			}
			if err := <-done; !errors.Is(err, errFailed) {
				t.Errorf("%s of node %d: %v", call, failing, err)
			}
			cancel()
			lines := r.trace.take()
			if !slices.Contains(lines, "state closed") || call != "open" && !slices.Contains(lines, "sink close") {
				t.Errorf("%s of node %d: not everything was closed: %q", call, failing, lines)
			}
		}
	}
}
