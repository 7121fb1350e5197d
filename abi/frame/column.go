package frame

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
	"unsafe"

	"github.com/tidemill/tidemill/abi"
)

// Column is a run of values in Arrow's layout: the buffers of record.Column, or a column that an answer passes through.
//
// Validity is nil where no row is null. Offsets has Len+1 entries for utf8, binary and lists, else it is nil; those of a list cut
// Elements. A decoded column's buffers are views of the frame (or of guest memory), cut to what the rows need.
type Column struct {
	Type     abi.Type
	Pass     uint16 // 0: own data; NodeInput or NodeKey: the values are those of column Ref of the item, and there are no buffers
	Ref      uint32
	Len      int
	Nulls    int
	Validity []byte
	Offsets  []int32
	Values   []byte
	Elements *Column // of a list: the elements of all rows; nil for all other types
}

// null says whether row i is null.
func (c *Column) null(i int) bool { return c.Nulls > 0 && c.Validity[i>>3]&(1<<(i&7)) == 0 }

func align(n int) int { return (n + abi.BufferAlign - 1) &^ (abi.BufferAlign - 1) }

func bitmapBytes(rows int) int { return (rows + 7) >> 3 }

// nodes is how many nodes a column has: that of a list is followed by that of its elements.
func (c *Column) nodes() int {
	if c.Elements != nil {
		return 2
	}
	return 1
}

// nodesOf is the nodes of several columns.
func nodesOf(columns []Column) int {
	n := len(columns)
	for i := range columns {
		if columns[i].Elements != nil {
			n++
		}
	}
	return n
}

// Size is the number of bytes that rows [from, to) take in a frame: the nodes and the padded buffers.
func (c *Column) Size(from, to int) int {
	return abi.NodeSize*c.nodes() + c.bufferBytes(from, to)
}

func (c *Column) bufferBytes(from, to int) int {
	rows, n := to-from, 0
	if c.Nulls > 0 {
		n = align(bitmapBytes(rows))
	}
	switch {
	case c.Type.HasOffsets():
		if rows > 0 {
			n += align(4*(rows+1)) + align(int(c.Offsets[to]-c.Offsets[from]))
		}
	case c.Elements != nil:
		if rows > 0 {
			n += align(4*(rows+1)) + c.Elements.bufferBytes(int(c.Offsets[from]), int(c.Offsets[to]))
		}
	case c.Type == abi.Bool:
		n += align(bitmapBytes(rows))
	default:
		n += align(rows * c.Type.Width())
	}
	return n
}

// putColumns writes the nodes of rows [from, to) at node and their buffers from at on; offsets count from frame's start. It
// returns the end of the buffers. The caller has reserved the sum of Size, and at is a multiple of BufferAlign.
func putColumns(frame []byte, node, at int, columns []Column, from, to int) int {
	for i := range columns {
		at = columns[i].put(frame, node, at, from, to)
		node += abi.NodeSize * columns[i].nodes()
	}
	return at
}

func (c *Column) put(frame []byte, node, at, from, to int) int {
	rows := to - from
	head := frame[node : node+abi.NodeSize : node+abi.NodeSize]
	clear(head)
	binary.LittleEndian.PutUint16(head, uint16(c.Type))
	binary.LittleEndian.PutUint32(head[4:], uint32(rows))
	if c.Nulls > 0 {
		n := bitmapBytes(rows)
		bitmap := frame[at : at+align(n)]
		copyBits(bitmap, c.Validity, from, rows)
		binary.LittleEndian.PutUint32(head[8:], uint32(rows-countBits(bitmap, rows)))
		putSpan(head[16:], at, n)
		at += align(n)
	}
	switch {
	case c.Elements != nil:
		return c.putList(frame, node, at, from, to)
	case c.Type.HasOffsets():
		if rows == 0 {
			return at
		}
		at = putOffsets(frame, head, at, c.Offsets[from:to+1])
		return putBuffer(frame, head[32:], at, c.Values[c.Offsets[from]:c.Offsets[to]])
	case c.Type == abi.Bool:
		n := bitmapBytes(rows)
		copyBits(frame[at:at+align(n)], c.Values, from, rows)
		putSpan(head[32:], at, n)
		return at + align(n)
	}
	w := c.Type.Width()
	return putBuffer(frame, head[32:], at, c.Values[from*w:to*w])
}

