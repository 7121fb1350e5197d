package record

import (
	"encoding/binary"
	"math"
	"math/bits"
	"unsafe"
)

// Column is a run of values of one type in Arrow's layout.
//
// Validity has bit i (LSB first) set where row i is not null; it is nil where no row is null. Offsets has Len+1 entries, the
// first 0, for utf8, binary and lists, else it is nil. Values holds little-endian values of Type.Width bytes, bits for bool, or
// the bytes that Offsets cut; of a list it is nil, and Offsets cut Elements. Values under nulls are zero or empty.
type Column struct {
	Type     Type
	Len      int
	Nulls    int
	Validity []byte
	Offsets  []int32
	Values   []byte
	Elements *Column // of a list: the elements of all rows, none of them null; nil for all other types
}

// NewColumn returns an empty column with room for rows values.
func NewColumn(t Type, rows int) Column {
	c := Column{Type: t}
	switch {
	case t.HasOffsets():
		c.Offsets = make([]int32, 1, rows+1)
		c.Values = make([]byte, 0, rows*16)
	case t == Bool:
		c.Values = make([]byte, 0, (rows+7)/8)
	case t.Kind() == List:
		c.Offsets = make([]int32, 1, rows+1)
		elements := NewColumn(t.Element(), rows)
		c.Elements = &elements
	default:
		c.Values = make([]byte, 0, rows*t.Width())
	}
	return c
}

// Reset empties the column and keeps its buffers. Only the builder of a column that nobody else has seen may call it.
func (c *Column) Reset() {
	c.Len, c.Nulls, c.Validity, c.Values = 0, 0, c.Validity[:0], c.Values[:0]
	if c.Type.HasOffsets() || c.Elements != nil {
		c.Offsets = append(c.Offsets[:0], 0)
	}
	if c.Elements != nil {
		c.Elements.Reset()
	}
}

// Truncate drops all rows from rows on, and the elements of a list that has not been ended. Only the builder of a column that
// nobody else has seen may call it: it takes back what was added of a record that turned out bad.
func (c *Column) Truncate(rows int) {
	if c.Elements != nil {
		c.Elements.Truncate(int(c.Offsets[min(rows, c.Len)]))
	}
	if rows >= c.Len {
		return
	}
	c.Len = rows
	whole, partial := (rows+7)>>3, byte(1<<(rows&7)-1)
	if c.Nulls > 0 {
		c.Validity = c.Validity[:whole]
		if partial != 0 {
			c.Validity[whole-1] &= partial
		}
		if c.Nulls = CountNulls(c.Validity, rows); c.Nulls == 0 {
			c.Validity = c.Validity[:0]
		}
	}
	switch {
	case c.Type.HasOffsets():
		c.Offsets = c.Offsets[:rows+1]
		c.Values = c.Values[:c.Offsets[rows]]
	case c.Elements != nil:
		c.Offsets = c.Offsets[:rows+1]
	case c.Type == Bool:
		c.Values = c.Values[:whole]
		if partial != 0 {
			c.Values[whole-1] &= partial
		}
	default:
		c.Values = c.Values[:rows*c.Type.Width()]
	}
}

// Null says whether row i is null.
func (c *Column) Null(i int) bool {
	return c.Nulls > 0 && c.Validity[i>>3]&(1<<(i&7)) == 0
}

// Int64s views a column of 8-byte integers (i64, timestamps) as a slice.
func (c *Column) Int64s() []int64 { return view[int64](c.Values, 8) }

// Int32s views a column of 4-byte integers (i32, date32) as a slice.
func (c *Column) Int32s() []int32 { return view[int32](c.Values, 4) }

// Float64s views an f64 column as a slice.
func (c *Column) Float64s() []float64 { return view[float64](c.Values, 8) }

// view reinterprets little-endian bytes; every platform that Tidemill supports is little-endian, and buffers come from the Go
// allocator or are copied, so they are aligned.
func view[T any](b []byte, width int) []T {
	if len(b) < width {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/width)
}

// Int returns row i of an integer, date, time or bool column, widened.
func (c *Column) Int(i int) int64 {
	switch c.Type {
	case Bool:
		return int64(c.Values[i>>3] >> (i & 7) & 1)
	case I8:
		return int64(int8(c.Values[i]))
	case I16:
		return int64(int16(binary.LittleEndian.Uint16(c.Values[i*2:])))
	case I32, Date32:
		return int64(int32(binary.LittleEndian.Uint32(c.Values[i*4:])))
	default:
		return int64(binary.LittleEndian.Uint64(c.Values[i*8:]))
	}
}

