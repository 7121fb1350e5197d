package sandbox

import (
	"fmt"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/abi/frame"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/sandbox/crossing"
	"github.com/tidemill/tidemill/runtime/state"
)

// frameBuilder makes input frames of work. It keeps all memory that a frame needs from one to the next.
type frameBuilder struct {
	binding *abi.Binding
	ctx     *operator.Context

	in    frame.Input
	size  int // of in, in bytes
	asked frame.Asked
	keys  record.KeySet // of the frame

	all     []frame.Column // the port's whole schema: only of a frame with an answer
	read    []frame.Column // what the guest reads
	itemKey []frame.Column // key columns by item: likewise

	rows        frame.Rows
	keysIn      frame.Keys
	timersIn    frame.TimersIn
	cells       []state.Cells   // by state id
	keyColumns  []record.Column // decoded keys of timers
	domains     []byte
	tagOffsets  []int32
	prefetch    []bool // by state id
	anyNeedsKey bool
	rowsAim     int // items a frame is begun with: follows the size of frames with prefetched state
}

// frameOverhead bounds what a frame has besides nodes, buffers and arrays.
const frameOverhead = 4 << 10

// rowsAimFirst is where frames with prefetched state begin: their size is not known before the state has been loaded.
const rowsAimFirst = 256

func (b *frameBuilder) open(binding *abi.Binding, ctx *operator.Context) {
	*b = frameBuilder{binding: binding, ctx: ctx, rowsAim: abi.RowsMax, cells: make([]state.Cells, len(binding.States)),
		prefetch: make([]bool, len(binding.States)), keyColumns: crossing.For(binding.Key)}
	for i := range binding.States {
		b.cells[i].Columns = crossing.For(binding.States[i].Fields)
	}
	for i := range binding.Inputs {
		b.anyNeedsKey = b.anyNeedsKey || binding.Inputs[i].NeedsKey
		if len(binding.Inputs[i].Prefetch) > 0 {
			b.rowsAim = rowsAimFirst
		}
	}
	for i := range binding.Timers {
		if len(binding.Timers[i].Prefetch) > 0 {
			b.rowsAim = rowsAimFirst
		}
	}
}

// items builds the frame of items [from, to), or of fewer where they do not fit, and returns where it ends. A failure is an item
// that does not fit alone.
func (b *frameBuilder) items(o *Operator, w *work, from, to int) (int, *failure, error) {
	to = min(to, from+b.rowsAim)
	if o.config.Cut != nil && to-from > 1 {
		to = o.config.Cut(from, to)
	}
	aim := min(abi.FrameInAimBytes, o.limits.FrameBytesMax)
	for {
		if failed, err := b.build(w, from, to, false); failed != nil || err != nil {
			return to, failed, err
		}
		b.size = b.in.Size()
		if b.size <= aim {
			if b.size < aim/4 && to-from == b.rowsAim {
				b.rowsAim = min(2*b.rowsAim, abi.RowsMax)
			}
			return to, nil, nil
		}
		if to-from == 1 {
			return to, b.oneItem(o, w, from), nil
		}
		if w.kind == abi.KindBatch && b.readSize(from, to) > aim {
			to = b.cutBySize(from, to, aim)
			continue // the next frame may hold as many rows as this one was to
		}
		to = from + (to-from)/2
		b.rowsAim = to - from
	}
}

// oneItem builds the frame of an item that is over the aim: at worst the guest has to ask for its state.
func (b *frameBuilder) oneItem(o *Operator, w *work, from int) *failure {
	if b.size <= o.limits.FrameBytesMax {
		return nil
	}
	if failed, err := b.build(w, from, from+1, true); failed != nil || err != nil {
		return failed
	}
	if b.size = b.in.Size(); b.size > o.limits.FrameBytesMax {
		return &failure{item: 0, cause: cause{
			code: ErrItem, text: fmt.Sprintf("the item takes a frame of %d bytes, at most %d", b.size, o.limits.FrameBytesMax),
			hint: "raise memory_bytes_max under limits: (a frame may be a quarter of it, and 16 MiB), or read fewer columns",
		}}
	}
	return nil
}

