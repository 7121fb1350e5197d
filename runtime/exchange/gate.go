package exchange

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/tidemill/tidemill/runtime/record"
)

// Limits of a queue: a sender with a queue at one of them takes no more work. Two full batches keep a receiver busy while its
// sender is woken; bytes count for wide rows.
const (
	QueueRowsMax  = 2 * record.RowsMax
	QueueBytesMax = 8 << 20
)

// Queued batches under mergeRowsBelow are joined up to record.RowsMax rows: the fixed cost of a batch in an operator is worth more
// than the copy. Larger ones are passed on as they are.
const mergeRowsBelow = 1024

// batchOverheadBytes is what a batch holds beside its buffers, about.
const batchOverheadBytes = 512

// Kind says what an Item is.
type Kind uint8

// The kinds of items.
const (
	Batch Kind = iota + 1
	// Watermark advances event time to Item.Watermark, or says that an idle stream is active again: then it may be what it was.
	Watermark
	// Idle says that nothing is to be expected for now: the stream does not hold the watermark of others back until its next
	// Watermark.
	Idle
	BarrierKind
)

// Barrier marks a checkpoint in the stream.
type Barrier struct {
	Checkpoint uint64
	// Last says that nothing follows the barrier: all pending output goes into this checkpoint.
	Last bool
}

// Item is what a gate hands out.
type Item struct {
	Kind      Kind
	Port      int // of a batch
	Batch     *record.Batch
	Watermark int64
	Barrier   Barrier
}

// Gate is the receiving end of all inputs of a subtask. Queues put from any goroutine; Next is for the receiver alone.
type Gate struct {
	signal *Signal

	mu      sync.Mutex
	queues  []*Queue
	turn    int // the queue to look at first
	blocked int // queues that have delivered the barrier under way
	barrier Barrier

	// The receiver's own.
	merged    Watermarks
	watermark int64 // given out last
	idle      bool
	pendIdle  bool
	parts     []*record.Batch
}

// NewGate returns a gate without queues.
func NewGate(signal *Signal) *Gate { return &Gate{signal: signal, watermark: record.WatermarkNone} }

// Queue is the way from one sending subtask to one receiving subtask. Its sender puts, its gate takes.
type Queue struct {
	gate   *Gate
	sender *Signal
	port   int
	number int

	// Under the gate's mutex.
	items   []Item
	head    int
	blocked bool // has delivered the barrier under way
	waited  bool // the sender found it full

	rows, bytes atomic.Int64 // written under the mutex
}

// Add makes the queue of one sender to an input port. All queues are added before the first Next.
func (g *Gate) Add(port int, sender *Signal) *Queue {
	q := &Queue{gate: g, sender: sender, port: port, number: g.merged.Add()}
	g.queues = append(g.queues, q)
	return q
}

func (q *Queue) put(it Item) {
	g := q.gate
	g.mu.Lock()
	q.items = append(q.items, it)
	if it.Kind == Batch {
		q.rows.Add(int64(it.Batch.Rows))
		q.bytes.Add(batchBytes(it.Batch))
	}
	g.mu.Unlock()
	g.signal.Wake()
}

func batchBytes(b *record.Batch) int64 { return int64(b.Size()) + batchOverheadBytes }

// full says that the queue is at its limit; the sender's signal is then woken when half of it is free.
func (q *Queue) full() bool {
	if !q.over(QueueRowsMax, QueueBytesMax) {
		return false
	}
	q.gate.mu.Lock()
	defer q.gate.mu.Unlock()
	q.waited = q.over(QueueRowsMax, QueueBytesMax)
	return q.waited
}

func (q *Queue) over(rows, bytes int64) bool { return q.rows.Load() >= rows || q.bytes.Load() >= bytes }

// Rows is the number of rows that wait in all queues. Safe for concurrent use.
func (g *Gate) Rows() int64 {
	n := int64(0)
	for _, q := range g.queues {
		n += q.rows.Load()
	}
	return n
}

