package frame

import (
	"encoding/binary"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/abi/frame/buffer"
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
		n = buffer.Align(buffer.BitmapBytes(rows))
	}
	switch {
	case c.Type.HasOffsets():
		if rows > 0 {
			n += buffer.Align(4*(rows+1)) + buffer.Align(int(c.Offsets[to]-c.Offsets[from]))
		}
	case c.Elements != nil:
		if rows > 0 {
			n += buffer.Align(4*(rows+1)) + c.Elements.bufferBytes(int(c.Offsets[from]), int(c.Offsets[to]))
		}
	case c.Type == abi.Bool:
		n += buffer.Align(buffer.BitmapBytes(rows))
	default:
		n += buffer.Align(rows * c.Type.Width())
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
		n := buffer.BitmapBytes(rows)
		bitmap := frame[at : at+buffer.Align(n)]
		buffer.CopyBits(bitmap, c.Validity, from, rows)
		binary.LittleEndian.PutUint32(head[8:], uint32(rows-buffer.CountBits(bitmap, rows)))
		putSpan(head[16:], at, n)
		at += buffer.Align(n)
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
		n := buffer.BitmapBytes(rows)
		buffer.CopyBits(frame[at:at+buffer.Align(n)], c.Values, from, rows)
		putSpan(head[32:], at, n)
		return at + buffer.Align(n)
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
	buffer.CopyOffsets(frame[at:at+n], offsets)
	clear(frame[at+n : at+buffer.Align(n)])
	putSpan(head[24:], at, n)
	return at + buffer.Align(n)
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
	end := at + buffer.Align(len(data))
	n := copy(frame[at:end], data)
	clear(frame[at+n : end])
	putSpan(span, at, len(data))
	return end
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
		c.Values, err = s.buffer("values", node[32:], buffer.BitmapBytes(c.Len), 1)
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
	bitmap, err := s.buffer("validity", node[16:], buffer.BitmapBytes(c.Len), 1)
	if err != nil {
		return err
	}
	if counted := c.Len - buffer.CountBits(bitmap, c.Len); uint64(counted) != uint64(nulls) {
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
	c.Offsets = buffer.Int32s(raw)
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
		if row := buffer.InvalidText(values, c.Offsets); row >= 0 {
			return abi.Broken("row %d is not valid UTF-8", row)
		}
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

// checkDigits checks that no value has more digits than the type, or than any decimal where they are not known.
func checkDigits(c *Column) *abi.Violation {
	digits := c.Type.Digits()
	if digits == 0 {
		digits = abi.DecimalDigits
	}
	for i := range c.Len {
		if !buffer.Fits(c.Values[16*i:16*i+16], digits) && !c.null(i) {
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
