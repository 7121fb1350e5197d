package lists

import (
	"cmp"
	"encoding/binary"
	"sort"

	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
	"github.com/tidemill/tidemill/runtime/state/cells"
	"github.com/tidemill/tidemill/runtime/state/hot/heads"
	"github.com/tidemill/tidemill/runtime/state/hot/table"
)

// The elements of a list are in blocks, each linked to the one before. A block's cell is a header (the key length is the
// capacity in units, the row length the bytes used), the refs of the block before and of the head, the sequence of the first
// element; then the elements: uvarint distance of the sequence to the one before, uvarint length, row. A block takes elements
// of one generation only, so that a frozen one does not change.
//
// Sequences count the elements of the whole table, not of a key: appending to a list needs to know nothing of it.
const (
	blockPrev  = 8
	blockHead  = 12
	blockFirst = 16
	blockAt    = 24

	blockMin = 64      // bytes of a list's first block
	blockMax = 4 << 10 // bytes from which on blocks do not double
)

// unsorted says of a head that it was restored out of order.
const unsorted = heads.Own

var noSequence [8]byte

// Table is the table of a list state. It implements table.Table.
type Table struct {
	schema  table.Schema
	beneath *table.Beneath
	heads   heads.Table
	cells   cells.Ledger // blocks
	last    uint64       // sequence
	count   table.Count
	row     []byte
	chain   []cells.Ref
	older   []element // what fill brings up, the youngest first
	mixed   bool      // some head was restored out of order
}

// New makes an empty table.
func New(schema table.Schema, beneath *table.Beneath) *Table {
	return &Table{schema: schema, beneath: beneath, heads: heads.Table{Beneath: beneath != nil}}
}

func blockUnits(cell []byte) uint32 { return uint32(cells.HeaderOf(cell).KeyLen()) }

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
				in = t.live(ref, limit)
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

// loadCell appends the elements of a list that has so much in it, which is all there is, or more than limit bytes.
func (t *Table) loadCell(ref cells.Ref, in heads.Extent, limit int, columns []record.Column) (status uint8, rows uint32, err error) {
	switch {
	case in.Bytes > uint64(limit):
		return state.Ask, 0, nil
	case in.Count == 0:
		return state.Absent, 0, nil
	}
	return state.Inline, in.Count, t.decodeAll(t.heads.At(ref), columns)
}

// blocks lists the blocks of a head, the last first, in t.chain.
func (t *Table) blocks(h heads.Head) {
	t.chain = t.chain[:0]
	for ref := h.Root(); ref != 0; ref = cells.U32(t.cells.At(ref), blockPrev) {
		t.chain = append(t.chain, ref)
	}
}

func (t *Table) decodeAll(h heads.Head, columns []record.Column) error {
	t.blocks(h)
	for i := len(t.chain) - 1; i >= 0; i-- {
		if err := eachElement(t.cells.At(t.chain[i]), func(_ uint64, row []byte) error {
			if t.schema.Life.Over(row) {
				return nil
			}
			return t.schema.Codec.Decode(row, columns)
		}); err != nil {
			return err
		}
	}
	return nil
}

// eachElement calls visit with the elements of a block.
func eachElement(cell []byte, visit func(sequence uint64, row []byte) error) error {
	b := cell[blockAt : blockAt+cells.HeaderOf(cell).RowLen()]
	sequence := cells.U64(cell, blockFirst)
	for len(b) > 0 {
		distance, n := binary.Uvarint(b)
		length, m := binary.Uvarint(b[n:])
		sequence += distance
		row := b[n+m : n+m+int(length)]
		if err := visit(sequence, row); err != nil {
			return err
		}
		b = b[n+m+int(length):]
	}
	return nil
}

// Get implements table.Table.
func (t *Table) Get(hash uint64, key, _ []byte, dst []record.Column) (bool, error) {
	ref := t.heads.Find(hash, key)
	if ref == 0 && t.beneath == nil {
		return false, nil
	}
	before := dst[0].Len
	if t.beneath != nil && (ref == 0 || !t.heads.At(ref).Is(heads.Complete)) {
		var failed error
		err := t.beneath.Scan(key, nil, t.oldest(ref), false, func(_, row []byte) bool {
			if !t.schema.Life.Over(row) {
				failed = t.schema.Codec.Decode(row, dst)
			}
			return failed == nil
		})
		if err = cmp.Or(err, failed); err != nil {
			return false, err
		}
	}
	if ref != 0 {
		if err := t.decodeAll(t.heads.At(ref), dst); err != nil {
			return false, err
		}
	}
	return dst[0].Len > before, nil
}

