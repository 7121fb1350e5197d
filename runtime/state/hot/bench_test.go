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
}

type discard struct{ n, bytes int }

func (d *discard) Begin(state.Space) error { return nil }
func (d *discard) Put(k, s, v []byte) error {
	d.n++
	d.bytes += len(k) + len(s) + len(v)
	return nil
}
func (d *discard) Delete(k, s []byte) error { d.n++; return nil }

var i64 = []record.Field{{Name: "n", Type: record.I64}}

// newBench makes 512 batches of 4,096 keys: with hot three of four are one of ten keys, else uniform over n.
func newBench(tb testing.TB, o state.Options, n int, hot bool) *bench {
	w := &bench{b: New(o, nil)}
	if err := w.b.Declare([]state.Decl{{Name: "count", Kind: state.Value, Value: i64}, {Name: "sums", Kind: state.Map, MapKey: i64, Value: i64}},
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

// BenchmarkFreezeWrite is a checkpoint of a million keys that all have changed, per key; the changes are not counted.
func BenchmarkFreezeWrite(b *testing.B) {
	const n = 1_000_000
	w := newBench(b, state.Options{}, n, false)
	for i := range 512 {
		w.step(b, i)
	}
	b.ReportAllocs()
	b.ResetTimer()
	var used time.Duration
	var d discard
	for range b.N {
		b.StopTimer()
		for i := range 512 {
			w.step(b, i)
		}
		b.StartTimer()
		start := cpuTime()
		f, err := w.b.Freeze(false)
		if err != nil {
			b.Fatal(err)
		}
		if err := f.Write(&d); err != nil {
			b.Fatal(err)
		}
		used += cpuTime() - start
		if err := f.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(used)/float64(d.n), "cpu-ns/key")
	b.ReportMetric(float64(d.bytes)/float64(d.n), "bytes/key")
}

// BenchmarkTimers sets one timer for each of 4,096 keys of a million, at a random time of the next 100 batches, and fires what
// is due: with each batch, about as many. A record is a timer set and, later, replaced or fired.
func BenchmarkTimers(b *testing.B) {
	w := newBench(b, state.Options{}, 1_000_000, false)
	r := rand.New(rand.NewPCG(3, 4))
	c := state.TimerChanges{TagOff: make([]int32, record.RowsMax+1)}
	var round state.Round
	step := func(i int) {
		w.keys.Build(w.batches[i%len(w.batches)], []int{0}, 0, 4096)
		n, now := w.keys.N, int64(i)*1000
		c.Key, c.Time = c.Key[:0], c.Time[:0]
		for k := range n {
			c.Key, c.Time = append(c.Key, uint32(k)), append(c.Time, now+r.Int64N(100_000))
		}
		c.Name, c.Domain, c.Op = make0(c.Name, n, 0), make0(c.Domain, n, 0), make0(c.Op, n, state.TimerSet)
		if err := w.b.ApplyTimers(&w.keys, &c, [2]int64{now, 0}); err != nil {
			b.Fatal(err)
		}
		for {
			n, err := w.b.Due(state.EventTime, now, record.RowsMax, &round)
			if err != nil {
				b.Fatal(err)
			}
			if n == 0 {
				return
			}
			if err := w.b.Fired(state.EventTime, &round, 0, n); err != nil {
				b.Fatal(err)
			}
		}
	}
	for i := range 512 {
		step(i)
	}
	b.ReportAllocs()
	b.ResetTimer()
	start := cpuTime()
	for i := range b.N {
		step(512 + i)
	}
	report(b, start, 4096)
}

func make0[T any](s []T, n int, v T) []T {
	s = s[:0]
	for range n {
		s = append(s, v)
	}
	return s
}

// benchMap gets, then sets, entries of 4,096 (key, map key) pairs a step: 10,000 keys of 100 entries.
func benchMap(b *testing.B, get, set bool) {
	w := newBench(b, state.Options{}, 10_000, false)
	r := rand.New(rand.NewPCG(3, 4))
	subs := make([]int64, 1<<16)
	for i := range subs {
		subs[i] = r.Int64N(100)
	}
	sub := record.NewColumn(record.I64, record.RowsMax)
	dst := []record.Column{record.NewColumn(record.I64, 1)}
	c := state.Changes{Columns: []record.Column{sub, record.NewColumn(record.I64, record.RowsMax)}, Op: make0[uint8](nil, 4096, state.OpSet)}
	var encoded []byte
	step := func(i int, get, set bool) {
		w.keys.Build(w.batches[i%len(w.batches)], []int{0}, 0, 4096)
		c.Columns[0].Reset()
		c.Columns[1].Reset()
		for k := range 4096 {
			c.Columns[0].AppendInt(subs[(i*977+k)&(len(subs)-1)])
			c.Columns[1].AppendInt(int64(k))
		}
		if get {
			for row := range 4096 {
				k := int(w.keys.KeyOf[row])
				dst[0].Reset()
				encoded = record.AppendKey(encoded[:0], c.Columns, []int{0}, row)
				if _, err := w.b.Get(1, w.keys.Hash[k], w.keys.Key(k), encoded, dst); err != nil {
					b.Fatal(err)
				}
			}
		}
		if set {
			c.Key = append(c.Key[:0], w.keys.KeyOf...)
			if err := w.b.Apply(1, &w.keys, &c); err != nil {
				b.Fatal(err)
			}
		}
	}
	for i := range 512 {
		step(i, false, true)
	}
	b.ReportAllocs()
	b.ResetTimer()
	start := cpuTime()
	for i := range b.N {
		step(i, get, set)
	}
	report(b, start, 4096)
}

func BenchmarkMapGet(b *testing.B) { benchMap(b, true, false) }
func BenchmarkMapSet(b *testing.B) { benchMap(b, false, true) }
