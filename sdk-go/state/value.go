package state

import (
	"unsafe"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
	"github.com/tidemill/tidemill/sdk-go/internal/engine"
	"github.com/tidemill/tidemill/sdk-go/internal/frame"
	"github.com/tidemill/tidemill/sdk-go/internal/row"
)

// Value is a state of one value a key.
//
// Get and Edit are small enough to be inlined into the user's code, which saves most of their cost in a module: there a call takes
// ten nanoseconds. That is why the cells stand here and not in the core, and why the rare case goes through a func.
type Value[T any] struct {
	core  valueCore[T]
	at    *engine.Cursor
	cells []cell[T] // by key
	asks  bool      // cells must be loaded: some did not come with the frame, or they have decimals
	load  func()    // loads the current key's cell
}

type cell[T any] struct {
	value  T // zero where there is none
	status uint8
}

// The status of a cell: whether it has a value, must be asked for, was changed by the frame.
const (
	absent  = abi.StatusAbsent
	present = abi.StatusInline
	ask     = abi.StatusAsk
	dirty   = 4
	written = present | dirty
)

// Get is the value, the zero value where there is none.
func (v *Value[T]) Get() T {
	if v.asks {
		v.load()
	}
	return v.cells[v.at.Key].value
}

// Has says whether there is a value.
func (v *Value[T]) Has() bool {
	if v.asks {
		v.load()
	}
	return v.cells[v.at.Key].status&present != 0
}

// Edit is the value for changing it in place: it counts as written, and as the zero value where there was none. The pointer is
// valid until the handler returns. A byte slice or list put there must not change later.
func (v *Value[T]) Edit() *T {
	c := &v.cells[v.at.Key]
	if v.asks {
		v.load()
	}
	c.status = written
	return &c.value
}

// Set sets the value. Setting an equal value is a write.
func (v *Value[T]) Set(value T) {
	if v.core.owns {
		v.core.set(value)
		return
	}
	c := &v.cells[v.at.Key]
	c.value = value
	c.status = written
}

// Clear removes the value.
func (v *Value[T]) Clear() {
	v.core.settle()
	v.cells[v.at.Key] = cell[T]{status: dirty}
}

type valueCore[T any] struct {
	common
	value   *Value[T] // that this is the core of
	changes changes   // in Flush, rows being keys
	owns    bool      // what is written goes through own
	layout  *row.Layout
	reading *row.Reading
	writing *row.Writing
}

func (c *valueCore[T]) Declare(s *engine.Slot, d engine.Declaration) error {
	layout, err := valueLayout[T](d.Options)
	if err != nil {
		return err
	}
	c.layout, c.reading, c.writing, c.owns = layout, layout.Exact(), layout.Plain(), owns(layout)
	c.value = (*Value[T])(unsafe.Pointer(c))
	c.value.at, c.value.load = &s.Cursor, c.load
	return c.declare(s, d, s.AddState(c), true)
}

func (c *valueCore[T]) Bind() abi.BindState {
	return abi.BindState{Name: c.name, Kind: "value", Scope: abi.ScopeKey, Value: c.layout.Schema(), TTLms: c.ttl}
}

func (c *valueCore[T]) load() {
	cell := &c.value.cells[c.value.at.Key]
	if c.layout.HasDecimals() {
		c.settle()
		c.edit(unsafe.Pointer(cell)) // Get and Edit both come here
	}
	if cell.status != ask {
		return
	}
	cell.status = absent
	if block, found := c.ask(nil); found {
		cell.status = present
		c.columns = block.Columns(c.columns[:0], abi.BlockSize, int(block.U32(8)))
		c.reading.Read(c.columns, 0, 1, unsafe.Pointer(cell), unsafe.Sizeof(*cell), &c.slot.Arena)
	}
}

// settle does what common.settle does, where the value has been written.
func (c *valueCore[T]) settle() {
	if c.edited != nil && (*cell[T])(c.edited).status&dirty != 0 {
		c.common.settle(c.layout)
	}
}

func (c *valueCore[T]) set(value T) {
	c.settle()
	cell := &c.value.cells[c.value.at.Key]
	cell.value = value
	cell.status = written
	c.own(c.layout, unsafe.Pointer(cell))
}

func (c *valueCore[T]) Load(keys int, section frame.Section) {
	v := c.value
	c.edited = nil
	if keys > cap(v.cells) {
		v.cells = make([]cell[T], max(keys, 2*cap(v.cells)))
	}
	v.cells = v.cells[:keys]
	v.asks = c.layout.HasDecimals() && keys > 0
	cells := v.cells
	if keys == 0 {
		return
	}
	if !section.Present() {
		v.asks = true
		for i := range cells {
			cells[i] = cell[T]{status: ask}
		}
		return
	}
	c.columns = section.Columns(c.columns[:0], abi.StateSize, int(section.U32(12)))
	c.reading.Read(c.columns, 0, keys, unsafe.Pointer(unsafe.SliceData(cells)), unsafe.Sizeof(cells[0]), &c.slot.Arena)
	statuses := frame.Slice[uint8](section, 16, len(cells))
	if allPresent(statuses) {
		for i := range cells {
			cells[i].status = present
		}
		return
	}
	for i, status := range statuses {
		cells[i].status = status
		if status == present {
			continue
		}
		cells[i] = cell[T]{status: status}
		if status == ask {
			v.asks = true
		}
	}
}

// allPresent says whether all cells have a value, as they mostly do. It looks at eight at a time.
func allPresent(statuses []uint8) bool {
	const eight = present * 0x0101010101010101
	for ; len(statuses) >= 8; statuses = statuses[8:] {
		if *(*uint64)(unsafe.Pointer(unsafe.SliceData(statuses))) != eight {
			return false
		}
	}
	for _, status := range statuses {
		if status != present {
			return false
		}
	}
	return true
}

func (c *valueCore[T]) Flush(b *frame.Builder) {
	c.settle()
	cells, changes := c.value.cells, &c.changes
	changes.reset(len(cells))
	keys, n, clears := changes.keys, 0, 0
	for i := range cells { // without branches: a jump is dear in a module
		status := cells[i].status
		keys[n] = uint32(i)
		changed := int(status / dirty)
		n += changed
		clears += changed &^ int(status)
	}
	if changes.n = n; n == 0 {
		return
	}
	keys = keys[:n]
	fill(changes.ops[:n], abi.OpSet)
	if clears > 0 {
		for i, k := range keys {
			if cells[k].status == dirty {
				changes.ops[i] = abi.OpClear
			}
		}
	}
	nodes := c.openChanges(b, abi.StateValue, changes, c.writing)
	rows := row.Rows{At: unsafe.Pointer(unsafe.SliceData(cells)), Size: unsafe.Sizeof(cells[0]), N: n}
	if n < len(cells) {
		rows.Index = keys
	}
	c.refuse(c.writing.Write(b, nodes, rows))
	b.Close()
}

// fill sets all bytes, by copies of doubling length, which take the place of a loop in a module.
func fill(b []uint8, v uint8) {
	if len(b) == 0 {
		return
	}
	b[0] = v
	for n := 1; n < len(b); n *= 2 {
		copy(b[n:], b[:n])
	}
}
