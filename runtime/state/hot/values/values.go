package values

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
	"github.com/tidemill/tidemill/runtime/state/cells"
	"github.com/tidemill/tidemill/runtime/state/hot/table"
)

// A value's cell is a header, the key, the row.
const valueKeyAt = 8

// Table is the table of a value state. It implements table.Table.
type Table struct {
	schema  table.Schema
	beneath *table.Beneath
	cells   cells.Ledger
	index   cells.Index
	count   table.Count
	row     []byte
	wordLen int // length of a row of one field of 8 bytes, as it is written now

	// refs is the cells of the keys of the last load (0 where there is none), so that changes need not look for them again.
	// Every one of them is live: who frees a cell that it may hold sets it right or empties it.
	refs   []cells.Ref
	loaded *record.KeySet // whose keys refs are probably for

	touched cells.Header // keeps the reads of apply from being optimised away
}

// New makes an empty table.
func New(schema table.Schema, beneath *table.Beneath) *Table {
	return &Table{schema: schema, beneath: beneath}
}

func valueUnits(cell []byte) uint32 {
	h := cells.HeaderOf(cell)
	return cells.Units(valueKeyAt + h.KeyLen() + h.RowLen())
}

func valueKey(cell []byte) []byte { return cell[valueKeyAt : valueKeyAt+cells.HeaderOf(cell).KeyLen()] }

func valueRow(cell []byte) []byte {
	h := cells.HeaderOf(cell)
	return cell[valueKeyAt+h.KeyLen() : valueKeyAt+h.KeyLen()+h.RowLen()]
}

// find returns the cell of a key, 0 where it has none.
func (t *Table) find(hash uint64, key []byte) (cells.Ref, cells.Cursor) {
	ref, at := t.index.Find(hash)
	for ; ref != 0; ref = t.index.Next(&at) {
		if bytes.Equal(valueKey(t.cells.At(ref)), key) {
			return ref, at
		}
	}
	return 0, at
}

// resolve finds the cells of all keys into t.refs.
func (t *Table) resolve(keys *record.KeySet) {
	t.loaded = keys
	t.refs = slices.Grow(t.refs[:0], keys.N)[:keys.N]
	if t.index.Len() == 0 {
		clear(t.refs)
		return
	}
	var refs [cells.Block]cells.Ref
	var headers [cells.Block]cells.Header
	for from := 0; from < keys.N; from += cells.Block {
		to := min(from+cells.Block, keys.N)
		t.index.FindAll(keys.Hash[from:to], &refs)
		for i, ref := range refs[:to-from] {
			headers[i] = cells.HeaderOf(t.cells.At(ref))
		}
		for i, ref := range refs[:to-from] {
			if ref != 0 && !t.isKey(ref, headers[i], keys.Key(from+i)) {
				ref, _ = t.find(keys.Hash[from+i], keys.Key(from+i))
			}
			t.refs[from+i] = ref
		}
	}
}

// fetch brings the cells of keys that are not in memory up from the store, and marks the others as used.
func (t *Table) fetch(keys *record.KeySet) error {
	t.index.Mark(keys.Hash)
	for k, ref := range t.refs {
		if ref != 0 {
			continue
		}
		ref, err := t.bring(keys.Hash[k], keys.Key(k))
		if err != nil {
			return err
		}
		t.refs[k] = ref
	}
	return nil
}

// bring makes a clean cell of what the store has for a key, be it nothing.
func (t *Table) bring(hash uint64, key []byte) (cells.Ref, error) {
	row, found, err := t.beneath.Get(key, nil)
	if err != nil {
		return 0, err
	}
	h := cells.MakeHeader(len(key), len(row), 0)
	if found {
		h |= cells.Stored
	} else {
		h |= cells.Absent
	}
	ref, err := t.put(h, cells.Units(valueKeyAt+len(key)+len(row)), key, row)
	if err != nil {
		return 0, err
	}
	return ref, t.index.Insert(hash, ref)
}

// present returns the row of a cell, false where the cell says that there is none, or it has expired.
func (t *Table) present(ref cells.Ref) ([]byte, bool) {
	if ref == 0 {
		return nil, false
	}
	cell := t.cells.At(ref)
	h := cells.HeaderOf(cell)
	row := cell[valueKeyAt+h.KeyLen() : valueKeyAt+h.KeyLen()+h.RowLen()]
	return row, h&cells.Absent == 0 && !t.schema.Life.Over(row)
}

// isKey says whether a cell with header h is the one of a key.
func (t *Table) isKey(ref cells.Ref, h cells.Header, key []byte) bool {
	if h.KeyLen() != len(key) {
		return false
	}
	stored := t.cells.At(ref)[valueKeyAt:]
	if len(key) == 9 { // one integer
		return binary.LittleEndian.Uint64(stored) == binary.LittleEndian.Uint64(key) && stored[8] == key[8]
	}
	return bytes.Equal(stored[:len(key)], key)
}

