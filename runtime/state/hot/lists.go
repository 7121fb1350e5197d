package hot

import (
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

// lists is the table of a list state.
type lists struct {
	schema
	heads heads
	cells cells.Ledger // blocks
	last  uint64       // sequence
	count count
	row   []byte
	chain []cells.Ref
	mixed bool // some head was restored out of order
}

func blockUnits(cell []byte) uint32 { return uint32(cells.HeaderOf(cell).KeyLen()) }

func (t *lists) load(keys *record.KeySet, limit int, dst *state.Cells) error {
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
	head, _ := t.heads.find(hash, key)
	if head == 0 {
		return false, nil
	}
	h := t.heads.cells.At(head)
	return u32(h, headCount) > 0, t.decodeAll(h, dst)
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
			t.clear(keys.Hash[k], keys.Key(int(k)), true)
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
	head, isNew, err := t.heads.make(hash, key, complete)
	if err != nil {
		return err
	}
	if isNew {
		t.count.add(0, len(key))
	}
	h := t.heads.cells.At(head)
	last := u32(h, headRoot)
	var cell []byte
	var hdr cells.Header
	distance := sequence - u64(h, headLength)
	if last != 0 {
		cell = t.cells.At(last)
		hdr = cells.HeaderOf(cell)
	}
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
			return err
		}
		cell = t.cells.At(ref)
		hdr, used = cells.MakeHeader(int(units), 0, gen), 0
		put32(cell, blockPrev, last)
		put32(cell, blockHead, head)
		put64(cell, blockFirst, sequence)
		put32(h, headRoot, ref)
		if gen > 0 {
			t.cells.Dirty(ref)
		}
	}
	b := cell[blockAt+used:]
	n := binary.PutUvarint(b, distance)
	n += binary.PutUvarint(b[n:], uint64(len(row)))
	copy(b[n:], row)
	(hdr + cells.Header(need)).Put(cell)
	put64(h, headLength, sequence)
	grow(h, 1, len(row))
	t.count.add(1, 8+len(row))
	return nil
}

// clear removes all elements of a key. Where log is set, the next checkpoint is told.
func (t *lists) clear(hash uint64, key []byte, log bool) {
	head, _ := t.heads.find(hash, key)
	if head == 0 {
		return
	}
	h := t.heads.cells.At(head)
	if t.dropBlocks(h) && log {
		t.cells.Deleted(key, nil)
	}
	t.count.add(-int(u32(h, headCount)), -int(u64(h, headBytes))-8*int(u32(h, headCount))-len(key))
	t.heads.remove(head)
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
		t.clear(hash, e.Key, false)
		return nil
	}
	if len(e.Sub) != 8 {
		return state.CodeDamaged.Errorf("an element of list %q has a sub of %d bytes", t.space.Name, len(e.Sub)).Do("restore from an older checkpoint")
	}
	sequence := binary.BigEndian.Uint64(e.Sub)
	t.last = max(t.last, sequence)
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
	type element struct {
		sequence uint64
		row      []byte
	}
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
	t.clear(hash, key, false)
	for _, e := range all {
		if err := t.append(hash, key, e.sequence, e.row, 0); err != nil {
			return err
		}
	}
	return nil
}

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
