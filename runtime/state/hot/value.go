package hot

import (
	"bytes"

	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
	"github.com/tidemill/tidemill/runtime/state/cells"
)

// A value's cell is a header, the key, the row.
const valueKeyAt = 8

// block is the number of keys of a pass: their slots and headers fit the first-level cache.
const block = 256

// values is the table of a value state.
type values struct {
	schema
	cells cells.Ledger
	index cells.Index
	count count
	refs  [block]cells.Ref
	row   []byte
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

// resolve finds the cells of keys [from, to), at most a block, into t.refs.
func (t *values) resolve(keys *record.KeySet, from, to int) {
	t.index.Touch(keys.Hash[from:to])
	for k := from; k < to; k++ {
		t.refs[k-from], _ = t.index.Find(keys.Hash[k])
	}
	var sum cells.Header
	for _, ref := range t.refs[:to-from] {
		if ref != 0 {
			sum |= cells.HeaderOf(t.cells.At(ref))
		}
	}
	for k := from; k < to; k++ {
		ref := t.refs[k-from]
		if ref != 0 && !bytes.Equal(valueKey(t.cells.At(ref)), keys.Key(k)) {
			t.refs[k-from], _ = t.find(keys.Hash[k], keys.Key(k))
		}
	}
}

func (t *values) load(keys *record.KeySet, limit int, dst *state.Cells) error {
	t.prepare(keys.N, dst)
	dst.Start = nil
	for from := 0; from < keys.N; from += block {
		to := min(from+block, keys.N)
		t.resolve(keys, from, to)
		for i, ref := range t.refs[:to-from] {
			if ref == 0 {
				dst.Status[from+i] = state.Absent
				state.AppendAbsent(dst.Columns)
				continue
			}
			row := valueRow(t.cells.At(ref))
			if len(row) > limit {
				dst.Status[from+i] = state.Ask
				state.AppendAbsent(dst.Columns)
				continue
			}
			dst.Status[from+i] = state.Inline
			if err := t.codec.Decode(row, dst.Columns); err != nil {
				return err
			}
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
	for i, k := range c.Key {
		switch c.Op[i] {
		case state.OpSet:
			t.row = t.codec.Append(t.row[:0], c.Columns, i)
			if err := t.set(keys.Hash[k], keys.Key(int(k)), t.row); err != nil {
				return err
			}
		case state.OpClear:
			t.clear(keys.Hash[k], keys.Key(int(k)))
		default:
			return badOp(c.Op[i], t.space)
		}
	}
	return nil
}

func (t *values) set(hash uint64, key, row []byte) error {
	gen := t.cells.Gen()
	h := cells.MakeHeader(len(key), len(row), gen)
	units := cells.Units(valueKeyAt + len(key) + len(row))
	ref, at := t.find(hash, key)
	if ref == 0 {
		t.count.add(1, len(key)+len(row))
		ref, err := t.put(h, units, key, row)
		if err != nil {
			return err
		}
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
	if oldUnits := valueUnits(cell); oldUnits != units || t.cells.Frozen(old.Gen()) {
		moved, err := t.put(h, units, key, row)
		if err != nil {
			return err
		}
		at.Set(moved)
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

func (t *values) clear(hash uint64, key []byte) {
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