// Declare implements table.Table.
func (t *Table) Declare(d state.Decl) error {
	t.wordLen = state.WordLen
	if d.TTL > 0 {
		t.wordLen += state.ExpiryLen
	}
	return t.schema.Declare(d)
}

// Load implements table.Table.
func (t *Table) Load(keys *record.KeySet, limit int, dst *state.Cells) error {
	t.schema.Prepare(keys.N, dst)
	dst.Start = nil
	t.resolve(keys)
	if t.beneath != nil {
		if err := t.fetch(keys); err != nil {
			return err
		}
	}
	if t.schema.Codec.Word() && limit >= state.WordLen+state.ExpiryLen {
		return t.loadWords(dst)
	}
	for k, ref := range t.refs {
		row, ok := t.present(ref)
		if !ok {
			dst.Status[k] = state.Absent
			state.AppendAbsent(dst.Columns)
			continue
		}
		if len(row) > limit {
			dst.Status[k] = state.Ask
			state.AppendAbsent(dst.Columns)
			continue
		}
		dst.Status[k] = state.Inline
		if err := t.schema.Codec.Decode(row, dst.Columns); err != nil {
			return err
		}
	}
	return nil
}

// loadWords is load for rows of one field of 8 bytes.
func (t *Table) loadWords(dst *state.Cells) error {
	c := &dst.Columns[0]
	c.Values = slices.Grow(c.Values, 8*len(t.refs))
	for k, ref := range t.refs {
		row, ok := t.present(ref)
		if !ok {
			dst.Status[k] = state.Absent
			c.AppendNull()
			continue
		}
		dst.Status[k] = state.Inline
		if word, ok := state.WordOf(row); ok {
			c.AppendWord(word)
		} else if err := t.schema.Codec.Decode(row, dst.Columns); err != nil {
			return err
		}
	}
	return nil
}

// Get implements table.Table.
func (t *Table) Get(hash uint64, key, _ []byte, dst []record.Column) (bool, error) {
	ref, _ := t.find(hash, key)
	if ref == 0 && t.beneath != nil {
		var err error
		if ref, err = t.bring(hash, key); err != nil {
			return false, err
		}
	}
	row, ok := t.present(ref)
	if !ok {
		return false, nil
	}
	return true, t.schema.Codec.Decode(row, dst)
}

// Apply implements table.Table.
func (t *Table) Apply(keys *record.KeySet, c *state.Changes) error {
	t.cells.Drain()
	if t.loaded != keys || len(t.refs) != keys.N {
		t.resolve(keys)
	}
	var headers [cells.Block]cells.Header
	for from := 0; from < len(c.Key); from += cells.Block {
		to := min(from+cells.Block, len(c.Key))
		// The cells have left the first caches since the load: read them all, so that the misses overlap.
		for i, k := range c.Key[from:to] {
			if int(k) < len(t.refs) && t.refs[k] != 0 {
				headers[i] = cells.HeaderOf(t.cells.At(t.refs[k]))
			}
		}
		for i := from; i < to; i++ {
			if err := t.change(keys, c, i); err != nil {
				return err
			}
		}
	}
	t.touched = headers[0]
	return nil
}

// change makes one change.
func (t *Table) change(keys *record.KeySet, c *state.Changes, i int) error {
	k := int(c.Key[i])
	switch c.Op[i] {
	case state.OpSet:
		if t.schema.Codec.Word() && c.Columns[0].Nulls == 0 && t.setWord(keys.Key(k), c.Columns[0].Word(i), k) {
			return nil
		}
		t.row = t.schema.Life.Stamp(t.schema.Codec.Append(t.row[:0], c.Columns, i))
		return t.set(keys.Hash[k], keys.Key(k), t.row, k)
	case state.OpClear:
		return t.clear(keys.Hash[k], keys.Key(k), k)
	}
	return table.BadOp(c.Op[i], t.schema.Space)
}

// setWord is set for a row of one field of 8 bytes in the commonest case: the cell is known, has such a row, and is not frozen.
func (t *Table) setWord(key []byte, word uint64, k int) bool {
	if k >= len(t.refs) || t.refs[k] == 0 {
		return false
	}
	ref := t.refs[k]
	cell := t.cells.At(ref)
	h := cells.HeaderOf(cell)
	if h.RowLen() != t.wordLen || h&cells.Absent != 0 || !t.isKey(ref, h, key) {
		return false
	}
	if gen := t.cells.Gen(); h.Gen() != gen {
		if t.cells.Frozen(h.Gen()) {
			return false
		}
		(cells.MakeHeader(len(key), t.wordLen, gen) | cells.Stored).Put(cell)
		t.cells.Dirty(ref, cells.Units(valueKeyAt+len(key)+t.wordLen))
	}
	if t.schema.Life.TTL > 0 {
		state.PutExpiringWord(cell[valueKeyAt+len(key):], word, t.schema.Life.Expiry())
	} else {
		state.PutWord(cell[valueKeyAt+len(key):], word)
	}
	return true
}

