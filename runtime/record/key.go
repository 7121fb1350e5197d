package record

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"

	"github.com/zeebo/xxh3"
)

// The key encoding, pinned by abi/SPEC.md and by golden tests. A key is a tuple; each of its fields is
//
//	null                     00
//	bool                     01, 00 or 01
//	integers, dates, times   01, the value as i64 with its sign bit flipped, big-endian
//	f32, f64                 01, the value as f64 with -0.0 = 0.0 and one NaN: bits big-endian, sign bit flipped where it is
//	                         positive, all bits flipped where it is negative
//	decimal128               01, the 16 bytes with their sign bit flipped, big-endian
//	utf8, binary             01, the bytes with 00 written as 00 FF, then 00 00
//
// so that comparing encoded keys as bytes compares the tuples (null first, NaN last), and a key column may be widened without
// moving a key to another group.

// AppendKey appends the encoding of row's key columns to dst. None of them is a list.
func AppendKey(dst []byte, columns []Column, keys []int, row int) []byte {
	for _, k := range keys {
		dst = appendKeyField(dst, &columns[k], row)
	}
	return dst
}

func appendKeyField(dst []byte, c *Column, row int) []byte {
	if c.Null(row) {
		return append(dst, 0)
	}
	dst = append(dst, 1)
	switch {
	case c.Type == Bool:
		return append(dst, byte(c.Int(row)))
	case c.Type.HasOffsets():
		return appendEscaped(dst, c.Bytes(row))
	case c.Type == F32 || c.Type == F64:
		return binary.BigEndian.AppendUint64(dst, orderedFloat(c.Float(row)))
	case c.Type.Kind() == Decimal128:
		d := c.Decimal(row)
		return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(dst, uint64(d.High)^(1<<63)), d.Low)
	}
	return binary.BigEndian.AppendUint64(dst, uint64(c.Int(row))^(1<<63))
}

func appendEscaped(dst, v []byte) []byte {
	for {
		i := bytes.IndexByte(v, 0)
		if i < 0 {
			return append(append(dst, v...), 0, 0)
		}
		dst = append(append(dst, v[:i]...), 0, 0xff)
		v = v[i+1:]
	}
}

func orderedFloat(f float64) uint64 {
	switch {
	case f != f:
		return math.MaxUint64 // after every number; one NaN
	case f == 0:
		return 1 << 63 // one zero
	}
	u := math.Float64bits(f)
	if u>>63 == 1 {
		return ^u
	}
	return u | 1<<63
}

// DecodeKey appends one row to columns, which have the key's types in order. It fails on bytes that AppendKey cannot have made.
func DecodeKey(key []byte, columns []Column) error {
	for i := range columns {
		c := &columns[i]
		if len(key) == 0 {
			return fmt.Errorf("key field %d is missing", i)
		}
		tag := key[0]
		key = key[1:]
		if tag == 0 {
			c.AppendNull()
			continue
		}
		if tag != 1 {
			return fmt.Errorf("key field %d has tag %#x", i, tag)
		}
		n, err := decodeKeyField(key, c)
		if err != nil {
			return fmt.Errorf("key field %d: %w", i, err)
		}
		key = key[n:]
	}
	if len(key) != 0 {
		return fmt.Errorf("%d bytes after the last key field", len(key))
	}
	return nil
}

func decodeKeyField(key []byte, c *Column) (int, error) {
	switch {
	case c.Type == Bool:
		if len(key) < 1 || key[0] > 1 {
			return 0, fmt.Errorf("bad bool")
		}
		c.AppendInt(int64(key[0]))
		return 1, nil
	case c.Type.HasOffsets():
		return decodeEscaped(key, c)
	case c.Type.Kind() == Decimal128:
		return decodeDecimal(key, c)
	}
	if len(key) < 8 {
		return 0, fmt.Errorf("%d bytes left of 8", len(key))
	}
	u := binary.BigEndian.Uint64(key)
	if c.Type == F32 || c.Type == F64 {
		switch {
		case u == math.MaxUint64:
			c.AppendFloat(math.NaN())
		case u>>63 == 1:
			c.AppendFloat(math.Float64frombits(u &^ (1 << 63)))
		default:
			c.AppendFloat(math.Float64frombits(^u))
		}
		return 8, nil
	}
	v := int64(u ^ 1<<63)
	if w := c.Type.Width(); w < 8 && v != v<<(64-8*w)>>(64-8*w) {
		return 0, fmt.Errorf("%d does not fit %v", v, c.Type)
	}
	c.AppendInt(v)
	return 8, nil
}

func decodeDecimal(key []byte, c *Column) (int, error) {
	if len(key) < 16 {
		return 0, fmt.Errorf("%d bytes left of 16", len(key))
	}
	d := Decimal{int64(binary.BigEndian.Uint64(key) ^ 1<<63), binary.BigEndian.Uint64(key[8:])}
	if !d.Fits(c.Type.Digits()) {
		return 0, fmt.Errorf("%s has more digits than %v", AppendDecimal(nil, d, c.Type.Scale()), c.Type)
	}
	c.AppendDecimal(d)
	return 16, nil
}

func decodeEscaped(key []byte, c *Column) (int, error) {
	var plain []byte
	for at := 0; ; {
		i := bytes.IndexByte(key[at:], 0)
		if i < 0 || at+i+1 >= len(key) {
			return 0, fmt.Errorf("no terminator")
		}
		end := at + i
		switch key[end+1] {
		case 0:
			if plain == nil {
				c.AppendBytes(key[:end])
			} else {
				c.AppendBytes(append(plain, key[at:end]...))
			}
			return end + 2, nil
		case 0xff:
			plain = append(append(plain, key[at:end]...), 0)
			at = end + 2
		default:
			return 0, fmt.Errorf("bad escape %#x", key[end+1])
		}
	}
}

// HashKey is the hash of an encoded key: XXH3-64 with seed 0.
func HashKey(key []byte) uint64 { return xxh3.Hash(key) }

// intKeySize is the size of the encoding of one integer.
const intKeySize = 9

// hashInt is HashKey of the encoding of one integer that is not null, whose eight bytes are u, big-endian: XXH3's case of 9 to
// 16 bytes (xxhash 0.8, XXH3_len_9to16_64b) with the constants of its default secret folded in.
func hashInt(u uint64) uint64 {
	const (
		flipLow  = 0x1f67b3b7a4a44072 ^ 0x78e5c0cc4ee679cb // secret bytes 24..39
		flipHigh = 0x2172ffcc7dd05a82 ^ 0x8e2443f7744608b8 // secret bytes 40..55
	)
	last := bits.ReverseBytes64(u)
	low := 1 | last<<8 ^ flipLow
	high := last ^ flipHigh
	productHigh, productLow := bits.Mul64(low, high)
	h := intKeySize + bits.ReverseBytes64(low) + high + (productHigh ^ productLow)
	h ^= h >> 37
	h *= 0x165667919e3779f9
	return h ^ h>>32
}

// KeyGroup is the key group of a hash.
func KeyGroup(hash uint64, maxParallelism int) int { return int(hash % uint64(maxParallelism)) }

// SubtaskOf is the subtask that owns a key group: contiguous ranges, as even as can be.
func SubtaskOf(group, parallelism, maxParallelism int) int {
	return group * parallelism / maxParallelism
}

// GroupRange is the range [first, end) of key groups that a subtask owns; the inverse of SubtaskOf.
func GroupRange(subtask, parallelism, maxParallelism int) (first, end int) {
	return (subtask*maxParallelism + parallelism - 1) / parallelism, ((subtask+1)*maxParallelism + parallelism - 1) / parallelism
}
