package operator

import (
	"errors"
	"reflect"
	"unsafe"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
	"github.com/tidemill/tidemill/sdk-go/internal/engine"
	"github.com/tidemill/tidemill/sdk-go/internal/frame"
	"github.com/tidemill/tidemill/sdk-go/internal/row"
)

// BatchIn is an input port whose rows come as columns. C is a struct of them: slices of numbers, Timestamp, Date or Decimal, Bits,
// Texts[string], Texts[[]byte], Lists of these, or Nulls of all of them. Types must be those of the input: nothing is converted, but
// that a decimal may have more digits. A []Timestamp with the tag `tm:",event_time"` takes the rows' event times.
type BatchIn[C any] struct{ core batchInCore[C] }

// Batch is some rows of the input. The host cuts the input where it wants: results must not depend on where.
type Batch[C any] struct {
	Columns C // views of the frame, to be read only
	Rows    int
	keys    []uint32
	cursor  *engine.Cursor
}

// Select makes row i the item under way: states, timers and Key are those of its key then, and what an Out emits belongs to it.
func (b *Batch[C]) Select(i int) {
	b.cursor.Item = uint32(i)
	if b.keys != nil {
		b.cursor.Key = b.keys[i]
	}
}

// OnBatch sets the function that takes the port's rows. Columns are valid until it returns. An error rejects the row that was
// selected last, or without one sends the batch again row by row, to find it; nothing the function did takes effect.
func (in *BatchIn[C]) OnBatch(handler func(*Batch[C]) error) { in.core.handler = handler }

type batchInCore[C any] struct {
	slot    *engine.Slot
	name    string
	layout  *row.Columns
	handler func(*Batch[C]) error
	columns []frame.Column
	batch   Batch[C]
}

func (c *batchInCore[C]) Declare(s *engine.Slot, d engine.Declaration) (err error) {
	c.slot, c.name, c.batch.cursor = s, d.Name, &s.Cursor
	c.layout, err = row.ColumnsOf(reflect.TypeFor[C]())
	s.AddInput(c)
	return err
}

func (c *batchInCore[C]) Port() abi.InputPort {
	return abi.InputPort{Name: c.name, Columns: c.layout.Schema()}
}

func (c *batchInCore[C]) Bind(in abi.OpenInput) (abi.BindInput, error) {
	if c.handler == nil {
		return abi.BindInput{}, errors.New("it has no handler: call OnBatch in Open")
	}
	names, err := c.layout.Bind(in.Schema)
	return abi.BindInput{Columns: names, EventTime: c.layout.EventTime >= 0}, err
}

func (c *batchInCore[C]) Run(r *frame.Reader, items int) (int, error) {
	b := &c.batch
	b.Rows = items
	batch := r.Batch()
	b.keys = frame.Slice[uint32](r.Keys(), 16, items)
	c.columns = batch.Columns(c.columns[:0], abi.BatchSize, int(batch.U32(8)))
	c.layout.View(c.columns, items, unsafe.Pointer(&b.Columns), &c.slot.Arena)
	if c.layout.EventTime >= 0 {
		c.layout.Times(frame.Slice[int64](batch, 20, items), unsafe.Pointer(&b.Columns))
	}
	if err := c.handler(b); err != nil {
		return 0, err
	}
	return items, nil
}

// BatchOut is an output port whose rows are emitted as columns: C as for BatchIn, with fields of type FromInput or FromKey for
// columns that the host takes over.
type BatchOut[C any] struct{ core batchOutCore[C] }

// Emit emits one row for each row of the batch under way. The columns may not change before the handler returns: in a module they
// are not copied.
func (o *BatchOut[C]) Emit(columns C) {
	o.core.emit(emitted[C]{columns: columns, each: true, rows: o.core.slot.Items})
}

// EmitFor emits rows of which row j belongs to row items[j] of the batch under way. Neither may change before the handler returns.
func (o *BatchOut[C]) EmitFor(items []uint32, columns C) {
	o.core.emit(emitted[C]{columns: columns, items: items, rows: len(items)})
}

// emitted is one section of an answer.
type emitted[C any] struct {
	columns C
	each    bool // a row for each item
	items   []uint32
	rows    int
}

type batchOutCore[C any] struct {
	slot    *engine.Slot
	name    string
	id      int
	layout  *row.Columns
	pass    passing
	writing *row.Writing
	batches []emitted[C]
}

func (c *batchOutCore[C]) Declare(s *engine.Slot, d engine.Declaration) (err error) {
	c.slot, c.name, c.pass.options = s, d.Name, d.Options
	c.layout, err = row.ColumnsOf(reflect.TypeFor[C]())
	c.id = s.AddOutput(c)
	return err
}

func (c *batchOutCore[C]) Name() string { return c.name }

func (c *batchOutCore[C]) Bind(s *engine.Slot) (bind abi.BindOutput, err error) {
	c.writing, err = c.pass.bind(s, c.name, c.layout)
	if err != nil {
		return bind, err
	}
	return abi.BindOutput{Name: c.name, Schema: c.writing.Schema}, nil
}

func (c *batchOutCore[C]) emit(e emitted[C]) {
	c.batches = append(c.batches, e)
	c.slot.Cursor.Bytes += c.layout.Bytes(unsafe.Pointer(&c.batches[len(c.batches)-1].columns)) + e.rows*rowBytes
}

func (c *batchOutCore[C]) Reset() {
	clear(c.batches)
	c.batches = c.batches[:0]
}

func (c *batchOutCore[C]) Sections() int { return len(c.batches) }

func (c *batchOutCore[C]) Flush(b *frame.Builder, _ int) (item uint32, err error) {
	if len(c.batches) > 0 {
		c.pass.check(c.slot, c.name)
	}
	for i := range c.batches {
		e := &c.batches[i]
		columns := len(c.writing.Schema)
		head := b.Open(abi.SectionBatch, c.id, abi.BatchSize, c.writing.Nodes)
		b.PutU32(head, uint32(e.rows))
		b.PutU32(head+4, uint32(columns))
		b.PutU32(head+8, uint32(c.writing.Nodes))
		if e.each {
			b.PutU32(head+12, abi.BatchIdentity)
		} else {
			copy(frame.Array[uint32](b, head+16, e.rows), e.items)
		}
		err := c.writing.WriteColumns(b, head+abi.BatchSize, e.rows, unsafe.Pointer(&e.columns))
		if v, ok := err.(*row.ValueError); ok {
			item := uint32(v.Row)
			if !e.each {
				item = e.items[v.Row]
			}
			return item, errors.New("port " + c.name + ", " + v.Error())
		}
		b.Close()
	}
	return 0, nil
}
