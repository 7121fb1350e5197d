package state

import (
	"unsafe"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
	"github.com/tidemill/tidemill/sdk-go/internal/engine"
	"github.com/tidemill/tidemill/sdk-go/internal/frame"
	"github.com/tidemill/tidemill/sdk-go/internal/row"
)

// Value is a state of one value a key.
type Value[T any] struct{ core valueCore[T] }

// Get is the value, or the zero value and false where there is none.
func (v *Value[T]) Get() (T, bool) {
	k := v.core.cell()
	return v.core.cells[k], v.core.flags[k]&present != 0
}

// Set sets the value. Setting an equal value is a write.
func (v *Value[T]) Set(value T) {
	c := &v.core
	k := c.slot.Cursor.Key
	if uint64(k) >= uint64(len(c.flags)) {
		c.noKey()
	}
	c.touch(k)
	c.flags[k] = present | dirty
	c.cells[k] = value
	if c.variable {
		c.slot.Cursor.Bytes += c.layout.Own(&c.slot.Arena, unsafe.Pointer(&c.cells[k]))
	}
}

// Edit is the value for changing it in place: it counts as written, and as the zero value where there was none. The pointer is
// valid until the handler returns. A string or byte slice put there must not come from a range over a state, and must not change
// before the frame ends.
func (v *Value[T]) Edit() *T {
	c := &v.core
	k := c.cell()
	c.touch(k)
	c.flags[k] = present | dirty
	return &c.cells[k]
}

// Clear removes the value.
func (v *Value[T]) Clear() {
	c := &v.core
	k := c.slot.Cursor.Key
	if uint64(k) >= uint64(len(c.flags)) {
		c.noKey()
	}
	c.touch(k)
	c.flags[k] = dirty
	c.cells[k] = c.zero
}

type valueCore[T any] struct {
	common
	layout   *row.Layout
	reading  *row.Reading
	writing  *row.Writing
	bytes    int // of a change in an answer, at most, without texts
	variable bool
	zero     T
	cells    []T
	flags    []uint8
	changed  []uint32 // keys in the order of their first change
}

// changeBytes is what the key index and the operation of a change take.
const changeBytes = 4 + 1

func (c *valueCore[T]) Declare(s *engine.Slot, d engine.Declaration) error {
	layout, err := valueLayout[T]()
	if err != nil {
		return err
	}
	c.layout, c.reading, c.writing = layout, layout.Exact(), layout.Plain()
	c.bytes, c.variable = layout.Bytes+changeBytes, layout.Variable()
	c.id = s.AddState(c)
	return c.declare(s, d, true)
}

func (c *valueCore[T]) Bind() abi.BindState {
	return abi.BindState{Name: c.name, Kind: "value", Scope: abi.ScopeKey, Value: c.layout.Schema()}
}

// cell is the index of the current key, whose cell is loaded.
func (c *valueCore[T]) cell() uint32 {
	k := c.slot.Cursor.Key
	if uint64(k) >= uint64(len(c.flags)) || c.flags[k] == ask {
		c.ask(k)
	}
	return k
}

func (c *valueCore[T]) ask(k uint32) {
	if uint64(k) >= uint64(len(c.flags)) {
		c.noKey()
	}
	block, found := c.get(nil)
	c.flags[k] = absent
	if found {
		c.flags[k] = present
		c.columns = block.Columns(c.columns[:0], abi.BlockSize, int(block.U32(8)))
		c.reading.Read(c.columns, 0, 1, unsafe.Pointer(&c.cells[k]), unsafe.Sizeof(c.zero))
		c.layout.Own(&c.slot.Arena, unsafe.Pointer(&c.cells[k]))
	}
}

// touch notes the first change of a cell.
func (c *valueCore[T]) touch(k uint32) {
	if c.flags[k]&dirty == 0 {
		c.changed = append(c.changed, k)
		c.slot.Cursor.Bytes += c.bytes
	}
}

func (c *valueCore[T]) Load(keys int, section frame.Section) {
	c.changed = c.changed[:0]
	c.flags = reset(c.flags, keys, section)
	if keys > len(c.cells) {
		c.cells = make([]T, max(keys, 2*len(c.cells)))
	}
	cells := c.cells[:keys]
	if !section.Present() {
		clear(cells)
		return
	}
	c.columns = section.Columns(c.columns[:0], abi.StateSize, int(section.U32(12)))
	c.reading.Read(c.columns, 0, keys, unsafe.Pointer(unsafe.SliceData(cells)), unsafe.Sizeof(c.zero))
	for i, f := range c.flags {
		if f != present {
			cells[i] = c.zero
		}
	}
}

func (c *valueCore[T]) Flush(b *frame.Builder) {
	n := len(c.changed)
	if n == 0 {
		return
	}
	columns := len(c.writing.Schema)
	head := b.Open(abi.SectionState, c.id, abi.StateSize, columns)
	b.PutU32(head, uint32(n))
	b.PutU32(head+4, uint32(abi.StateValue))
	b.PutU32(head+8, uint32(columns))
	b.PutU32(head+12, uint32(columns))
	copy(frame.Array[uint32](b, head+16, n), c.changed)
	ops := frame.Array[uint8](b, head+20, n)
	for i, k := range c.changed {
		ops[i] = abi.OpSet
		if c.flags[k]&present == 0 {
			ops[i] = abi.OpClear
		}
	}
	rows := row.Rows{At: unsafe.Pointer(unsafe.SliceData(c.cells)), Size: unsafe.Sizeof(c.zero), N: n, Index: c.changed}
	c.writing.Write(b, head+abi.StateSize, rows)
	b.Close()
}
