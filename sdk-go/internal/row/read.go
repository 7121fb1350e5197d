package row

import (
	"errors"
	"unsafe"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
	"github.com/tidemill/tidemill/sdk-go/internal/frame"
)

// Reading says how the columns of a resolved schema become rows of a layout.
type Reading struct {
	Columns []string // the columns to ask for, in the order in which Read takes them
	fields  []reading
}

type reading struct {
	Field
	convert conversion
	node    int      // place of the column among the nodes
	items   *reading // of a list: its elements
}

// conversion is from a column's type to a field's.
type conversion uint8

const (
	none conversion = iota
	copyBits
	copy8
	copy16
	copy32
	copy64
	i8ToI16
	i8ToI32
	i8ToI64
	i16ToI32
	i16ToI64
	i32ToI64
	i8ToF64
	i16ToF64
	i32ToF64
	f32ToF64
	textToString
	textToBytes
	readDecimal
	readList
)

// conversions to a field's type from a column's.
var conversions = [abi.Binary + 1][abi.Binary + 1]conversion{
	abi.Bool:        {abi.Bool: copyBits},
	abi.I8:          {abi.I8: copy8},
	abi.I16:         {abi.I16: copy16, abi.I8: i8ToI16},
	abi.I32:         {abi.I32: copy32, abi.I8: i8ToI32, abi.I16: i16ToI32},
	abi.I64:         {abi.I64: copy64, abi.I8: i8ToI64, abi.I16: i16ToI64, abi.I32: i32ToI64},
	abi.F32:         {abi.F32: copy32},
	abi.F64:         {abi.F64: copy64, abi.I8: i8ToF64, abi.I16: i16ToF64, abi.I32: i32ToF64, abi.F32: f32ToF64},
	abi.Date32:      {abi.Date32: copy32},
	abi.Timestamp:   {abi.Timestamp: copy64, abi.TimestampTZ: copy64},
	abi.TimestampTZ: {abi.Timestamp: copy64, abi.TimestampTZ: copy64},
	abi.UTF8:        {abi.UTF8: textToString},
	abi.Binary:      {abi.Binary: textToBytes, abi.UTF8: textToBytes},
}

// conversionOf is how a column of a type becomes a field of a type; none where it cannot.
func conversionOf(field, column Type) conversion {
	switch {
	case field.ID == abi.Decimal128:
		if column.ID == abi.Decimal128 && column.Scale == field.Scale && column.Digits <= field.Digits {
			return readDecimal
		}
	case field.ID == abi.List:
		if column.ID == abi.List && conversionOf(field.Elements(), column.Elements()) != none {
			return readList
		}
	case column.ID <= abi.Binary:
		return conversions[field.ID][column.ID]
	}
	return none
}

var errPassedIn = errors.New("operator.FromInput and operator.FromKey belong in output rows")

// ColumnError is a column that does not fit the field that asks for it.
type ColumnError struct {
	Column, Message string
}

func (e *ColumnError) Error() string { return "column " + e.Column + ": " + e.Message }

// Bind finds the layout's columns in a schema. Whole numbers widen, and up to 32 bits also to float64, decimals to more digits of
// the same scale, in lists too; a column that may be null needs a field of type operator.Null.
func (l *Layout) Bind(schema []abi.Field) (*Reading, error) {
	if len(l.Passed) > 0 {
		return nil, errPassedIn
	}
	r := &Reading{}
	nodes := 0
	for _, f := range l.Fields {
		column := find(schema, f.Name)
		if column == nil {
			return nil, &ColumnError{f.Name, "the input does not have it"}
		}
		if column.Nullable && !f.Nullable {
			return nil, &ColumnError{f.Name, "it may be null, so its field must be an operator.Null"}
		}
		from := ParseType(column.Type)
		to := reading{Field: f, convert: conversionOf(f.Type, from), node: nodes}
		if to.convert == none {
			return nil, &ColumnError{f.Name, "it is of type " + column.Type + ", its field takes " + f.Type.String()}
		}
		if f.element != nil {
			to.items = &reading{Field: *f.element, convert: conversionOf(f.element.Type, from.Elements())}
		}
		nodes += from.nodes()
		r.Columns = append(r.Columns, f.Name)
		r.fields = append(r.fields, to)
	}
	return r, nil
}

// Exact is the reading of columns that have the layout's own types, in its order.
func (l *Layout) Exact() *Reading {
	r, err := l.Bind(l.Schema())
	if err != nil {
		panic(err)
	}
	return r
}

func find(schema []abi.Field, name string) *abi.Field {
	for i := range schema {
		if schema[i].Name == name {
			return &schema[i]
		}
	}
	return nil
}

// Read fills n rows of the given size at rows from the columns' rows [from, from+n). Fields of null values are zeroed. Lists are
// made in the arena.
func (r *Reading) Read(columns []frame.Column, from, n int, rows unsafe.Pointer, size uintptr, arena *Arena) {
	for i := range r.fields {
		f := &r.fields[i]
		c := &columns[f.node]
		if c.Values != nil {
			f.values(c, from, n, unsafe.Add(rows, f.at), size)
		} else if f.items != nil && c.Offsets != nil {
			f.lists(columns[f.node:], from, n, unsafe.Add(rows, f.at), size, arena)
		} else {
			f.empty(n, unsafe.Add(rows, f.at), size)
		}
		if c.Validity != nil || f.Nullable {
			f.nulls(c, from, n, rows, size)
		}
	}
}