// view makes the columns that the guest reads views of the batch's.
func (b *frameBuilder) view(w *work) {
	if w.viewed {
		return
	}
	w.viewed = true
	port := &b.binding.Inputs[w.port]
	b.read = b.read[:0]
	for _, i := range port.Columns {
		b.read = append(b.read, crossing.AsFrame(&w.batch.Columns[i]))
	}
	b.rows = frame.Rows{Columns: b.read}
	if port.EventTime {
		b.rows.EventTime = w.batch.EventTime
	}
}

// viewAll completes asked by what an answer may pass through.
func (b *frameBuilder) viewAll(w *work) {
	if w.kind != abi.KindBatch {
		return
	}
	if !w.viewedAll {
		w.viewedAll = true
		b.all = crossing.AppendFrames(b.all[:0], w.batch.Columns)
		b.itemKey = b.itemKey[:0]
		for _, i := range b.ctx.Inputs[w.port].Keys {
			b.itemKey = append(b.itemKey, b.all[i])
		}
	}
	b.asked.Columns, b.asked.Key = b.all, b.itemKey
}

// cutBySize returns the end of the most rows from from on whose columns stay under a size; one row at least.
func (b *frameBuilder) cutBySize(from, to, limit int) int {
	low, high := from+1, to-1
	for low < high {
		mid := (low + high + 1) / 2
		if b.readSize(from, mid) <= limit {
			low = mid
		} else {
			high = mid - 1
		}
	}
	return low
}

func (b *frameBuilder) readSize(from, to int) int {
	n := frameOverhead + 16*(to-from) // event times and keys
	for i := range b.read {
		n += b.read[i].Size(from, to)
	}
	return n
}

