// Package buffer has what the codec of frames does with the bytes of single buffers: sizes and padding, bitmaps, views of bytes as
// numbers, and whether texts are UTF-8 and decimals have their digits. The layouts are those of SPEC.md, section 5.
package buffer

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
	"unsafe"

	"github.com/tidemill/tidemill/abi"
)

// Align is n rounded up to what buffers are aligned to.
func Align(n int) int { return (n + abi.BufferAlign - 1) &^ (abi.BufferAlign - 1) }

// BitmapBytes is the size of a bitmap of so many rows.
func BitmapBytes(rows int) int { return (rows + 7) >> 3 }

// CopyOffsets writes offsets so that the first is 0.
func CopyOffsets(dst []byte, offsets []int32) {
	first := offsets[0]
	if first == 0 {
		copy(dst, Int32Bytes(offsets))
		return
	}
	out := Int32s(dst)[:len(offsets)]
	for i, o := range offsets {
		out[i] = o - first
	}
}

// CopyBits writes bits [from, from+n) of src to dst from bit 0 on and zeroes the rest of dst.
func CopyBits(dst, src []byte, from, n int) {
	whole := BitmapBytes(n)
	src = src[from>>3:]
	if shift := uint(from & 7); shift == 0 {
		copy(dst[:whole], src)
	} else {
		for i := range whole {
			b := src[i] >> shift
			if i+1 < len(src) {
				b |= src[i+1] << (8 - shift)
			}
			dst[i] = b
		}
	}
	if r := n & 7; r > 0 {
		dst[whole-1] &= 1<<r - 1
	}
	clear(dst[whole:])
}

// CountBits is the number of ones among the first n bits.
func CountBits(b []byte, n int) int {
	ones := 0
	for ; n >= 64; n -= 64 {
		ones += bits.OnesCount64(binary.LittleEndian.Uint64(b))
		b = b[8:]
	}
	for ; n >= 8; n -= 8 {
		ones += bits.OnesCount8(b[0])
		b = b[1:]
	}
	if n > 0 {
		ones += bits.OnesCount8(b[0] & (1<<n - 1))
	}
	return ones
}

// Zero says whether all bytes are.
func Zero(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}

// InvalidText is the first of the texts that offsets cut out of values that is not valid UTF-8 by itself, or -1. All bytes are
// checked at once, which is several times faster than text by text, and then that no text starts in a rune.
func InvalidText(values []byte, offsets []int32) int {
	if utf8.Valid(values) && startAtRunes(values, offsets) {
		return -1
	}
	for i := range len(offsets) - 1 {
		if !utf8.Valid(values[offsets[i]:offsets[i+1]]) {
			return i
		}
	}
	return -1
}

func startAtRunes(values []byte, offsets []int32) bool {
	for _, o := range offsets[:len(offsets)-1] {
		if int(o) < len(values) && !utf8.RuneStart(values[o]) {
			return false
		}
	}
	return true
}

// Int32s views little-endian bytes as numbers, as the other views do: every platform of the host is little-endian, and tolerates
// loads that are not aligned, which a hostile block may ask for. It is nil where there is not one whole number.
func Int32s(b []byte) []int32 { return view[int32](b, 4) }

// Uint32s is Int32s for u32.
func Uint32s(b []byte) []uint32 { return view[uint32](b, 4) }

// Uint16s is Int32s for u16.
func Uint16s(b []byte) []uint16 { return view[uint16](b, 2) }

// Int64s is Int32s for i64.
func Int64s(b []byte) []int64 { return view[int64](b, 8) }

func view[T any](b []byte, width int) []T {
	if len(b) < width {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/width)
}

// Int32Bytes views numbers as little-endian bytes, as the others of its kind do.
func Int32Bytes(v []int32) []byte { return bytesOf(v, 4) }

// Uint32Bytes is Int32Bytes for u32.
func Uint32Bytes(v []uint32) []byte { return bytesOf(v, 4) }

// Uint16Bytes is Int32Bytes for u16.
func Uint16Bytes(v []uint16) []byte { return bytesOf(v, 2) }

// Int64Bytes is Int32Bytes for i64.
func Int64Bytes(v []int64) []byte { return bytesOf(v, 8) }

func bytesOf[T any](v []T, width int) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), len(v)*width)
}

// limits has 10 to the power of each number of digits, its upper and lower 64 bits: what a decimal's absolute value must be below.
var limits = func() (powers [abi.DecimalDigits + 1][2]uint64) {
	powers[0] = [2]uint64{0, 1}
	for i := range abi.DecimalDigits {
		carry, low := bits.Mul64(powers[i][1], 10)
		powers[i+1] = [2]uint64{powers[i][0]*10 + carry, low}
	}
	return powers
}()

// Fits says whether the 16 bytes of a decimal128 are a number of so many digits at most. It allocates nothing.
func Fits(value []byte, digits int) bool {
	low, high := binary.LittleEndian.Uint64(value), binary.LittleEndian.Uint64(value[8:])
	if high>>63 == 1 {
		var borrow uint64
		low, borrow = bits.Sub64(0, low, 0)
		high, _ = bits.Sub64(0, high, borrow)
	}
	limit := &limits[digits]
	return high < limit[0] || high == limit[0] && low < limit[1]
}
