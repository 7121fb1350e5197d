package sandbox

import (
	"sort"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/abi/frame"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/sandbox/crossing"
	"github.com/tidemill/tidemill/runtime/state"
)

// takeEffect makes a valid answer to a frame whose first item is from count: state, timers, metrics and outputs together (I1).
// An error is one of the back-end and fails the job, so that no checkpoint can complete with half of it.
func (o *Operator) takeEffect(w *work, from int, a *frame.Answer) error {
	o.output.build(o, w, from, a)
	keys := &o.frame.keys
	if o.frame.asked.KeyOf != nil && o.state != nil {
		if err := o.state.Flush(); err != nil {
			return err
		}
	}
	for i := range a.States {
		if err := o.applyState(keys, &a.States[i]); err != nil {
			return err
		}
	}
	if w.kind == abi.KindTimers {
		if err := o.ctx.State.Fired(w.domain, w.round, from, from+a.Consumed); err != nil {
			return err
		}
	}
	if t := a.Timers; t != nil {
		changes := state.TimerChanges{
			Key: t.Key, Name: t.Name, Domain: t.Domain, Op: t.Op, Time: t.Time, TagOff: t.TagOffsets, Tags: t.Tags,
		}
		if err := o.ctx.State.ApplyTimers(keys, &changes, [2]int64{o.watermark, o.now}); err != nil {
			return err
		}
	}
	custom := o.ctx.Meter.Custom()
	for _, m := range a.Metrics {
		if custom[m.Metric].Gauge {
			custom[m.Metric].Value.Store(m.Value)
		} else {
			custom[m.Metric].Value.Add(m.Value)
		}
	}
	o.output.emit(o.ctx)
	return nil
}

func (o *Operator) applyState(keys *record.KeySet, c *frame.StateChanges) error {
	changes := &o.changes
	changes.Key, changes.Op, changes.Columns = c.Key, c.Op, changes.Columns[:0]
	for i := range c.Columns {
		changes.Columns = append(changes.Columns, crossing.View(&c.Columns[i]))
	}
	return o.ctx.State.Apply(c.State, keys, changes)
}

// outputBuilder turns output rows into batches of the host. Columns that are passed through come from the host's own batch.
type outputBuilder struct {
	ports  []operator.Output
	fields []abi.BoundOutput
	rows   []int32 // the host's row of each output row

	batch     *record.Batch   // BATCH frames: the input
	keys      []int           // its key columns
	keyed     []record.Column // TIMERS frames: key columns by item
	eventTime []int64         // of the items, by host row; nil where they have none
	now       int64

	ready []readyBatch
}

type readyBatch struct {
	port  int
	batch *record.Batch
}

func (b *outputBuilder) open(binding *abi.Binding, ctx *operator.Context) {
	*b = outputBuilder{ports: ctx.Outputs, fields: binding.Outputs}
}

func (b *outputBuilder) emit(ctx *operator.Context) {
	for i := range b.ready {
		ctx.Emit(b.ready[i].port, b.ready[i].batch)
		b.ready[i].batch = nil
	}
	b.ready = b.ready[:0]
}

// build makes the batches of an answer, none larger than a batch may be.
func (b *outputBuilder) build(o *Operator, w *work, from int, a *frame.Answer) {
	b.ready = b.ready[:0]
	if len(a.Batches) == 0 {
		return
	}
	b.batch, b.keys, b.keyed, b.eventTime, b.now = nil, nil, nil, nil, o.now
	first := 0
	switch w.kind {
	case abi.KindBatch:
		b.batch, b.keys, b.eventTime, first = w.batch, o.ctx.Inputs[w.port].Keys, w.batch.EventTime, from
	case abi.KindTimers:
		b.keyed = o.frame.keyColumns
		if w.domain == state.EventTime {
			b.eventTime = w.round.Time[from:]
		}
	}
	for i := range a.Batches {
		rows := &a.Batches[i]
		for low := 0; low < rows.Rows; low += record.RowsMax {
			high := min(low+record.RowsMax, rows.Rows)
			b.ready = append(b.ready, readyBatch{rows.Port, b.rowsOf(rows, low, high, first)})
		}
	}
	b.batch = nil
}