// oldest is the sub of the first element of a list that is in memory, nil where there is none.
func (t *Table) oldest(ref cells.Ref) []byte {
	if ref == 0 {
		return nil
	}
	t.blocks(t.heads.At(ref))
	if len(t.chain) == 0 {
		return nil
	}
	return binary.BigEndian.AppendUint64(nil, cells.U64(t.cells.At(t.chain[len(t.chain)-1]), blockFirst))
}

type element struct {
	sequence uint64
	row      []byte
}

// fill brings up the elements of a list that are only in the store, the youngest first, until it is complete or of more than
// limit bytes. It returns the head, and how much is in memory then.
func (t *Table) fill(hash uint64, key []byte, limit int) (cells.Ref, heads.Extent, error) {
	ref, isNew, err := t.heads.Make(hash, key)
	if err != nil {
		return 0, heads.Extent{}, err
	}
	h := t.heads.At(ref)
	if isNew {
		t.count.Add(0, len(key))
	}
	in := t.live(ref, limit)
	if h.Is(heads.Complete) || in.Bytes > uint64(limit) {
		return ref, in, nil
	}
	t.older = t.older[:0]
	err = t.beneath.Scan(key, nil, t.oldest(ref), true, func(sub, row []byte) bool {
		if t.schema.Life.Over(row) {
			return true
		}
		t.older = append(t.older, element{binary.BigEndian.Uint64(sub), append([]byte(nil), row...)})
		in.Add(1, len(row))
		return in.Bytes <= uint64(limit)
	})
	if err != nil {
		return 0, in, err
	}
	if in.Bytes <= uint64(limit) {
		h.Set(heads.Complete)
	}
	return ref, in, t.prepend(ref, h)
}

// prepend puts t.older before the elements of a list.
func (t *Table) prepend(head cells.Ref, h heads.Head) error {
	if len(t.older) == 0 {
		return nil
	}
	t.blocks(h)
	last, before := cells.Ref(0), uint64(0)
	for i := len(t.older) - 1; i >= 0; i-- {
		e := &t.older[i]
		var err error
		if last, err = t.extend(last, before, head, e.sequence, e.row, 0); err != nil {
			return err
		}
		before = e.sequence
		h.Grow(1, len(e.row))
		t.count.Add(1, 8+len(e.row))
	}
	if len(t.chain) > 0 {
		cells.Put32(t.cells.At(t.chain[len(t.chain)-1]), blockPrev, last)
	} else {
		h.SetRoot(last)
		h.SetLength(before)
	}
	return nil
}

// Apply implements table.Table.
func (t *Table) Apply(keys *record.KeySet, c *state.Changes) error {
	t.cells.Drain()
	t.heads.Cells.Drain()
	for i, k := range c.Key {
		switch c.Op[i] {
		case state.OpAppend:
			t.row = t.schema.Life.Stamp(t.schema.Codec.Append(t.row[:0], c.Columns, i))
			t.last++
			if err := t.append(keys.Hash[k], keys.Key(int(k)), t.last, t.row, t.cells.Gen()); err != nil {
				return err
			}
		case state.OpClear:
			if err := t.clear(keys.Hash[k], keys.Key(int(k)), true); err != nil {
				return err
			}
		default:
			return table.BadOp(c.Op[i], t.schema.Space)
		}
	}
	return nil
}

func uvarintLen(v uint64) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}

// append adds an element behind all others of its key.
func (t *Table) append(hash uint64, key []byte, sequence uint64, row []byte, gen uint32) error {
	head, isNew, err := t.heads.Make(hash, key)
	if err != nil {
		return err
	}
	if isNew {
		if err := t.beneath.Fits(&t.schema, key, noSequence[:]); err != nil {
			return err
		}
		t.count.Add(0, len(key))
	}
	h := t.heads.At(head)
	last, err := t.extend(h.Root(), h.Length(), head, sequence, row, gen)
	if err != nil {
		return err
	}
	h.SetRoot(last)
	h.SetLength(sequence)
	t.heads.Touch(h)
	h.Grow(1, len(row))
	t.count.Add(1, 8+len(row))
	return nil
}

