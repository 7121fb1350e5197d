package hot

import (
	"bytes"
	"encoding/binary"

	"github.com/tidemill/tidemill/runtime/state/cells"
)

// The entries of a map in order: leaves of sorted refs, and above them, once there are two, one directory of leaves. With each
// ref a leaf has eight bytes of the entry's key, so that most comparisons do not read the entry.
//
//	leaf        u32 n, u32 capacity, u64[capacity] prefixes, u32[capacity] refs
//	directory   u32 n, u32 capacity, u32[capacity] leaves
//
// A directory of a million leaves is moved in memory by 4 MB at most when a leaf is split, once in 64 insertions; nothing else
// depends on the size of the map but the binary searches.
const (
	leafMin = 4
	leafMax = 128
	treeAt  = 8
)

// An entry's cell is a header (the key length is that of the map key), the ref of the head, the map key, the row.
const (
	entryHead = 8
	entryKey  = 12
)

func entryUnits(cell []byte) uint32 {
	h := cells.HeaderOf(cell)
	return cells.Units(entryKey + h.KeyLen() + h.RowLen())
}

func entrySub(cell []byte) []byte { return cell[entryKey : entryKey+cells.HeaderOf(cell).KeyLen()] }

func entryRow(cell []byte) []byte {
	h := cells.HeaderOf(cell)
	return cell[entryKey+h.KeyLen() : entryKey+h.KeyLen()+h.RowLen()]
}

func leafUnits(capacity uint32) uint32 { return cells.Units(treeAt + 12*int(capacity)) }
func dirUnits(capacity uint32) uint32  { return cells.Units(treeAt + 4*int(capacity)) }

// leaf is a view of a leaf's memory.
type leaf struct {
	b        []byte
	n        int
	capacity int
}

func (t *maps) leaf(ref cells.Ref) leaf {
	b := t.nodes.At(ref)
	return leaf{b, int(u32(b, 0)), int(u32(b, 4))}
}

func (l *leaf) prefix(i int) uint64 { return u64(l.b, treeAt+8*i) }
func (l *leaf) ref(i int) cells.Ref { return u32(l.b, treeAt+8*l.capacity+4*i) }
func (l *leaf) setN(n int)          { l.n = n; put32(l.b, 0, uint32(n)) }
func (l *leaf) prefixes() []byte    { return l.b[treeAt : treeAt+8*l.capacity] }
func (l *leaf) refs() []byte        { return l.b[treeAt+8*l.capacity : treeAt+12*l.capacity] }

// prefixOf is the eight bytes of an encoded map key after its first tag: enough to tell two keys apart in most cases. As no
// encoded key is the beginning of another, their order is that of the keys wherever they differ.
func prefixOf(sub []byte) uint64 {
	if len(sub) >= 9 && sub[0] != 0 {
		return binary.BigEndian.Uint64(sub[1:])
	}
	if len(sub) == 0 || sub[0] == 0 { // null comes first
		return 0
	}
	var p uint64
	for i, c := range sub[1:] {
		p |= uint64(c) << (56 - 8*i)
	}
	return p
}

// place is where a map key is, or would be, in the tree of a head.
type place struct {
	leaf cells.Ref // 0 where the tree is empty
	dir  int       // the leaf's position in the directory
	at   int       // position in the leaf
}

// seek finds the first entry whose key is not less than sub, and whether it is equal.
func (t *maps) seek(h []byte, sub []byte) (place, bool) {
	root := u32(h, headRoot)
	if root == 0 {
		return place{}, false
	}
	p := place{leaf: root}
	prefix := prefixOf(sub)
	if flagged(h, hasDir) {
		d := t.nodes.At(root)
		low, high := 0, int(u32(d, 0))-1 // the last leaf whose first entry is not greater
		for low < high {
			mid := (low + high + 1) / 2
			l := t.leaf(u32(d, treeAt+4*mid))
			if t.compare(&l, 0, prefix, sub) <= 0 {
				low = mid
			} else {
				high = mid - 1
			}
		}
		p.dir = low
		p.leaf = u32(d, treeAt+4*low)
	}
	l := t.leaf(p.leaf)
	low, high := 0, l.n
	for low < high {
		mid := (low + high) / 2
		switch c := t.compare(&l, mid, prefix, sub); {
		case c < 0:
			low = mid + 1
		case c == 0:
			p.at = mid
			return p, true
		default:
			high = mid
		}
	}
	p.at = low
	return p, false
}

