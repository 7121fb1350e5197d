package maps

import (
	"cmp"

	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
	"github.com/tidemill/tidemill/runtime/state/cells"
	"github.com/tidemill/tidemill/runtime/state/hot/heads"
	"github.com/tidemill/tidemill/runtime/state/hot/table"
)

// Table is the table of a map state. It implements table.Table.
type Table struct {
	schema   table.Schema
	beneath  *table.Beneath
	mapKey   []int // 0, 1, ...: the map key's columns
	heads    heads.Table
	cells    cells.Ledger // entries
	nodes    cells.Arena  // trees
	count    table.Count
	sub, row []byte
	over     []cells.Ref // of live
}

// New makes an empty table.
func New(schema table.Schema, beneath *table.Beneath) *Table {
	return &Table{schema: schema, beneath: beneath, heads: heads.Table{Beneath: beneath != nil}}
}

// Declare implements table.Table.
func (t *Table) Declare(d state.Decl) error {
	t.mapKey = nil
	for i := range d.MapKey {
		t.mapKey = append(t.mapKey, i)
	}
	return t.schema.Declare(d)
}

// Load implements table.Table.
func (t *Table) Load(keys *record.KeySet, limit int, dst *state.Cells) error {
	t.schema.Prepare(keys.N, dst)
	dst.Start = append(dst.Start[:0], 0)
	if t.beneath != nil {
		t.heads.Index.Mark(keys.Hash)
	}
	rows := uint32(0)
	for from := 0; from < keys.N; from += cells.Block {
		to := min(from+cells.Block, keys.N)
		t.heads.Resolve(keys, from, to)
		for i, ref := range t.heads.Refs[:to-from] {
			in, err := heads.Extent{}, error(nil)
			switch {
			case t.beneath != nil:
				ref, in, err = t.fill(keys.Hash[from+i], keys.Key(from+i), limit)
			case ref != 0:
				in, err = t.live(ref, limit)
			}
			if err != nil {
				return err
			}
			status, n, err := t.loadCell(ref, in, limit, dst.Columns)
			if err != nil {
				return err
			}
			rows += n
			dst.Status[from+i] = status
			dst.Start = append(dst.Start, rows)
		}
	}
	return nil
}

// loadCell appends the entries of a map that has so much in it, which is all there is, or more than limit bytes.
func (t *Table) loadCell(ref cells.Ref, in heads.Extent, limit int, columns []record.Column) (status uint8, rows uint32, err error) {
	switch {
	case in.Bytes > uint64(limit):
		return state.Ask, 0, nil
	case in.Count == 0:
		return state.Absent, 0, nil
	}
	walk := t.from(t.heads.At(ref), nil, nil, false)
	for ref := walk.next(); ref != 0; ref = walk.next() {
		e := t.cells.At(ref)
		if cells.HeaderOf(e)&cells.Absent != 0 || t.schema.Life.Over(entryRow(e)) {
			continue
		}
		if err := t.decode(entrySub(e), entryRow(e), columns); err != nil {
			return 0, 0, err
		}
	}
	return state.Inline, in.Count, nil
}

// live returns how much of a map in memory has not expired, up to the entry that passes limit bytes, and takes out what has. Without
// a store the head goes with the last entry.
func (t *Table) live(head cells.Ref, limit int) (in heads.Extent, err error) {
	h := t.heads.At(head)
	if !t.schema.Life.Ends {
		return h.Extent(), nil
	}
	t.over = t.over[:0]
	walk := t.from(h, nil, nil, false)
	for ref := walk.next(); ref != 0 && in.Bytes <= uint64(limit); ref = walk.next() {
		cell := t.cells.At(ref)
		switch hdr := cells.HeaderOf(cell); {
		case hdr&cells.Absent != 0:
		case t.schema.Life.Over(entryRow(cell)):
			t.over = append(t.over, ref)
		default:
			in.Add(1, hdr.KeyLen()+hdr.RowLen())
		}
	}
	for _, ref := range t.over {
		if _, err := t.expire(head, ref); err != nil {
			return in, err
		}
	}
	return in, nil
}

