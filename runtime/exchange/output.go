package exchange

import "github.com/tidemill/tidemill/runtime/record"

// Output sends what one subtask emits over one edge. Its subtask's goroutine uses it.
type Output struct {
	queues []*Queue // one a receiving subtask
	keys   []int    // Hash: the key columns; else nil
	max    int      // maximal parallelism
	turn   int      // Rebalance, Pin: the next receiver
	pinned bool

	owner  []uint16 // Hash: receiver of each key group
	key    []byte
	target []uint16 // of each row of the batch under way
	count  []int32  // rows for each receiver
	order  []int32  // rows sorted by receiver
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
	clear(o.count)
	for _, t := range o.target {
		o.count[t+1]++
	}
	for r := range o.queues {
		if int(o.count[r+1]) == b.Rows {
			o.queues[r].put(Item{Kind: Batch, Batch: b})
			return
		}
	}
	for r := range o.queues { // from counts to the place of each receiver's first row
		o.count[r+1] += o.count[r]
	}
	if cap(o.order) < b.Rows {
		o.order = make([]int32, b.Rows)
	}
	o.order = o.order[:b.Rows]
	for row, t := range o.target {
		o.order[o.count[t]] = int32(row)
		o.count[t]++
	}
	from := int32(0)
	for r, q := range o.queues {
		if to := o.count[r]; to > from {
			q.put(Item{Kind: Batch, Batch: b.Take(o.order[from:to])})
			from = to
		}
	}
}

// route finds the receiver of each row.
func (o *Output) route(b *record.Batch) {
	if cap(o.target) < b.Rows {
		o.target = make([]uint16, b.Rows)
	}
	o.target = o.target[:b.Rows]
	target, key := o.target, o.key
	for row := range target {
		key = record.AppendKey(key[:0], b.Columns, o.keys, row)
		target[row] = o.owner[o.group(record.HashKey(key))]
	}
	o.key = key
}

// group is record.KeyGroup; without a division where the maximal parallelism is a power of two, as it is by default.
func (o *Output) group(hash uint64) int {
	if o.max&(o.max-1) == 0 {
		return int(hash & uint64(o.max-1))
	}
	return record.KeyGroup(hash, o.max)
}
