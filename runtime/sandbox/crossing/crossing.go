// Package crossing turns columns of frames into columns of batches and back. The layouts are the same; what a guest wrote is made
// what the host promises of its own columns: one NaN, and nothing under nulls.
package crossing

import (
	"encoding/binary"
	"math"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/abi/frame"
	"github.com/tidemill/tidemill/runtime/record"
)

// AsFrame views a column of the host as one of a frame; the layouts are the same.
func AsFrame(c *record.Column) frame.Column {
	out := frame.Column{
		Type: abi.Type(c.Type), Len: c.Len, Nulls: c.Nulls, Validity: c.Validity, Offsets: c.Offsets, Values: c.Values,
	}
	if c.Elements != nil {
		elements := AsFrame(c.Elements)
		out.Elements = &elements
	}
	return out
}

// AppendFrames is AsFrame for several.
func AppendFrames(dst []frame.Column, columns []record.Column) []frame.Column {
	for i := range columns {
		dst = append(dst, AsFrame(&columns[i]))
	}
	return dst
}

// Fields are the fields of a binding as those of a schema.
func Fields(fields []abi.FieldType) []record.Field {
	out := make([]record.Field, len(fields))
	for i, f := range fields {
		out[i] = record.Field{Name: f.Name, Type: record.Type(f.Type), Nullable: f.Nullable}
	}
	return out
}

// For returns empty columns of the fields' types.
func For(fields []abi.FieldType) []record.Column {
	out := make([]record.Column, len(fields))
	for i, f := range fields {
		out[i] = record.NewColumn(record.Type(f.Type), 0)
	}
	return out
}

// View views rows of a guest's column as a column of the host. Where a view would not keep what the host promises of its
// columns (one NaN, nothing under nulls) it is a copy, and so it is of a list.
func View(c *frame.Column) record.Column {
	if c.Nulls > 0 || c.Type == abi.F32 || c.Type == abi.F64 || c.Elements != nil {
		return Copy(c, 0, c.Len)
	}
	return record.Column{Type: record.Type(c.Type), Len: c.Len, Offsets: c.Offsets, Values: c.Values}
}

// Copy takes rows [from, to) out of a guest's memory; from is a multiple of 8. NaNs become one NaN (I10), and values under
// nulls become zero or empty, as record.Column promises.
func Copy(c *frame.Column, from, to int) record.Column {
	rows := to - from
	out := record.Column{Type: record.Type(c.Type), Len: rows}
	if c.Nulls > 0 {
		bitmap := c.Validity[from>>3 : (to+7)>>3]
		if out.Nulls = record.CountNulls(bitmap, rows); out.Nulls > 0 {
			out.Validity = append([]byte(nil), bitmap...)
		}
	}
	switch {
	case c.Elements != nil:
		copyList(&out, c, from, to)
		return out
	case c.Type.HasOffsets():
		copyVariable(&out, c, from, to)
		return out
	case c.Type == abi.Bool:
		out.Values = append([]byte(nil), c.Values[from>>3:(to+7)>>3]...)
		for i := 0; out.Nulls > 0 && i < len(out.Values); i++ {
			out.Values[i] &= out.Validity[i]
		}
		return out
	}
	w := c.Type.Width()
	out.Values = append([]byte(nil), c.Values[from*w:to*w]...)
	if out.Nulls > 0 {
		for i := range rows {
			if out.Null(i) {
				clear(out.Values[i*w : (i+1)*w])
			}
		}
	}
	oneNaN(&out)
	return out
}

func copyVariable(out *record.Column, c *frame.Column, from, to int) {
	rows := to - from
	out.Offsets = make([]int32, rows+1)
	if rows == 0 {
		return
	}
	first := c.Offsets[from]
	if out.Nulls == 0 {
		out.Values = append([]byte(nil), c.Values[first:c.Offsets[to]]...)
		for i, o := range c.Offsets[from : to+1] {
			out.Offsets[i] = o - first
		}
		return
	}
	out.Values = make([]byte, 0, c.Offsets[to]-first)
	for i := range rows {
		if !out.Null(i) {
			out.Values = append(out.Values, c.Values[c.Offsets[from+i]:c.Offsets[from+i+1]]...)
		}
		out.Offsets[i+1] = int32(len(out.Values))
	}
}

func copyList(out *record.Column, c *frame.Column, from, to int) {
	source := record.Column{Type: record.Type(c.Elements.Type), Len: c.Elements.Len, Offsets: c.Elements.Offsets, Values: c.Elements.Values}
	elements := record.NewColumn(source.Type, 0)
	out.Offsets, out.Elements = make([]int32, 1, to-from+1), &elements
	for i := from; i < to; i++ {
		if first, last := c.Offsets[i], c.Offsets[i+1]; first < last && !out.Null(i-from) {
			elements.AppendRange(&source, int(first), int(last))
		}
		out.Offsets = append(out.Offsets, int32(elements.Len))
	}
	oneNaN(&elements)
}

// The NaN that every other NaN becomes: quiet, positive, without payload.
const (
	nan32 = 0x7fc00000
	nan64 = 0x7ff8000000000000
)

func oneNaN(c *record.Column) {
	switch c.Type {
	case record.F32:
		for b := c.Values; len(b) >= 4; b = b[4:] {
			if f := math.Float32frombits(binary.LittleEndian.Uint32(b)); f != f {
				binary.LittleEndian.PutUint32(b, nan32)
			}
		}
	case record.F64:
		for b := c.Values; len(b) >= 8; b = b[8:] {
			if f := math.Float64frombits(binary.LittleEndian.Uint64(b)); f != f {
				binary.LittleEndian.PutUint64(b, nan64)
			}
		}
	}
}

// ResetAll empties columns and keeps their memory.
func ResetAll(columns []record.Column) {
	for i := range columns {
		columns[i].Reset()
	}
}