// expire takes an entry that has expired out, and says whether it was there. Over a store what is not clean stays: it masks what is
// beneath until it has been written there. A deletion is only noted where an older checkpoint may have another row, which need
// not have expired.
func (t *Table) expire(head, ref cells.Ref) (bool, error) {
	cell := t.cells.At(ref)
	hdr := cells.HeaderOf(cell)
	if t.beneath != nil && !t.cells.Clean(hdr.Gen()) {
		return false, nil
	}
	h := t.heads.At(head)
	p, found := t.seek(h, entrySub(cell))
	if !found {
		return false, nil
	}
	if l := t.leaf(p.leaf); l.ref(p.at) != ref { // given back
		return false, nil
	}
	if hdr.Gen() == t.cells.Gen() && hdr&cells.Stored != 0 {
		t.cells.Deleted(h.Key(), entrySub(cell))
	}
	t.schema.Life.Swept++
	return true, t.removeAt(head, h, p, ref)
}

// decode appends an entry to columns, the map key first.
func (t *Table) decode(sub, row []byte, columns []record.Column) error {
	n := len(t.mapKey)
	if err := record.DecodeKey(sub, columns[:n]); err != nil {
		return state.CodeDamaged.Errorf("a map key of state %q cannot be read", t.schema.Space.Name).Because(err).Do("restore from an older checkpoint")
	}
	return t.schema.Codec.Decode(row, columns[n:])
}

// head returns the head of a key, a new one where it has none.
func (t *Table) head(hash uint64, key []byte) (cells.Ref, heads.Head, error) {
	ref, isNew, err := t.heads.Make(hash, key)
	if err != nil {
		return 0, nil, err
	}
	if isNew {
		t.count.Add(0, len(key))
	}
	return ref, t.heads.At(ref), nil
}

// fill brings up what is only in the store of a map, until it is complete or of more than limit bytes. It returns the head, and
// how much is in memory then.
func (t *Table) fill(hash uint64, key []byte, limit int) (cells.Ref, heads.Extent, error) {
	ref, h, err := t.head(hash, key)
	if err != nil {
		return 0, heads.Extent{}, err
	}
	in, err := t.live(ref, limit)
	if err != nil || h.Is(heads.Complete) || in.Bytes > uint64(limit) {
		return ref, in, err
	}
	var failed error
	err = t.beneath.Scan(key, nil, nil, false, func(sub, row []byte) bool {
		if t.schema.Life.Over(row) {
			return true
		}
		p, found := t.seek(h, sub)
		if !found {
			failed = t.add(ref, h, p, cells.MakeHeader(len(sub), len(row), 0)|cells.Stored, sub, row)
			in.Add(1, len(sub)+len(row))
		}
		return failed == nil && in.Bytes <= uint64(limit)
	})
	if err = cmp.Or(err, failed); err != nil {
		return 0, in, err
	}
	if in.Bytes <= uint64(limit) {
		h.Set(heads.Complete)
	}
	return ref, in, nil
}

// Get implements table.Table.
func (t *Table) Get(hash uint64, key, mapKey []byte, dst []record.Column) (bool, error) {
	ref := t.heads.Find(hash, key)
	if ref == 0 && t.beneath == nil {
		return false, nil
	}
	ref, h, err := t.head(hash, key)
	if err != nil {
		return false, err
	}
	p, found := t.seek(h, mapKey)
	if !found && h.Is(heads.Complete) {
		return false, nil
	}
	if !found {
		row, there, err := t.beneath.Get(key, mapKey)
		if err != nil {
			return false, err
		}
		flag := cells.Stored
		if there = there && !t.schema.Life.Over(row); !there {
			row, flag = nil, cells.Absent
		}
		if err := t.add(ref, h, p, cells.MakeHeader(len(mapKey), len(row), 0)|flag, mapKey, row); err != nil || !there {
			return false, err
		}
		return true, t.schema.Codec.Decode(row, dst)
	}
	l := t.leaf(p.leaf)
	e := t.cells.At(l.ref(p.at))
	if cells.HeaderOf(e)&cells.Absent != 0 || t.schema.Life.Over(entryRow(e)) {
		return false, nil
	}
	return true, t.schema.Codec.Decode(entryRow(e), dst)
}