// putList writes what a list has beside its validity: the offsets, and its elements with their node.
func (c *Column) putList(frame []byte, node, at, from, to int) int {
	head := frame[node : node+abi.NodeSize : node+abi.NodeSize]
	binary.LittleEndian.PutUint32(head[12:], 1)
	if from == to {
		return c.Elements.put(frame, node+abi.NodeSize, at, 0, 0)
	}
	at = putOffsets(frame, head, at, c.Offsets[from:to+1])
	return c.Elements.put(frame, node+abi.NodeSize, at, int(c.Offsets[from]), int(c.Offsets[to]))
}

// putOffsets writes offsets so that the first is 0, zeroes their padding, and names them in a node.
func putOffsets(frame, head []byte, at int, offsets []int32) int {
	n := 4 * len(offsets)
	copyOffsets(frame[at:at+n], offsets)
	clear(frame[at+n : at+align(n)])
	putSpan(head[24:], at, n)
	return at + align(n)
}

func putSpan(b []byte, at, n int) {
	if n == 0 {
		return
	}
	binary.LittleEndian.PutUint32(b, uint32(at))
	binary.LittleEndian.PutUint32(b[4:], uint32(n))
}

// putBuffer copies data and zeroes its padding.
func putBuffer(frame, span []byte, at int, data []byte) int {
	end := at + align(len(data))
	n := copy(frame[at:end], data)
	clear(frame[at+n : end])
	putSpan(span, at, len(data))
	return end
}

// copyOffsets writes offsets so that the first is 0.
func copyOffsets(dst []byte, offsets []int32) {
	first := offsets[0]
	if first == 0 {
		copy(dst, int32Bytes(offsets))
		return
	}
	out := int32s(dst)[:len(offsets)]
	for i, o := range offsets {
		out[i] = o - first
	}
}

// copyBits writes bits [from, from+n) of src to dst from bit 0 on and zeroes the rest of dst.
func copyBits(dst, src []byte, from, n int) {
	whole := bitmapBytes(n)
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

// countBits is the number of ones among the first n bits.
func countBits(b []byte, n int) int {
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

// Views of little-endian bytes as numbers and back: every platform of the host is little-endian, and tolerates loads that are
// not aligned, which a hostile block may ask for.

func int32s(b []byte) []int32   { return view[int32](b, 4) }
func uint32s(b []byte) []uint32 { return view[uint32](b, 4) }
func uint16s(b []byte) []uint16 { return view[uint16](b, 2) }
func int64s(b []byte) []int64   { return view[int64](b, 8) }

func view[T any](b []byte, width int) []T {
	if len(b) < width {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/width)
}

func int32Bytes(v []int32) []byte   { return bytesOf(v, 4) }
func uint32Bytes(v []uint32) []byte { return bytesOf(v, 4) }
func uint16Bytes(v []uint16) []byte { return bytesOf(v, 2) }
func int64Bytes(v []int64) []byte   { return bytesOf(v, 8) }

func bytesOf[T any](v []T, width int) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), len(v)*width)
}

// space is where the offsets of a section or block lead to: a part of a frame, or all of guest memory.
type space struct {
	frame    []byte // offsets count from its start
	low, end int    // the part of frame that in-frame offsets may name
	memory   []byte // column buffers are addresses in it, where not nil
}

// buffer resolves a column buffer of need bytes at least and cuts it to need. A buffer of length 0 is nil, so need is 0 then.
func (s *space) buffer(name string, span []byte, need, width int) ([]byte, *abi.Violation) {
	off, n := binary.LittleEndian.Uint32(span), binary.LittleEndian.Uint32(span[4:])
	if n == 0 {
		if need > 0 {
			return nil, abi.Broken("%s of %d bytes are missing", name, need)
		}
		return nil, nil
	}
	if uint64(n) < uint64(need) {
		return nil, abi.Broken("%s have %d bytes, the rows need %d", name, n, need)
	}
	if s.memory != nil {
		if int(off)%width != 0 {
			return nil, abi.Broken("%s at address %d, not a multiple of %d", name, off, width)
		}
		if uint64(off)+uint64(n) > uint64(len(s.memory)) {
			return nil, abi.Broken("%s at address %d of %d bytes end after the memory (%d)", name, off, n, len(s.memory))
		}
		return s.memory[off : off+uint32(need) : off+uint32(need)], nil
	}
	return s.inFrame(name, off, n, need, abi.BufferAlign)
}

func (s *space) inFrame(name string, off, n uint32, need, alignment int) ([]byte, *abi.Violation) {
	if int(off)%alignment != 0 {
		return nil, abi.Broken("%s at offset %d, not a multiple of %d", name, off, alignment)
	}
	if uint64(off) < uint64(s.low) || uint64(off)+uint64(n) > uint64(s.end) {
		return nil, abi.Broken("%s at offset %d of %d bytes lie outside of [%d, %d)", name, off, n, s.low, s.end)
	}
	return s.frame[off : int(off)+need : int(off)+need], nil
}

