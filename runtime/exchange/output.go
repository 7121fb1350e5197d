package exchange

import "github.com/tidemill/tidemill/runtime/record"

// Output sends what one subtask emits over one edge. Its subtask's goroutine uses it.
type Output struct {
	queues []*Queue // one a receiving subtask
	keys   []int    // Hash: the key columns; else nil
	max    int      // maximal parallelism
	turn   int      // Rebalance, Pin: the next receiver
	pinned bool

	owner  []uint16      // Hash: receiver of each key group
	set    record.KeySet // of the batch under way
	target []uint16      // receiver of each of its keys
	count  []int32       // rows for each receiver
	order  []int32       // rows sorted by receiver
}

// NewHash returns an output that sends each row to the subtask that owns its key group; queues are those of the receiving
// subtasks in order.
func NewHash(queues []*Queue, keys []int, maxParallelism int) *Output {
	o := &Output{queues: queues, keys: keys, max: maxParallelism, count: make([]int32, len(queues)+1)}
	o.owner = make([]uint16, maxParallelism)
	for group := range o.owner {
		o.owner[group] = uint16(record.SubtaskOf(group, len(queues), maxParallelism))
	}
	return o
}

// NewRebalance returns an output that sends whole batches round robin, beginning at receiver first.
func NewRebalance(queues []*Queue, first int) *Output {
	return &Output{queues: queues, turn: first % len(queues)}
}

// NewPin returns an output that sends everything to one receiver, so that what its subtask emits stays in order there.
func NewPin(queues []*Queue, receiver int) *Output {
	return &Output{queues: queues, turn: receiver, pinned: true}
}

// Full says that a receiver is at its limit: the sender takes no more work until its signal wakes it and Full is false.
func (o *Output) Full() bool {
	for _, q := range o.queues {
		if q.full() {
			return true
		}
	}
	return false
}

// Send sends the rows of a batch.
func (o *Output) Send(b *record.Batch) {
	switch {
	case len(o.queues) == 1:
		o.queues[0].put(Item{Kind: Batch, Batch: b})
	case o.keys == nil:
		o.queues[o.turn].put(Item{Kind: Batch, Batch: b})
		if !o.pinned {
			o.turn = (o.turn + 1) % len(o.queues)
		}
	default:
		o.partition(b)
	}
}

// Broadcast sends a watermark, idleness or a barrier to all receivers.
func (o *Output) Broadcast(it Item) {
	for _, q := range o.queues {
		q.put(it)
	}
}

// partition cuts a batch by receiver; one whose rows all go to one receiver is passed on as it is.
func (o *Output) partition(b *record.Batch) {
	o.route(b)
	keyOf, target, count := o.set.KeyOf, o.target, o.count
	clear(count)
	for _, key := range keyOf {
		count[target[key]+1]++
	}
	for r, q := range o.queues {
		if int(count[r+1]) == b.Rows {
			q.put(Item{Kind: Batch, Batch: b})
			return
		}
	}
	for r := range o.queues { // from counts to the place of each receiver's first row
		count[r+1] += count[r]
	}
	if cap(o.order) < b.Rows {
		o.order = make([]int32, max(b.Rows, record.RowsMax))
	}
	order := o.order[:b.Rows]
	for row, key := range keyOf {
		t := target[key]
		order[count[t]] = int32(row)
		count[t]++
	}
	from := int32(0)
	for r, q := range o.queues {
		if to := count[r]; to > from {
			q.put(Item{Kind: Batch, Batch: b.Take(order[from:to])})
			from = to
		}
	}
}

// route finds the receiver of each distinct key.
func (o *Output) route(b *record.Batch) {
	o.set.Build(b, o.keys, 0, b.Rows)
	o.target = o.target[:0]
	for _, hash := range o.set.Hash {
		o.target = append(o.target, o.owner[record.KeyGroup(hash, o.max)])
	}
}
