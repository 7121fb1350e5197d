package wasm

import (
	"fmt"
	"unicode/utf8"
)

// reader walks a range of the binary. Its methods panic with *Error on malformed input; recovered at the package's boundary by
// catch. That keeps a decoder of some forty shapes readable, and no other panic is ever recovered.
type reader struct {
	b       []byte // the whole binary
	pos     int
	end     int // of the range being read
	section string
	fn      int
}

// catch turns the panic of a reader into an error.
func catch(err *error) {
	switch x := recover().(type) {
	case nil:
	case *Error:
		*err = x
	default:
		panic(x)
	}
}

func (r *reader) failAt(offset int, format string, args ...any) {
	panic(&Error{Section: r.section, Func: r.fn, Offset: offset, Detail: fmt.Sprintf(format, args...)})
}

func (r *reader) unsupported(offset int, feature, format string, args ...any) {
	panic(&Error{Section: r.section, Func: r.fn, Offset: offset, Kind: Unsupported, Feature: feature,
		Detail: fmt.Sprintf(format, args...) + " belongs to " + feature})
}

func (r *reader) more() bool { return r.pos < r.end }

func (r *reader) u8() byte {
	if r.pos >= r.end {
		r.failAt(r.pos, "ends too early")
	}
	r.pos++
	return r.b[r.pos-1]
}

// u32 reads an unsigned LEB128 number of at most five bytes.
func (r *reader) u32() uint32 {
	if r.pos < r.end && r.b[r.pos] < 0x80 {
		r.pos++
		return uint32(r.b[r.pos-1])
	}
	start := r.pos
	var v uint64
	for shift := 0; shift < 35; shift += 7 {
		c := r.u8()
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			if v>>32 != 0 {
				r.failAt(start, "a number is too large for 32 bits")
			}
			return uint32(v)
		}
	}
	r.failAt(start, "a 32-bit number takes more than 5 bytes")
	return 0
}

// signed reads a signed LEB128 number of 32, 33 or 64 bits: the bits of the last possible byte beyond the width must repeat
// the sign.
func (r *reader) signed(bits int) int64 {
	start, last := r.pos, (bits+6)/7*7-7
	var v int64
	for shift := 0; shift <= last; shift += 7 {
		c := r.u8()
		v |= int64(c&0x7f) << shift
		if c < 0x80 {
			if shift == last {
				used := bits - last // significant bits of this byte, the sign included
				if rest := int8(c<<1) >> used; rest != 0 && rest != -1 {
					r.failAt(start, "a number is too large for %d bits", bits)
				}
			}
			if c&0x40 != 0 && shift < 57 {
				v |= -1 << (shift + 7)
			}
			return v
		}
	}
	r.failAt(start, "a %d-bit number takes too many bytes", bits)
	return 0
}

func (r *reader) bytes(n uint32) []byte {
	if uint64(n) > uint64(r.end-r.pos) {
		r.failAt(r.pos, "needs %d more bytes, %d are left", n, r.end-r.pos)
	}
	r.pos += int(n)
	return r.b[r.pos-int(n) : r.pos]
}

func (r *reader) name() string {
	n := r.u32()
	at := r.pos
	b := r.bytes(n)
	if !utf8.Valid(b) {
		r.failAt(at, "a name is not UTF-8")
	}
	return string(b)
}

// count reads the length of a vector whose items take at least size bytes each, so that the caller may allocate for them.
func (r *reader) count(size int, what string) int {
	at := r.pos
	n := r.u32()
	if uint64(n)*uint64(size) > uint64(r.end-r.pos) {
		r.failAt(at, "declares %d %s, more than fit into the section", n, what)
	}
	return int(n)
}

// index reads an index and bounds it.
func (r *reader) index(bound int, what string) uint32 {
	at := r.pos
	i := r.u32()
	if uint64(i) >= uint64(bound) {
		r.failAt(at, "%s %d is out of range, there are %d", what, i, bound)
	}
	return i
}
