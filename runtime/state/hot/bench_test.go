package hot

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
)

// bench runs the host's part of a keyed count: key set, load, one change a key, apply.
type bench struct {
	b       *Backend
	batches []*record.Batch
	keys    record.KeySet
	cells   state.Cells
	changes state.Changes
	frozen  chan state.Frozen
	done    chan bool
}

type discard struct{ n, bytes int }

func (d *discard) Begin(state.Space) error { return nil }
func (d *discard) Put(k, s, v []byte) error {
	d.n++
	d.bytes += len(k) + len(s) + len(v)
	return nil
}
func (d *discard) Delete(k, s []byte) error { d.n++; return nil }

// newBench makes 512 batches of 4,096 keys: with hot three of four are one of ten keys, else uniform over n.
func newBench(tb testing.TB, o state.Options, n int, hot bool) *bench {
	w := &bench{b: New(o, nil), frozen: make(chan state.Frozen), done: make(chan bool)}
	if err := w.b.Declare([]state.Decl{{Name: "count", Kind: state.Value, Value: []record.Field{{Name: "n", Type: record.I64}}}},
		[]state.TimerDecl{{Name: "t"}}); err != nil {
		tb.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 512 {
		batch := record.NewBatch(&record.Schema{Fields: []record.Field{{Name: "k", Type: record.I64}}}, 4096)
		for range 4096 {
			if hot && r.IntN(4) > 0 {
				batch.Columns[0].AppendInt(int64(r.IntN(10)))
			} else {
				batch.Columns[0].AppendInt(int64(r.IntN(n)))
			}
		}
		batch.Rows = 4096
		w.batches = append(w.batches, batch)
	}
	w.changes.Columns = []record.Column{record.NewColumn(record.I64, 4096)}
	return w
}

func (w *bench) step(tb testing.TB, i int) {
	w.keys.Build(w.batches[i%len(w.batches)], []int{0}, 0, 4096)
	if err := w.b.Load(0, &w.keys, 1<<16, &w.cells); err != nil {
		tb.Fatal(err)
	}
	c := &w.changes
	c.Key, c.Op = c.Key[:0], c.Op[:0]
	c.Columns[0].Reset()
	counts := w.cells.Columns[0].Int64s()
	for k := range w.keys.N {
		c.Key = append(c.Key, uint32(k))
		c.Op = append(c.Op, state.OpSet)
		c.Columns[0].AppendInt(counts[k] + 1)
	}
	if err := w.b.Apply(0, &w.keys, c); err != nil {
		tb.Fatal(err)
	}
}

// cpuTime is what the process has used, user and system: on a shared machine it says more than the wall clock.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// report gives the CPU time of a record, of which one iteration has so many.
func report(b *testing.B, start time.Duration, records int) {
	b.ReportMetric(float64(cpuTime()-start)/float64(b.N)/float64(records), "cpu-ns/record")
}

func benchPath(b *testing.B, n int, hot bool, every int) {
	w := newBench(b, state.Options{}, n, hot)
	for i := range 512 {
		w.step(b, i)
	}
	b.ReportAllocs()
	b.ResetTimer()
	var d discard
	start := cpuTime()
	for i := range b.N {
		w.step(b, i)
		if every > 0 && i%every == every-1 {
			f, err := w.b.Freeze(false)
			if err != nil {
				b.Fatal(err)
			}
			if err := f.Write(&d); err != nil {
				b.Fatal(err)
			}
			f.Close()
		}
	}
	report(b, start, 4096)
}

func BenchmarkPathHot(b *testing.B)             { benchPath(b, 1000, true, 0) }
func BenchmarkPathUniform1M(b *testing.B)       { benchPath(b, 1_000_000, false, 0) }
func BenchmarkPathHotFrozen(b *testing.B)       { benchPath(b, 1000, true, 512) }
func BenchmarkPathUniform1MFrozen(b *testing.B) { benchPath(b, 1_000_000, false, 512) }
