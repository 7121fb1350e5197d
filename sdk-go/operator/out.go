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
type Out[R any] struct{ core outCore[R] }

// Emit emits a row. Its byte slices are copied. Rows of a port keep the order in which they were emitted.
func (o *Out[R]) Emit(row R) {
	c := &o.core
	n := c.n
	if uint(n) >= uint(len(c.rows)) {
		c.grow()
	}
	c.rows[n] = row
	c.items[n] = c.slot.Cursor.Item
	c.n = n + 1
	c.slot.Cursor.Bytes += c.bytes
	if c.texts {
		c.text(n)
	}
}

// rowBytes is what an emitted row takes besides its columns: the item it belongs to, and event time and position in the host.
const rowBytes = 4 + 16

type outCore[R any] struct {
	slot    *engine.Slot
	name    string
	id      int
	layout  *row.Layout
	pass    passing
	writing *row.Writing
	bytes   int  // of a row in an answer, at most, without its texts
	texts   bool // rows have strings or byte slices
	rows    []R  // rows[:n] were emitted since Reset
	items   []uint32
	n       int
}

func (c *outCore[R]) Declare(s *engine.Slot, d engine.Declaration) error {
	layout, err := row.Of(reflect.TypeFor[R](), "value")
	if err != nil {
		return err
	}
	c.slot, c.name, c.layout, c.texts, c.bytes = s, d.Name, layout, layout.HasTexts(), layout.Bytes+rowBytes
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

// text accounts for the texts of an emitted row, and copies its byte slices.
func (c *outCore[R]) text(n int) {
	row := unsafe.Pointer(&c.rows[n])
	c.slot.Cursor.Bytes += c.layout.TextBytes(row)
	if c.layout.HasSlices() {
		c.layout.Own(&c.slot.Arena, row)
	}
}

const rowsMin = 64

func (c *outCore[R]) grow() {
	n := max(rowsMin, 2*len(c.rows))
	c.rows = append(make([]R, 0, n), c.rows...)[:n]
	c.items = append(make([]uint32, 0, n), c.items...)[:n]
}

func (c *outCore[R]) Reset() { c.n = 0 }

func (c *outCore[R]) Sections() int { return 1 }

func (c *outCore[R]) Flush(b *frame.Builder, done int) {
	if c.n == 0 {
		return
	}
	c.pass.check(c.slot, c.name)
	columns := len(c.writing.Schema)
	head := b.Open(abi.SectionBatch, c.id, abi.BatchSize, columns)
	b.PutU32(head, uint32(c.n))
	b.PutU32(head+4, uint32(columns))
	b.PutU32(head+8, uint32(columns))
	if c.identity(done) {
		b.PutU32(head+12, abi.BatchIdentity)
	} else {
		copy(frame.Array[uint32](b, head+16, c.n), c.items)
	}
	c.writing.Write(b, head+abi.BatchSize, row.Rows{At: unsafe.Pointer(unsafe.SliceData(c.rows)), Size: unsafe.Sizeof(c.rows[0]), N: c.n})
	b.Close()
}

// identity says whether row i belongs to item i, for all items that took effect.
func (c *outCore[R]) identity(done int) bool {
	if c.n != done {
		return false
	}
	for i, item := range c.items[:c.n] {
		if item != uint32(i) {
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
