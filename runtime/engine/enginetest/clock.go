package enginetest

import (
	"context"
	"errors"
	"fmt"
	"strings"
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

// alarm sets a processing-time timer a second after each key's first record and emits the key when it fires.
type alarm struct {
	Sums
	now  int64 // at least what was restored
	fail func(format string, args ...any)
}

func (a *alarm) Open(ctx *operator.Context) error {
	if ctx.Now() < a.now {
		a.fail("processing time went from %d back to %d over a restore", a.now, ctx.Now())
	}
	a.now = ctx.Now()
	return a.Sums.Open(ctx)
}

func (a *alarm) Process(_ int, b *record.Batch) error {
	a.keys.Build(b, []int{0, 1}, 0, b.Rows)
	if err := a.ctx.State.Load(0, &a.keys, 1<<20, &a.cells); err != nil {
		return err
	}
	a.begin()
	for k := range a.keys.N {
		if a.cells.Status[k] != state.Absent {
			continue
		}
		a.set(k, state.OpSet, 1, 1)
		a.timers.Key = append(a.timers.Key, uint32(k))
		a.timers.Name = append(a.timers.Name, 0)
		a.timers.Domain = append(a.timers.Domain, uint8(state.ProcessingTime))
		a.timers.Op = append(a.timers.Op, state.TimerSet)
		a.timers.Time = append(a.timers.Time, a.ctx.Now()+1_000_000)
		a.timers.TagOff = append(a.timers.TagOff, 0)
	}
	if err := a.ctx.State.Apply(0, &a.keys, &a.change); err != nil {
		return err
	}
	return a.ctx.State.ApplyTimers(&a.keys, &a.timers, [2]int64{a.at, a.now})
}

func (a *alarm) Advance(int64) error { return nil }

func (a *alarm) Tick(now int64) error {
	if now < a.now {
		a.fail("processing time went from %d back to %d", a.now, now)
	}
	a.now = now
	for {
		n, err := a.ctx.State.Due(state.ProcessingTime, now, 100, &a.round)
		if n == 0 || err != nil {
			return err
		}
		out := record.NewBatch(SumsSchema, n)
		for k := range n {
			if err := record.DecodeKey(a.round.Keys.Key(k), out.Columns[:2]); err != nil {
				return err
			}
			out.Columns[2].AppendInt(1)
			out.Columns[3].AppendInt(a.round.Time[k])
			out.Rows++
		}
		if err := a.ctx.State.Fired(state.ProcessingTime, &a.round, 0, n); err != nil {
			return err
		}
		a.ctx.Emit(0, out)
	}
}

// testProcessingTime fires timers by a clock that the test moves, kills the job with timers pending, and goes on with a clock that
// has been set back: processing time does not go back, and every timer fires once.
func testProcessingTime(t *testing.T, s suite) {
	n := &Numbers{Seed: 1, Splits: 2, Rows: 300, Keys: 4, Step: 10, Unbound: true}
	out, files := NewLedger(), vfs.NewMem()
	newPlan := func(parallelism int, now time.Time) *plan.Plan {
		p := SumsPlan(n, out, parallelism)
		p.Checkpoint.Interval = 100 * time.Millisecond
		p.Nodes[2].Operator.Native = func() operator.Operator { return &alarm{now: now.UnixMicro(), fail: t.Errorf} }
		return p
	}
	start := time.Unix(1000, 0)
	c := clock.NewManual(start)
	counters := telemetry.NewJob("alarms")
	completed := make(chan uint64, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	notify := func(e engine.Event) {
		if e, ok := e.(engine.Completed); ok {
			completed <- e.Manifest.Checkpoint
		}
	}
	j, err := s.make(files, c).Deploy(ctx, newPlan(2, start), engine.Options{Telemetry: counters, Notify: notify})
	if err != nil {
		t.Fatal(err)
	}
	all := int64(n.Splits * n.Rows)
	if !Eventually(func() bool { return counters.Snapshot().Nodes[2].Total.RecordsIn == all }) {
		t.Fatalf("not everything was read: %+v", counters.Snapshot().Nodes)
	}
	keys := len(SumsRows(n))
	c.Advance(500 * time.Millisecond)
	<-completed
	c.Advance(499 * time.Millisecond)
	<-completed
	if rows := out.Rows(); len(rows) > 0 {
		t.Fatalf("%d timers fired before their time", len(rows))
	}
	cancel()
	if _, err := j.Wait(); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}

	c = clock.NewManual(start) // set back by almost a second
	j, err = s.make(files, c).Deploy(t.Context(), newPlan(3, start.Add(999*time.Millisecond)), engine.Options{Notify: notify})
	if err != nil {
		t.Fatal(err)
	}
	if !Eventually(func() bool {
		c.Advance(50 * time.Millisecond)
		return len(out.Rows()) == keys
	}) {
		t.Fatalf("%d timers fired, want %d", len(out.Rows()), keys)
	}
	for range 20 {
		c.Advance(100 * time.Millisecond)
	}
	if moved := c.Now().Sub(start); moved < time.Second {
		t.Errorf("timers fired after %v", moved)
	}
	j.Stop()
	if r, err := j.Wait(); err != nil || r.Outcome != engine.Stopped {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, row := range out.Rows() {
		if !strings.HasSuffix(row, fmt.Sprintf(`"sum":%d}`, start.Add(time.Second).UnixMicro())) {
			t.Errorf("timer %s", row)
		}
	}
	if len(out.Rows()) != keys {
		t.Errorf("%d timers fired in the end, want %d", len(out.Rows()), keys)
	}
}