// compare compares entry i of a leaf with a map key.
func (t *maps) compare(l *leaf, i int, prefix uint64, sub []byte) int {
	if p := l.prefix(i); p != prefix {
		if p < prefix {
			return -1
		}
		return 1
	}
	return bytes.Compare(entrySub(t.cells.At(l.ref(i))), sub)
}

// insert adds an entry at the place that seek found for it.
func (t *maps) insert(h []byte, p place, sub []byte, ref cells.Ref) error {
	put64(h, headLength, u64(h, headLength)+1)
	if p.leaf == 0 {
		root, err := t.newLeaf(leafMin)
		if err != nil {
			return err
		}
		put32(h, headRoot, root)
		p.leaf = root
	}
	l := t.leaf(p.leaf)
	if l.n == l.capacity {
		var err error
		if l.capacity < leafMax {
			err = t.resize(h, &p, 2*l.capacity)
		} else {
			err = t.splitLeaf(h, &p)
		}
		if err != nil {
			return err
		}
		l = t.leaf(p.leaf)
	}
	prefixes, refs := l.prefixes(), l.refs()
	copy(prefixes[8*(p.at+1):], prefixes[8*p.at:8*l.n])
	copy(refs[4*(p.at+1):], refs[4*p.at:4*l.n])
	put64(prefixes, 8*p.at, prefixOf(sub))
	put32(refs, 4*p.at, ref)
	l.setN(l.n + 1)
	return nil
}

func (t *maps) newLeaf(capacity int) (cells.Ref, error) {
	ref, err := t.nodes.Alloc(leafUnits(uint32(capacity)))
	if err != nil {
		return 0, err
	}
	b := t.nodes.At(ref)
	put32(b, 0, 0)
	put32(b, 4, uint32(capacity))
	return ref, nil
}

// replaceLeaf makes the tree lead to another leaf at a place.
func (t *maps) replaceLeaf(h []byte, p *place, ref cells.Ref) {
	if flagged(h, hasDir) {
		put32(t.nodes.At(u32(h, headRoot)), treeAt+4*p.dir, ref)
	} else {
		put32(h, headRoot, ref)
	}
	p.leaf = ref
}

// resize moves a leaf to one of another capacity.
func (t *maps) resize(h []byte, p *place, capacity int) error {
	ref, err := t.newLeaf(capacity)
	if err != nil {
		return err
	}
	old, l := t.leaf(p.leaf), t.leaf(ref)
	copy(l.prefixes(), old.prefixes()[:8*old.n])
	copy(l.refs(), old.refs()[:4*old.n])
	l.setN(old.n)
	t.nodes.Free(p.leaf, leafUnits(uint32(old.capacity)))
	t.replaceLeaf(h, p, ref)
	return nil
}

// splitLeaf divides a full leaf, in the middle, or where the place is behind the last entry of all, so that keys that only
// ascend leave full leaves. The place then is the one in the right half or the left.
func (t *maps) splitLeaf(h []byte, p *place) error {
	ref, err := t.newLeaf(leafMax)
	if err != nil {
		return err
	}
	if !flagged(h, hasDir) {
		dir, err := t.nodes.Alloc(dirUnits(leafMin))
		if err != nil {
			return err
		}
		d := t.nodes.At(dir)
		put32(d, 0, 1)
		put32(d, 4, leafMin)
		put32(d, treeAt, p.leaf)
		put32(h, headRoot, dir)
		setFlag(h, hasDir)
		p.dir = 0
	}
	d := t.nodes.At(u32(h, headRoot))
	n := int(u32(d, 0))
	l, right := t.leaf(p.leaf), t.leaf(ref)
	cut := l.n / 2
	if p.dir == n-1 && p.at == l.n {
		cut = l.n
	}
	copy(right.prefixes(), l.prefixes()[8*cut:8*l.n])
	copy(right.refs(), l.refs()[4*cut:4*l.n])
	right.setN(l.n - cut)
	l.setN(cut)
	if d, err = t.roomInDir(h, d, n); err != nil {
		return err
	}
	leaves := d[treeAt:]
	copy(leaves[4*(p.dir+2):4*(n+1)], leaves[4*(p.dir+1):4*n])
	put32(leaves, 4*(p.dir+1), ref)
	put32(d, 0, uint32(n+1))
	if p.at > cut || right.n == 0 {
		p.leaf, p.dir, p.at = ref, p.dir+1, p.at-cut
	}
	return nil
}

