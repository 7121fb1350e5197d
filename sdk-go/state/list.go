package state

import (
	"iter"
	"unsafe"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
	"github.com/tidemill/tidemill/sdk-go/internal/engine"
	"github.com/tidemill/tidemill/sdk-go/internal/frame"
	"github.com/tidemill/tidemill/sdk-go/internal/row"
)

// List is a state of any number of values a key, in the order in which they were appended. Appending reads nothing.
type List[T any] struct{ core listCore[T] }

// Append appends a value.
func (l *List[T]) Append(value T) { l.core.append(value) }

// All are the values that are there when the loop begins, with their indexes.
func (l *List[T]) All() iter.Seq2[int, T] { return l.core.all }

// Len is the number of values.
func (l *List[T]) Len() int {
	c := l.core.read()
	return int(c.to-c.from) + int(c.appended)
}

// Clear removes all values.
func (l *List[T]) Clear() { l.core.clear() }

// listCell is the list of one key in a frame: elements [from, to) that were there, then a chain of appended ones.
type listCell struct {
	status   uint8 // absent, present or ask
	cleared  bool  // by the frame
	touched  bool
	from, to uint32
	appended uint32
	first    uint32 // appended element, 0 = none
	last     uint32
}

type appended[T any] struct {
	value T
	next  uint32
}

type listCore[T any] struct {
	common
	cells    []listCell // by key
	elements []T
	appended []appended[T] // from 1 on; 0 stands for no value
	touched  []uint32      // keys in the order of their first change
	changes  changes
	bytes    int // of a change in an answer, at most, without texts and lists
	layout   *row.Layout
	reading  *row.Reading
	writing  *row.Writing
}

func (c *listCore[T]) Declare(s *engine.Slot, d engine.Declaration) error {
	layout, err := valueLayout[T](d.Options)
	if err != nil {
		return err
	}
	c.layout, c.reading, c.writing = layout, layout.Exact(), layout.Plain()
	c.bytes = changeBytes + layout.Bytes
	return c.declare(s, d, s.AddState(c), false)
}

func (c *listCore[T]) Bind() abi.BindState {
	return abi.BindState{Name: c.name, Kind: "list", Scope: abi.ScopeKey, Value: c.layout.Schema(), TTLms: c.ttl}
}

func (c *listCore[T]) Load(keys int, section frame.Section) {
	c.cells = resize(c.cells, keys)
	c.elements = c.elements[:0]
	c.appended = append(c.appended[:0], appended[T]{})
	c.touched = c.touched[:0]
	if keys == 0 {
		return
	}
	if !section.Present() {
		for i := range c.cells {
			c.cells[i] = listCell{status: ask}
		}
		return
	}
	start := frame.Slice[uint32](section, 20, keys+1)
	for i, status := range frame.Slice[uint8](section, 16, keys) {
		c.cells[i] = listCell{status: status, from: start[i], to: start[i+1]}
	}
	c.columns = section.Columns(c.columns[:0], abi.StateSize, int(section.U32(12)))
	c.extend(int(section.U32(24)))
}

// extend decodes n rows of the columns to the end of the elements.
func (c *listCore[T]) extend(n int) {
	from := len(c.elements)
	c.elements = grow(c.elements, n)
	if n > 0 {
		var element T
		c.reading.Read(c.columns, 0, n, unsafe.Pointer(&c.elements[from]), unsafe.Sizeof(element), &c.slot.Arena)
	}
}

// read is the current key's cell with its elements loaded.
func (c *listCore[T]) read() *listCell {
	cell := &c.cells[c.slot.Cursor.Key]
	if cell.status != ask {
		return cell
	}
	cell.status = present
	if block, found := c.ask(nil); found {
		cell.from = uint32(len(c.elements))
		c.columns = block.Columns(c.columns[:0], abi.BlockSize, int(block.U32(8)))
		c.extend(int(block.U32(0)))
		cell.to = uint32(len(c.elements))
	}
	return cell
}

func (c *listCore[T]) all(yield func(int, T) bool) {
	cell := *c.read()
	n := 0
	for i := cell.from; i < cell.to; i++ {
		if !yield(n, c.elements[i]) {
			return
		}
		n++
	}
	at := cell.first
	for range cell.appended {
		a := c.appended[at]
		if !yield(n, a.value) {
			return
		}
		n++
		at = a.next
	}
}

// touch is the current key's cell, which is about to change.
func (c *listCore[T]) touch() *listCell {
	key := c.slot.Cursor.Key
	cell := &c.cells[key]
	if !cell.touched {
		cell.touched = true
		c.touched = append(c.touched, key)
	}
	return cell
}

func (c *listCore[T]) append(value T) {
	cell := c.touch()
	at := uint32(len(c.appended))
	c.appended = append(c.appended, appended[T]{value: value})
	c.slot.Cursor.Bytes += c.bytes
	if owns(c.layout) {
		c.own(c.layout, unsafe.Pointer(&c.appended[at]))
	}
	if cell.appended == 0 {
		cell.first = at
	} else {
		c.appended[cell.last].next = at
	}
	cell.last = at
	cell.appended++
}

func (c *listCore[T]) clear() {
	c.touch()
	c.cells[c.slot.Cursor.Key] = listCell{status: absent, cleared: true, touched: true}
	c.slot.Cursor.Bytes += c.bytes
}

func (c *listCore[T]) Flush(b *frame.Builder) {
	changes := &c.changes
	changes.reset(len(c.touched) + len(c.appended))
	for _, key := range c.touched {
		cell := &c.cells[key]
		if cell.cleared {
			changes.add(key, 0, abi.OpClear)
		}
		at := cell.first
		for range cell.appended {
			changes.add(key, at, abi.OpAppend)
			at = c.appended[at].next
		}
	}
	if changes.n == 0 {
		return
	}
	nodes := c.openChanges(b, abi.StateList, changes, c.writing)
	c.refuse(c.writing.Write(b, nodes, row.Rows{
		At: unsafe.Pointer(unsafe.SliceData(c.appended)), Size: unsafe.Sizeof(c.appended[0]), N: changes.n, Index: changes.rows[:changes.n],
	}))
	b.Close()
}