func (f *reading) values(c *frame.Column, from, n int, to unsafe.Pointer, size uintptr) {
	switch f.convert {
	case copyBits:
		for i := range n {
			bit := from + i
			*(*bool)(unsafe.Add(to, uintptr(i)*size)) = bitAt(c.Values, bit)
		}
	case copy8:
		widen[int8, int8](c.Values, from, n, to, size)
	case copy16:
		widen[int16, int16](c.Values, from, n, to, size)
	case copy32:
		widen[int32, int32](c.Values, from, n, to, size)
	case copy64:
		widen[int64, int64](c.Values, from, n, to, size)
	case i8ToI16:
		widen[int8, int16](c.Values, from, n, to, size)
	case i8ToI32:
		widen[int8, int32](c.Values, from, n, to, size)
	case i8ToI64:
		widen[int8, int64](c.Values, from, n, to, size)
	case i16ToI32:
		widen[int16, int32](c.Values, from, n, to, size)
	case i16ToI64:
		widen[int16, int64](c.Values, from, n, to, size)
	case i32ToI64:
		widen[int32, int64](c.Values, from, n, to, size)
	case i8ToF64:
		widen[int8, float64](c.Values, from, n, to, size)
	case i16ToF64:
		widen[int16, float64](c.Values, from, n, to, size)
	case i32ToF64:
		widen[int32, float64](c.Values, from, n, to, size)
	case f32ToF64:
		widen[float32, float64](c.Values, from, n, to, size)
	case textToString:
		viewStrings(c, from, n, to, size)
	case textToBytes:
		viewBytes(c, from, n, to, size)
	case readDecimal:
		f.readDecimals(c, from, n, to, size)
	}
}

type number interface {
	int8 | int16 | int32 | int64 | float32 | float64
}

// widen copies n values, four at a time: in a module a turn of a loop costs more than a copy.
func widen[S, D number](values unsafe.Pointer, from, n int, to unsafe.Pointer, size uintptr) {
	source := unsafe.Slice((*S)(values), from+n)[from:]
	at := uintptr(0)
	for ; len(source) >= 4; source = source[4:] {
		*(*D)(unsafe.Add(to, at)) = D(source[0])
		*(*D)(unsafe.Add(to, at+size)) = D(source[1])
		*(*D)(unsafe.Add(to, at+2*size)) = D(source[2])
		*(*D)(unsafe.Add(to, at+3*size)) = D(source[3])
		at += 4 * size
	}
	for _, v := range source {
		*(*D)(unsafe.Add(to, at)) = D(v)
		at += size
	}
}

func viewStrings(c *frame.Column, from, n int, to unsafe.Pointer, size uintptr) {
	offsets := unsafe.Slice((*int32)(c.Offsets), from+n+1)[from:]
	start, at := offsets[0], uintptr(0)
	for _, end := range offsets[1:] {
		*(*string)(unsafe.Add(to, at)) = unsafe.String((*byte)(unsafe.Add(c.Values, start)), end-start)
		start = end
		at += size
	}
}

func viewBytes(c *frame.Column, from, n int, to unsafe.Pointer, size uintptr) {
	offsets := unsafe.Slice((*int32)(c.Offsets), from+n+1)[from:]
	start, at := offsets[0], uintptr(0)
	for _, end := range offsets[1:] {
		*(*[]byte)(unsafe.Add(to, at)) = unsafe.Slice((*byte)(unsafe.Add(c.Values, start)), end-start)
		start = end
		at += size
	}
}

// empty handles a column without values: texts or lists that are all empty, or no rows.
func (f *reading) empty(n int, to unsafe.Pointer, size uintptr) {
	for i := range n {
		f.zero(unsafe.Add(to, uintptr(i)*size))
	}
}

func (f *Field) zero(p unsafe.Pointer) {
	switch {
	case f.width == 8:
		*(*int64)(p) = 0
	case f.width == 4:
		*(*int32)(p) = 0
	case f.width == 1:
		*(*int8)(p) = 0
	case f.width == 2:
		*(*int16)(p) = 0
	case f.Type.ID == abi.UTF8:
		*(*string)(p) = ""
	case f.Type.ID == abi.Decimal128:
		*(*decimal)(p) = decimal{}
	default:
		*(*slice)(p) = slice{}
	}
}

// nulls zeroes the values of null rows and sets the flags of a nullable field.
func (f *reading) nulls(c *frame.Column, from, n int, rows unsafe.Pointer, size uintptr) {
	if c.Validity == nil {
		flag := unsafe.Add(rows, f.valid)
		for i := range uintptr(n) {
			*(*bool)(unsafe.Add(flag, i*size)) = true
		}
		return
	}
	at := uintptr(0)
	for i := from; i < from+n; i++ {
		valid := bitAt(c.Validity, i)
		if f.Nullable {
			*(*bool)(unsafe.Add(rows, at+f.valid)) = valid
		}
		if !valid {
			f.zero(unsafe.Add(rows, at+f.at))
		}
		at += size
	}
}

func bitAt(bits unsafe.Pointer, i int) bool {
	return *(*byte)(unsafe.Add(bits, i>>3))>>(i&7)&1 != 0
}

// Fill sets the 8-byte field at an offset of n rows from values[from:], the event times of an input; all to the least number where
// there are none.
func Fill(values []int64, from, n int, rows unsafe.Pointer, at int, size uintptr) {
	p := unsafe.Add(rows, at)
	for i := range n {
		v := int64(abi.WatermarkNone)
		if values != nil {
			v = values[from+i]
		}
		*(*int64)(unsafe.Add(p, uintptr(i)*size)) = v
	}
}
