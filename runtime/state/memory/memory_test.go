package memory

import (
	"testing"

	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
)

func TestSmoke(t *testing.T) {
	b, _ := Factory{}.New(state.Options{})
	f := []record.Field{{Name: "n", Type: record.I64}}
	if err := b.Declare([]state.Decl{{Name: "c", Kind: state.Value, Value: f}}, []state.TimerDecl{{Name: "t"}}); err != nil {
		t.Fatal(err)
	}
	var ks record.KeySet
	var cells state.Cells
	for round := 0; round < 100; round++ {
		col := record.NewColumn(record.I64, 4096)
		for i := 0; i < 4096; i++ {
			col.AppendInt(int64(i * (round%7 + 1)))
		}
		ks.Build(&record.Batch{Rows: 4096, Columns: []record.Column{col}}, []int{0}, 0, 4096)
		if err := b.Load(0, &ks, 1<<20, &cells); err != nil {
			t.Fatal(err)
		}
		ch := state.Changes{Columns: []record.Column{record.NewColumn(record.I64, 4096)}}
		tc := state.TimerChanges{TagOff: []int32{0}}
		for k := 0; k < ks.N; k++ {
			ch.Key = append(ch.Key, uint32(k))
			ch.Op = append(ch.Op, state.OpSet)
			v := int64(0)
			if cells.Status[k] == state.Inline {
				v = cells.Columns[0].Int(k)
			}
			ch.Columns[0].AppendInt(v + 1)
			tc.Key = append(tc.Key, uint32(k))
			tc.Name = append(tc.Name, 0)
			tc.Domain = append(tc.Domain, 0)
			tc.Op = append(tc.Op, state.TimerSet)
			tc.Time = append(tc.Time, int64(round+k))
			tc.TagOff = append(tc.TagOff, 0)
		}
		if err := b.Apply(0, &ks, &ch); err != nil {
			t.Fatal(err)
		}
		if err := b.ApplyTimers(&ks, &tc, [2]int64{}); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%+v", b.Stats())
	var r state.Round
	total := 0
	last := int64(-1 << 62)
	for {
		n, _ := b.Due(0, 1<<40, 1000, &r)
		if n == 0 {
			break
		}
		for i := 0; i < n; i++ {
			if r.Time[i] < last {
				t.Fatal("order")
			}
			last = r.Time[i]
		}
		b.Fired(0, &r, 0, n)
		total += n
	}
	t.Log(total, b.Stats().Timers)
}
