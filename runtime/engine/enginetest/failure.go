package enginetest

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/internal/vfs"
	"github.com/tidemill/tidemill/runtime/engine"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/source"
	"github.com/tidemill/tidemill/runtime/task"
)

func testReadError(t *testing.T, s suite) {
	n := &Numbers{Seed: 6, Splits: 3, Rows: 2000, Keys: 30, Step: 3}
	n.Fail.Store(5)
	out, files := NewLedger(), vfs.NewMem()
	r, err := run(t, s.newEngine(files), SumsPlan(n, out, 2), engine.Options{})
	requireCode(t, err, source.ErrRead)
	if r.Outcome != engine.Failed || !errors.Is(err, errRead) {
		t.Errorf("%v, %v", r.Outcome, err)
	}
	if _, err := run(t, s.newEngine(files), SumsPlan(n, out, 2), engine.Options{}); err != nil {
		t.Fatal(err)
	}
	requireRows(t, out, SumsRows(n))
}

func testRestarts(t *testing.T, s suite) {
	n := &Numbers{Seed: 6, Splits: 3, Rows: 2000, Keys: 30, Step: 3, Disorder: 50}
	n.Fail.Store(6)
	out := NewLedger()
	var restarts []int
	r, err := run(t, s.newEngine(vfs.NewMem()), slow(SumsPlan(n, out, 2)), engine.Options{Restarts: 2, Notify: func(e engine.Event) {
		if again, ok := e.(engine.Restarting); ok {
			restarts = append(restarts, again.Restart)
			if len(restarts) == 1 {
				n.Fail.Store(4)
			}
		}
	}})
	if err != nil || r.Restarts != 2 || !slices.Equal(restarts, []int{1, 2}) {
		t.Fatalf("%v, restarts %v, %+v", err, restarts, r)
	}
	requireRows(t, out, SumsRows(n))

	n.Fail.Store(3)
	r, err = run(t, s.newEngine(vfs.NewMem()), SumsPlan(n, NewLedger(), 1), engine.Options{Restarts: 1, Notify: func(e engine.Event) {
		if _, ok := e.(engine.Restarting); ok {
			n.Fail.Store(3)
		}
	}})
	requireCode(t, err, source.ErrRead)
	if r.Restarts != 1 {
		t.Errorf("%d restarts", r.Restarts)
	}
}

type panicking struct{ Mark }

func (p *panicking) Process(int, *record.Batch) error { panic("a bug") }

func testPanic(t *testing.T, s suite) {
	n := &Numbers{Seed: 6, Splits: 1, Rows: 2000, Keys: 30, Step: 3}
	p := SumsPlan(n, NewLedger(), 2)
	p.Nodes[1].Operator.Native = func() operator.Operator { return &panicking{} }
	_, err := run(t, s.newEngine(vfs.NewMem()), p, engine.Options{})
	requireCode(t, err, task.ErrPanic)
	if e := errcode.Of(err); !strings.Contains(e.Place, "mark") || !strings.Contains(e.Message, "a bug") {
		t.Errorf("%v", err)
	}
}

type refusing struct{ Mark }

func (r *refusing) Open(*operator.Context) error { return errors.New("no such parameter") }

func testOpenError(t *testing.T, s suite) {
	n := &Numbers{Seed: 6, Splits: 1, Rows: 2000, Keys: 30, Step: 3}
	p := SumsPlan(n, NewLedger(), 2)
	p.Nodes[1].Operator.Native = func() operator.Operator { return &refusing{} }
	_, err := run(t, s.newEngine(vfs.NewMem()), p, engine.Options{})
	if err == nil || !strings.Contains(err.Error(), "no such parameter") {
		t.Fatal(err)
	}
}
