package heads

import (
	"bytes"

	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state/cells"
)

// Head is the memory of a head's cell: header, the ref of the last block or of the root, flags, counts, the hash; then the key.
// Header and key never change, so that the reader of a checkpoint finds the key of a frozen element.
type Head []byte

const (
	atRoot   = 8
	atFlags  = 12
	atCount  = 16
	atGen    = 20
	atBytes  = 24
	atLength = 32
	atHash   = 40
	atKey    = 48
)

// Flags of a head.
const (
	Complete = 1 // nothing of the key is only in the store beneath
	Own      = 2 // for the table that the head is of
)

// Key is the encoded key.
func (h Head) Key() []byte { return h[atKey : atKey+cells.HeaderOf(h).KeyLen()] }

// Hash is the key's hash.
func (h Head) Hash() uint64 { return cells.U64(h, atHash) }

// Units is the size of the cell.
func (h Head) Units() uint32 { return units(h) }

func units(cell []byte) uint32 { return cells.Units(atKey + cells.HeaderOf(cell).KeyLen()) }

// Root leads to what the table keeps for the key, 0 where that is nothing.
func (h Head) Root() cells.Ref { return cells.U32(h, atRoot) }

// SetRoot changes the root.
func (h Head) SetRoot(r cells.Ref) { cells.Put32(h, atRoot, r) }

// Count is the number of live elements or entries in memory.
func (h Head) Count() uint32 { return cells.U32(h, atCount) }

// Bytes is the size of their rows, and map keys.
func (h Head) Bytes() uint64 { return cells.U64(h, atBytes) }

// Grow adds to both.
func (h Head) Grow(count, bytes int) {
	cells.Put32(h, atCount, uint32(int(h.Count())+count))
	cells.Put64(h, atBytes, uint64(int(h.Bytes())+bytes))
}

// Extent is how much a list or map has in it.
type Extent struct {
	Count uint32 // elements or entries
	Bytes uint64 // of their rows, and map keys
}

// Add adds to both.
func (e *Extent) Add(count, bytes int) {
	e.Count += uint32(count)
	e.Bytes += uint64(bytes)
}

// Extent is what is in memory, of which some may have expired.
func (h Head) Extent() Extent { return Extent{h.Count(), h.Bytes()} }

// Length is the table's own number: the last sequence of a list, the entries in the tree of a map, absent ones included.
func (h Head) Length() uint64 { return cells.U64(h, atLength) }

// SetLength changes it.
func (h Head) SetLength(v uint64) { cells.Put64(h, atLength, v) }

// Gen is the generation of the last change.
func (h Head) Gen() uint32 { return cells.U32(h, atGen) }

// Is says whether a flag is set.
func (h Head) Is(flag uint32) bool { return cells.U32(h, atFlags)&flag != 0 }

// Set sets a flag.
func (h Head) Set(flag uint32) { cells.Put32(h, atFlags, cells.U32(h, atFlags)|flag) }

// Clear clears a flag.
func (h Head) Clear(flag uint32) { cells.Put32(h, atFlags, cells.U32(h, atFlags)&^flag) }

// Table is the heads of one state. The zero value is an empty one.
type Table struct {
	Beneath bool // there is a store beneath, so that a new head is not complete
	Cells   cells.Ledger
	Index   cells.Index
	Refs    [cells.Block]cells.Ref // of the last Resolve
}

// At returns a head.
func (t *Table) At(ref cells.Ref) Head { return t.Cells.At(ref) }

// Find returns the head of a key, 0 where it has none.
func (t *Table) Find(hash uint64, key []byte) cells.Ref {
	ref, at := t.Index.Find(hash)
	for ; ref != 0; ref = t.Index.Next(&at) {
		if bytes.Equal(t.At(ref).Key(), key) {
			return ref
		}
	}
	return 0
}

// Resolve finds the heads of keys [from, to), at most a block, into t.Refs.
func (t *Table) Resolve(keys *record.KeySet, from, to int) {
	t.Index.FindAll(keys.Hash[from:to], &t.Refs)
	if t.Index.Len() == 0 {
		return
	}
	var headers [cells.Block]cells.Header
	for i, ref := range t.Refs[:to-from] {
		headers[i] = cells.HeaderOf(t.Cells.At(ref))
	}
	for k := from; k < to; k++ {
		ref := t.Refs[k-from]
		if ref != 0 && (headers[k-from].KeyLen() != len(keys.Key(k)) || !bytes.Equal(t.At(ref).Key(), keys.Key(k))) {
			t.Refs[k-from] = t.Find(keys.Hash[k], keys.Key(k))
		}
	}
}

// Make returns the head of a key, a new one where it has none.
func (t *Table) Make(hash uint64, key []byte) (ref cells.Ref, isNew bool, err error) {
	if ref := t.Find(hash, key); ref != 0 {
		return ref, false, nil
	}
	if ref, err = t.Cells.Alloc(cells.Units(atKey + len(key))); err != nil {
		return 0, false, err
	}
	h := t.At(ref)
	cells.MakeHeader(len(key), 0, 0).Put(h)
	clear(h[8:atHash])
	if !t.Beneath {
		h.Set(Complete)
	}
	cells.Put64(h, atHash, hash)
	copy(h[atKey:], key)
	return ref, true, t.Index.Insert(hash, ref)
}

// Touch notes that a head changes in this generation.
func (t *Table) Touch(h Head) {
	if gen := t.Cells.Gen(); h.Gen() != gen {
		cells.Put32(h, atGen, gen)
		t.Cells.Touched(h.Units())
	}
}

// Remove gives a head back.
func (t *Table) Remove(head cells.Ref) {
	h := t.At(head)
	ref, at := t.Index.Find(h.Hash())
	for ref != head {
		ref = t.Index.Next(&at)
	}
	t.Index.Delete(at)
	t.Cells.Retire(head, h.Units())
}

// Release ends the reading of a checkpoint.
func (t *Table) Release() {
	t.Cells.Release()
	if t.Cells.Old() {
		t.Cells.Renumber(units)
		t.Cells.Walk(units, func(_ cells.Ref, h []byte) { cells.Put32(h, atGen, 0) })
	}
}

// Held is the memory held.
func (t *Table) Held() int64 { return t.Cells.LedgerBytes() + t.Index.Bytes() }
