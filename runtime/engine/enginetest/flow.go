package enginetest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/tidemill/tidemill/internal/vfs"
	"github.com/tidemill/tidemill/runtime/engine"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/plan"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/telemetry"
)

// gated waits with its first batch until it is let through.
type gated struct {
	Mark
	open <-chan struct{}
}

func (g *gated) Process(port int, b *record.Batch) error {
	<-g.open
	return g.Mark.Process(port, b)
}

// testBackPressure holds an operator behind an exchange: what its sources read ahead is bounded.
func testBackPressure(t *testing.T, s suite) {
	n := &Numbers{Seed: 6, Splits: 2, Rows: 40_000, Keys: 30, Step: 3}
	out := NewLedger()
	p := SumsPlan(n, out, 2)
	open := make(chan struct{})
	p.Nodes[1].Operator.Native = func() operator.Operator { return &gated{open: open} }
	p.Edges[0].Ship, p.Edges[1].Ship = plan.Rebalance, plan.Hash
	p.Tasks = []plan.Task{{Nodes: []int{0}, Parallelism: 2}, {Nodes: []int{1}, Parallelism: 2}, {Nodes: []int{2, 3}, Parallelism: 2}}
	counters := telemetry.NewJob("sums")
	j, err := s.newEngine(vfs.NewMem()).Deploy(t.Context(), p, engine.Options{Telemetry: counters})
	if err != nil {
		t.Fatal(err)
	}
	if !Eventually(func() bool {
		for _, sub := range counters.Snapshot().Nodes[0].Subtasks {
			if sub.Counters.Stalled == 0 {
				return false
			}
		}
		return true
	}) {
		t.Error("the sources were never stopped")
	}
	read := counters.Snapshot().Nodes[0].Total.RecordsIn
	if most := int64(4*(2*record.RowsMax+record.RowsMax) + 2*record.RowsMax); read > most {
		t.Errorf("%d records were taken in, at most %d fit into four queues and two tasks", read, most)
	}
	close(open)
	if _, err := j.Wait(); err != nil {
		t.Fatal(err)
	}
	requireRows(t, out, SumsRows(n))
}

// testTwoSources unites a short bounded source and a long one: the one that has ended does not hold the other back, also not
// after a restore.
func testTwoSources(t *testing.T, s suite) {
	short := &Numbers{Seed: 1, Splits: 1, Rows: 20, Keys: 5, FirstKey: 100, Step: 3}
	long := &Numbers{Seed: 2, Splits: 2, Rows: 6000, Keys: 5, Step: 3, Disorder: 30, Tap: NewTap(0)}
	all := append(SumsRows(short), SumsRows(long)...)
	slices.Sort(all)
	build := func(out *Ledger, parallelism int) *plan.Plan {
		p := SumsPlan(long, out, parallelism)
		source, other, mark := *p.Nodes[0].Source, *p.Nodes[0], *p.Nodes[1]
		source.Connector = short
		other.ID, other.Name, other.Source = 4, "short", &source
		mark.ID, mark.Name = 5, "mark-short"
		p.Nodes = append(p.Nodes, &other, &mark)
		p.Edges = append(p.Edges, plan.Edge{From: 4, To: 5, Ship: plan.Forward}, plan.Edge{From: 5, To: 2, Ship: plan.Hash, Keys: []int{0, 1}})
		p.Tasks = append(p.Tasks, plan.Task{Nodes: []int{4, 5}, Parallelism: parallelism})
		return p
	}
	out, files := NewLedger(), vfs.NewMem()
	for i, parallelism := range []int{2, 2, 3} {
		had := len(out.Rows())
		long.Tap.Open(1500 * (i + 1))
		ctx, cancel := context.WithCancel(t.Context())
		j, err := s.newEngine(files).Deploy(ctx, slow(build(out, parallelism)), engine.Options{Notify: func(engine.Event) {
			if len(out.Rows()) > had {
				cancel()
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		r, err := j.Wait()
		cancel()
		if !errors.Is(err, context.Canceled) || r.Counters.Nodes[0].Watermark == record.WatermarkEnd {
			t.Fatalf("run %d: nothing was published while one source went on: the other, which has ended, holds it back (%v)", i, err)
		}
	}
	long.Tap.Open(long.Rows)
	if _, err := run(t, s.newEngine(files), build(out, 2), engine.Options{}); err != nil {
		t.Fatal(err)
	}
	requireRows(t, out, all)
}