// build fills in and asked for items [from, to).
func (b *frameBuilder) build(w *work, from, to int, askAll bool) (*failure, error) {
	b.in = frame.Input{Kind: w.kind, States: b.in.States[:0], Context: frame.Context{Port: abi.NoPort}}
	b.asked = frame.Asked{Kind: w.kind, Items: to - from}
	clear(b.prefetch)
	var failed *failure
	var err error
	if w.kind == abi.KindBatch {
		failed = b.buildRows(w, from, to)
	} else {
		err = b.buildTimers(w, from, to)
	}
	if failed != nil || err != nil {
		return failed, err
	}
	for id := range b.prefetch {
		if !b.prefetch[id] {
			continue
		}
		if err := b.loadState(id, askAll); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

func (b *frameBuilder) buildRows(w *work, from, to int) *failure {
	b.view(w)
	port := &b.binding.Inputs[w.port]
	b.in.Context.Port = uint16(w.port)
	b.rows.From, b.rows.Rows = from, to-from
	b.in.Batch = &b.rows
	b.asked.First = from
	if !port.Keyed {
		return nil
	}
	b.keys.Build(w.batch, b.ctx.Inputs[w.port].Keys, from, to)
	if failed := b.checkKeys(from); failed != nil {
		return failed
	}
	b.keysIn = frame.Keys{N: b.keys.N, KeyOf: b.keys.KeyOf, Columns: b.keysIn.Columns[:0]}
	if port.NeedsKey {
		for _, i := range b.ctx.Inputs[w.port].Keys {
			column := w.batch.Columns[i].Take(b.keys.First)
			b.keysIn.Columns = append(b.keysIn.Columns, crossing.AsFrame(&column))
		}
	}
	b.in.Keys = &b.keysIn
	b.asked.Keys, b.asked.KeyOf = b.keys.N, b.keys.KeyOf
	for _, id := range port.Prefetch {
		b.prefetch[id] = true
	}
	return nil
}

// checkKeys finds an item whose key is longer than a key may be.
func (b *frameBuilder) checkKeys(from int) *failure {
	if len(b.keys.Bytes) <= abi.KeyBytesMax {
		return nil
	}
	for k := range b.keys.N {
		if n := b.keys.Off[k+1] - b.keys.Off[k]; n > abi.KeyBytesMax {
			return &failure{item: int(b.keys.First[k]) - from, cause: cause{
				code: ErrItem, text: fmt.Sprintf("the key has %d bytes, at most %d", n, abi.KeyBytesMax),
			}}
		}
	}
	return nil
}

func (b *frameBuilder) buildTimers(w *work, from, to int) error {
	n, r := to-from, w.round
	b.keys.Reset(n)
	crossing.ResetAll(b.keyColumns)
	b.domains, b.tagOffsets = b.domains[:0], append(b.tagOffsets[:0], 0)
	for i := from; i < to; i++ {
		key := r.Keys.Key(i)
		b.keys.Add(key, int32(i-from))
		if err := record.DecodeKey(key, b.keyColumns); err != nil {
			return fmt.Errorf("reading the key of a timer: %w", err)
		}
		b.domains = append(b.domains, byte(w.domain))
		b.tagOffsets = append(b.tagOffsets, r.TagOff[i+1]-r.TagOff[from])
		for _, id := range b.binding.Timers[r.Name[i]].Prefetch {
			b.prefetch[id] = true
		}
	}
	b.timersIn = frame.TimersIn{
		Key: b.keys.KeyOf, Name: r.Name[from:to], Domain: b.domains, Time: r.Time[from:to], TagOffsets: b.tagOffsets,
		Tags: r.Tags[r.TagOff[from]:r.TagOff[to]],
	}
	b.itemKey = crossing.AppendFrames(b.itemKey[:0], b.keyColumns)
	b.keysIn = frame.Keys{N: b.keys.N, KeyOf: b.keys.KeyOf, Columns: b.keysIn.Columns[:0]}
	if b.anyNeedsKey {
		b.keysIn.Columns = append(b.keysIn.Columns, b.itemKey...)
	}
	b.in.Timers, b.in.Keys = &b.timersIn, &b.keysIn
	b.asked.Keys, b.asked.KeyOf, b.asked.Key = b.keys.N, b.keys.KeyOf, b.itemKey
	return nil
}

// loadState adds the section of a prefetched state. With ask no cell is sent: the guest asks for each.
func (b *frameBuilder) loadState(id int, ask bool) error {
	s, cells := &b.binding.States[id], &b.cells[id]
	if ask {
		askFor(s, b.keys.N, cells)
	} else if err := b.ctx.State.Load(id, &b.keys, abi.FramePrefetchBytesMax, cells); err != nil {
		return err
	}
	in := frame.StateIn{State: uint16(id), Kind: s.Kind, Status: cells.Status, Entries: b.keys.N}
	if s.Kind != abi.StateValue {
		in.Start = cells.Start
		in.Entries = int(cells.Start[b.keys.N])
	}
	if n := len(b.in.States); n < cap(b.in.States) { // keep the columns of the slot's last use
		in.Columns = b.in.States[:n+1][n].Columns[:0]
	}
	in.Columns = crossing.AppendFrames(in.Columns, cells.Columns)
	b.in.States = append(b.in.States, in)
	return nil
}

func askFor(s *abi.BoundState, keys int, cells *state.Cells) {
	cells.Status = cells.Status[:0]
	crossing.ResetAll(cells.Columns)
	for range keys {
		cells.Status = append(cells.Status, abi.StatusAsk)
		if s.Kind == abi.StateValue {
			for i := range cells.Columns {
				cells.Columns[i].AppendNull()
			}
		}
	}
	if s.Kind != abi.StateValue {
		cells.Start = append(cells.Start[:0], make([]uint32, keys+1)...)
	}
}

// callback builds a frame without items.
func (b *frameBuilder) callback(kind abi.Kind) {
	b.in = frame.Input{Kind: kind, States: b.in.States[:0], Context: frame.Context{Port: abi.NoPort}}
	b.asked = frame.Asked{Kind: kind}
	b.size = b.in.Size()
}
