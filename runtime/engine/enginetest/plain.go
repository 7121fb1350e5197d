package enginetest

import (
	"testing"

	"github.com/tidemill/tidemill/internal/vfs"
	"github.com/tidemill/tidemill/runtime/engine"
	"github.com/tidemill/tidemill/runtime/plan"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/telemetry"
)

func testModel(t *testing.T, s suite) {
	for seed := range uint64(6) {
		n := &Numbers{Seed: seed, Splits: 1 + int(seed), Rows: 2500, Keys: 1 + int(seed*seed)*20, Step: 3, Disorder: int64(seed) * 500}
		want := SumsRows(n)
		for _, parallelism := range []int{1, 2, 4} {
			out := NewLedger()
			r, err := run(t, s.newEngine(vfs.NewMem()), SumsPlan(n, out, parallelism), engine.Options{})
			if err != nil {
				t.Fatalf("seed %d, parallelism %d: %v", seed, parallelism, err)
			}
			requireRows(t, out, want)
			if r.Outcome != engine.Finished || r.Checkpoints < 1 || r.Restored != nil {
				t.Errorf("result %+v", r)
			}
			requireCounts(t, r.Counters, n, len(want))
		}
	}
}

// requireCounts compares the counters of a plain run of SumsPlan with the model.
func requireCounts(t *testing.T, c *telemetry.Snapshot, n *Numbers, published int) {
	t.Helper()
	records := int64(n.Splits * n.Rows)
	rows := int64(published)
	for i, want := range []telemetry.Counters{
		{RecordsIn: records, RecordsOut: records}, {RecordsIn: records, RecordsOut: records}, {RecordsIn: records, RecordsOut: rows},
		{RecordsIn: rows, RecordsOut: rows},
	} {
		got := c.Nodes[i]
		if got.Total.RecordsIn != want.RecordsIn || got.Total.RecordsOut != want.RecordsOut || got.Total.Late != 0 || got.Total.Bad != 0 {
			t.Errorf("%s counts %+v, want %+v", got.Name, got.Total, want)
		}
		if got.Watermark != record.WatermarkEnd {
			t.Errorf("%s has watermark %d at the end", got.Name, got.Watermark)
		}
	}
	if len(c.Nodes[0].Splits) != n.Splits {
		t.Errorf("%d splits counted", len(c.Nodes[0].Splits))
	}
	for _, sp := range c.Nodes[0].Splits {
		if sp.Records != int64(n.Rows) || !sp.Done {
			t.Errorf("split %+v", sp)
		}
	}
}

// testChained runs everything in one task.
func testChained(t *testing.T, s suite) {
	n := &Numbers{Seed: 9, Splits: 3, Rows: 5000, Keys: 50, Step: 2, Disorder: 70}
	out := NewLedger()
	p := SumsPlan(n, out, 1)
	p.Edges[1].Ship, p.Edges[1].Keys = plan.Forward, nil
	p.Tasks = []plan.Task{{Nodes: []int{0, 1, 2, 3}, Parallelism: 1}}
	if _, err := run(t, s.newEngine(vfs.NewMem()), p, engine.Options{}); err != nil {
		t.Fatal(err)
	}
	requireRows(t, out, SumsRows(n))
}
