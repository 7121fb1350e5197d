package hot

import (
	"bytes"

	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
	"github.com/tidemill/tidemill/runtime/state/cells"
)

// maps is the table of a map state.
type maps struct {
	schema
	mapKey   []int // 0, 1, ...: the map key's columns
	heads    heads
	cells    cells.Ledger // entries
	nodes    cells.Arena  // trees
	count    count
	sub, row []byte
}

func (t *maps) declare(d state.Decl) error {
	t.mapKey = nil
	for i := range d.MapKey {
		t.mapKey = append(t.mapKey, i)
	}
	return t.schema.declare(d)
}

func (t *maps) load(keys *record.KeySet, limit int, dst *state.Cells) error {
	t.prepare(keys.N, dst)
	dst.Start = append(dst.Start[:0], 0)
	rows := uint32(0)
	for from := 0; from < keys.N; from += cells.Block {
		to := min(from+cells.Block, keys.N)
		t.heads.resolve(keys, from, to)
		for i, ref := range t.heads.refs[:to-from] {
			status := uint8(state.Absent)
			if ref != 0 {
				h := t.heads.cells.At(ref)
				switch {
				case u64(h, headBytes) > uint64(limit):
					status = state.Ask
				case u32(h, headCount) > 0:
					status = state.Inline
					if err := t.decodeAll(h, dst.Columns); err != nil {
						return err
					}
					rows += u32(h, headCount)
				}
			}
			dst.Status[from+i] = status
			dst.Start = append(dst.Start, rows)
		}
	}
	return nil
}

func (t *maps) decodeAll(h []byte, columns []record.Column) error {
	walk := t.from(h, nil, nil, false)
	for ref := walk.next(); ref != 0; ref = walk.next() {
		if err := t.decode(ref, columns); err != nil {
			return err
		}
	}
	return nil
}

// decode appends an entry to columns, the map key first.
func (t *maps) decode(ref cells.Ref, columns []record.Column) error {
	e := t.cells.At(ref)
	n := len(t.mapKey)
	if err := record.DecodeKey(entrySub(e), columns[:n]); err != nil {
		return state.CodeDamaged.Errorf("a map key of state %q cannot be read", t.space.Name).Because(err).Do("restore from an older checkpoint")
	}
	return t.codec.Decode(entryRow(e), columns[n:])
}

func (t *maps) get(hash uint64, key, mapKey []byte, dst []record.Column) (bool, error) {
	head, _ := t.heads.find(hash, key)
	if head == 0 {
		return false, nil
	}
	p, found := t.seek(t.heads.cells.At(head), mapKey)
	if !found {
		return false, nil
	}
	l := t.leaf(p.leaf)
	return true, t.codec.Decode(entryRow(t.cells.At(l.ref(p.at))), dst)
}

