package exchange

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tidemill/tidemill/runtime/record"
)

var schema = &record.Schema{Fields: []record.Field{{Name: "key", Type: record.I64}, {Name: "n", Type: record.UTF8, Nullable: true}}}

// batch has a row a key; n names its sender and ordinal.
func batch(sender string, from int, keys ...int64) *record.Batch {
	b := record.NewBatch(schema, len(keys))
	for i, k := range keys {
		b.Columns[0].AppendInt(k)
		b.Columns[1].AppendString(fmt.Sprintf("%s%d", sender, from+i))
		b.EventTime = append(b.EventTime, k)
	}
	b.Rows = len(keys)
	return b
}

func rows(b *record.Batch) []string {
	var list []string
	for i := range b.Rows {
		list = append(list, fmt.Sprintf("%d:%s", b.Columns[0].Int(i), b.Columns[1].Bytes(i)))
	}
	return list
}

// drain returns all items as text.
func drain(g *Gate) []string {
	var list []string
	for {
		it, ok := g.Next()
		if !ok {
			return list
		}
		switch it.Kind {
		case Batch:
			list = append(list, fmt.Sprintf("batch %d %v", it.Port, rows(it.Batch)))
		case Watermark:
			list = append(list, fmt.Sprintf("watermark %d", it.Watermark))
		case Idle:
			list = append(list, "idle")
		case BarrierKind:
			list = append(list, fmt.Sprintf("barrier %d %t", it.Barrier.Checkpoint, it.Barrier.Last))
		}
	}
}

func require(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("got %q\nwant %q", got, want)
	}
}

func twoQueues() (*Gate, *Queue, *Queue) {
	g := NewGate(NewSignal())
	return g, g.Add(0, NewSignal()), g.Add(1, NewSignal())
}

func mark(w int64) Item           { return Item{Kind: Watermark, Watermark: w} }
func rowsOf(b *record.Batch) Item { return Item{Kind: Batch, Batch: b} }
func barrier(id uint64, last bool) Item {
	return Item{Kind: BarrierKind, Barrier: Barrier{Checkpoint: id, Last: last}}
}

// A queue that has delivered the barrier is not read until the other has; what came before it comes out before.
func TestAlignment(t *testing.T) {
	g, a, b := twoQueues()
	a.put(rowsOf(batch("a", 0, 1)))
	a.put(barrier(5, false))
	a.put(rowsOf(batch("a", 1, 2)))
	a.put(barrier(6, true))
	require(t, drain(g), "batch 0 [1:a0]")
	b.put(rowsOf(batch("b", 0, 3)))
	b.put(mark(record.WatermarkEnd))
	require(t, drain(g), "batch 1 [3:b0]")
	b.put(barrier(5, false)) // a queue at its end delivers barriers like any other
	require(t, drain(g), "barrier 5 false", "batch 0 [2:a1]")
	b.put(barrier(6, true))
	require(t, drain(g), "barrier 6 true")
}

func TestAlignmentOfOtherBarrierPanics(t *testing.T) {
	g, a, b := twoQueues()
	a.put(barrier(5, false))
	b.put(barrier(6, false))
	defer func() {
		if recover() == nil {
			t.Error("two barriers were aligned with each other")
		}
	}()
	drain(g)
}

func TestWatermarkIsTheLeast(t *testing.T) {
	g, a, b := twoQueues()
	a.put(mark(10))
	require(t, drain(g))
	b.put(mark(7))
	require(t, drain(g), "watermark 7")
	b.put(mark(20))
	require(t, drain(g), "watermark 10")
	a.put(mark(5)) // a sender that has been restored repeats itself
	require(t, drain(g))
	a.put(mark(record.WatermarkEnd))
	require(t, drain(g), "watermark 20")
	b.put(mark(record.WatermarkEnd))
	require(t, drain(g), fmt.Sprintf("watermark %d", record.WatermarkEnd))
}

func TestIdleness(t *testing.T) {
	idle := Item{Kind: Idle}
	g, a, b := twoQueues()
	a.put(mark(10))
	b.put(idle)
	require(t, drain(g), "watermark 10")
	b.put(mark(4)) // active again, and behind: nothing goes back
	require(t, drain(g))
	a.put(mark(20))
	require(t, drain(g))
	b.put(idle)
	require(t, drain(g), "watermark 20")
	a.put(idle)
	require(t, drain(g), "idle")
	b.put(mark(4))
	require(t, drain(g), "watermark 20") // says that the stream is active
	b.put(mark(record.WatermarkEnd))
	require(t, drain(g), "idle")
}