// array resolves an array of n elements that a section's header names by its offset; 0 elements need none.
func (s *space) array(name string, off uint32, n, width int) ([]byte, *abi.Violation) {
	if n == 0 {
		return nil, nil
	}
	if uint64(n)*uint64(width) > uint64(len(s.frame)) {
		return nil, abi.Broken("%s of %d elements do not fit the frame", name, n)
	}
	return s.inFrame(name, off, uint32(n*width), n*width, width)
}

// column reads and checks one column from the front of a run of nodes, and returns the nodes behind it. Its type must be the
// declared one, 0 meaning any; the caller adds the place to a violation.
func (s *space) column(nodes []byte, rows int, declared abi.Type) (Column, []byte, *abi.Violation) {
	if len(nodes) < abi.NodeSize {
		return Column{}, nil, abi.Broken("its node is missing")
	}
	node, rest := nodes[:abi.NodeSize], nodes[abi.NodeSize:]
	c := Column{
		Type: abi.Type(binary.LittleEndian.Uint16(node)),
		Pass: binary.LittleEndian.Uint16(node[2:]),
		Len:  rows,
	}
	if err := c.checkType(declared); err != nil {
		return c, nil, err
	}
	if n := binary.LittleEndian.Uint32(node[4:]); uint64(n) != uint64(rows) {
		return c, nil, abi.Broken("length %d, not the %d rows of its section", n, rows)
	}
	list := c.Type.Kind() == abi.List && c.Pass == 0
	if n := binary.LittleEndian.Uint32(node[12:]); n != 0 && !list {
		return c, nil, abi.Broken("%d children in a column without children", n)
	}
	if c.Pass != 0 {
		return c, rest, c.readPass(node)
	}
	if err := s.readValidity(node, &c); err != nil {
		return c, nil, err
	}
	if list {
		rest, err := s.readList(node, rest, &c)
		return c, rest, err
	}
	return c, rest, s.readValues(node, &c)
}

// checkType takes the declared type, which the number in the node must be that of.
func (c *Column) checkType(declared abi.Type) *abi.Violation {
	if !c.Type.Supported() {
		if _, named := abi.TypeNames[c.Type]; named {
			return abi.ReservedType(c.Type)
		}
		return abi.Broken("unknown type %d", uint16(c.Type))
	}
	if declared == 0 {
		return nil
	}
	if c.Type != declared.Kind() {
		return abi.Broken("type %s, declared is %s", c.Type, declared)
	}
	c.Type = declared
	return nil
}

// readValues reads what a column that is not a list has beside its validity.
func (s *space) readValues(node []byte, c *Column) (err *abi.Violation) {
	switch {
	case c.Type.HasOffsets():
		return s.readVariable(node, c)
	case binary.LittleEndian.Uint64(node[24:]) != 0:
		return abi.Broken("offsets in a column of type %s", c.Type)
	case c.Type == abi.Bool:
		c.Values, err = s.buffer("values", node[32:], bitmapBytes(c.Len), 1)
		return err
	}
	width := c.Type.Width()
	if c.Values, err = s.buffer("values", node[32:], c.Len*width, min(width, 8)); err == nil && c.Type.Kind() == abi.Decimal128 {
		err = checkDigits(c)
	}
	return err
}

func (c *Column) readPass(node []byte) *abi.Violation {
	if c.Pass != abi.NodeInput && c.Pass != abi.NodeKey {
		return abi.Broken("unknown node flags %#x", c.Pass)
	}
	if binary.LittleEndian.Uint32(node[8:]) != 0 || binary.LittleEndian.Uint64(node[16:]) != 0 ||
		binary.LittleEndian.Uint64(node[24:]) != 0 || binary.LittleEndian.Uint32(node[36:]) != 0 {
		return abi.Broken("a column that is passed through has nulls or buffers of its own")
	}
	c.Ref = binary.LittleEndian.Uint32(node[32:])
	return nil
}

func (s *space) readValidity(node []byte, c *Column) *abi.Violation {
	nulls := binary.LittleEndian.Uint32(node[8:])
	if nulls == 0 && binary.LittleEndian.Uint32(node[20:]) == 0 {
		return nil
	}
	bitmap, err := s.buffer("validity", node[16:], bitmapBytes(c.Len), 1)
	if err != nil {
		return err
	}
	if counted := c.Len - countBits(bitmap, c.Len); uint64(counted) != uint64(nulls) {
		return abi.Broken("null count %d, the validity has %d nulls", nulls, counted)
	}
	if nulls > 0 {
		c.Nulls, c.Validity = int(nulls), bitmap
	}
	return nil
}

