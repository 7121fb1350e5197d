package state

import (
	"errors"
	"iter"
	"reflect"
	"slices"
	"unsafe"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
	"github.com/tidemill/tidemill/sdk-go/internal/engine"
	"github.com/tidemill/tidemill/sdk-go/internal/frame"
	"github.com/tidemill/tidemill/sdk-go/internal/row"
)

// Map is a state of entries by their own key K under each key of the input. K is bool, a whole number, string, operator.Timestamp,
// operator.Date or a struct of these. Entries are read and written one by one, so a map may be far larger than memory.
type Map[K comparable, V any] struct{ core mapCore[K, V] }

// Get is the value of an entry, or the zero value and false where there is none.
func (m *Map[K, V]) Get(key K) (V, bool) {
	return m.core.get(key)
}

// Set sets an entry.
func (m *Map[K, V]) Set(key K, value V) { m.core.set(key, value) }

// Delete removes an entry. Removing what is not there does nothing.
func (m *Map[K, V]) Delete(key K) { m.core.delete(key) }

// Clear removes all entries.
func (m *Map[K, V]) Clear() { m.core.clear() }

// All are the entries that are there when the loop begins, as they are then, in ascending order of their keys.
func (m *Map[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) { m.core.scan(bounds[K]{}, yield) }
}

// Backward is All in descending order.
func (m *Map[K, V]) Backward() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) { m.core.scan(bounds[K]{flags: abi.ScanDescending}, yield) }
}

// Range are the entries with keys from low on and before high, in ascending order.
func (m *Map[K, V]) Range(low, high K) iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		m.core.scan(bounds[K]{rows: [2]K{low, high}, flags: abi.ScanLow | abi.ScanHigh}, yield)
	}
}

// bounds of a scan: flags of the contract, and the low and high key where the flags name both.
type bounds[K any] struct {
	rows  [2]K
	flags uint32
}

// mapCell is the map of one key in a frame: entries [from, to) of the base that were there, and a chain of entries that the frame
// read or changed.
type mapCell struct {
	status   uint8 // absent, present or ask
	cleared  bool  // what was there is gone
	clearing bool  // and the host does not know yet
	touched  bool
	from, to uint32
	first    uint32 // entry, 0 = none
}

type pair[K comparable, V any] struct {
	key   K
	value V
}

// entry is an entry that the frame read or changed.
type entry[K comparable, V any] struct {
	pair[K, V]
	next    uint32 // of the same cell
	present bool
	changed bool // and the host does not know yet
}

type cellKey[K comparable] struct {
	cell uint32
	key  K
}

type mapCore[K comparable, V any] struct {
	common
	cells   []mapCell // by key
	base    []pair[K, V]
	probe   K             // what is looked up in base: a parameter whose address is taken would be allocated
	entries []entry[K, V] // from 1 on; 0 stands for no entry
	index   map[cellKey[K]]uint32
	touched []uint32 // keys in the order of their first entry
	keys    []uint32 // of the changes, in Flush
	rows    []uint32
	ops     []uint8
	scans   []*scan[K, V] // not in use
	bytes   int           // of a change in an answer, at most, without texts

	keyLayout, valueLayout   *row.Layout
	keyReading, valueReading *row.Reading
	keyWriting, valueWriting *row.Writing
}

func (c *mapCore[K, V]) Declare(s *engine.Slot, d engine.Declaration) error {
	key, err := row.Of(reflect.TypeFor[K](), "key")
	if err != nil {
		return err
	}
	if !key.Ordered() {
		return errors.New("the key of a map is bool, a whole number, string, Timestamp, Date or a struct of these")
	}
	value, err := valueLayout[V]()
	if err != nil {
		return err
	}
	c.keyLayout, c.keyReading, c.keyWriting = key, key.Exact(), key.Plain()
	c.valueLayout, c.valueReading, c.valueWriting = value, value.Exact(), value.Plain()
	c.bytes = changeBytes + key.Bytes + value.Bytes
	c.index = map[cellKey[K]]uint32{}
	return c.declare(s, d, s.AddState(c), false)
}

func (c *mapCore[K, V]) Bind() abi.BindState {
	return abi.BindState{
		Name: c.name, Kind: "map", Scope: abi.ScopeKey, Key: c.keyLayout.Schema(), Value: c.valueLayout.Schema(),
	}
}

func (c *mapCore[K, V]) Load(keys int, section frame.Section) {
	c.cells = resize(c.cells, keys)
	c.base = c.base[:0]
	c.entries = append(c.entries[:0], entry[K, V]{})
	c.touched = c.touched[:0]
	if len(c.index) > 0 {
		clear(c.index)
	}
	if keys == 0 {
		return
	}
	if !section.Present() {
		for i := range c.cells {
			c.cells[i] = mapCell{status: ask}
		}
		return
	}
	start := frame.Slice[uint32](section, 20, keys+1)
	for i, status := range frame.Slice[uint8](section, 16, keys) {
		c.cells[i] = mapCell{status: status, from: start[i], to: start[i+1]}
	}
	c.columns = section.Columns(c.columns[:0], abi.StateSize, int(section.U32(12)))
	c.base = grow(c.base, int(section.U32(24)))
	c.read(c.base)
}

