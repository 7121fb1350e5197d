package cells

import "errors"

// Index finds refs by hash: extendible hashing over segments of open addressing, so that growing it never costs more than
// splitting one segment, and the directory of a million keys stays in the first-level cache.
//
// A slot is one word: 32 bits of the hash (the tag), a bit that says that it was used since it was made and since the last Sweep,
// and 31 bits of ref.
// Whoever looks something up compares keys: refs whose tags are equal are candidates, no more.
type Index struct {
	dir   []*segment // by the top depth bits of the tag
	depth uint
	n     int
	held  int // segments
	hand  int // where Sweep goes on, in dir
}

const (
	segmentSlots = 1024
	segmentFull  = segmentSlots * 13 / 16
	refMask      = 1<<31 - 1
	usedBit      = 1 << 31
)

// segment holds its number of used slots (low half) and its depth (high half) in word 0; the others are slots.
type segment [segmentSlots]uint64

func home(tag uint32) uint32 {
	if p := tag & (segmentSlots - 1); p != 0 {
		return p
	}
	return 1
}

func after(p uint32) uint32 {
	if p == segmentSlots-1 {
		return 1
	}
	return (p + 1) & (segmentSlots - 1)
}

func tagOf(hash uint64) uint32 { return uint32(hash >> 32) }

// Len is the number of refs.
func (x *Index) Len() int { return x.n }

// Bytes is the memory held.
func (x *Index) Bytes() int64 { return int64(x.held)*segmentSlots*8 + int64(len(x.dir))*8 }

// Cursor is a place in an Index. It is void once anything is inserted or deleted.
type Cursor struct {
	s   *segment
	p   uint32
	tag uint32
}

// Block is the number of hashes that FindAll takes at most: what a pass reads fits the first-level cache.
const Block = 256

// FindAll finds the first candidate of each hash, 0 where there is none. All slots are read before the first
// is compared, so that the misses overlap.
func (x *Index) FindAll(hashes []uint64, refs *[Block]Ref) {
	if x.n == 0 {
		clear(refs[:len(hashes)])
		return
	}
	shift := 32 - x.depth
	var slots [Block]uint64
	for i, h := range hashes[:min(len(hashes), Block)] {
		tag := tagOf(h)
		slots[i] = x.dir[uint64(tag)>>shift][home(tag)]
	}
	for i, h := range hashes[:min(len(hashes), Block)] {
		tag, slot := tagOf(h), slots[i]
		if uint32(slot>>32) != tag && slot != 0 {
			slot = x.dir[uint64(tag)>>shift].behind(tag)
		}
		refs[i] = Ref(slot & refMask)
	}
}

// behind returns the first slot of a tag that is not in its home, 0 where there is none.
func (s *segment) behind(tag uint32) uint64 {
	for p := after(home(tag)); ; p = after(p) {
		if slot := s[p]; slot == 0 || uint32(slot>>32) == tag {
			return slot
		}
	}
}

// Find returns the first candidate of a hash, 0 where there is none.
func (x *Index) Find(hash uint64) (Ref, Cursor) {
	if x.n == 0 {
		return 0, Cursor{}
	}
	tag := tagOf(hash)
	s := x.dir[uint64(tag)>>(32-x.depth)]
	for p := home(tag); ; p = after(p) {
		slot := s[p]
		if slot == 0 {
			return 0, Cursor{s, p, tag}
		}
		if uint32(slot>>32) == tag {
			return Ref(slot & refMask), Cursor{s, p, tag}
		}
	}
}

// Next returns the next candidate after the one at the cursor.
func (x *Index) Next(c *Cursor) Ref {
	for {
		c.p = after(c.p)
		slot := c.s[c.p]
		if slot == 0 {
			return 0
		}
		if uint32(slot>>32) == c.tag {
			return Ref(slot & refMask)
		}
	}
}

// Replace makes a ref that the index holds under a hash another one.
func (x *Index) Replace(hash uint64, from, to Ref) {
	ref, at := x.Find(hash)
	for ref != from {
		ref = x.Next(&at)
	}
	at.s[at.p] = uint64(at.tag)<<32 | usedBit | uint64(to)
}

// ErrCollide says that more keys than a segment holds have 32 bits of their hash in common, which no data does by chance.
var ErrCollide = errors.New("1,000 keys share 32 bits of their hash")