// Float returns row i of an f32 or f64 column.
func (c *Column) Float(i int) float64 {
	if c.Type == F32 {
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(c.Values[i*4:])))
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(c.Values[i*8:]))
}

// Word returns the bits of row i of a column whose values have 8 bytes.
func (c *Column) Word(i int) uint64 { return binary.LittleEndian.Uint64(c.Values[i*8:]) }

// Bytes returns row i of a utf8 or binary column, a view.
func (c *Column) Bytes(i int) []byte { return c.Values[c.Offsets[i]:c.Offsets[i+1]] }

// Decimal returns row i of a decimal128 column.
func (c *Column) Decimal(i int) Decimal { return decimalAt(c.Values[i*16:]) }

// AppendNull adds a null row.
func (c *Column) AppendNull() {
	c.ensureValidity()
	c.appendZero()
	if c.Len&7 == 0 {
		c.Validity = append(c.Validity, 0)
	}
	c.Nulls++
	c.Len++
}

func (c *Column) appendZero() {
	switch {
	case c.Type.HasOffsets():
		c.Offsets = append(c.Offsets, int32(len(c.Values)))
	case c.Type == Bool:
		if c.Len&7 == 0 {
			c.Values = append(c.Values, 0)
		}
	case c.Elements != nil:
		c.Offsets = append(c.Offsets, int32(c.Elements.Len))
	default:
		var zero [16]byte
		c.Values = append(c.Values, zero[:c.Type.Width()]...)
	}
}

// ensureValidity writes the bitmap that was left out while no row was null.
func (c *Column) ensureValidity() {
	if c.Nulls > 0 {
		return
	}
	c.Validity = c.Validity[:0]
	for n := c.Len; n > 0; n -= 8 {
		c.Validity = append(c.Validity, byte(1<<min(n, 8)-1))
	}
}

// present marks the row about to be added as not null.
func (c *Column) present() {
	if c.Nulls > 0 {
		if c.Len&7 == 0 {
			c.Validity = append(c.Validity, 0)
		}
		c.Validity[c.Len>>3] |= 1 << (c.Len & 7)
	}
	c.Len++
}

// AppendInt adds a value to an integer, date, time or bool column; it must fit the width.
func (c *Column) AppendInt(v int64) {
	switch c.Type {
	case Bool:
		if c.Len&7 == 0 {
			c.Values = append(c.Values, 0)
		}
		c.Values[c.Len>>3] |= byte(v&1) << (c.Len & 7)
	case I8:
		c.Values = append(c.Values, byte(v))
	case I16:
		c.Values = binary.LittleEndian.AppendUint16(c.Values, uint16(v))
	case I32, Date32:
		c.Values = binary.LittleEndian.AppendUint32(c.Values, uint32(v))
	default:
		c.Values = binary.LittleEndian.AppendUint64(c.Values, uint64(v))
	}
	c.present()
}

// AppendFloat adds a value to an f32 or f64 column.
func (c *Column) AppendFloat(v float64) {
	if c.Type == F32 {
		c.Values = binary.LittleEndian.AppendUint32(c.Values, math.Float32bits(float32(v)))
	} else {
		c.Values = binary.LittleEndian.AppendUint64(c.Values, math.Float64bits(v))
	}
	c.present()
}

// AppendBytes adds a value to a utf8 or binary column; the caller has checked that utf8 is valid.
func (c *Column) AppendBytes(v []byte) {
	c.Values = append(c.Values, v...)
	c.Offsets = append(c.Offsets, int32(len(c.Values)))
	c.present()
}

// AppendString is AppendBytes for a string.
func (c *Column) AppendString(v string) {
	c.Values = append(c.Values, v...)
	c.Offsets = append(c.Offsets, int32(len(c.Values)))
	c.present()
}

// AppendDecimal adds a value to a decimal128 column; it has no more digits than the type.
func (c *Column) AppendDecimal(v Decimal) {
	c.Values = v.appendTo(c.Values)
	c.present()
}

// EndList adds a row to a list column: the list of what was added to Elements since the row before.
func (c *Column) EndList() {
	c.Offsets = append(c.Offsets, int32(c.Elements.Len))
	c.present()
}

// AppendFixed adds a value given as its Type.Width little-endian bytes; the type is neither bool nor one with offsets.
func (c *Column) AppendFixed(v []byte) {
	c.Values = append(c.Values, v...)
	c.present()
}

// AppendWord is AppendFixed for a type of 8 bytes.
func (c *Column) AppendWord(v uint64) {
	c.Values = binary.LittleEndian.AppendUint64(c.Values, v)
	c.present()
}

