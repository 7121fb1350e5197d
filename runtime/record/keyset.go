package record

import (
	"encoding/binary"
	"math/bits"

	"github.com/zeebo/xxh3"
)

// KeySet is the distinct keys of a range of rows, in first-appearance order. It is reused from batch to batch without
// allocating; one goroutine uses it.
type KeySet struct {
	N     int      // distinct keys
	KeyOf []uint32 // for each row of the range, its key
	First []int32  // for each key, the row of its first appearance (in the batch, not in the range)
	Hash  []uint64 // for each key, HashKey
	Off   []uint32 // N+1 offsets into Bytes
	Bytes []byte   // encoded keys, end to end

	slots []keySlot // open addressing, at least twice the rows; a slot counts where its epoch is the current one
	epoch uint32
}

type keySlot struct {
	hash  uint64
	key   uint32
	epoch uint32
}

// Key returns the encoded key i, a view valid until the next call that changes the set.
func (k *KeySet) Key(i int) []byte { return k.Bytes[k.Off[i]:k.Off[i+1]] }

// Reset empties the set and makes room for rows more rows.
func (k *KeySet) Reset(rows int) {
	k.N, k.KeyOf, k.First, k.Hash, k.Bytes = 0, k.KeyOf[:0], k.First[:0], k.Hash[:0], k.Bytes[:0]
	k.Off = append(k.Off[:0], 0)
	if want := 1 << bits.Len(uint(rows*2)); len(k.slots) < want {
		k.slots = make([]keySlot, want)
		k.epoch = 0
	}
	k.epoch++
	if k.epoch == 0 { // wrapped: forget everything
		clear(k.slots)
		k.epoch = 1
	}
}

// Build makes the set of the keys in rows [from, to) of a batch.
func (k *KeySet) Build(b *Batch, columns []int, from, to int) {
	k.Reset(to - from)
	if len(columns) == 1 {
		c := &b.Columns[columns[0]]
		if c.Nulls == 0 && c.Type.Integer() && c.Type.Width() == 8 {
			k.buildInts(c.Int64s(), from, to)
			return
		}
	}
	for row := from; row < to; row++ {
		start := len(k.Bytes)
		k.Bytes = AppendKey(k.Bytes, b.Columns, columns, row)
		k.add(start, int32(row))
	}
}

func (k *KeySet) buildInts(values []int64, from, to int) {
	for row := from; row < to; row++ {
		start := len(k.Bytes)
		k.Bytes = append(k.Bytes, 1, 0, 0, 0, 0, 0, 0, 0, 0)
		binary.BigEndian.PutUint64(k.Bytes[start+1:], uint64(values[row])^(1<<63))
		k.add(start, int32(row))
	}
}

// Add adds one encoded key for the next row and returns its index.
func (k *KeySet) Add(key []byte, row int32) uint32 {
	start := len(k.Bytes)
	k.Bytes = append(k.Bytes, key...)
	return k.add(start, row)
}

// add takes the key that was just written at Bytes[start:]; where it is known already the bytes are taken back.
func (k *KeySet) add(start int, row int32) uint32 {
	key := k.Bytes[start:]
	hash := xxh3.Hash(key)
	mask := uint64(len(k.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		s := &k.slots[i]
		if s.epoch != k.epoch {
			id := uint32(k.N)
			*s = keySlot{hash, id, k.epoch}
			k.N++
			k.First = append(k.First, row)
			k.Hash = append(k.Hash, hash)
			k.Off = append(k.Off, uint32(len(k.Bytes)))
			k.KeyOf = append(k.KeyOf, id)
			return id
		}
		if s.hash == hash && string(k.Key(int(s.key))) == string(key) {
			k.Bytes = k.Bytes[:start]
			k.KeyOf = append(k.KeyOf, s.key)
			return s.key
		}
	}
}
