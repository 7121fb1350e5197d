package hot

import (
	"cmp"
	"encoding/binary"
	"sort"

	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
	"github.com/tidemill/tidemill/runtime/state/cells"
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

var noSequence [8]byte

// lists is the table of a list state.
type lists struct {
	schema
	beneath
	heads heads
	cells cells.Ledger // blocks
	last  uint64       // sequence
	count count
	row   []byte
	chain []cells.Ref
	older []element // what fill brings up, the youngest first
	mixed bool      // some head was restored out of order
}

func blockUnits(cell []byte) uint32 { return uint32(cells.HeaderOf(cell).KeyLen()) }

func (t *lists) load(keys *record.KeySet, limit int, dst *state.Cells) error {
	t.prepare(keys.N, dst)
	dst.Start = append(dst.Start[:0], 0)
	if t.store != nil {
		t.heads.index.Mark(keys.Hash)
	}
	rows := uint32(0)
	for from := 0; from < keys.N; from += cells.Block {
		to := min(from+cells.Block, keys.N)
		t.heads.resolve(keys, from, to)
		for i, ref := range t.heads.refs[:to-from] {
			if t.store != nil {
				var err error
				if ref, err = t.fill(keys.Hash[from+i], keys.Key(from+i), limit); err != nil {
					return err
				}
			}
			status, n, err := t.loadCell(ref, limit, dst.Columns)
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

func (t *lists) loadCell(ref cells.Ref, limit int, columns []record.Column) (status uint8, rows uint32, err error) {
	if ref == 0 {
		return state.Absent, 0, nil
	}
	h := t.heads.cells.At(ref)
	switch {
	case u64(h, headBytes) > uint64(limit):
		return state.Ask, 0, nil
	case u32(h, headCount) == 0:
		return state.Absent, 0, nil
	}
	return state.Inline, u32(h, headCount), t.decodeAll(h, columns)
}

// blocks lists the blocks of a head, the last first, in t.chain.
func (t *lists) blocks(h []byte) {
	t.chain = t.chain[:0]
	for ref := u32(h, headRoot); ref != 0; ref = u32(t.cells.At(ref), blockPrev) {
		t.chain = append(t.chain, ref)
	}
}

func (t *lists) decodeAll(h []byte, columns []record.Column) error {
	t.blocks(h)
	for i := len(t.chain) - 1; i >= 0; i-- {
		if err := eachElement(t.cells.At(t.chain[i]), func(_ uint64, row []byte) error {
			return t.codec.Decode(row, columns)
		}); err != nil {
			return err
		}
	}
	return nil
}

// eachElement calls visit with the elements of a block.
func eachElement(cell []byte, visit func(sequence uint64, row []byte) error) error {
	b := cell[blockAt : blockAt+cells.HeaderOf(cell).RowLen()]
	sequence := u64(cell, blockFirst)
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

func (t *lists) get(hash uint64, key, _ []byte, dst []record.Column) (bool, error) {
	ref, _ := t.heads.find(hash, key)
	if ref == 0 && t.store == nil {
		return false, nil
	}
	found := false
	if t.store != nil && (ref == 0 || !flagged(t.heads.cells.At(ref), complete)) {
		var failed error
		err := t.store.Scan(t.number, key, nil, t.oldest(ref), false, func(_, row []byte) bool {
			found = true
			failed = t.codec.Decode(row, dst)
			return failed == nil
		})
		if err = cmp.Or(err, failed); err != nil {
			return false, err
		}
	}
	if ref == 0 {
		return found, nil
	}
	h := t.heads.cells.At(ref)
	return found || u32(h, headCount) > 0, t.decodeAll(h, dst)
}

// oldest is the sub of the first element of a list that is in memory, nil where there is none.
func (t *lists) oldest(ref cells.Ref) []byte {
	if ref == 0 {
		return nil
	}
	t.blocks(t.heads.cells.At(ref))
	if len(t.chain) == 0 {
		return nil
	}
	return binary.BigEndian.AppendUint64(nil, u64(t.cells.At(t.chain[len(t.chain)-1]), blockFirst))
}

type element struct {
	sequence uint64
	row      []byte
}

// fill brings up the elements of a list that are only in the store, the youngest first, until it is complete or of more than
// limit bytes. It returns the head.
func (t *lists) fill(hash uint64, key []byte, limit int) (cells.Ref, error) {
	ref, isNew, err := t.heads.make(hash, key, 0)
	if err != nil {
		return 0, err
	}
	h := t.heads.cells.At(ref)
	if isNew {
		t.count.add(0, len(key))
	}
	if flagged(h, complete) || u64(h, headBytes) > uint64(limit) {
		return ref, nil
	}
	t.older = t.older[:0]
	size := int(u64(h, headBytes))
	err = t.store.Scan(t.number, key, nil, t.oldest(ref), true, func(sub, row []byte) bool {
		t.older = append(t.older, element{binary.BigEndian.Uint64(sub), append([]byte(nil), row...)})
		size += len(row)
		return size <= limit
	})
	if err != nil {
		return 0, err
	}
	if size <= limit {
		setFlag(h, complete)
	}
	return ref, t.prepend(ref, h)
}

// prepend puts t.older before the elements of a list.
func (t *lists) prepend(head cells.Ref, h []byte) error {
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
		grow(h, 1, len(e.row))
		t.count.add(1, 8+len(e.row))
	}
	if len(t.chain) > 0 {
		put32(t.cells.At(t.chain[len(t.chain)-1]), blockPrev, last)
	} else {
		put32(h, headRoot, last)
		put64(h, headLength, before)
	}
	return nil
}

func (t *lists) apply(keys *record.KeySet, c *state.Changes) error {
	t.cells.Drain()
	t.heads.cells.Drain()
	for i, k := range c.Key {
		switch c.Op[i] {
		case state.OpAppend:
			t.row = t.codec.Append(t.row[:0], c.Columns, i)
			t.last++
			if err := t.append(keys.Hash[k], keys.Key(int(k)), t.last, t.row, t.cells.Gen()); err != nil {
				return err
			}
		case state.OpClear:
			if err := t.clear(keys.Hash[k], keys.Key(int(k)), true); err != nil {
				return err
			}
		default:
			return badOp(c.Op[i], t.space)
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
func (t *lists) append(hash uint64, key []byte, sequence uint64, row []byte, gen uint32) error {
	head, isNew, err := t.heads.make(hash, key, t.known())
	if err != nil {
		return err
	}
	if isNew {
		if err := t.fits(&t.schema, key, noSequence[:]); err != nil {
			return err
		}
		t.count.add(0, len(key))
	}
	h := t.heads.cells.At(head)
	last, err := t.extend(u32(h, headRoot), u64(h, headLength), head, sequence, row, gen)
	if err != nil {
		return err
	}
	put32(h, headRoot, last)
	put64(h, headLength, sequence)
	t.heads.touch(h)
	grow(h, 1, len(row))
	t.count.add(1, 8+len(row))
	return nil
}

// extend adds an element behind the block last, whose last element has sequence before, and returns the block it is in.
func (t *lists) extend(last cells.Ref, before uint64, head cells.Ref, sequence uint64, row []byte, gen uint32) (cells.Ref, error) {
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
		put32(cell, blockPrev, last)
		put32(cell, blockHead, head)
		put64(cell, blockFirst, sequence)
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
func (t *lists) clear(hash uint64, key []byte, log bool) error {
	head, isNew, err := t.heads.make(hash, key, t.known())
	if err != nil {
		return err
	}
	h := t.heads.cells.At(head)
	if isNew {
		if err := t.fits(&t.schema, key, nil); err != nil {
			return err
		}
		t.count.add(0, len(key))
	}
	stored := t.dropBlocks(h) || !flagged(h, complete)
	if log && stored {
		t.cells.Deleted(key, nil)
	}
	t.count.add(-int(u32(h, headCount)), -int(u64(h, headBytes))-8*int(u32(h, headCount)))
	grow(h, -int(u32(h, headCount)), -int(u64(h, headBytes)))
	if t.store != nil {
		setFlag(h, complete)
		t.heads.touch(h)
		return nil
	}
	t.count.add(0, -len(key))
	t.heads.remove(head)
	return nil
}

// known is the flag of a new head: without a store beneath all is in memory.
func (b *beneath) known() uint32 {
	if b.store == nil {
		return complete
	}
	return 0
}

// dropBlocks gives back all blocks and says whether an earlier checkpoint may know of any.
func (t *lists) dropBlocks(h []byte) (stored bool) {
	for ref := u32(h, headRoot); ref != 0; {
		cell := t.cells.At(ref)
		hdr := cells.HeaderOf(cell)
		stored = stored || hdr.Gen() != t.cells.Gen()
		prev := u32(cell, blockPrev)
		t.cells.Drop(ref, hdr, uint32(hdr.KeyLen()))
		ref = prev
	}
	put32(h, headRoot, 0)
	return stored
}

func (t *lists) restore(e *state.Entry, hash uint64) error {
	if e.Deleted {
		if t.store != nil {
			return t.store.DeleteAll(t.number, e.Key)
		}
		return t.clear(hash, e.Key, false)
	}
	if len(e.Sub) != 8 {
		return state.CodeDamaged.Errorf("an element of list %q has a sub of %d bytes", t.space.Name, len(e.Sub)).Do("restore from an older checkpoint")
	}
	sequence := binary.BigEndian.Uint64(e.Sub)
	t.last = max(t.last, sequence)
	if t.store != nil {
		return t.store.Put(t.number, e.Key, e.Sub, e.Value)
	}
	if head, _ := t.heads.find(hash, e.Key); head != 0 {
		// The blocks of a segment are in no order. Distances between sequences are modulo 2^64, so the element can be appended
		// as it comes for now.
		if h := t.heads.cells.At(head); sequence <= u64(h, headLength) {
			setFlag(h, unsorted)
			t.mixed = true
		}
	}
	return t.append(hash, e.Key, sequence, e.Value, 0)
}

func (t *lists) declare(d state.Decl) error {
	if t.mixed {
		var mixed []cells.Ref
		t.heads.index.All(func(head cells.Ref) {
			if flagged(t.heads.cells.At(head), unsorted) {
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
	return t.schema.declare(d)
}

// sort brings the elements of a restored list into the order of their sequences.
func (t *lists) sort(head cells.Ref) error {
	var all []element
	h := t.heads.cells.At(head)
	clearFlag(h, unsorted)
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
	key := append([]byte(nil), keyOf(h)...)
	hash := u64(h, headHash)
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

// evict forgets the lists of a segment of the index that have not been used, and of others what is not changed.
func (t *lists) evict() {
	t.heads.index.Sweep(func(ref cells.Ref) bool {
		h := t.heads.cells.At(ref)
		t.blocks(h)
		kept := cells.Ref(0) // the last block that stays
		for i, b := range t.chain {
			cell := t.cells.At(b)
			if !t.cells.Clean(cells.HeaderOf(cell).Gen()) {
				kept = b
				continue
			}
			if kept != 0 {
				put32(t.cells.At(kept), blockPrev, 0)
			} else {
				put32(h, headRoot, 0)
			}
			t.forget(h, t.chain[i:])
			break
		}
		if kept != 0 || !t.heads.cells.Clean(u32(h, headGen)) {
			return false
		}
		t.count.add(0, -len(keyOf(h)))
		t.heads.cells.Free(ref, headUnits(h))
		return true
	})
}

// forget gives back clean blocks, which the store has.
func (t *lists) forget(h []byte, blocks []cells.Ref) {
	clearFlag(h, complete)
	for _, ref := range blocks {
		cell := t.cells.At(ref)
		_ = eachElement(cell, func(_ uint64, row []byte) error {
			grow(h, -1, -len(row))
			t.count.add(-1, -8-len(row))
			return nil
		})
		t.cells.Free(ref, blockUnits(cell))
	}
}

func (t *lists) clean() int64 { return t.cells.CleanBytes() + t.heads.cells.CleanBytes() }

func (t *lists) changed() int64 { return t.cells.ChangedBytes() }

func (t *lists) freeze(base bool) (frozenTable, error) {
	heads, err := t.heads.cells.Freeze(false)
	if err != nil {
		return nil, err
	}
	f, err := t.cells.Freeze(base)
	if err != nil {
		return nil, err
	}
	return &frozenLists{t.space, f, heads}, nil
}

func (t *lists) release() {
	t.cells.Release()
	if t.cells.Old() {
		t.cells.Renumber(blockUnits)
	}
	t.heads.release()
}

func (t *lists) counted() *count { return &t.count }

func (t *lists) held() int64 { return t.cells.LedgerBytes() + t.heads.held() }

// frozenLists is a list state's part of a checkpoint.
type frozenLists struct {
	space state.Space
	cells *cells.Frozen
	heads *cells.Frozen
}

func (f *frozenLists) of() state.Space { return f.space }

func (f *frozenLists) write(to state.Writer) error {
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
		key := keyOf(f.heads.At(u32(cell, blockHead)))
		return eachElement(cell, func(sequence uint64, row []byte) error {
			binary.BigEndian.PutUint64(sub[:], sequence)
			return to.Put(key, sub[:], row)
		})
	})
}