// AppendRow adds row i of a column of the same type.
func (c *Column) AppendRow(from *Column, i int) {
	if from.Null(i) {
		c.AppendNull()
		return
	}
	switch {
	case c.Type.HasOffsets():
		c.AppendBytes(from.Bytes(i))
	case c.Type == Bool:
		c.AppendInt(from.Int(i))
	case c.Elements != nil:
		c.Elements.AppendRange(from.Elements, int(from.Offsets[i]), int(from.Offsets[i+1]))
		c.EndList()
	default:
		w := c.Type.Width()
		c.Values = append(c.Values, from.Values[i*w:(i+1)*w]...)
		c.present()
	}
}

// AppendRange adds rows [from, to) of a column of the same type.
func (c *Column) AppendRange(o *Column, from, to int) {
	if o.Nulls > 0 || c.Nulls > 0 || c.Type == Bool {
		for i := from; i < to; i++ {
			c.AppendRow(o, i)
		}
		return
	}
	var shift int32
	switch {
	case c.Type.HasOffsets():
		shift = int32(len(c.Values)) - o.Offsets[from]
		c.Values = append(c.Values, o.Values[o.Offsets[from]:o.Offsets[to]]...)
	case c.Elements != nil:
		shift = int32(c.Elements.Len) - o.Offsets[from]
		c.Elements.AppendRange(o.Elements, int(o.Offsets[from]), int(o.Offsets[to]))
	default:
		w := c.Type.Width()
		c.Values = append(c.Values, o.Values[from*w:to*w]...)
		c.Len += to - from
		return
	}
	for _, end := range o.Offsets[from+1 : to+1] {
		c.Offsets = append(c.Offsets, end+shift)
	}
	c.Len += to - from
}

// Take returns the rows listed, in that order.
func (c *Column) Take(rows []int32) Column {
	out := Column{Type: c.Type}
	switch {
	case c.Nulls > 0 || c.Type == Bool || c.Elements != nil:
		out = NewColumn(c.Type, len(rows))
		for _, r := range rows {
			out.AppendRow(c, int(r))
		}
		return out
	case c.Type.HasOffsets():
		total := 0
		for _, r := range rows {
			total += int(c.Offsets[r+1] - c.Offsets[r])
		}
		out.Offsets = make([]int32, len(rows)+1)
		out.Values = make([]byte, 0, total)
		for i, r := range rows {
			out.Values = append(out.Values, c.Values[c.Offsets[r]:c.Offsets[r+1]]...)
			out.Offsets[i+1] = int32(len(out.Values))
		}
	case c.Type.Width() == 8:
		out.Values = make([]byte, len(rows)*8)
		src, dst := c.Int64s(), out.Int64s()
		for i, r := range rows {
			dst[i] = src[r]
		}
	case c.Type.Width() == 4:
		out.Values = make([]byte, len(rows)*4)
		src, dst := c.Int32s(), out.Int32s()
		for i, r := range rows {
			dst[i] = src[r]
		}
	default:
		w := c.Type.Width()
		out.Values = make([]byte, 0, len(rows)*w)
		for _, r := range rows {
			out.Values = append(out.Values, c.Values[int(r)*w:int(r+1)*w]...)
		}
	}
	out.Len = len(rows)
	return out
}

// Slice returns rows [from, to): a view where the layout allows it (no nulls before, whole bytes), else a copy.
func (c *Column) Slice(from, to int) Column {
	if from == 0 && to == c.Len {
		return *c
	}
	if c.Nulls > 0 || c.Type == Bool || c.Type.HasOffsets() || c.Elements != nil {
		out := NewColumn(c.Type, to-from)
		out.AppendRange(c, from, to)
		return out
	}
	w := c.Type.Width()
	return Column{Type: c.Type, Len: to - from, Values: c.Values[from*w : to*w : to*w]}
}

// Size is the number of bytes that the buffers hold.
func (c *Column) Size() int {
	n := len(c.Validity) + 4*len(c.Offsets) + len(c.Values)
	if c.Elements != nil {
		n += c.Elements.Size()
	}
	return n
}

// CountNulls counts the zero bits of the first rows bits of a validity bitmap.
func CountNulls(validity []byte, rows int) int {
	set := 0
	for i := 0; i < rows>>3; i++ {
		set += bits.OnesCount8(validity[i])
	}
	if r := rows & 7; r > 0 {
		set += bits.OnesCount8(validity[rows>>3] & byte(1<<r-1))
	}
	return rows - set
}
