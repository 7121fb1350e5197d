package hot

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
	"github.com/tidemill/tidemill/runtime/state/cells"
)

// A value's cell is a header, the key, the row.
const valueKeyAt = 8

// values is the table of a value state.
type values struct {
	schema
	cells cells.Ledger
	index cells.Index
	count count
	row   []byte

	// refs is the cells of the keys of the last load (0 where there is none), so that changes need not look for them again.
	// Every one of them is live: who frees a cell that it may hold sets it right or empties it.
	refs   []cells.Ref
	loaded *record.KeySet // whose keys refs are probably for
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
func (t *values) find(hash uint64, key []byte) (cells.Ref, cells.Cursor) {
	ref, at := t.index.Find(hash)
	for ; ref != 0; ref = t.index.Next(&at) {
		if bytes.Equal(valueKey(t.cells.At(ref)), key) {
			return ref, at
		}
	}
	return 0, at
}

// resolve finds the cells of all keys into t.refs.
func (t *values) resolve(keys *record.KeySet) {
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

// isKey says whether a cell with header h is the one of a key.
func (t *values) isKey(ref cells.Ref, h cells.Header, key []byte) bool {
	if h.KeyLen() != len(key) {
		return false
	}
	stored := t.cells.At(ref)[valueKeyAt:]
	if len(key) == 9 { // one integer
		return binary.LittleEndian.Uint64(stored) == binary.LittleEndian.Uint64(key) && stored[8] == key[8]
	}
	return bytes.Equal(stored[:len(key)], key)
}

func (t *values) load(keys *record.KeySet, limit int, dst *state.Cells) error {
	t.prepare(keys.N, dst)
	dst.Start = nil
	t.resolve(keys)
	if t.codec.Word() && limit >= t.codec.FixedLen() {
		return t.loadWords(dst)
	}
	for k, ref := range t.refs {
		if ref == 0 {
			dst.Status[k] = state.Absent
			state.AppendAbsent(dst.Columns)
			continue
		}
		row := valueRow(t.cells.At(ref))
		if len(row) > limit {
			dst.Status[k] = state.Ask
			state.AppendAbsent(dst.Columns)
			continue
		}
		dst.Status[k] = state.Inline
		if err := t.codec.Decode(row, dst.Columns); err != nil {
			return err
		}
	}
	return nil
}

// loadWords is load for rows of one field of 8 bytes.
func (t *values) loadWords(dst *state.Cells) error {
	c := &dst.Columns[0]
	c.Values = slices.Grow(c.Values, 8*len(t.refs))
	for k, ref := range t.refs {
		if ref == 0 {
			dst.Status[k] = state.Absent
			c.AppendNull()
			continue
		}
		dst.Status[k] = state.Inline
		row := valueRow(t.cells.At(ref))
		if word, ok := state.WordOf(row); ok {
			c.AppendWord(word)
		} else if err := t.codec.Decode(row, dst.Columns); err != nil {
			return err
		}
	}
	return nil
}

func (t *values) get(hash uint64, key, _ []byte, dst []record.Column) (bool, error) {
	ref, _ := t.find(hash, key)
	if ref == 0 {
		return false, nil
	}
	return true, t.codec.Decode(valueRow(t.cells.At(ref)), dst)
}

func (t *values) apply(keys *record.KeySet, c *state.Changes) error {
	t.cells.Drain()
	if t.loaded != keys || len(t.refs) != keys.N {
		t.resolve(keys)
	}
	for i, k := range c.Key {
		var err error
		switch c.Op[i] {
		case state.OpSet:
			t.row = t.codec.Append(t.row[:0], c.Columns, i)
			err = t.set(keys.Hash[k], keys.Key(int(k)), t.row, int(k))
		case state.OpClear:
			t.clear(keys.Hash[k], keys.Key(int(k)), int(k))
		default:
			err = badOp(c.Op[i], t.space)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// known returns the cell of key k of the last key set, where t.refs knows it.
func (t *values) known(key []byte, k int) cells.Ref {
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
func (t *values) moved(k int, from, to cells.Ref) {
	if k < len(t.refs) && t.refs[k] == from {
		t.refs[k] = to
		return
	}
	t.refs = t.refs[:0]
}

// set makes row the value of a key, which is number k of the key set.
func (t *values) set(hash uint64, key, row []byte, k int) error {
	gen := t.cells.Gen()
	h := cells.MakeHeader(len(key), len(row), gen)
	units := cells.Units(valueKeyAt + len(key) + len(row))
	ref := t.known(key, k)
	if ref == 0 {
		ref, _ = t.find(hash, key)
	}
	if ref == 0 {
		t.count.add(1, len(key)+len(row))
		ref, err := t.put(h, units, key, row)
		if err != nil {
			return err
		}
		t.moved(k, 0, ref)
		return t.index.Insert(hash, ref)
	}
	cell := t.cells.At(ref)
	old := cells.HeaderOf(cell)
	t.count.add(0, len(row)-old.RowLen())
	if old.Gen() == gen {
		h |= old & cells.Stored
	} else {
		h |= cells.Stored
	}
	oldUnits := cells.Units(valueKeyAt + len(key) + old.RowLen())
	if oldUnits != units || t.cells.Frozen(old.Gen()) {
		to, err := t.put(h, units, key, row)
		if err != nil {
			return err
		}
		t.index.Replace(hash, ref, to)
		t.moved(k, ref, to)
		t.cells.Drop(ref, old, oldUnits)
		return nil
	}
	if old.Gen() != gen {
		t.cells.Dirty(ref)
	}
	h.Put(cell)
	copy(cell[valueKeyAt+len(key):], row)
	return nil
}

// put writes a new cell.
func (t *values) put(h cells.Header, units uint32, key, row []byte) (cells.Ref, error) {
	ref, err := t.cells.Alloc(units)
	if err != nil {
		return 0, err
	}
	cell := t.cells.At(ref)
	h.Put(cell)
	copy(cell[valueKeyAt:], key)
	copy(cell[valueKeyAt+len(key):], row)
	if h.Gen() > 0 {
		t.cells.Dirty(ref)
	}
	return ref, nil
}

func (t *values) clear(hash uint64, key []byte, k int) {
	ref, at := t.find(hash, key)
	if ref == 0 {
		return
	}
	cell := t.cells.At(ref)
	h := cells.HeaderOf(cell)
	t.count.add(-1, -len(key)-h.RowLen())
	if h.Gen() != t.cells.Gen() || h&cells.Stored != 0 {
		t.cells.Deleted(key, nil)
	}
	t.index.Delete(at)
	t.moved(k, ref, 0)
	t.cells.Drop(ref, h, valueUnits(cell))
}

func (t *values) restore(e *state.Entry, hash uint64) error {
	ref, at := t.find(hash, e.Key)
	if ref != 0 {
		cell := t.cells.At(ref)
		t.count.add(-1, -len(e.Key)-cells.HeaderOf(cell).RowLen())
		t.index.Delete(at)
		t.cells.Drop(ref, cells.HeaderOf(cell), valueUnits(cell))
	}
	if e.Deleted {
		return nil
	}
	t.count.add(1, len(e.Key)+len(e.Value))
	ref, err := t.put(cells.MakeHeader(len(e.Key), len(e.Value), 0), cells.Units(valueKeyAt+len(e.Key)+len(e.Value)), e.Key, e.Value)
	if err != nil {
		return err
	}
	return t.index.Insert(hash, ref)
}

func (t *values) freeze(base bool) (frozenTable, error) {
	f, err := t.cells.Freeze(base)
	if err != nil {
		return nil, err
	}
	return &frozenValues{t.space, f}, nil
}

func (t *values) release() {
	t.cells.Release()
	if t.cells.Old() {
		t.cells.Renumber(valueUnits)
	}
}

func (t *values) counted() *count { return &t.count }

func (t *values) held() int64 { return t.cells.LedgerBytes() + t.index.Bytes() }

// frozenValues is a value state's part of a checkpoint.
type frozenValues struct {
	space state.Space
	cells *cells.Frozen
}

func (f *frozenValues) write(to state.Writer) error {
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
		return to.Put(valueKey(cell), nil, valueRow(cell))
	})
}