// Apply implements table.Table.
func (t *Table) Apply(keys *record.KeySet, c *state.Changes) error {
	t.cells.Drain()
	t.heads.Cells.Drain()
	n := len(t.mapKey)
	for i, k := range c.Key {
		hash, key := keys.Hash[k], keys.Key(int(k))
		var err error
		switch c.Op[i] {
		case state.OpSet:
			t.sub = record.AppendKey(t.sub[:0], c.Columns, t.mapKey, i)
			t.row = t.schema.Life.Stamp(t.schema.Codec.Append(t.row[:0], c.Columns[n:], i))
			err = t.set(hash, key, t.sub, t.row, t.cells.Gen())
		case state.OpClear:
			t.sub = record.AppendKey(t.sub[:0], c.Columns, t.mapKey, i)
			err = t.clear(hash, key, t.sub)
		case state.OpClearAll:
			err = t.clearAll(hash, key, true)
		default:
			err = table.BadOp(c.Op[i], t.schema.Space)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *Table) set(hash uint64, key, sub, row []byte, gen uint32) error {
	head, h, err := t.head(hash, key)
	if err != nil {
		return err
	}
	if gen > 0 {
		t.heads.Touch(h)
	}
	hdr := cells.MakeHeader(len(sub), len(row), gen)
	p, found := t.seek(h, sub)
	if !found {
		if err := t.beneath.Fits(&t.schema, key, sub); err != nil {
			return err
		}
		if !h.Is(heads.Complete) {
			hdr |= cells.Stored // for all that is known
		}
		return t.add(head, h, p, hdr, sub, row)
	}
	return t.write(head, h, p, hdr, row)
}

// add makes an entry where there is none.
func (t *Table) add(head cells.Ref, h heads.Head, p place, hdr cells.Header, sub, row []byte) error {
	ref, err := t.put(hdr, head, sub, row)
	if err != nil {
		return err
	}
	if hdr&cells.Absent == 0 {
		t.grow(h, 1, len(sub)+len(row))
	}
	return t.insert(h, p, sub, ref)
}

// write gives the entry at a place a new header and row: in place, or where it is frozen or of another size in a new cell.
func (t *Table) write(head cells.Ref, h heads.Head, p place, hdr cells.Header, row []byte) error {
	l := t.leaf(p.leaf)
	ref := l.ref(p.at)
	cell := t.cells.At(ref)
	old := cells.HeaderOf(cell)
	if old&cells.Absent == 0 {
		t.grow(h, -1, -old.KeyLen()-old.RowLen())
	}
	switch {
	case old.Gen() == hdr.Gen():
		hdr |= old & cells.Stored
	case old&cells.Absent == 0:
		hdr |= cells.Stored
	}
	if hdr&cells.Absent != 0 {
		hdr &^= cells.Stored // its deletion has been noted
	} else {
		t.grow(h, 1, hdr.KeyLen()+hdr.RowLen())
	}
	n := entryKey + old.KeyLen()
	units, oldUnits := cells.Units(n+len(row)), cells.Units(n+old.RowLen())
	if oldUnits != units || t.cells.Frozen(old.Gen()) {
		moved, err := t.put(hdr, head, cell[entryKey:n], row)
		if err != nil {
			return err
		}
		cells.Put32(l.refs(), 4*p.at, moved)
		t.cells.Drop(ref, old, oldUnits)
		return nil
	}
	if old.Gen() != hdr.Gen() {
		t.cells.Dirty(ref, units)
	}
	hdr.Put(cell)
	copy(cell[n:], row)
	return nil
}

// grow counts entries and bytes of a head, and of the table.
func (t *Table) grow(h heads.Head, entries, bytes int) {
	h.Grow(entries, bytes)
	t.count.Add(entries, bytes)
}

// put writes a new entry.
func (t *Table) put(hdr cells.Header, head cells.Ref, sub, row []byte) (cells.Ref, error) {
	units := cells.Units(entryKey + len(sub) + len(row))
	ref, err := t.cells.Alloc(units)
	if err != nil {
		return 0, err
	}
	cell := t.cells.At(ref)
	hdr.Put(cell)
	cells.Put32(cell, entryHead, head)
	copy(cell[entryKey:], sub)
	copy(cell[entryKey+len(sub):], row)
	if hdr.Gen() > 0 {
		t.cells.Dirty(ref, units)
	}
	return ref, nil
}

// clear removes an entry. Over a store, one stays that says so.
func (t *Table) clear(hash uint64, key, sub []byte) error {
	head := t.heads.Find(hash, key)
	if head == 0 && t.beneath == nil {
		return nil
	}
	head, h, err := t.head(hash, key)
	if err != nil {
		return err
	}
	p, found := t.seek(h, sub)
	gone := cells.MakeHeader(len(sub), 0, t.cells.Gen()) | cells.Absent
	if !found {
		if h.Is(heads.Complete) {
			return nil
		}
		if err := t.beneath.Fits(&t.schema, key, sub); err != nil {
			return err
		}
		t.heads.Touch(h)
		t.cells.Deleted(key, sub)
		return t.add(head, h, p, gone, sub, nil)
	}
	l := t.leaf(p.leaf)
	ref := l.ref(p.at)
	hdr := cells.HeaderOf(t.cells.At(ref))
	if hdr&cells.Absent != 0 {
		return nil
	}
	if hdr.Gen() != t.cells.Gen() || hdr&cells.Stored != 0 {
		t.cells.Deleted(key, sub)
	}
	t.heads.Touch(h)
	if t.beneath != nil {
		return t.write(head, h, p, gone, nil)
	}
	return t.removeAt(head, h, p, ref)
}

// removeAt takes an entry out, and without a store the head with the last one.
func (t *Table) removeAt(head cells.Ref, h heads.Head, p place, ref cells.Ref) error {
	cell := t.cells.At(ref)
	hdr := cells.HeaderOf(cell)
	t.grow(h, -1, -hdr.KeyLen()-hdr.RowLen())
	if err := t.cut(h, p); err != nil {
		return err
	}
	t.cells.Drop(ref, hdr, entryUnits(cell))
	if h.Length() == 0 && t.beneath == nil {
		t.removeHead(head, h)
	}
	return nil
}

func (t *Table) removeHead(head cells.Ref, h heads.Head) {
	t.count.Add(0, -len(h.Key()))
	t.heads.Remove(head)
}

// clearAll removes all entries of a key. Where log is set, the next checkpoint is told. Over a store the head stays, and says
// that there is nothing.
func (t *Table) clearAll(hash uint64, key []byte, log bool) error {
	head := t.heads.Find(hash, key)
	if head == 0 && t.beneath == nil {
		return nil
	}
	head, h, err := t.head(hash, key)
	if err != nil {
		return err
	}
	if err := t.beneath.Fits(&t.schema, key, nil); err != nil {
		return err
	}
	stored := !h.Is(heads.Complete)
	walk := t.from(h, nil, nil, false)
	for ref := walk.next(); ref != 0; ref = walk.next() {
		cell := t.cells.At(ref)
		hdr := cells.HeaderOf(cell)
		if hdr&cells.Absent == 0 {
			stored = stored || hdr.Gen() != t.cells.Gen() || hdr&cells.Stored != 0
			t.grow(h, -1, -hdr.KeyLen()-hdr.RowLen())
		}
		t.cells.Drop(ref, hdr, entryUnits(cell))
	}
	if log && stored {
		t.cells.Deleted(key, nil)
	}
	t.dropTree(h)
	if t.beneath != nil {
		h.Set(heads.Complete)
		t.heads.Touch(h)
		return nil
	}
	t.removeHead(head, h)
	return nil
}

// Restore implements table.Table.
func (t *Table) Restore(e *state.Entry, hash uint64) error {
	t.schema.Life.Restored(e.Value)
	switch {
	case t.beneath != nil && !e.Deleted:
		return t.beneath.Put(e.Key, e.Sub, e.Value)
	case t.beneath != nil && len(e.Sub) == 0:
		return t.beneath.DeleteAll(e.Key)
	case t.beneath != nil:
		return t.beneath.Delete(e.Key, e.Sub)
	case !e.Deleted:
		return t.set(hash, e.Key, e.Sub, e.Value, 0)
	case len(e.Sub) == 0:
		return t.clearAll(hash, e.Key, false)
	}
	head := t.heads.Find(hash, e.Key)
	if head == 0 {
		return nil
	}
	h := t.heads.At(head)
	p, found := t.seek(h, e.Sub)
	if !found {
		return nil
	}
	l := t.leaf(p.leaf)
	return t.removeAt(head, h, p, l.ref(p.at))
}

// Evict implements table.Table. It forgets the maps of a segment of the index that have not been used, and of others most of what is not changed.
func (t *Table) Evict() {
	t.heads.Index.Sweep(func(ref cells.Ref) bool {
		h := t.heads.At(ref)
		whole := t.heads.Cells.Clean(h.Gen())
		if !whole && h.Length() < leafMax {
			return false
		}
		if t.forget(h); !whole {
			return false
		}
		t.count.Add(0, -len(h.Key()))
		t.heads.Cells.Free(ref, h.Units())
		return true
	})
}

// forget gives back the clean entries of a map, which the store has.
func (t *Table) forget(h heads.Head) {
	t.filter(h, func(ref cells.Ref) bool {
		cell := t.cells.At(ref)
		hdr := cells.HeaderOf(cell)
		if !t.cells.Clean(hdr.Gen()) {
			return true
		}
		h.Clear(heads.Complete)
		if hdr&cells.Absent == 0 {
			t.grow(h, -1, -hdr.KeyLen()-hdr.RowLen())
		}
		t.cells.Free(ref, entryUnits(cell))
		return false
	})
}

// Sweep implements table.Table. Over a store it forgets a head with its last entry, where that is clean.
func (t *Table) Sweep() (last bool, err error) {
	left := table.SweepMost
	last = t.cells.Visit(entryUnits, func(ref cells.Ref, cell []byte) bool {
		if cells.HeaderOf(cell)&cells.Absent != 0 || !t.schema.Life.Over(entryRow(cell)) {
			return true
		}
		head := cells.U32(cell, entryHead)
		var gone bool
		if gone, err = t.expire(head, ref); err != nil {
			return false
		}
		if !gone {
			return true
		}
		if t.beneath != nil {
			if h := t.heads.At(head); h.Length() == 0 && t.heads.Cells.Clean(h.Gen()) {
				t.removeHead(head, h)
			}
		}
		left--
		return left > 0
	})
	return last, err
}

// Lifetime implements table.Table.
func (t *Table) Lifetime() *table.Life { return &t.schema.Life }

// Clean implements table.Table.
func (t *Table) Clean() int64 {
	return t.cells.CleanBytes() + t.heads.Cells.CleanBytes() + t.nodes.LiveBytes()
}

// Changed implements table.Table.
func (t *Table) Changed() int64 { return t.cells.ChangedBytes() }

// Freeze implements table.Table.
func (t *Table) Freeze(base bool) (table.Frozen, error) {
	heads, err := t.heads.Cells.Freeze(false)
	if err != nil {
		return nil, err
	}
	f, err := t.cells.Freeze(base)
	if err != nil {
		return nil, err
	}
	return &frozenMaps{t.schema.Space, f, heads, t.schema.Life.Cutoff(), base}, nil
}

// Release implements table.Table.
func (t *Table) Release() {
	t.cells.Release()
	if t.cells.Old() {
		t.cells.Renumber(entryUnits)
	}
	t.heads.Release()
}

// Counted implements table.Table.
func (t *Table) Counted() *table.Count { return &t.count }

// Held implements table.Table.
func (t *Table) Held() int64 { return t.cells.LedgerBytes() + t.nodes.Bytes() + t.heads.Held() }

// frozenMaps is a map state's part of a checkpoint.
type frozenMaps struct {
	space state.Space
	cells *cells.Frozen
	heads *cells.Frozen
	at    table.Cutoff
	base  bool
}

// Space implements table.Frozen.
func (f *frozenMaps) Space() state.Space { return f.space }

// Write implements table.Frozen.
func (f *frozenMaps) Write(to state.Writer) error {
	if f.cells.Empty() {
		return nil
	}
	if err := to.Begin(f.space); err != nil {
		return err
	}
	if err := f.cells.Deleted.Each(to.Delete); err != nil {
		return err
	}
	return f.cells.Each(entryUnits, func(_ cells.Ref, cell []byte) error {
		hdr := cells.HeaderOf(cell)
		if hdr&cells.Absent != 0 || f.at.Over(entryRow(cell)) && (f.base || hdr&cells.Stored == 0) {
			return nil
		}
		return to.Put(heads.Head(f.heads.At(cells.U32(cell, entryHead))).Key(), entrySub(cell), entryRow(cell))
	})
}