// roomInDir makes room for one more leaf in a directory of n.
func (t *maps) roomInDir(h, d []byte, n int) ([]byte, error) {
	capacity := u32(d, 4)
	if n < int(capacity) {
		return d, nil
	}
	ref, err := t.nodes.Alloc(dirUnits(2 * capacity))
	if err != nil {
		return nil, err
	}
	bigger := t.nodes.At(ref)
	copy(bigger[treeAt:], d[treeAt:treeAt+4*n])
	put32(bigger, 4, 2*capacity)
	put32(bigger, 0, uint32(n))
	t.nodes.Free(u32(h, headRoot), dirUnits(capacity))
	put32(h, headRoot, ref)
	return bigger, nil
}

// cut takes the entry at a place out of the tree; its cell stays.
func (t *maps) cut(h []byte, p place) error {
	put64(h, headLength, u64(h, headLength)-1)
	l := t.leaf(p.leaf)
	prefixes, refs := l.prefixes(), l.refs()
	copy(prefixes[8*p.at:], prefixes[8*(p.at+1):8*l.n])
	copy(refs[4*p.at:], refs[4*(p.at+1):4*l.n])
	l.setN(l.n - 1)
	switch {
	case l.n == 0:
		t.removeLeaf(h, p)
	case l.capacity > leafMin && l.n <= l.capacity/4:
		return t.resize(h, &p, l.capacity/2)
	}
	return nil
}

// removeLeaf takes an empty leaf out of the tree.
func (t *maps) removeLeaf(h []byte, p place) {
	l := t.leaf(p.leaf)
	t.nodes.Free(p.leaf, leafUnits(uint32(l.capacity)))
	if !flagged(h, hasDir) {
		put32(h, headRoot, 0)
		return
	}
	root := u32(h, headRoot)
	d := t.nodes.At(root)
	n := int(u32(d, 0)) - 1
	leaves := d[treeAt:]
	copy(leaves[4*p.dir:4*n], leaves[4*(p.dir+1):4*(n+1)])
	put32(d, 0, uint32(n))
	if n == 1 {
		put32(h, headRoot, u32(leaves, 0))
		clearFlag(h, hasDir)
		t.nodes.Free(root, dirUnits(u32(d, 4)))
	}
}

// dropTree gives back all leaves and the directory.
func (t *maps) dropTree(h []byte) {
	root := u32(h, headRoot)
	if root == 0 {
		return
	}
	if flagged(h, hasDir) {
		d := t.nodes.At(root)
		for i := range int(u32(d, 0)) {
			ref := u32(d, treeAt+4*i)
			t.nodes.Free(ref, leafUnits(u32(t.nodes.At(ref), 4)))
		}
		t.nodes.Free(root, dirUnits(u32(d, 4)))
	} else {
		t.nodes.Free(root, leafUnits(u32(t.nodes.At(root), 4)))
	}
	put32(h, headRoot, 0)
	clearFlag(h, hasDir)
	put64(h, headLength, 0)
}

