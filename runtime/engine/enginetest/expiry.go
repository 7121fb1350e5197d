package enginetest

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/tidemill/tidemill/internal/clock"
	"github.com/tidemill/tidemill/internal/vfs"
	"github.com/tidemill/tidemill/runtime/engine"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/plan"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
	"github.com/tidemill/tidemill/runtime/telemetry"
)

// fading keeps a value for each key that expires a second after the key's last record, and does nothing else.
type fading struct{ Sums }

func (f *fading) Open(ctx *operator.Context) error {
	f.ctx = ctx
	return ctx.State.Declare([]state.Decl{
		{Name: "seen", Kind: state.Value, Value: SumsSchema.Fields[2:], TTL: time.Second.Microseconds()},
	}, nil)
}

func (f *fading) Process(_ int, b *record.Batch) error {
	f.ctx.State.SetNow(f.ctx.Now())
	f.keys.Build(b, []int{0, 1}, 0, b.Rows)
	if err := f.ctx.State.Load(0, &f.keys, math.MaxInt, &f.cells); err != nil {
		return err
	}
	f.begin()
	for k := range f.keys.N {
		f.set(k, state.OpSet, 1, 1)
	}
	return f.ctx.State.Apply(0, &f.keys, &f.change)
}

func (f *fading) Advance(int64) error { return nil }

func (f *fading) Barrier() error {
	f.ctx.State.SetNow(f.ctx.Now())
	return nil
}

// testTimeToLive fills state by a clock that the test moves, kills the job, and goes on with more subtasks and the clock set back: the
// state is there until its second has passed, over both runs, and then it goes although no record comes.
func testTimeToLive(t *testing.T, s suite) {
	n := &Numbers{Seed: 2, Splits: 2, Rows: 300, Keys: 40, Step: 10, Unbound: true}
	out, files, start := NewLedger(), vfs.NewMem(), time.Unix(1000, 0)
	keys := int64(len(SumsRows(n)))
	completed := make(chan struct{}, 1000)
	deploy := func(ctx context.Context, parallelism int) (engine.Job, *clock.Manual, func() telemetry.Counters) {
		p := SumsPlan(n, out, parallelism)
		p.Checkpoint.Interval = 100 * time.Millisecond
		p.Nodes[2].Operator.Native = func() operator.Operator { return &fading{} }
		p.Nodes[2].Operator.States = plan.StateOptions{Backend: "memory"}
		c, counters := clock.NewManual(start), telemetry.NewJob("fading")
		j, err := s.make(files, c).Deploy(ctx, p, engine.Options{Telemetry: counters, Notify: func(e engine.Event) {
			if _, ok := e.(engine.Completed); ok {
				completed <- struct{}{}
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		return j, c, func() telemetry.Counters { return counters.Snapshot().Nodes[2].Total }
	}
	ctx, cancel := context.WithCancel(t.Context())
	j, c, total := deploy(ctx, 2)
	if all := int64(n.Splits * n.Rows); !Eventually(func() bool { return total().RecordsIn == all }) {
		t.Fatalf("not everything was read: %+v", total())
	}
	c.Advance(500 * time.Millisecond)
	<-completed
	if got := total(); got.Cells != keys || got.Expired != 0 {
		t.Fatalf("%d cells, %d expired, want %d and 0", got.Cells, got.Expired, keys)
	}
	cancel()
	if _, err := j.Wait(); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}

	j, c, total = deploy(t.Context(), 3)
	if !Eventually(func() bool {
		moved, got := c.Now().Sub(start), total()
		if got.Expired > 0 && moved < time.Second {
			t.Fatalf("%d of %d cells have expired after %v", got.Expired, keys, moved)
		}
		c.Advance(10 * time.Millisecond)
		return got.Expired == keys && got.Cells == 0
	}) {
		t.Fatalf("%d of %d cells have expired, %d are left", total().Expired, keys, total().Cells)
	}
	j.Stop()
	if r, err := j.Wait(); err != nil || r.Outcome != engine.Stopped {
		t.Fatalf("%+v, %v", r, err)
	}
}