// known returns the cell of key k of the last key set, where t.refs knows it.
func (t *Table) known(key []byte, k int) cells.Ref {
	if k >= len(t.refs) {
		return 0
	}
	ref := t.refs[k]
	if ref == 0 || !t.isKey(ref, cells.HeaderOf(t.cells.At(ref)), key) {
		return 0
	}
	return ref
}

// moved keeps t.refs right when the cell of key k becomes another one, or none.
func (t *Table) moved(k int, from, to cells.Ref) {
	if k < len(t.refs) && t.refs[k] == from {
		t.refs[k] = to
		return
	}
	t.refs = t.refs[:0]
}

// set makes row the value of a key, which is number k of the key set.
func (t *Table) set(hash uint64, key, row []byte, k int) error {
	ref := t.known(key, k)
	if ref == 0 {
		ref, _ = t.find(hash, key)
	}
	h := cells.MakeHeader(len(key), len(row), t.cells.Gen())
	if ref == 0 {
		if err := t.beneath.Fits(&t.schema, key, nil); err != nil {
			return err
		}
		if t.beneath != nil {
			h |= cells.Stored // for all that is known
		}
		t.count.Add(1, len(key)+len(row))
		return t.insert(hash, h, key, row, k)
	}
	if old := cells.HeaderOf(t.cells.At(ref)); old&cells.Absent != 0 {
		t.count.Add(1, len(key)+len(row))
	} else {
		t.count.Add(0, len(row)-old.RowLen())
	}
	return t.write(hash, ref, h, row, k)
}

// insert makes a cell for a key that has none.
func (t *Table) insert(hash uint64, h cells.Header, key, row []byte, k int) error {
	ref, err := t.put(h, cells.Units(valueKeyAt+len(key)+len(row)), key, row)
	if err != nil {
		return err
	}
	t.moved(k, 0, ref)
	return t.index.Insert(hash, ref)
}

// write gives the cell of a key a new header and row: in place, or where it is frozen or of another size in a new cell.
func (t *Table) write(hash uint64, ref cells.Ref, h cells.Header, row []byte, k int) error {
	cell := t.cells.At(ref)
	old := cells.HeaderOf(cell)
	switch {
	case old.Gen() == h.Gen():
		h |= old & cells.Stored
	case old&cells.Absent == 0:
		h |= cells.Stored
	}
	if h&cells.Absent != 0 {
		h &^= cells.Stored // its deletion has been noted
	}
	n := valueKeyAt + old.KeyLen()
	units, oldUnits := cells.Units(n+len(row)), cells.Units(n+old.RowLen())
	if oldUnits != units || t.cells.Frozen(old.Gen()) {
		to, err := t.put(h, units, cell[valueKeyAt:n], row)
		if err != nil {
			return err
		}
		t.index.Replace(hash, ref, to)
		t.moved(k, ref, to)
		t.cells.Drop(ref, old, oldUnits)
		return nil
	}
	if old.Gen() != h.Gen() {
		t.cells.Dirty(ref, units)
	}
	h.Put(cell)
	copy(cell[n:], row)
	return nil
}

// put writes a new cell.
func (t *Table) put(h cells.Header, units uint32, key, row []byte) (cells.Ref, error) {
	ref, err := t.cells.Alloc(units)
	if err != nil {
		return 0, err
	}
	cell := t.cells.At(ref)
	h.Put(cell)
	copy(cell[valueKeyAt:], key)
	copy(cell[valueKeyAt+len(key):], row)
	if h.Gen() > 0 {
		t.cells.Dirty(ref, units)
	}
	return ref, nil
}

// clear removes the value of a key, which is number k of the key set. Over a store, a cell stays that says so.
func (t *Table) clear(hash uint64, key []byte, k int) error {
	ref, at := t.find(hash, key)
	if ref == 0 {
		if t.beneath == nil {
			return nil
		}
		if err := t.beneath.Fits(&t.schema, key, nil); err != nil {
			return err
		}
		t.cells.Deleted(key, nil)
		return t.insert(hash, cells.MakeHeader(len(key), 0, t.cells.Gen())|cells.Absent, key, nil, k)
	}
	cell := t.cells.At(ref)
	h := cells.HeaderOf(cell)
	if h&cells.Absent != 0 {
		return nil
	}
	t.count.Add(-1, -len(key)-h.RowLen())
	if h.Gen() != t.cells.Gen() || h&cells.Stored != 0 {
		t.cells.Deleted(key, nil)
	}
	if t.beneath != nil {
		return t.write(hash, ref, cells.MakeHeader(len(key), 0, t.cells.Gen())|cells.Absent, nil, k)
	}
	t.index.Delete(at)
	t.moved(k, ref, 0)
	t.cells.Drop(ref, h, valueUnits(cell))
	return nil
}

