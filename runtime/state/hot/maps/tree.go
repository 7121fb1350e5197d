package maps

import (
	"bytes"
	"encoding/binary"

	"github.com/tidemill/tidemill/runtime/state/cells"
	"github.com/tidemill/tidemill/runtime/state/hot/heads"
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

	hasDir = heads.Own // of a head: the root is a directory of leaves
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

func (t *Table) leaf(ref cells.Ref) leaf {
	b := t.nodes.At(ref)
	return leaf{b, int(cells.U32(b, 0)), int(cells.U32(b, 4))}
}

func (l *leaf) prefix(i int) uint64 { return cells.U64(l.b, treeAt+8*i) }
func (l *leaf) ref(i int) cells.Ref { return cells.U32(l.b, treeAt+8*l.capacity+4*i) }
func (l *leaf) setN(n int)          { l.n = n; cells.Put32(l.b, 0, uint32(n)) }
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
func (t *Table) seek(h heads.Head, sub []byte) (place, bool) {
	root := h.Root()
	if root == 0 {
		return place{}, false
	}
	p := place{leaf: root}
	prefix := prefixOf(sub)
	if h.Is(hasDir) {
		d := t.nodes.At(root)
		low, high := 0, int(cells.U32(d, 0))-1 // the last leaf whose first entry is not greater
		for low < high {
			mid := (low + high + 1) / 2
			l := t.leaf(cells.U32(d, treeAt+4*mid))
			if t.compare(&l, 0, prefix, sub) <= 0 {
				low = mid
			} else {
				high = mid - 1
			}
		}
		p.dir = low
		p.leaf = cells.U32(d, treeAt+4*low)
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
func (t *Table) compare(l *leaf, i int, prefix uint64, sub []byte) int {
	if p := l.prefix(i); p != prefix {
		if p < prefix {
			return -1
		}
		return 1
	}
	return bytes.Compare(entrySub(t.cells.At(l.ref(i))), sub)
}

// insert adds an entry at the place that seek found for it.
func (t *Table) insert(h heads.Head, p place, sub []byte, ref cells.Ref) error {
	h.SetLength(h.Length() + 1)
	if p.leaf == 0 {
		root, err := t.newLeaf(leafMin)
		if err != nil {
			return err
		}
		h.SetRoot(root)
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
	cells.Put64(prefixes, 8*p.at, prefixOf(sub))
	cells.Put32(refs, 4*p.at, ref)
	l.setN(l.n + 1)
	return nil
}

func (t *Table) newLeaf(capacity int) (cells.Ref, error) {
	ref, err := t.nodes.Alloc(leafUnits(uint32(capacity)))
	if err != nil {
		return 0, err
	}
	b := t.nodes.At(ref)
	cells.Put32(b, 0, 0)
	cells.Put32(b, 4, uint32(capacity))
	return ref, nil
}

// replaceLeaf makes the tree lead to another leaf at a place.
func (t *Table) replaceLeaf(h heads.Head, p *place, ref cells.Ref) {
	if h.Is(hasDir) {
		cells.Put32(t.nodes.At(h.Root()), treeAt+4*p.dir, ref)
	} else {
		h.SetRoot(ref)
	}
	p.leaf = ref
}

// resize moves a leaf to one of another capacity.
func (t *Table) resize(h heads.Head, p *place, capacity int) error {
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
func (t *Table) splitLeaf(h heads.Head, p *place) error {
	ref, err := t.newLeaf(leafMax)
	if err != nil {
		return err
	}
	if !h.Is(hasDir) {
		dir, err := t.nodes.Alloc(dirUnits(leafMin))
		if err != nil {
			return err
		}
		d := t.nodes.At(dir)
		cells.Put32(d, 0, 1)
		cells.Put32(d, 4, leafMin)
		cells.Put32(d, treeAt, p.leaf)
		h.SetRoot(dir)
		h.Set(hasDir)
		p.dir = 0
	}
	d := t.nodes.At(h.Root())
	n := int(cells.U32(d, 0))
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
	cells.Put32(leaves, 4*(p.dir+1), ref)
	cells.Put32(d, 0, uint32(n+1))
	if p.at > cut || right.n == 0 {
		p.leaf, p.dir, p.at = ref, p.dir+1, p.at-cut
	}
	return nil
}

// roomInDir makes room for one more leaf in a directory of n.
func (t *Table) roomInDir(h heads.Head, d []byte, n int) ([]byte, error) {
	capacity := cells.U32(d, 4)
	if n < int(capacity) {
		return d, nil
	}
	ref, err := t.nodes.Alloc(dirUnits(2 * capacity))
	if err != nil {
		return nil, err
	}
	bigger := t.nodes.At(ref)
	copy(bigger[treeAt:], d[treeAt:treeAt+4*n])
	cells.Put32(bigger, 4, 2*capacity)
	cells.Put32(bigger, 0, uint32(n))
	t.nodes.Free(h.Root(), dirUnits(capacity))
	h.SetRoot(ref)
	return bigger, nil
}

// cut takes the entry at a place out of the tree; its cell stays.
func (t *Table) cut(h heads.Head, p place) error {
	h.SetLength(h.Length() - 1)
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
func (t *Table) removeLeaf(h heads.Head, p place) {
	l := t.leaf(p.leaf)
	t.nodes.Free(p.leaf, leafUnits(uint32(l.capacity)))
	if !h.Is(hasDir) {
		h.SetRoot(0)
		return
	}
	root := h.Root()
	d := t.nodes.At(root)
	n := int(cells.U32(d, 0)) - 1
	leaves := d[treeAt:]
	copy(leaves[4*p.dir:4*n], leaves[4*(p.dir+1):4*(n+1)])
	cells.Put32(d, 0, uint32(n))
	if n == 1 {
		h.SetRoot(cells.U32(leaves, 0))
		h.Clear(hasDir)
		t.nodes.Free(root, dirUnits(cells.U32(d, 4)))
	}
}

// dropTree gives back all leaves and the directory.
func (t *Table) dropTree(h heads.Head) {
	root := h.Root()
	if root == 0 {
		return
	}
	if h.Is(hasDir) {
		d := t.nodes.At(root)
		for i := range int(cells.U32(d, 0)) {
			ref := cells.U32(d, treeAt+4*i)
			t.nodes.Free(ref, leafUnits(cells.U32(t.nodes.At(ref), 4)))
		}
		t.nodes.Free(root, dirUnits(cells.U32(d, 4)))
	} else {
		t.nodes.Free(root, leafUnits(cells.U32(t.nodes.At(root), 4)))
	}
	h.SetRoot(0)
	h.Clear(hasDir)
	h.SetLength(0)
}

// filter takes out the entries that keep does not want; their cells are the caller's.
func (t *Table) filter(h heads.Head, keep func(cells.Ref) bool) {
	root := h.Root()
	if root == 0 {
		return
	}
	if !h.Is(hasDir) {
		h.SetRoot(t.filterLeaf(h, root, keep))
		return
	}
	d := t.nodes.At(root)
	leaves, n := d[treeAt:], 0
	for i := range int(cells.U32(d, 0)) {
		if ref := t.filterLeaf(h, cells.U32(leaves, 4*i), keep); ref != 0 {
			cells.Put32(leaves, 4*n, ref)
			n++
		}
	}
	cells.Put32(d, 0, uint32(n))
	if n < 2 {
		first := cells.Ref(0)
		if n == 1 {
			first = cells.U32(leaves, 0)
		}
		h.SetRoot(first)
		h.Clear(hasDir)
		t.nodes.Free(root, dirUnits(cells.U32(d, 4)))
	}
}

// filterLeaf is filter for one leaf. It returns the leaf that has what is left, 0 where nothing is.
func (t *Table) filterLeaf(h heads.Head, ref cells.Ref, keep func(cells.Ref) bool) cells.Ref {
	l := t.leaf(ref)
	n := 0
	for i := range l.n {
		if e := l.ref(i); keep(e) {
			cells.Put64(l.prefixes(), 8*n, l.prefix(i))
			cells.Put32(l.refs(), 4*n, e)
			n++
		}
	}
	h.SetLength(h.Length() - uint64(l.n-n))
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
	t          *Table
	h          heads.Head
	p          place
	descending bool
}

// from starts a walk at the first entry with low <= key, or descending at the last with key < high; nil is unbounded.
func (t *Table) from(h heads.Head, low, high []byte, descending bool) treeWalk {
	w := treeWalk{t, h, place{leaf: h.Root()}, descending}
	switch {
	case w.p.leaf == 0:
	case !descending && low != nil:
		w.p, _ = t.seek(h, low)
	case descending && high != nil:
		w.p, _ = t.seek(h, high)
		w.p.at--
	case h.Is(hasDir):
		d := t.nodes.At(h.Root())
		if descending {
			w.p.dir = int(cells.U32(d, 0)) - 1
		}
		w.p.leaf = cells.U32(d, treeAt+4*w.p.dir)
		fallthrough
	default:
		if descending {
			w.p.at = int(cells.U32(t.nodes.At(w.p.leaf), 0)) - 1
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
	if !w.h.Is(hasDir) {
		return 0
	}
	d := w.t.nodes.At(w.h.Root())
	if w.descending {
		if w.p.dir == 0 {
			return 0
		}
		w.p.dir--
		ref := cells.U32(d, treeAt+4*w.p.dir)
		w.p.at = int(cells.U32(w.t.nodes.At(ref), 0)) - 1
		return ref
	}
	w.p.dir++
	if w.p.dir >= int(cells.U32(d, 0)) {
		return 0
	}
	w.p.at = 0
	return cells.U32(d, treeAt+4*w.p.dir)
}
