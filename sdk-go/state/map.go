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
// operator.Date, operator.Decimal or a struct of these. A decimal in a key must be exactly a number of its column, in Get too. Entries
// are read and written one by one, so a map may be far larger than memory.
type Map[K comparable, V any] struct{ core mapCore[K, V] }

// Get is the value of an entry, or the zero value and false where there is none.
func (m *Map[K, V]) Get(key K) (V, bool) {
	return m.core.get(key)
}

// Edit is the value of an entry for changing it in place: it counts as written, and as the zero value where there was none. It is
// one look-up where Get and Set are two. The pointer is valid until the next call of a method of the map. A byte slice put there
// must not change later.
func (m *Map[K, V]) Edit(key K) *V { return m.core.edit(key) }

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
	cell    uint32
	hash    uint32 // of cell and key
	next    uint32 // of the same cell
	present bool
	changed bool // and the host does not know yet
}

type mapCore[K comparable, V any] struct {
	common
	cells   []mapCell // by key
	base    []pair[K, V]
	probe   K             // what is looked up: a parameter whose address is taken would be allocated
	entries []entry[K, V] // from 1 on; 0 stands for no entry
	index   index         // of entries, by cell and key
	touched []uint32      // keys in the order of their first entry
	changes changes
	scans   []*scan[K, V] // not in use
	bytes   int           // of a change in an answer, at most, without texts and lists

	keyLayout, valueLayout   *row.Layout
	keyReading, valueReading *row.Reading
	keyWriting, valueWriting *row.Writing
}

func (c *mapCore[K, V]) Declare(s *engine.Slot, d engine.Declaration) error {
	keyOptions, valueOptions := mapOptions[K, V](d.Options)
	key, err := row.Of(reflect.TypeFor[K](), "key", keyOptions)
	if err != nil {
		return err
	}
	if !key.Ordered() {
		return errors.New("the key of a map is bool, a whole number, string, Timestamp, Date, Decimal or a struct of these")
	}
	value, err := valueLayout[V](valueOptions)
	if err != nil {
		return err
	}
	c.keyLayout, c.keyReading, c.keyWriting = key, key.Exact(), key.Plain()
	c.valueLayout, c.valueReading, c.valueWriting = value, value.Exact(), value.Plain()
	c.bytes = changeBytes + key.Bytes + value.Bytes
	return c.declare(s, d, s.AddState(c), false)
}

// mapOptions are the options of the tag for the key and for the value of a map: what it says of decimals is for those of the two that
// are some.
func mapOptions[K, V any](options map[string]string) (key, value map[string]string) {
	if !row.Decimals(reflect.TypeFor[K]()) {
		return nil, options
	}
	if !row.Decimals(reflect.TypeFor[V]()) {
		return options, nil
	}
	return options, options
}

func (c *mapCore[K, V]) Bind() abi.BindState {
	return abi.BindState{
		Name: c.name, Kind: "map", Scope: abi.ScopeKey, Key: c.keyLayout.Schema(), Value: c.valueLayout.Schema(), TTLms: c.ttl,
	}
}

func (c *mapCore[K, V]) Load(keys int, section frame.Section) {
	c.cells = resize(c.cells, keys)
	c.edited = nil
	c.base = c.base[:0]
	for i := range c.entries {
		if i > 0 {
			c.index.remove(c.entries[i].hash, uint32(i))
		}
	}
	c.entries = append(c.entries[:0], entry[K, V]{})
	c.touched = c.touched[:0]
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
	c.decode(c.base)
}

// decode decodes the columns to pairs.
func (c *mapCore[K, V]) decode(pairs []pair[K, V]) {
	if len(pairs) == 0 {
		return
	}
	size, keys := unsafe.Sizeof(pairs[0]), len(c.keyLayout.Fields)
	c.keyReading.Read(c.columns[:keys], 0, len(pairs), unsafe.Pointer(&pairs[0].key), size, &c.slot.Arena)
	c.valueReading.Read(c.columns[keys:], 0, len(pairs), unsafe.Pointer(&pairs[0].value), size, &c.slot.Arena)
}

func (c *mapCore[K, V]) compare(a, b *K) int {
	return c.keyLayout.Compare(unsafe.Pointer(a), unsafe.Pointer(b))
}

// settled settles what was edited; every use of the map does, before anything else.
func (c *mapCore[K, V]) settled() {
	if c.edited != nil {
		c.settle(c.valueLayout)
	}
}

// hash is that of a key in a cell, which becomes the probe. It differs from frame to frame, so that nobody can choose keys that
// collide.
func (c *mapCore[K, V]) hash(cell uint32, key K) uint32 {
	c.settled()
	c.probe = key
	return c.keyLayout.Hash(c.slot.Frame.Seed, cell, unsafe.Pointer(&c.probe))
}

// find is the entry of the probe in a cell, 0 where there is none.
func (c *mapCore[K, V]) find(cell, hash uint32) uint32 {
	for at := c.index.first(hash); ; at = c.index.next(at) {
		i := c.index.slots[at]
		if i == 0 {
			return 0
		}
		if e := &c.entries[i]; e.hash == hash && e.cell == cell && e.key == c.probe {
			return i
		}
	}
}