func (t *maps) apply(keys *record.KeySet, c *state.Changes) error {
	t.cells.Drain()
	t.heads.cells.Drain()
	n := len(t.mapKey)
	for i, k := range c.Key {
		hash, key := keys.Hash[k], keys.Key(int(k))
		var err error
		switch c.Op[i] {
		case state.OpSet:
			t.sub = record.AppendKey(t.sub[:0], c.Columns, t.mapKey, i)
			t.row = t.codec.Append(t.row[:0], c.Columns[n:], i)
			err = t.set(hash, key, t.sub, t.row, t.cells.Gen())
		case state.OpClear:
			t.sub = record.AppendKey(t.sub[:0], c.Columns, t.mapKey, i)
			err = t.clear(hash, key, t.sub)
		case state.OpClearAll:
			t.clearAll(hash, key, true)
		default:
			err = badOp(c.Op[i], t.space)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *maps) set(hash uint64, key, sub, row []byte, gen uint32) error {
	head, isNew, err := t.heads.make(hash, key, complete)
	if err != nil {
		return err
	}
	if isNew {
		t.count.add(0, len(key))
	}
	h := t.heads.cells.At(head)
	hdr := cells.MakeHeader(len(sub), len(row), gen)
	units := cells.Units(entryKey + len(sub) + len(row))
	p, found := t.seek(h, sub)
	if !found {
		ref, err := t.put(hdr, units, head, sub, row)
		if err != nil {
			return err
		}
		t.grow(h, 1, len(sub)+len(row))
		return t.insert(h, p, sub, ref)
	}
	l := t.leaf(p.leaf)
	ref := l.ref(p.at)
	cell := t.cells.At(ref)
	old := cells.HeaderOf(cell)
	t.grow(h, 0, len(row)-old.RowLen())
	if old.Gen() == gen {
		hdr |= old & cells.Stored
	} else {
		hdr |= cells.Stored
	}
	if oldUnits := entryUnits(cell); oldUnits != units || t.cells.Frozen(old.Gen()) {
		moved, err := t.put(hdr, units, head, sub, row)
		if err != nil {
			return err
		}
		put32(l.refs(), 4*p.at, moved)
		t.cells.Drop(ref, old, oldUnits)
		return nil
	}
	if old.Gen() != gen {
		t.cells.Dirty(ref)
	}
	hdr.Put(cell)
	copy(cell[entryKey+len(sub):], row)
	return nil
}

// grow counts entries and bytes of a head, and of the table.
func (t *maps) grow(h []byte, entries, bytes int) {
	grow(h, entries, bytes)
	t.count.add(entries, bytes)
}

// put writes a new entry.
func (t *maps) put(hdr cells.Header, units uint32, head cells.Ref, sub, row []byte) (cells.Ref, error) {
	ref, err := t.cells.Alloc(units)
	if err != nil {
		return 0, err
	}
	cell := t.cells.At(ref)
	hdr.Put(cell)
	put32(cell, entryHead, head)
	copy(cell[entryKey:], sub)
	copy(cell[entryKey+len(sub):], row)
	if hdr.Gen() > 0 {
		t.cells.Dirty(ref)
	}
	return ref, nil
}

func (t *maps) clear(hash uint64, key, sub []byte) error {
	head, _ := t.heads.find(hash, key)
	if head == 0 {
		return nil
	}
	h := t.heads.cells.At(head)
	p, found := t.seek(h, sub)
	if !found {
		return nil
	}
	l := t.leaf(p.leaf)
	ref := l.ref(p.at)
	cell := t.cells.At(ref)
	hdr := cells.HeaderOf(cell)
	if hdr.Gen() != t.cells.Gen() || hdr&cells.Stored != 0 {
		t.cells.Deleted(key, sub)
	}
	return t.removeAt(head, h, p, ref)
}

// removeAt takes an entry out, and the head with the last one.
func (t *maps) removeAt(head cells.Ref, h []byte, p place, ref cells.Ref) error {
	cell := t.cells.At(ref)
	hdr := cells.HeaderOf(cell)
	t.grow(h, -1, -hdr.KeyLen()-hdr.RowLen())
	if err := t.cut(h, p); err != nil {
		return err
	}
	t.cells.Drop(ref, hdr, entryUnits(cell))
	if u64(h, headLength) == 0 {
		t.removeHead(head, h)
	}
	return nil
}

func (t *maps) removeHead(head cells.Ref, h []byte) {
	t.count.add(0, -len(keyOf(h)))
	t.heads.remove(head)
}

// clearAll removes all entries of a key. Where log is set, the next checkpoint is told.
func (t *maps) clearAll(hash uint64, key []byte, log bool) {
	head, _ := t.heads.find(hash, key)
	if head == 0 {
		return
	}
	h := t.heads.cells.At(head)
	stored := false
	walk := t.from(h, nil, nil, false)
	for ref := walk.next(); ref != 0; ref = walk.next() {
		cell := t.cells.At(ref)
		hdr := cells.HeaderOf(cell)
		stored = stored || hdr.Gen() != t.cells.Gen() || hdr&cells.Stored != 0
		t.grow(h, -1, -hdr.KeyLen()-hdr.RowLen())
		t.cells.Drop(ref, hdr, entryUnits(cell))
	}
	if log && stored {
		t.cells.Deleted(key, nil)
	}
	t.dropTree(h)
	t.removeHead(head, h)
}

func (t *maps) restore(e *state.Entry, hash uint64) error {
	switch {
	case !e.Deleted:
		return t.set(hash, e.Key, e.Sub, e.Value, 0)
	case len(e.Sub) == 0:
		t.clearAll(hash, e.Key, false)
		return nil
	}
	head, _ := t.heads.find(hash, e.Key)
	if head == 0 {
		return nil
	}
	h := t.heads.cells.At(head)
	p, found := t.seek(h, e.Sub)
	if !found {
		return nil
	}
	l := t.leaf(p.leaf)
	return t.removeAt(head, h, p, l.ref(p.at))
}

func (t *maps) freeze(base bool) (frozenTable, error) {
	heads, err := t.heads.cells.Freeze(false)
	if err != nil {
		return nil, err
	}
	f, err := t.cells.Freeze(base)
	if err != nil {
		return nil, err
	}
	return &frozenMaps{t.space, f, heads}, nil
}

func (t *maps) release() {
	t.cells.Release()
	if t.cells.Old() {
		t.cells.Renumber(entryUnits)
	}
	t.heads.release()
}

func (t *maps) counted() *count { return &t.count }

func (t *maps) held() int64 { return t.cells.LedgerBytes() + t.nodes.Bytes() + t.heads.held() }

// frozenMaps is a map state's part of a checkpoint.
type frozenMaps struct {
	space state.Space
	cells *cells.Frozen
	heads *cells.Frozen
}

func (f *frozenMaps) write(to state.Writer) error {
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
		return to.Put(keyOf(f.heads.At(u32(cell, entryHead))), entrySub(cell), entryRow(cell))
	})
}

// scanner implements state.Scanner over a map.
type scanner struct {
	t          *maps
	hash       uint64
	key        []byte
	low, high  []byte
	descending bool
	done       bool
}

func (t *maps) scan(hash uint64, key, low, high []byte, descending bool) state.Scanner {
	s := &scanner{t: t, hash: hash, key: append([]byte(nil), key...), descending: descending}
	if low != nil {
		s.low = append([]byte{}, low...)
	}
	if high != nil {
		s.high = append([]byte{}, high...)
	}
	return s
}

// Next implements state.Scanner. It starts anew from the last entry it gave, so that what is read in between does not matter.
func (s *scanner) Next(dst []record.Column, most int) (int, error) {
	head, _ := s.t.heads.find(s.hash, s.key)
	if head == 0 || s.done {
		return 0, nil
	}
	n := 0
	var last []byte
	walk := s.t.from(s.t.heads.cells.At(head), s.low, s.high, s.descending)
	for n < most {
		ref := walk.next()
		if ref == 0 {
			s.done = true
			break
		}
		sub := entrySub(s.t.cells.At(ref))
		if s.descending && s.low != nil && bytes.Compare(sub, s.low) < 0 || !s.descending && s.high != nil && bytes.Compare(sub, s.high) >= 0 {
			s.done = true
			break
		}
		if err := s.t.decode(ref, dst); err != nil {
			return n, err
		}
		n++
		last = sub
	}
	if n > 0 && s.descending {
		s.high = append(s.high[:0], last...)
	} else if n > 0 {
		s.low = append(append(s.low[:0], last...), 0) // the least key after it
	}
	return n, nil
}