// extend adds an element behind the block last, whose last element has sequence before, and returns the block it is in.
func (t *Table) extend(last cells.Ref, before uint64, head cells.Ref, sequence uint64, row []byte, gen uint32) (cells.Ref, error) {
	var cell []byte
	var hdr cells.Header
	if last != 0 {
		cell = t.cells.At(last)
		hdr = cells.HeaderOf(cell)
	}
	distance := sequence - before
	used, need := hdr.RowLen(), uvarintLen(distance)+uvarintLen(uint64(len(row)))+len(row)
	if last == 0 || hdr.Gen() != gen || blockAt+used+need > hdr.KeyLen()*cells.Unit {
		size := blockMin
		if last != 0 {
			size = min(2*hdr.KeyLen()*cells.Unit, blockMax)
		}
		distance = 0
		need = 1 + uvarintLen(uint64(len(row))) + len(row)
		units := cells.Units(max(size, blockAt+need))
		ref, err := t.cells.Alloc(units)
		if err != nil {
			return 0, err
		}
		cell = t.cells.At(ref)
		hdr, used = cells.MakeHeader(int(units), 0, gen), 0
		cells.Put32(cell, blockPrev, last)
		cells.Put32(cell, blockHead, head)
		cells.Put64(cell, blockFirst, sequence)
		last = ref
		if gen > 0 {
			t.cells.Dirty(ref, units)
		}
	}
	b := cell[blockAt+used:]
	n := binary.PutUvarint(b, distance)
	n += binary.PutUvarint(b[n:], uint64(len(row)))
	copy(b[n:], row)
	(hdr + cells.Header(need)).Put(cell)
	return last, nil
}

// clear removes all elements of a key. Where log is set, the next checkpoint is told. Over a store the head stays, and says that
// there is nothing.
func (t *Table) clear(hash uint64, key []byte, log bool) error {
	head, isNew, err := t.heads.Make(hash, key)
	if err != nil {
		return err
	}
	h := t.heads.At(head)
	if isNew {
		if err := t.beneath.Fits(&t.schema, key, nil); err != nil {
			return err
		}
		t.count.Add(0, len(key))
	}
	stored := t.dropBlocks(h) || !h.Is(heads.Complete)
	if log && stored {
		t.cells.Deleted(key, nil)
	}
	t.count.Add(-int(h.Count()), -int(h.Bytes())-8*int(h.Count()))
	h.Grow(-int(h.Count()), -int(h.Bytes()))
	if t.beneath != nil {
		h.Set(heads.Complete)
		t.heads.Touch(h)
		return nil
	}
	t.removeHead(head)
	return nil
}

// dropBlocks gives back all blocks and says whether an earlier checkpoint may know of any.
func (t *Table) dropBlocks(h heads.Head) (stored bool) {
	for ref := h.Root(); ref != 0; {
		cell := t.cells.At(ref)
		hdr := cells.HeaderOf(cell)
		stored = stored || hdr.Gen() != t.cells.Gen()
		prev := cells.U32(cell, blockPrev)
		t.cells.Drop(ref, hdr, uint32(hdr.KeyLen()))
		ref = prev
	}
	h.SetRoot(0)
	return stored
}

// Restore implements table.Table.
func (t *Table) Restore(e *state.Entry, hash uint64) error {
	t.schema.Life.Restored(e.Value)
	if e.Deleted {
		if t.beneath != nil {
			return t.beneath.DeleteAll(e.Key)
		}
		return t.clear(hash, e.Key, false)
	}
	if len(e.Sub) != 8 {
		return state.CodeDamaged.Errorf("an element of list %q has a sub of %d bytes", t.schema.Space.Name, len(e.Sub)).Do("restore from an older checkpoint")
	}
	sequence := binary.BigEndian.Uint64(e.Sub)
	t.last = max(t.last, sequence)
	if t.beneath != nil {
		return t.beneath.Put(e.Key, e.Sub, e.Value)
	}
	if head := t.heads.Find(hash, e.Key); head != 0 {
		// The blocks of a segment are in no order. Distances between sequences are modulo 2^64, so the element can be appended
		// as it comes for now.
		if h := t.heads.At(head); sequence <= h.Length() {
			h.Set(unsorted)
			t.mixed = true
		}
	}
	return t.append(hash, e.Key, sequence, e.Value, 0)
}

