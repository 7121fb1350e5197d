package sandbox

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/runtime/state"
	"github.com/tidemill/tidemill/runtime/state/memory"
)

// TestTimeToLive runs the ledger with states that expire after 5 ms of processing time over the real back-end: what a frame gets
// with it, what it asks for, what it scans, and what its timers see end on the microsecond.
func TestTimeToLive(t *testing.T) {
	r := newExpiringLedger(t)
	start := r.now
	rows := func(at int64, ns ...int) func() error {
		return func() error {
			r.now = start + at
			var list []ledgerRow
			for _, n := range ns {
				list = append(list, ledgerRow{k: "a", n: n})
			}
			return r.op.Process(0, ledgerBatch(r.ctx.Inputs[0].Schema, list, 0))
		}
	}
	for i, step := range []struct {
		do   func() error
		want string // emitted: n, count and times of a row; count, sum of the times and list of a timer
	}{
		{rows(0, 1), "[[1 1 1]]"},
		{rows(4999, 1), "[[1 2 2]]"},
		{rows(4998, 8), "[[8 3 1]]"}, // time does not go back
		// The first element has expired. What was written a microsecond before the others has not.
		{func() error { r.now = start + 5000; return r.op.Advance(1) }, "[[3 3 [1 8]]]"},
		{rows(9998, 2), "[[2 4 1]]"},
		// Nothing is left but what was written last: the count, the entry of 2 and an element.
		{func() error { r.now = start + 9999; return r.op.Advance(2) }, "[[4 1 [2]]]"},
		{rows(14_998, 1), "[[1 1 1]]"},
		// The clock goes on during the call, the frames' time does not.
		{rows(14_999, 5, 6, 5, 7, 5, 5), "[[5 2 1] [6 3 1] [5 4 2] [7 5 1] [5 6 3] [5 7 4]]"},
		{rows(14_999+2_000_000, 5), "[[5 1 1]]"},
	} {
		r.emitted = nil
		if err := step.do(); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
		if got := fmt.Sprint(ledgerEmitted(r)); got != step.want {
			t.Fatalf("step %d: %s, want %s", i, got, step.want)
		}
	}
	if len(r.rejected) > 0 {
		t.Fatalf("rejected: %v", r.rejected[0].Cause)
	}
	// A barrier is at the time of the task, not of the last frame.
	for _, after := range []int64{4_999, 5_000} {
		r.now = start + 14_999 + 2_000_000 + after
		if err := r.op.Barrier(); err != nil {
			t.Fatal(err)
		}
		if got := baseEntries(t, r.ctx.State); (got == 0) != (after == 5_000) {
			t.Fatalf("%d us after the last frame a base has %d entries", after, got)
		}
	}
}

// newExpiringLedger opens the ledger with a TTL on each state; frames have one or two rows, and the task's clock goes on in each.
func newExpiringLedger(t *testing.T) *rig {
	t.Helper()
	p := ledger(nil)
	p.descriptor.States = slices.Clone(p.descriptor.States)
	for i := range p.descriptor.States {
		p.descriptor.States[i].TTLms = 5
	}
	r := newRigContext(t, p, ledgerInputs(t))
	backend, err := memory.Factory{}.New(state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r.ctx.State = backend
	answer := p.answer
	p.answer = func(c *fakeCall) {
		answer(c)
		r.now += 100_000
	}
	request := Request("op", "job", "op", 0, 1, r.ctx.Inputs, r.ctx.Key, nil)
	binding, err := abi.Bind(&request, &p.descriptor)
	if err != nil {
		t.Fatal(err)
	}
	cuts := 0
	r.op = New(Config{Module: p.module(), Entry: "op", Binding: binding, Cut: func(from, to int) int {
		cuts++
		return min(from+1+cuts%2, to)
	}})
	if err := r.op.Open(r.ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.op.Close(); backend.Close() })
	return r
}

// ledgerEmitted is the numbers of what was emitted.
func ledgerEmitted(r *rig) (out [][]any) {
	for _, e := range r.emitted {
		for i := range e.batch.Rows {
			var row []any
			for c := 1; c < 4; c++ {
				row = append(row, values(&e.batch.Columns[c])[i])
			}
			out = append(out, row)
		}
	}
	return out
}

// entryCount counts the entries of states in a segment.
type entryCount struct {
	n     int
	count bool
}

func (e *entryCount) Begin(s state.Space) error { e.count = s.Kind <= state.SpaceMap; return nil }
func (e *entryCount) Delete(_, _ []byte) error  { return nil }

func (e *entryCount) Put(_, _, _ []byte) error {
	if e.count {
		e.n++
	}
	return nil
}

func baseEntries(t *testing.T, b state.Backend) int {
	t.Helper()
	f, err := b.Freeze(true)
	if err != nil {
		t.Fatal(err)
	}
	var count entryCount
	if err := f.Write(&count); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return count.n
}