// filter takes out the entries that keep does not want; their cells are the caller's.
func (t *maps) filter(h []byte, keep func(cells.Ref) bool) {
	root := u32(h, headRoot)
	if root == 0 {
		return
	}
	if !flagged(h, hasDir) {
		put32(h, headRoot, t.filterLeaf(h, root, keep))
		return
	}
	d := t.nodes.At(root)
	leaves, n := d[treeAt:], 0
	for i := range int(u32(d, 0)) {
		if ref := t.filterLeaf(h, u32(leaves, 4*i), keep); ref != 0 {
			put32(leaves, 4*n, ref)
			n++
		}
	}
	put32(d, 0, uint32(n))
	if n < 2 {
		first := cells.Ref(0)
		if n == 1 {
			first = u32(leaves, 0)
		}
		put32(h, headRoot, first)
		clearFlag(h, hasDir)
		t.nodes.Free(root, dirUnits(u32(d, 4)))
	}
}

// filterLeaf is filter for one leaf. It returns the leaf that has what is left, 0 where nothing is.
func (t *maps) filterLeaf(h []byte, ref cells.Ref, keep func(cells.Ref) bool) cells.Ref {
	l := t.leaf(ref)
	n := 0
	for i := range l.n {
		if e := l.ref(i); keep(e) {
			put64(l.prefixes(), 8*n, l.prefix(i))
			put32(l.refs(), 4*n, e)
			n++
		}
	}
	put64(h, headLength, u64(h, headLength)-uint64(l.n-n))
	l.setN(n)
	capacity := l.capacity
	for capacity > leafMin && n <= capacity/4 {
		capacity /= 2
	}
	if n > 0 && capacity == l.capacity {
		return ref
	}
	smaller := cells.Ref(0)
	if n > 0 {
		var err error
		if smaller, err = t.newLeaf(capacity); err != nil {
			return ref // it stays as large as it is
		}
		s := t.leaf(smaller)
		copy(s.prefixes(), l.prefixes()[:8*n])
		copy(s.refs(), l.refs()[:4*n])
		s.setN(n)
	}
	t.nodes.Free(ref, leafUnits(uint32(l.capacity)))
	return smaller
}

// treeWalk goes through the entries of a head. It is void once the tree changes.
type treeWalk struct {
	t          *maps
	h          []byte
	p          place
	descending bool
}

// from starts a walk at the first entry with low <= key, or descending at the last with key < high; nil is unbounded.
func (t *maps) from(h, low, high []byte, descending bool) treeWalk {
	w := treeWalk{t, h, place{leaf: u32(h, headRoot)}, descending}
	switch {
	case w.p.leaf == 0:
	case !descending && low != nil:
		w.p, _ = t.seek(h, low)
	case descending && high != nil:
		w.p, _ = t.seek(h, high)
		w.p.at--
	case flagged(h, hasDir):
		d := t.nodes.At(u32(h, headRoot))
		if descending {
			w.p.dir = int(u32(d, 0)) - 1
		}
		w.p.leaf = u32(d, treeAt+4*w.p.dir)
		fallthrough
	default:
		if descending {
			w.p.at = int(u32(t.nodes.At(w.p.leaf), 0)) - 1
		}
	}
	return w
}

// next returns the next entry, 0 at the end.
func (w *treeWalk) next() cells.Ref {
	for w.p.leaf != 0 {
		l := w.t.leaf(w.p.leaf)
		if w.p.at >= 0 && w.p.at < l.n {
			ref := l.ref(w.p.at)
			if w.descending {
				w.p.at--
			} else {
				w.p.at++
			}
			return ref
		}
		w.p.leaf = w.nextLeaf()
	}
	return 0
}

func (w *treeWalk) nextLeaf() cells.Ref {
	if !flagged(w.h, hasDir) {
		return 0
	}
	d := w.t.nodes.At(u32(w.h, headRoot))
	if w.descending {
		if w.p.dir == 0 {
			return 0
		}
		w.p.dir--
		ref := u32(d, treeAt+4*w.p.dir)
		w.p.at = int(u32(w.t.nodes.At(ref), 0)) - 1
		return ref
	}
	w.p.dir++
	if w.p.dir >= int(u32(d, 0)) {
		return 0
	}
	w.p.at = 0
	return u32(d, treeAt+4*w.p.dir)
}