// The order in which inputs fall idle does not matter, and an ended input does not count while others may go on.
func TestWatermarksMerge(t *testing.T) {
	const none, end = record.WatermarkNone, record.WatermarkEnd
	for i, c := range []struct {
		at    []int64
		idle  []bool
		value int64
		asked bool
	}{
		{[]int64{5, 9}, []bool{false, false}, 5, false},
		{[]int64{5, 9}, []bool{true, false}, 9, false},
		{[]int64{5, 9}, []bool{true, true}, 9, true},
		{[]int64{5, end}, []bool{false, false}, 5, false},
		{[]int64{5, end}, []bool{true, false}, 5, true},
		{[]int64{none, end}, []bool{true, false}, none, true},
		{[]int64{none, 3}, []bool{false, false}, none, false},
		{[]int64{end, end}, []bool{false, true}, end, false},
	} {
		var w Watermarks
		for k := range c.at {
			w.Set(w.Add(), c.at[k])
			if c.idle[k] {
				w.SetIdle(k)
			}
		}
		if value, idle := w.Merge(); value != c.value || idle != c.asked {
			t.Errorf("case %d: %d, %t", i, value, idle)
		}
	}
}

// Small batches of one queue are joined, up to 4,096 rows and not over a watermark; large ones are passed on.
func TestJoining(t *testing.T) {
	g, a, b := twoQueues()
	for i := range 3 {
		a.put(rowsOf(batch("a", i, int64(i))))
	}
	b.put(rowsOf(batch("b", 0, 9)))
	a.put(mark(1))
	a.put(rowsOf(batch("a", 3, 3)))
	require(t, drain(g), "batch 0 [0:a0 1:a1 2:a2]", "batch 1 [9:b0]", "batch 0 [3:a3]")

	large := batch("a", 0, make([]int64, 2000)...)
	for range 3 {
		a.put(rowsOf(large))
	}
	it, _ := g.Next()
	if it.Batch != large {
		t.Error("a large batch was copied")
	}
	drain(g)
	for range 10 {
		a.put(rowsOf(batch("a", 0, make([]int64, 1000)...)))
	}
	var sizes []int
	for it, ok := g.Next(); ok; it, ok = g.Next() {
		sizes = append(sizes, it.Batch.Rows)
	}
	if !slices.Equal(sizes, []int{4000, 4000, 2000}) {
		t.Errorf("joined to %v", sizes)
	}
	timeless := batch("a", 0, 1)
	timeless.EventTime = nil
	a.put(rowsOf(timeless))
	a.put(rowsOf(batch("a", 1, 1)))
	require(t, drain(g), "batch 0 [1:a0]", "batch 0 [1:a1]")
}

func woken(s *Signal) bool {
	select {
	case <-s.C():
		return true
	default:
		return false
	}
}

// A sender that found its queue full is woken when half of it is free, and only then; the receiver is woken by each put.
func TestCredit(t *testing.T) {
	receiver, sender := NewSignal(), NewSignal()
	g := NewGate(receiver)
	o := NewRebalance([]*Queue{g.Add(0, sender)}, 0)
	full := batch("a", 0, make([]int64, record.RowsMax)...)
	sent := 0
	for ; !o.Full(); sent++ {
		o.Send(full)
	}
	if sent != QueueRowsMax/record.RowsMax || g.Rows() != QueueRowsMax || !woken(receiver) {
		t.Fatalf("%d batches, %d rows until the queue was full", sent, g.Rows())
	}
	o.Send(full) // a put never fails: the call under way goes on
	if woken(sender) || g.Rows() != QueueRowsMax+record.RowsMax {
		t.Errorf("%d rows, or woken while the queue is full", g.Rows())
	}
	for taken := 1; taken <= 3; taken++ {
		g.Next()
		if woken(sender) != (g.Rows() < QueueRowsMax/2) {
			t.Errorf("after %d batches: woken and %d rows", taken, g.Rows())
		}
	}
	if o.Full() || g.Rows() != 0 {
		t.Errorf("full %t, %d rows", o.Full(), g.Rows())
	}
	wide := record.NewBatch(schema, 1)
	wide.Columns[0].AppendInt(1)
	wide.Columns[1].AppendBytes(make([]byte, QueueBytesMax))
	wide.Rows = 1
	o.Send(wide)
	if !o.Full() {
		t.Error("bytes do not count")
	}
	g.Next()
	if o.Full() || !woken(sender) {
		t.Error("bytes are not given back")
	}
}