// Declare implements table.Table.
func (t *Table) Declare(d state.Decl) error {
	if t.mixed {
		var mixed []cells.Ref
		t.heads.Index.All(func(head cells.Ref) {
			if t.heads.At(head).Is(unsorted) {
				mixed = append(mixed, head)
			}
		})
		for _, head := range mixed {
			if err := t.sort(head); err != nil {
				return err
			}
		}
		t.mixed = false
	}
	return t.schema.Declare(d)
}

// sort brings the elements of a restored list into the order of their sequences.
func (t *Table) sort(head cells.Ref) error {
	var all []element
	h := t.heads.At(head)
	h.Clear(unsorted)
	t.blocks(h)
	for i := len(t.chain) - 1; i >= 0; i-- {
		err := eachElement(t.cells.At(t.chain[i]), func(sequence uint64, row []byte) error {
			all = append(all, element{sequence, append([]byte(nil), row...)})
			return nil
		})
		if err != nil {
			return err
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].sequence < all[j].sequence })
	key := append([]byte(nil), h.Key()...)
	hash := h.Hash()
	if err := t.clear(hash, key, false); err != nil {
		return err
	}
	for _, e := range all {
		if err := t.append(hash, key, e.sequence, e.row, 0); err != nil {
			return err
		}
	}
	return nil
}

// Evict implements table.Table. It forgets the lists of a segment of the index that have not been used, and of others what is not changed.
func (t *Table) Evict() {
	t.heads.Index.Sweep(func(ref cells.Ref) bool {
		h := t.heads.At(ref)
		t.blocks(h)
		kept := cells.Ref(0) // the last block that stays
		for i, b := range t.chain {
			cell := t.cells.At(b)
			if !t.cells.Clean(cells.HeaderOf(cell).Gen()) {
				kept = b
				continue
			}
			if kept != 0 {
				cells.Put32(t.cells.At(kept), blockPrev, 0)
			} else {
				h.SetRoot(0)
			}
			t.forget(h, t.chain[i:])
			break
		}
		if kept != 0 || !t.heads.Cells.Clean(h.Gen()) {
			return false
		}
		t.count.Add(0, -len(h.Key()))
		t.heads.Cells.Free(ref, h.Units())
		return true
	})
}

// forget gives back clean blocks, which the store has.
func (t *Table) forget(h heads.Head, blocks []cells.Ref) {
	h.Clear(heads.Complete)
	for _, ref := range blocks {
		cell := t.cells.At(ref)
		t.uncount(h, cell)
		t.cells.Free(ref, blockUnits(cell))
	}
}

// Lifetime implements table.Table.
func (t *Table) Lifetime() *table.Life { return &t.schema.Life }

// Clean implements table.Table.
func (t *Table) Clean() int64 { return t.cells.CleanBytes() + t.heads.Cells.CleanBytes() }

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
	return &frozenLists{t.schema.Space, f, heads, t.schema.Life.Cutoff()}, nil
}

// Release implements table.Table.
func (t *Table) Release() {
	t.cells.Release()
	if t.cells.Old() {
		t.cells.Renumber(blockUnits)
	}
	t.heads.Release()
}

// Counted implements table.Table.
func (t *Table) Counted() *table.Count { return &t.count }

// Held implements table.Table.
func (t *Table) Held() int64 { return t.cells.LedgerBytes() + t.heads.Held() }

// frozenLists is a list state's part of a checkpoint.
type frozenLists struct {
	space state.Space
	cells *cells.Frozen
	heads *cells.Frozen
	at    table.Cutoff
}

// Space implements table.Frozen.
func (f *frozenLists) Space() state.Space { return f.space }

// Write implements table.Frozen. An element is written once and never changed: what has expired need not be written at all.
func (f *frozenLists) Write(to state.Writer) error {
	if f.cells.Empty() {
		return nil
	}
	if err := to.Begin(f.space); err != nil {
		return err
	}
	if err := f.cells.Deleted.Each(to.Delete); err != nil {
		return err
	}
	var sub [8]byte
	return f.cells.Each(blockUnits, func(_ cells.Ref, cell []byte) error {
		key := heads.Head(f.heads.At(cells.U32(cell, blockHead))).Key()
		return eachElement(cell, func(sequence uint64, row []byte) error {
			if f.at.Over(row) {
				return nil
			}
			binary.BigEndian.PutUint64(sub[:], sequence)
			return to.Put(key, sub[:], row)
		})
	})
}
