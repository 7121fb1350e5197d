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
	plain bool // slots hold the values of an integer column instead of hashes
}

type keySlot struct {
	hash  uint64
	key   uint32
	epoch uint32
}

// Key returns the encoded key i, a view valid until the next call that changes the set.
func (k *KeySet) Key(i int) []byte { return k.Bytes[k.Off[i]:k.Off[i+1]] }

// Reset empties the set and makes room for rows rows; more may be added.
func (k *KeySet) Reset(rows int) {
	k.N, k.KeyOf, k.First, k.Hash, k.Bytes = 0, k.KeyOf[:0], k.First[:0], k.Hash[:0], k.Bytes[:0]
	k.Off = append(k.Off[:0], 0)
	k.room(rows)
}

// room empties the slots and makes them at least twice rows.
func (k *KeySet) room(rows int) {
	k.plain = false
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

// buildInts finds the distinct values first, by a product instead of the hash, and encodes and hashes only those.
func (k *KeySet) buildInts(values []int64, from, to int) {
	k.plain = true
	rows := to - from
	k.KeyOf = resize(k.KeyOf, rows)
	k.First = resize(k.First, rows)
	slots, epoch, n := k.slots, k.epoch, uint32(0)
	shift := 65 - bits.Len(uint(len(slots)))
	for i, v := range values[from:to] {
		j := uint64(v) * 0x9e3779b97f4a7c15 >> shift
		for {
			s := &slots[j&uint64(len(slots)-1)]
			if s.epoch != epoch {
				*s = keySlot{uint64(v), n, epoch}
				k.First[n] = int32(from + i)
				k.KeyOf[i] = n
				n++
				break
			}
			if s.hash == uint64(v) {
				k.KeyOf[i] = s.key
				break
			}
			j++
		}
	}
	k.N, k.First = int(n), k.First[:n]
	k.Hash, k.Off, k.Bytes = resize(k.Hash, k.N), resize(k.Off, k.N+1), resize(k.Bytes, intKeySize*k.N)
	for i, row := range k.First {
		key := k.Bytes[intKeySize*i : intKeySize*(i+1)]
		u := uint64(values[row]) ^ 1<<63
		key[0] = 1
		binary.BigEndian.PutUint64(key[1:], u)
		k.Hash[i] = hashInt(u)
		k.Off[i+1] = uint32(intKeySize * (i + 1))
	}
}

func resize[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n, max(n, RowsMax+1))
	}
	return s[:n]
}

// Add adds one encoded key for the next row and returns its index.
func (k *KeySet) Add(key []byte, row int32) uint32 {
	if k.plain {
		k.rehash(len(k.slots) / 2)
	}
	start := len(k.Bytes)
	k.Bytes = append(k.Bytes, key...)
	return k.add(start, row)
}

// rehash makes the slots anew: for rows rows, and those of hashes.
func (k *KeySet) rehash(rows int) {
	k.room(rows)
	mask := uint64(len(k.slots) - 1)
	for id, hash := range k.Hash {
		i := hash & mask
		for k.slots[i].epoch == k.epoch {
			i = (i + 1) & mask
		}
		k.slots[i] = keySlot{hash, uint32(id), k.epoch}
	}
}

// add takes the key that was just written at Bytes[start:]; where it is known already the bytes are taken back.
func (k *KeySet) add(start int, row int32) uint32 {
	key := k.Bytes[start:]
	hash := xxh3.Hash(key)
	if 2*k.N >= len(k.slots) {
		k.rehash(2 * k.N)
	}
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