// Restore implements table.Table.
func (t *Table) Restore(e *state.Entry, hash uint64) error {
	t.schema.Life.Restored(e.Value)
	if t.beneath != nil {
		if e.Deleted {
			return t.beneath.Delete(e.Key, nil)
		}
		return t.beneath.Put(e.Key, nil, e.Value)
	}
	if ref, at := t.find(hash, e.Key); ref != 0 {
		h := cells.HeaderOf(t.cells.At(ref))
		t.count.Add(-1, -len(e.Key)-h.RowLen())
		t.index.Delete(at)
		t.cells.Drop(ref, h, valueUnits(t.cells.At(ref)))
	}
	if e.Deleted {
		return nil
	}
	t.count.Add(1, len(e.Key)+len(e.Value))
	return t.insert(hash, cells.MakeHeader(len(e.Key), len(e.Value), 0), e.Key, e.Value, 0)
}

// Evict implements table.Table.
func (t *Table) Evict() {
	t.refs = t.refs[:0]
	t.index.Sweep(func(ref cells.Ref) bool {
		cell := t.cells.At(ref)
		h := cells.HeaderOf(cell)
		if !t.cells.Clean(h.Gen()) {
			return false
		}
		if h&cells.Absent == 0 {
			t.count.Add(-1, -h.KeyLen()-h.RowLen())
		}
		t.cells.Free(ref, valueUnits(cell))
		return true
	})
}

// Sweep implements table.Table. Over a store what is not clean stays: it masks what is beneath until it has been written there. A
// deletion is only noted where an older checkpoint may have another row, which need not have expired.
func (t *Table) Sweep() (last bool, err error) {
	left := table.SweepMost
	last = t.cells.Visit(valueUnits, func(ref cells.Ref, cell []byte) bool {
		h := cells.HeaderOf(cell)
		if h&cells.Absent != 0 || !t.schema.Life.Over(valueRow(cell)) || t.beneath != nil && !t.cells.Clean(h.Gen()) {
			return true
		}
		key := valueKey(cell)
		found, at := t.find(record.HashKey(key), key)
		if found != ref { // given back
			return true
		}
		if h.Gen() == t.cells.Gen() && h&cells.Stored != 0 {
			t.cells.Deleted(key, nil)
		}
		t.refs = t.refs[:0]
		t.count.Add(-1, -len(key)-h.RowLen())
		t.index.Delete(at)
		t.cells.Drop(ref, h, valueUnits(cell))
		t.schema.Life.Swept++
		left--
		return left > 0
	})
	return last, nil
}

// Lifetime implements table.Table.
func (t *Table) Lifetime() *table.Life { return &t.schema.Life }

// Clean implements table.Table.
func (t *Table) Clean() int64 { return t.cells.CleanBytes() }

// Changed implements table.Table.
func (t *Table) Changed() int64 { return t.cells.ChangedBytes() }

// Freeze implements table.Table.
func (t *Table) Freeze(base bool) (table.Frozen, error) {
	f, err := t.cells.Freeze(base)
	if err != nil {
		return nil, err
	}
	return &frozenValues{t.schema.Space, f, t.schema.Life.Cutoff(), base}, nil
}

// Release implements table.Table.
func (t *Table) Release() {
	t.cells.Release()
	if t.cells.Old() {
		t.cells.Renumber(valueUnits)
	}
}

// Counted implements table.Table.
func (t *Table) Counted() *table.Count { return &t.count }

// Held implements table.Table.
func (t *Table) Held() int64 { return t.cells.LedgerBytes() + t.index.Bytes() }

// frozenValues is a value state's part of a checkpoint.
type frozenValues struct {
	space state.Space
	cells *cells.Frozen
	at    table.Cutoff
	base  bool
}

// Space implements table.Frozen.
func (f *frozenValues) Space() state.Space { return f.space }

// Write implements table.Frozen.
func (f *frozenValues) Write(to state.Writer) error {
	if f.cells.Empty() {
		return nil
	}
	if err := to.Begin(f.space); err != nil {
		return err
	}
	if err := f.cells.Deleted.Each(to.Delete); err != nil {
		return err
	}
	return f.cells.Each(valueUnits, func(_ cells.Ref, cell []byte) error {
		h := cells.HeaderOf(cell)
		if h&cells.Absent != 0 || f.at.Over(valueRow(cell)) && (f.base || h&cells.Stored == 0) {
			return nil
		}
		return to.Put(valueKey(cell), nil, valueRow(cell))
	})
}