// readOffsets reads the offsets of a column that has them, and returns the last.
func (s *space) readOffsets(node []byte, c *Column) (int, *abi.Violation) {
	if c.Len == 0 {
		_, err := s.buffer("offsets", node[24:], 0, 4)
		return 0, err
	}
	raw, err := s.buffer("offsets", node[24:], 4*(c.Len+1), 4)
	if err != nil {
		return 0, err
	}
	c.Offsets = int32s(raw)
	if c.Offsets[0] != 0 {
		return 0, abi.Broken("the first offset is %d, not 0", c.Offsets[0])
	}
	last := int32(0)
	for i, o := range c.Offsets {
		if o < last {
			return 0, abi.Broken("offset %d of row %d is below the one before it (%d)", o, i, last)
		}
		last = o
	}
	return int(last), nil
}

func (s *space) readVariable(node []byte, c *Column) *abi.Violation {
	last, err := s.readOffsets(node, c)
	if err != nil {
		return err
	}
	values, err := s.buffer("values", node[32:], last, 1)
	if err != nil || c.Len == 0 {
		return err
	}
	if c.Values = values; c.Type == abi.UTF8 {
		return checkText(c)
	}
	return nil
}

// readList reads a list's offsets and, from the front of the nodes behind its own, its elements.
func (s *space) readList(node, nodes []byte, c *Column) ([]byte, *abi.Violation) {
	if n := u32(node[12:]); n != 1 {
		return nil, abi.Broken("%d children, a list has 1", n)
	}
	if binary.LittleEndian.Uint64(node[32:]) != 0 {
		return nil, abi.Broken("values in a column of type %s", c.Type)
	}
	last, err := s.readOffsets(node, c)
	if err != nil {
		return nil, err
	}
	declared := c.Type.Element()
	if len(nodes) >= abi.NodeSize {
		if abi.Type(binary.LittleEndian.Uint16(nodes)) == abi.List {
			return nil, abi.Reserved(abi.FeatureNested)
		}
		if n := u32(nodes[4:]); uint64(n) != uint64(last) {
			return nil, abi.Broken("%d elements, the last offset is %d", n, last)
		}
	}
	elements, rest, err := s.column(nodes, last, declared)
	switch {
	case err != nil:
		return nil, err.In("elements")
	case elements.Pass != 0:
		return nil, abi.Broken("elements cannot be passed through")
	case elements.Nulls > 0:
		return nil, abi.Broken("%d nulls among the elements", elements.Nulls)
	}
	c.Type, c.Elements = abi.ListOf(elements.Type), &elements
	return rest, nil
}

// checkText checks all bytes at once, which is several times faster than row by row, and then that no row starts in a rune.
func checkText(c *Column) *abi.Violation {
	if utf8.Valid(c.Values) && c.startsAtRunes() {
		return nil
	}
	for i := range c.Len {
		if !utf8.Valid(c.Values[c.Offsets[i]:c.Offsets[i+1]]) {
			return abi.Broken("row %d is not valid UTF-8", i)
		}
	}
	return nil
}

func (c *Column) startsAtRunes() bool {
	for _, o := range c.Offsets[:c.Len] {
		if int(o) < len(c.Values) && !utf8.RuneStart(c.Values[o]) {
			return false
		}
	}
	return true
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

// checkDigits checks that no value has more digits than the type, or than any decimal where they are not known.
func checkDigits(c *Column) *abi.Violation {
	digits := c.Type.Digits()
	if digits == 0 {
		digits = abi.DecimalDigits
	}
	limit := limits[digits]
	for i := range c.Len {
		low, high := binary.LittleEndian.Uint64(c.Values[16*i:]), binary.LittleEndian.Uint64(c.Values[16*i+8:])
		if high>>63 == 1 {
			var borrow uint64
			low, borrow = bits.Sub64(0, low, 0)
			high, _ = bits.Sub64(0, high, borrow)
		}
		if (high > limit[0] || high == limit[0] && low >= limit[1]) && !c.null(i) {
			return abi.Broken("row %d has more than %d digits", i, digits)
		}
	}
	return nil
}

// elementBytes is what elements [from, to) of a list count for where bytes are limited: those of their values, of a bool one, and
// 4 more for each that has offsets, so that no element is free.
func (c *Column) elementBytes(from, to int32) int {
	elements := c.Elements
	switch n := int(to - from); {
	case n == 0:
		return 0
	case elements.Type.HasOffsets():
		return 4*n + int(elements.Offsets[to]-elements.Offsets[from])
	default:
		return n * max(elements.Type.Width(), 1)
	}
}