// rowsOf makes a batch of output rows [low, high), low being a multiple of RowsMax.
func (b *outputBuilder) rowsOf(r *frame.OutputRows, low, high, first int) *record.Batch {
	out := &record.Batch{Schema: b.ports[r.Port].Schema, Rows: high - low, Columns: make([]record.Column, len(r.Columns))}
	b.rows = b.rows[:0]
	for i := low; !r.Identity && i < high; i++ {
		row := int32(-1)
		if r.ItemOf[i] != abi.ItemNone {
			row = int32(first) + int32(r.ItemOf[i])
		}
		b.rows = append(b.rows, row)
	}
	for i := range r.Columns {
		switch c := &r.Columns[i]; c.Pass {
		case 0:
			out.Columns[i] = crossing.Copy(c, low, high)
		case abi.NodeInput:
			out.Columns[i] = b.passed(&b.batch.Columns[c.Ref], r.Identity, first+low, first+high)
		case abi.NodeKey:
			out.Columns[i] = b.passedKey(c.Ref, r.Identity, first+low, first+high)
		}
	}
	b.times(out, r, low, high, first)
	b.positions(out, r.Identity, first+low, first+high)
	return out
}

func (b *outputBuilder) passed(c *record.Column, identity bool, from, to int) record.Column {
	if identity {
		return c.Slice(from, to)
	}
	return c.Take(b.rows)
}

// passedKey takes key columns from the batch or, of timers, from columns that the next frame reuses: those are always copied.
func (b *outputBuilder) passedKey(key uint32, identity bool, from, to int) record.Column {
	if b.batch != nil {
		return b.passed(&b.batch.Columns[b.keys[key]], identity, from, to)
	}
	if identity {
		b.ascending(from, to)
	}
	return b.keyed[key].Take(b.rows)
}

func (b *outputBuilder) ascending(from, to int) {
	b.rows = b.rows[:0]
	for row := from; row < to; row++ {
		b.rows = append(b.rows, int32(row))
	}
}

// times gives every row its event time: the port's column, the guest's own array, the item's or, where the item has none, the
// frame's processing time.
func (b *outputBuilder) times(out *record.Batch, r *frame.OutputRows, low, high, first int) {
	if at := b.fields[r.Port].EventTime; at >= 0 {
		out.EventTime = out.Columns[at].Int64s()
		return
	}
	if r.EventTime != nil {
		out.EventTime = append([]int64(nil), r.EventTime[low:high]...)
		return
	}
	if r.Identity && b.eventTime != nil {
		out.EventTime = b.eventTime[first+low : first+high : first+high]
		if b.batch == nil { // of timers: the next round reuses it
			out.EventTime = append([]int64(nil), out.EventTime...)
		}
		return
	}
	out.EventTime = make([]int64, high-low)
	for i := range out.EventTime {
		out.EventTime[i] = b.now
		if b.eventTime != nil && !r.Identity && b.rows[i] >= 0 {
			out.EventTime[i] = b.eventTime[b.rows[i]]
		}
	}
}

// positions gives every row the position and origin of its item, -1 where it has none.
func (b *outputBuilder) positions(out *record.Batch, identity bool, from, to int) {
	if b.batch != nil && b.batch.Pos != nil && identity {
		out.Pos = b.batch.Pos[from:to:to]
	} else {
		out.Pos = make([]int64, out.Rows)
		for i := range out.Pos {
			out.Pos[i] = -1
			if b.batch != nil && b.batch.Pos != nil && b.rows[i] >= 0 {
				out.Pos[i] = b.batch.Pos[b.rows[i]]
			}
		}
	}
	if b.batch == nil || len(b.batch.Runs) == 0 {
		return
	}
	if len(b.batch.Runs) == 1 {
		out.Runs = b.batch.Runs
		return
	}
	if identity {
		b.ascending(from, to)
	}
	for i, row := range b.rows {
		if row < 0 {
			continue
		}
		origin := originOf(b.batch.Runs, int(row))
		if n := len(out.Runs); n > 0 && out.Runs[n-1].Origin == origin {
			continue
		}
		at := i
		if len(out.Runs) == 0 {
			at = 0
		}
		out.Runs = append(out.Runs, record.Run{Row: at, Origin: origin})
	}
}

func originOf(runs []record.Run, row int) *record.Origin {
	i := sort.Search(len(runs), func(i int) bool { return runs[i].Row > row })
	return runs[i-1].Origin
}
