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

// Out is an output port whose rows are of type R. A row has the event time of the item under way, unless R has a Timestamp
// column with the tag option event_time.
type Out[R any] struct {
	core outCore[R]

	// What Emit touches stands here and not in the core, and its common path is one straight line: in a module every jump is a
	// look-up in a table, and every call takes ten nanoseconds.
	at    *engine.Cursor
	rows  []emittedRow[R] // rows[:n] were emitted since Reset; there is always room for one more
	n     int
	stop  int    // of n, from which on after is called
	after func() // accounts for what was emitted, and makes room
}

type emittedRow[R any] struct {
	row  R
	item uint32
}

// Emit emits a row. Its byte slices and lists are copied. Rows of a port keep the order in which they were emitted.
func (o *Out[R]) Emit(row R) {
	n := o.n
	e := &o.rows[n]
	e.row = row
	e.item = o.at.Item
	n++
	o.n = n
	if n < o.stop {
		return
	}
	o.after()
}

// rowBytes is what an emitted row takes besides its columns: the item it belongs to, and event time and position in the host.
const rowBytes = 4 + 16

type outCore[R any] struct {
	slot      *engine.Slot
	out       *Out[R] // that this is the core of
	name      string
	id        int
	layout    *row.Layout
	pass      passing
	writing   *row.Writing
	bytes     int  // of a row in an answer, at most, without its texts and lists
	held      bool // rows have texts or lists
	accounted int  // rows that the cursor knows of
}

func (c *outCore[R]) Declare(s *engine.Slot, d engine.Declaration) error {
	layout, err := row.Of(reflect.TypeFor[R](), "value", d.Options)
	if err != nil {
		return err
	}
	c.slot, c.name, c.layout, c.held, c.bytes = s, d.Name, layout, layout.HoldsMemory(), layout.Bytes+rowBytes
	c.out = (*Out[R])(unsafe.Pointer(c))
	c.out.at, c.out.after = &s.Cursor, c.after
	c.pass.options = d.Options
	c.id = s.AddOutput(c)
	return nil
}

func (c *outCore[R]) Name() string { return c.name }

func (c *outCore[R]) Bind(s *engine.Slot) (abi.BindOutput, error) {
	writing, err := c.pass.bind(s, c.name, c.layout)
	if err != nil {
		return abi.BindOutput{}, err
	}
	c.writing = writing
	bind := abi.BindOutput{Name: c.name, Schema: writing.Schema}
	for _, f := range c.layout.Fields {
		if f.EventTime {
			bind.EventTime = f.Name
		}
	}
	return bind, nil
}

// rowsMin is the least room for rows; rowsStep are emitted, at most, before they are accounted for.
const (
	rowsMin  = 64
	rowsStep = 256
)

// after accounts for the rows emitted since the last time. Texts and lists have no bound, and what their owner may change is
// copied at once, so rows with them come here one by one. Others come in steps that are a small part of what an answer may have.
func (c *outCore[R]) after() {
	o := c.out
	if c.held {
		for i := c.accounted; i < o.n; i++ {
			row := unsafe.Pointer(&o.rows[i].row)
			c.slot.Cursor.Bytes += c.layout.HeldBytes(row)
			if c.layout.Changing() {
				c.layout.Own(&c.slot.Arena, row)
			}
		}
	}
	c.slot.Cursor.Bytes += (o.n - c.accounted) * c.bytes
	c.accounted = o.n
	if o.n == len(o.rows) {
		rows := make([]emittedRow[R], max(rowsMin, 2*o.n))
		copy(rows, o.rows)
		o.rows = rows
	}
	step := 1
	if !c.held {
		step = min(max(c.slot.Cursor.BytesStop/8/c.bytes, 1), rowsStep)
	}
	o.stop = min(o.n+step, len(o.rows))
}

func (c *outCore[R]) Reset() {
	c.out.n, c.accounted = 0, 0
	c.after()
}

func (c *outCore[R]) Sections() int { return 1 }

func (c *outCore[R]) Flush(b *frame.Builder, done int) (item uint32, err error) {
	rows := c.out.rows[:c.out.n]
	if len(rows) == 0 {
		return 0, nil
	}
	c.pass.check(c.slot, c.name)
	columns := len(c.writing.Schema)
	head := b.Open(abi.SectionBatch, c.id, abi.BatchSize, c.writing.Nodes)
	b.PutU32(head, uint32(len(rows)))
	b.PutU32(head+4, uint32(columns))
	b.PutU32(head+8, uint32(c.writing.Nodes))
	if identity(rows, done) {
		b.PutU32(head+12, abi.BatchIdentity)
	} else {
		items := frame.Array[uint32](b, head+16, len(rows))
		for i := range rows {
			items[i] = rows[i].item
		}
	}
	first := unsafe.Pointer(unsafe.SliceData(rows))
	err = c.writing.Write(b, head+abi.BatchSize, row.Rows{At: first, Size: unsafe.Sizeof(rows[0]), N: len(rows)})
	if e, ok := err.(*row.ValueError); ok {
		return rows[e.Row].item, errors.New("port " + c.name + ", " + e.Error())
	}
	b.Close()
	return 0, nil
}

// identity says whether row i belongs to item i, for all items that took effect.
func identity[R any](rows []emittedRow[R], done int) bool {
	if len(rows) != done {
		return false
	}
	i := uint32(0)
	for ; len(rows) >= 4; rows = rows[4:] { // four at a time: in a module a turn of a loop costs more than a comparison
		if (rows[0].item^i)|(rows[1].item^(i+1))|(rows[2].item^(i+2))|(rows[3].item^(i+3)) != 0 {
			return false
		}
		i += 4
	}
	for j := range rows {
		if rows[j].item != i+uint32(j) {
			return false
		}
	}
	return true
}

// passing is what an output port takes over from its input.
type passing struct {
	options map[string]string // of the port's tag
	input   int               // the port whose columns are passed through; -1 where none are
}

// bind resolves the columns of an output port.
func (p *passing) bind(s *engine.Slot, port string, layout interface {
	Output(input, key []abi.Field) (*row.Writing, error)
	FromInput() bool
}) (writing *row.Writing, err error) {
	p.input = -1
	var schema []abi.Field
	if layout.FromInput() {
		if p.input, err = s.Source(p.options); err != nil {
			return nil, errors.New("port " + port + ": " + err.Error())
		}
		schema = s.Request.Inputs[p.input].Schema
	}
	if writing, err = layout.Output(schema, s.Request.Key); err != nil {
		return nil, errors.New("port " + port + ": " + err.Error())
	}
	return writing, nil
}

// check panics where rows of another kind of item were emitted than those that have the columns.
func (p *passing) check(s *engine.Slot, port string) {
	if p.input >= 0 && (s.Frame.Kind != abi.KindBatch || s.Frame.Port != p.input) {
		panic("port " + port + " passes columns of input " + s.Request.Inputs[p.input].Port + " through: only rows of it can be emitted there")
	}
}
