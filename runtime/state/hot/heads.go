package hot

import (
	"bytes"
	"encoding/binary"

	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state/cells"
)

// A head is the cell of a key in a list or map state: header, the ref of the last block or of the root, flags, counts, the
// hash; then the key. Header and key never change, so that the reader of a checkpoint finds the key of a frozen element.
const (
	headRoot   = 8
	headFlags  = 12
	headCount  = 16 // live elements or entries, u32
	headGen    = 20 // generation of the last change, u32
	headBytes  = 24 // size of the cell: rows, and map keys
	headLength = 32 // list: the last sequence; map: entries in the tree, deleted ones included
	headHash   = 40
	headKey    = 48
)

// Flags of a head.
const (
	complete = 1 // nothing of the key is only in the store beneath
	hasDir   = 2 // map: the root is a directory of leaves
	unsorted = 4 // list: restored out of order
)

// heads finds the head of a key.
type heads struct {
	cells cells.Ledger
	index cells.Index
	refs  [cells.Block]cells.Ref // of a block of keys
}

func u32(b []byte, at int) uint32        { return binary.LittleEndian.Uint32(b[at:]) }
func u64(b []byte, at int) uint64        { return binary.LittleEndian.Uint64(b[at:]) }
func put32(b []byte, at int, v uint32)   { binary.LittleEndian.PutUint32(b[at:], v) }
func put64(b []byte, at int, v uint64)   { binary.LittleEndian.PutUint64(b[at:], v) }
func keyOf(head []byte) []byte           { return head[headKey : headKey+cells.HeaderOf(head).KeyLen()] }
func headUnits(head []byte) uint32       { return cells.Units(headKey + cells.HeaderOf(head).KeyLen()) }
func setFlag(head []byte, f uint32)      { put32(head, headFlags, u32(head, headFlags)|f) }
func clearFlag(head []byte, f uint32)    { put32(head, headFlags, u32(head, headFlags)&^f) }
func flagged(head []byte, f uint32) bool { return u32(head, headFlags)&f != 0 }
func grow(head []byte, count, bytes int) {
	put32(head, headCount, uint32(int(u32(head, headCount))+count))
	put64(head, headBytes, uint64(int(u64(head, headBytes))+bytes))
}

// find returns the head of a key, 0 where it has none.
func (t *heads) find(hash uint64, key []byte) (cells.Ref, cells.Cursor) {
	ref, at := t.index.Find(hash)
	for ; ref != 0; ref = t.index.Next(&at) {
		if bytes.Equal(keyOf(t.cells.At(ref)), key) {
			return ref, at
		}
	}
	return 0, at
}

// resolve finds the heads of keys [from, to), at most a block, into t.refs.
func (t *heads) resolve(keys *record.KeySet, from, to int) {
	t.index.FindAll(keys.Hash[from:to], &t.refs)
	if t.index.Len() == 0 {
		return
	}
	var headers [cells.Block]cells.Header
	for i, ref := range t.refs[:to-from] {
		headers[i] = cells.HeaderOf(t.cells.At(ref))
	}
	for k := from; k < to; k++ {
		ref := t.refs[k-from]
		if ref != 0 && (headers[k-from].KeyLen() != len(keys.Key(k)) || !bytes.Equal(keyOf(t.cells.At(ref)), keys.Key(k))) {
			t.refs[k-from], _ = t.find(keys.Hash[k], keys.Key(k))
		}
	}
}

// make returns the head of a key, a new one where it has none.
func (t *heads) make(hash uint64, key []byte, flags uint32) (ref cells.Ref, isNew bool, err error) {
	if ref, _ := t.find(hash, key); ref != 0 {
		return ref, false, nil
	}
	if ref, err = t.cells.Alloc(cells.Units(headKey + len(key))); err != nil {
		return 0, false, err
	}
	h := t.cells.At(ref)
	cells.MakeHeader(len(key), 0, 0).Put(h)
	clear(h[8:headHash])
	put32(h, headFlags, flags)
	put64(h, headHash, hash)
	copy(h[headKey:], key)
	return ref, true, t.index.Insert(hash, ref)
}

// touch notes that a head changes in this generation.
func (t *heads) touch(h []byte) {
	if gen := t.cells.Gen(); u32(h, headGen) != gen {
		put32(h, headGen, gen)
		t.cells.Touched(headUnits(h))
	}
}

// remove gives a head back.
func (t *heads) remove(head cells.Ref) {
	h := t.cells.At(head)
	ref, at := t.index.Find(u64(h, headHash))
	for ref != head {
		ref = t.index.Next(&at)
	}
	t.index.Delete(at)
	t.cells.Retire(head, headUnits(h))
}

func (t *heads) release() {
	t.cells.Release()
	if t.cells.Old() {
		t.cells.Renumber(headUnits)
		t.cells.Walk(headUnits, func(_ cells.Ref, h []byte) { put32(h, headGen, 0) })
	}
}

func (t *heads) held() int64 { return t.cells.LedgerBytes() + t.index.Bytes() }
