package operator

import (
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
	if c.n == len(c.rows) {
		c.grow()
	}
	c.rows[c.n] = row
	c.items[c.n] = c.slot.Cursor.Item
	c.slot.Cursor.Bytes += c.bytes
	if c.variable {
		c.slot.Cursor.Bytes += c.layout.Own(&c.slot.Arena, unsafe.Pointer(&c.rows[c.n]))
	}
	c.n++
}

// rowBytes is what an emitted row takes besides its columns: the item it belongs to, and event time and position in the host.
const rowBytes = 4 + 16

type outCore[R any] struct {
	slot     *engine.Slot
	name     string
	id       int
	layout   *row.Layout
	writing  *row.Writing
	bytes    int // of a row in an answer, at most, without its texts
	variable bool
	rows     []R // rows[:n] were emitted since Reset
	items    []uint32
	n        int
}

func (c *outCore[R]) Declare(s *engine.Slot, d engine.Declaration) error {
	layout, err := row.Of(reflect.TypeFor[R](), "value")
	if err != nil {
		return err
	}
	c.slot, c.name, c.layout, c.variable, c.bytes = s, d.Name, layout, layout.Variable(), layout.Bytes+rowBytes
	c.id = s.AddOutput(c)
	return nil
}

func (c *outCore[R]) Name() string { return c.name }

func (c *outCore[R]) Bind(s *engine.Slot) (abi.BindOutput, error) {
	writing, err := c.layout.Output(s.Request.Inputs[0].Schema, s.Request.Key)
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