// Insert adds a ref.
func (x *Index) Insert(hash uint64, r Ref) error {
	if x.dir == nil {
		x.dir = []*segment{new(segment)}
		x.held = 1
	}
	tag := tagOf(hash)
	s := x.dir[uint64(tag)>>(32-x.depth)]
	for s.count() >= segmentFull && x.split(s, tag) {
		s = x.dir[uint64(tag)>>(32-x.depth)]
	}
	if s.count() >= segmentSlots-2 { // one slot stays empty, so that a search ends
		return ErrCollide
	}
	s.add(uint64(tag)<<32 | uint64(r))
	x.n++
	return nil
}

func (s *segment) count() uint32 { return uint32(s[0]) }
func (s *segment) depth() uint   { return uint(s[0] >> 32) }

func (s *segment) add(slot uint64) {
	p := home(uint32(slot >> 32))
	for s[p] != 0 {
		p = after(p)
	}
	s[p] = slot
	s[0]++
}

// split divides the full segment s, which tag leads to, in two. It says no where that would make the directory larger than
// the number of refs is worth: then the hashes are not what hashes should be.
func (x *Index) split(s *segment, tag uint32) bool {
	depth := s.depth()
	if depth == x.depth {
		if 2<<x.depth > max(x.n/16, 2) {
			return false
		}
		dir := make([]*segment, 2<<x.depth)
		for i, s := range x.dir {
			dir[2*i], dir[2*i+1] = s, s
		}
		x.dir = dir
		x.depth++
	}
	old := *s
	high := new(segment)
	x.held++
	*s = segment{0: uint64(depth+1) << 32}
	high[0] = uint64(depth+1) << 32
	bit := uint64(1) << (63 - depth)
	for _, slot := range old[1:] {
		switch {
		case slot == 0:
		case slot&bit != 0:
			high.add(slot)
		default:
			s.add(slot)
		}
	}
	// The entries of s are those whose first depth bits are tag's; the upper half of them is high's.
	span := 1 << (x.depth - depth)
	first := int(uint64(tag)>>(32-x.depth)) &^ (span - 1)
	for i := first + span/2; i < first+span; i++ {
		x.dir[i] = high
	}
	return true
}

// Delete removes the ref at a cursor. Slots behind it move up, so no other cursor holds afterwards.
func (x *Index) Delete(c Cursor) {
	x.n--
	s, gap := c.s, c.p
	s[0]--
	for p := after(gap); s[p] != 0; p = after(p) {
		// The slot at p may fill the gap unless its home lies cyclically in (gap, p].
		h := home(uint32(s[p] >> 32))
		if gap <= p && (h <= gap || h > p) || gap > p && h <= gap && h > p {
			s[gap] = s[p]
			gap = p
		}
	}
	s[gap] = 0
}

// Clear forgets everything.
func (x *Index) Clear() { *x = Index{} }

// All calls visit with every ref, in no order.
func (x *Index) All(visit func(Ref)) {
	for i := 0; i < len(x.dir); {
		s := x.dir[i]
		for _, slot := range s[1:] {
			if slot != 0 {
				visit(Ref(slot & refMask))
			}
		}
		i += 1 << (x.depth - s.depth())
	}
}

// Mark marks the refs of hashes as used, for Sweep.
func (x *Index) Mark(hashes []uint64) {
	if x.n == 0 {
		return
	}
	for _, h := range hashes {
		if _, at := x.Find(h); at.s[at.p] != 0 {
			at.s[at.p] |= usedBit
		}
	}
}

// Sweep goes through one segment, from where the last Sweep ended: a ref that was used since loses its mark, another one is
// taken out where evict agrees, and gives its memory back then. It is the clock of the page caches.
func (x *Index) Sweep(evict func(Ref) bool) {
	if x.n == 0 {
		return
	}
	if x.hand >= len(x.dir) {
		x.hand = 0
	}
	s := x.dir[x.hand]
	// The directory may have doubled since: the hand goes to the end of what leads to this segment.
	span := 1 << (x.depth - s.depth())
	x.hand = x.hand&^(span-1) + span
	for p := uint32(1); p < segmentSlots; p++ {
		for s[p] != 0 { // a deletion may bring another one here
			if s[p]&usedBit != 0 {
				s[p] &^= usedBit
				break
			}
			if !evict(Ref(s[p] & refMask)) {
				break
			}
			x.Delete(Cursor{s, p, 0})
		}
	}
}