// read decodes the columns to pairs.
func (c *mapCore[K, V]) read(pairs []pair[K, V]) {
	if len(pairs) == 0 {
		return
	}
	size, keys := unsafe.Sizeof(pairs[0]), len(c.keyLayout.Fields)
	c.keyReading.Read(c.columns[:keys], 0, len(pairs), unsafe.Pointer(&pairs[0].key), size)
	c.valueReading.Read(c.columns[keys:], 0, len(pairs), unsafe.Pointer(&pairs[0].value), size)
}

func (c *mapCore[K, V]) compare(a, b *K) int {
	return c.keyLayout.Compare(unsafe.Pointer(a), unsafe.Pointer(b))
}

func (c *mapCore[K, V]) get(key K) (value V, found bool) {
	at := c.slot.Cursor.Key
	cell := &c.cells[at]
	if i := c.index[cellKey[K]{at, key}]; i > 0 {
		return c.entries[i].value, c.entries[i].present
	}
	switch {
	case cell.cleared || cell.status == absent:
		return value, false
	case cell.status == ask:
		e := &c.entries[c.add(key)]
		block, found := c.ask(c.block(unsafe.Pointer(&e.key), 1))
		if e.present = found; found {
			c.columns = block.Columns(c.columns[:0], abi.BlockSize, int(block.U32(8)))
			c.valueReading.Read(c.columns, 0, 1, unsafe.Pointer(&e.value), unsafe.Sizeof(*e))
		}
		return e.value, e.present
	}
	c.probe = key
	base := c.base[cell.from:cell.to]
	i, found := slices.BinarySearchFunc(base, c, func(p pair[K, V], c *mapCore[K, V]) int { return c.compare(&p.key, &c.probe) })
	if found {
		value = base[i].value
	}
	return value, found
}

// add adds an entry for the current key, with a copy of the map key.
func (c *mapCore[K, V]) add(key K) uint32 {
	at := c.slot.Cursor.Key
	cell := &c.cells[at]
	if !cell.touched {
		cell.touched = true
		c.touched = append(c.touched, at)
	}
	i := uint32(len(c.entries))
	c.entries = append(c.entries, entry[K, V]{pair: pair[K, V]{key: key}, next: cell.first})
	c.slot.Cursor.Bytes += c.bytes + c.keyLayout.Own(&c.slot.Arena, unsafe.Pointer(&c.entries[i].key))
	cell.first = i
	c.index[cellKey[K]{at, c.entries[i].key}] = i
	return i
}

// put is the entry for a change of the current key's map.
func (c *mapCore[K, V]) put(key K) *entry[K, V] {
	i := c.index[cellKey[K]{c.slot.Cursor.Key, key}]
	if i == 0 {
		i = c.add(key)
	}
	e := &c.entries[i]
	e.changed = true
	return e
}

func (c *mapCore[K, V]) set(key K, value V) {
	e := c.put(key)
	e.value, e.present = value, true
	c.slot.Cursor.Bytes += c.valueLayout.Own(&c.slot.Arena, unsafe.Pointer(&e.value))
}

func (c *mapCore[K, V]) delete(key K) {
	e := c.put(key)
	var none V
	e.value, e.present = none, false
}

func (c *mapCore[K, V]) clear() {
	at := c.slot.Cursor.Key
	cell := &c.cells[at]
	if !cell.touched {
		cell.touched = true
		c.touched = append(c.touched, at)
	}
	cell.cleared, cell.clearing = true, true
	c.slot.Cursor.Bytes += c.bytes
	var none V
	for i := cell.first; i > 0; i = c.entries[i].next {
		e := &c.entries[i]
		e.value, e.present, e.changed = none, false, false
	}
}

// block is the rows block of n map keys.
func (c *mapCore[K, V]) block(keys unsafe.Pointer, n int) []byte {
	var key K
	columns := len(c.keyWriting.Schema)
	c.builder.StartBlock(n, columns)
	c.keyWriting.Write(&c.builder, abi.BlockSize, row.Rows{At: keys, Size: unsafe.Sizeof(key), N: n})
	return c.builder.FinishBlock()
}

func (c *mapCore[K, V]) Flush(b *frame.Builder) {
	c.keys, c.rows, c.ops = c.keys[:0], c.rows[:0], c.ops[:0]
	for _, key := range c.touched {
		cell := &c.cells[key]
		if cell.clearing {
			cell.clearing = false
			c.change(key, 0, abi.OpClearAll)
		}
		for i := cell.first; i > 0; i = c.entries[i].next {
			e := &c.entries[i]
			if !e.changed {
				continue
			}
			e.changed = false
			op := uint8(abi.OpClear)
			if e.present {
				op = abi.OpSet
			}
			c.change(key, i, op)
		}
	}
	if len(c.keys) == 0 {
		return
	}
	keyColumns := len(c.keyWriting.Schema)
	nodes := c.openChanges(b, abi.StateMap, keyColumns+len(c.valueWriting.Schema), c.keys, c.ops)
	rows := row.Rows{At: unsafe.Pointer(&c.entries[0].key), Size: unsafe.Sizeof(c.entries[0]), N: len(c.rows), Index: c.rows}
	c.keyWriting.Write(b, nodes, rows)
	rows.At = unsafe.Pointer(&c.entries[0].value)
	c.valueWriting.Write(b, nodes+keyColumns*abi.NodeSize, rows)
	b.Close()
}

func (c *mapCore[K, V]) change(key, entry uint32, op uint8) {
	c.keys = append(c.keys, key)
	c.rows = append(c.rows, entry)
	c.ops = append(c.ops, op)
}