// Next returns the next item, or false where there is none now: the signal is woken when that may have changed.
func (g *Gate) Next() (Item, bool) {
	for {
		if g.pendIdle {
			g.pendIdle = false
			return Item{Kind: Idle}, true
		}
		q, it, ok := g.take()
		if !ok {
			return Item{}, false
		}
		switch it.Kind {
		case Batch:
			it.Batch = record.Concat(g.parts)
			clear(g.parts)
			it.Port = q.port
			return it, true
		case BarrierKind:
			return it, true
		case Watermark:
			g.merged.Set(q.number, it.Watermark)
		case Idle:
			g.merged.SetIdle(q.number)
		}
		if it, ok := g.merge(); ok {
			return it, true
		}
	}
}

// merge is what the change of one input's watermark or idleness means for all inputs together.
func (g *Gate) merge() (Item, bool) {
	value, idle := g.merged.Merge()
	woke := g.idle && !idle
	g.pendIdle = idle && !g.idle
	g.idle = idle
	if value > g.watermark || woke {
		g.watermark = max(g.watermark, value)
		return Item{Kind: Watermark, Watermark: g.watermark}, true
	}
	if g.pendIdle {
		g.pendIdle = false
		return Item{Kind: Idle}, true
	}
	return Item{}, false
}

// take removes the next element of a queue that is not blocked; batches it puts into g.parts. A barrier is only returned once
// all queues have delivered it.
func (g *Gate) take() (*Queue, Item, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for tried := 0; tried < len(g.queues); {
		q := g.queues[g.turn]
		if q.blocked || q.head == len(q.items) {
			g.turn = (g.turn + 1) % len(g.queues)
			tried++
			continue
		}
		it := q.items[q.head]
		if it.Kind == Batch {
			q.takeBatches()
			g.turn = (g.turn + 1) % len(g.queues)
			return q, it, true
		}
		q.pop()
		if it.Kind != BarrierKind {
			return q, it, true
		}
		if g.align(q, it.Barrier) {
			return q, it, true
		}
		tried = 0
	}
	return nil, Item{}, false
}

// align notes that a queue has delivered a barrier; it returns true, and lets all queues go on, when all have.
func (g *Gate) align(q *Queue, b Barrier) bool {
	if g.blocked > 0 && g.barrier != b {
		panic(fmt.Sprintf("exchange: barrier %+v of queue %d amid the alignment of %+v", b, q.number, g.barrier))
	}
	g.barrier = b
	q.blocked = true
	g.blocked++
	if g.blocked < len(g.queues) {
		return false
	}
	for _, q := range g.queues {
		q.blocked = false
	}
	g.blocked = 0
	return true
}

// takeBatches moves the batch at the head into the gate's parts, and those behind it that are worth joining to it.
func (q *Queue) takeBatches() {
	g := q.gate
	g.parts = g.parts[:0]
	rows := 0
	for q.head < len(q.items) {
		b := q.items[q.head].Batch
		if b == nil || len(g.parts) > 0 && (rows+b.Rows > record.RowsMax || !joins(g.parts[0], b)) {
			break
		}
		g.parts = append(g.parts, b)
		rows += b.Rows
		q.pop()
		q.rows.Add(-int64(b.Rows))
		q.bytes.Add(-batchBytes(b))
	}
	if q.waited && !q.over(QueueRowsMax/2, QueueBytesMax/2) {
		q.waited = false
		q.sender.Wake()
	}
}

// joins says that two batches, one after the other in a queue, become one.
func joins(a, b *record.Batch) bool {
	return a.Rows < mergeRowsBelow && b.Rows < mergeRowsBelow && a.Schema == b.Schema &&
		(a.EventTime == nil) == (b.EventTime == nil) && (a.Pos == nil) == (b.Pos == nil)
}

// pop removes the head; the slice is reused from its start when it runs empty or is mostly taken.
func (q *Queue) pop() {
	q.items[q.head] = Item{}
	q.head++
	if q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	} else if q.head >= 32 && q.head*2 >= len(q.items) {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
}