func (c *mapCore[K, V]) get(key K) (V, bool) {
	at := c.slot.Cursor.Key
	hash := c.hash(at, key)
	if i := c.find(at, hash); i > 0 {
		return c.entries[i].value, c.entries[i].present
	}
	return c.read(hash)
}

// read is the value that the current key's entry of the probe has before the frame. What the host is asked for becomes an entry.
func (c *mapCore[K, V]) read(hash uint32) (value V, found bool) {
	cell := &c.cells[c.slot.Cursor.Key]
	switch {
	case cell.cleared || cell.status == absent:
		return value, false
	case cell.status == ask:
		e := &c.entries[c.add(hash)]
		block, found := c.ask(c.block(unsafe.Pointer(&e.key), 1))
		if e.present = found; found {
			c.columns = block.Columns(c.columns[:0], abi.BlockSize, int(block.U32(8)))
			c.valueReading.Read(c.columns, 0, 1, unsafe.Pointer(&e.value), unsafe.Sizeof(*e), &c.slot.Arena)
		}
		return e.value, e.present
	}
	base := c.base[cell.from:cell.to]
	i, found := slices.BinarySearchFunc(base, c, func(p pair[K, V], c *mapCore[K, V]) int { return c.compare(&p.key, &c.probe) })
	if found {
		value = base[i].value
	}
	return value, found
}

// add adds an entry for the probe to the current key's.
func (c *mapCore[K, V]) add(hash uint32) uint32 {
	at := c.slot.Cursor.Key
	cell := &c.cells[at]
	if !cell.touched {
		cell.touched = true
		c.touched = append(c.touched, at)
	}
	i := uint32(len(c.entries))
	c.entries = append(c.entries, entry[K, V]{pair: pair[K, V]{key: c.probe}, cell: at, hash: hash, next: cell.first})
	if c.index.full(len(c.entries)) {
		c.index.grow()
		for j := 1; j < len(c.entries)-1; j++ {
			c.index.add(c.entries[j].hash, uint32(j))
		}
	}
	c.index.add(hash, i)
	cell.first = i
	c.slot.Cursor.Bytes += c.bytes
	if c.keyLayout.HoldsMemory() {
		c.own(c.keyLayout, unsafe.Pointer(&c.entries[i].key))
	}
	return i
}

// edit is the value of the current key's entry, marked as written.
func (c *mapCore[K, V]) edit(key K) *V {
	at := c.slot.Cursor.Key
	hash := c.hash(at, key)
	i := c.find(at, hash)
	if i == 0 {
		before := uint32(len(c.entries))
		value, _ := c.read(hash)
		if i = before; i == uint32(len(c.entries)) {
			c.add(hash)
		}
		c.entries[i].value = value
	}
	e := &c.entries[i]
	e.present, e.changed = true, true
	if c.valueLayout.HasDecimals() {
		c.common.edit(unsafe.Pointer(&e.value))
	}
	return &e.value
}

// put is the entry for a change of the current key's map.
func (c *mapCore[K, V]) put(key K) *entry[K, V] {
	at := c.slot.Cursor.Key
	hash := c.hash(at, key)
	i := c.find(at, hash)
	if i == 0 {
		i = c.add(hash)
	}
	e := &c.entries[i]
	e.changed = true
	return e
}

func (c *mapCore[K, V]) set(key K, value V) {
	e := c.put(key)
	e.value, e.present = value, true
	if owns(c.valueLayout) {
		c.own(c.valueLayout, unsafe.Pointer(&e.value))
	}
}

func (c *mapCore[K, V]) delete(key K) {
	e := c.put(key)
	var none V
	e.value, e.present = none, false
}

func (c *mapCore[K, V]) clear() {
	c.settled()
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
	c.builder.StartBlock(n, len(c.keyWriting.Schema))
	c.refuse(c.keyWriting.Write(&c.builder, abi.BlockSize, row.Rows{At: keys, Size: unsafe.Sizeof(key), N: n}))
	return c.builder.FinishBlock()
}

func (c *mapCore[K, V]) Flush(b *frame.Builder) {
	c.settled()
	changes := &c.changes
	changes.reset(len(c.touched) + len(c.entries))
	for _, key := range c.touched {
		cell := &c.cells[key]
		if cell.clearing {
			cell.clearing = false
			changes.add(key, 0, abi.OpClearAll)
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
			changes.add(key, i, op)
		}
	}
	if changes.n == 0 {
		return
	}
	nodes := c.openChanges(b, abi.StateMap, changes, c.keyWriting, c.valueWriting)
	rows := row.Rows{
		At: unsafe.Pointer(&c.entries[0].key), Size: unsafe.Sizeof(c.entries[0]), N: changes.n, Index: changes.rows[:changes.n],
	}
	c.refuse(c.keyWriting.Write(b, nodes, rows))
	rows.At = unsafe.Pointer(&c.entries[0].value)
	c.refuse(c.valueWriting.Write(b, nodes+c.keyWriting.Nodes*abi.NodeSize, rows))
	b.Close()
}