// Whatever the cuts, each key's rows all arrive at its owner in the order of their sender (I5), and nothing is lost.
func TestPartitionByKeyGroup(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 1))
		receivers, max := 1+rng.IntN(7), 128>>rng.IntN(4)
		var gates []*Gate
		var queues []*Queue
		for range receivers {
			g := NewGate(NewSignal())
			gates, queues = append(gates, g), append(queues, g.Add(0, NewSignal()))
		}
		o := NewHash(queues, []int{0}, max)
		sent := map[int64][]string{}
		n := 0
		for range 1 + rng.IntN(20) {
			keys := make([]int64, rng.IntN(300))
			for i := range keys {
				keys[i] = rng.Int64N(1+rng.Int64N(50)) - 10
				sent[keys[i]] = append(sent[keys[i]], fmt.Sprintf("s%d", n+i))
			}
			o.Send(batch("s", n, keys...))
			n += len(keys)
		}
		got := map[int64][]string{}
		for r, g := range gates {
			for it, ok := g.Next(); ok; it, ok = g.Next() {
				for i := range it.Batch.Rows {
					k := it.Batch.Columns[0].Int(i)
					group := record.KeyGroup(record.HashKey(record.AppendKey(nil, it.Batch.Columns, []int{0}, i)), max)
					if first, end := record.GroupRange(r, receivers, max); group < first || group >= end {
						t.Fatalf("seed %d: key %d of group %d is at subtask %d of %d", seed, k, group, r, receivers)
					}
					if it.Batch.EventTime[i] != k {
						t.Fatalf("seed %d: event time went astray", seed)
					}
					got[k] = append(got[k], string(it.Batch.Columns[1].Bytes(i)))
				}
			}
		}
		if len(got) != len(sent) {
			t.Fatalf("seed %d: %d keys of %d", seed, len(got), len(sent))
		}
		for k := range sent {
			if !slices.Equal(got[k], sent[k]) {
				t.Fatalf("seed %d: key %d: got %v, want %v", seed, k, got[k], sent[k])
			}
		}
	}
}

func TestWholeBatchIsNotCopied(t *testing.T) {
	g, h := NewGate(NewSignal()), NewGate(NewSignal())
	queues := []*Queue{g.Add(0, NewSignal()), h.Add(0, NewSignal())}
	b := batch("a", 0, 4, 4, 4)
	NewHash(queues, []int{0}, 128).Send(b)
	x, _ := g.Next()
	y, _ := h.Next()
	if x.Batch != b && y.Batch != b {
		t.Error("a batch of one key was copied")
	}
}

func TestRebalanceAndPin(t *testing.T) {
	var gates []*Gate
	var queues []*Queue
	for range 3 {
		g := NewGate(NewSignal())
		gates, queues = append(gates, g), append(queues, g.Add(2, NewSignal()))
	}
	o := NewRebalance(queues, 4)
	for i := range 4 {
		o.Send(batch("a", i, 0))
	}
	p := NewPin(queues, 2)
	p.Send(batch("p", 0, 0))
	p.Broadcast(mark(3))
	require(t, drain(gates[0]), "batch 2 [0:a2]", "watermark 3")
	require(t, drain(gates[1]), "batch 2 [0:a0 0:a3]", "watermark 3")
	require(t, drain(gates[2]), "batch 2 [0:a1 0:p0]", "watermark 3")
}

// The ring of a queue that is never empty keeps its order and does not grow.
func TestQueueIsReused(t *testing.T) {
	g := NewGate(NewSignal())
	q := g.Add(0, NewSignal())
	next := 0
	for i := range 1000 {
		b := batch("a", i, make([]int64, 1024)...)
		q.put(rowsOf(b))
		if i < 40 {
			continue
		}
		it, _ := g.Next()
		if got := string(it.Batch.Columns[1].Bytes(0)); got != fmt.Sprintf("a%d", next) {
			t.Fatalf("got %s at %d", got, next)
		}
		next++
	}
	if cap(q.items) > 256 {
		t.Errorf("the queue holds room for %d items", cap(q.items))
	}
}

func BenchmarkPartition(b *testing.B) {
	g, h := NewGate(NewSignal()), NewGate(NewSignal())
	o := NewHash([]*Queue{g.Add(0, NewSignal()), h.Add(0, NewSignal())}, []int{0}, 128)
	keys := make([]int64, record.RowsMax)
	for i := range keys {
		keys[i] = int64(i) * 7919
	}
	in := batch("", 0, keys...)
	in.Columns = in.Columns[:1]
	in.Schema = &record.Schema{Fields: schema.Fields[:1]}
	b.ReportAllocs()
	for b.Loop() {
		o.Send(in)
		g.Next()
		h.Next()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/record.RowsMax, "ns/row")
}
