package row

import (
	"errors"
	"reflect"
	"strings"
	"unsafe"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
	"github.com/tidemill/tidemill/sdk-go/internal/frame"
)

// Columns is how the columns of a batch lie in a Go struct, whose fields are slices of numbers, operator.Bits or operator.Texts,
// or operator.Nulls of these. Nothing is copied on the way in.
type Columns struct {
	fields    []Field // at is where the slice, Bits or Texts is; valid where the Bits of a Nulls are
	passed    []Pass
	EventTime int // offset of the []Timestamp that takes the event times; -1 = none
}

// The shapes of fields.
type (
	slice struct {
		data     unsafe.Pointer
		len, cap int
	}
	bits struct { // operator.Bits
		bytes []byte
		len   int
	}
	texts struct { // operator.Texts
		offsets []int32
		bytes   []byte
	}
)

const (
	bitsName  = "Bits"
	textsName = "Texts["
	nullsName = "Nulls["
)

// ColumnsOf makes the layout of the struct t.
func ColumnsOf(t reflect.Type) (*Columns, error) {
	if t.Kind() != reflect.Struct {
		return nil, errors.New(t.String() + " is no batch: it must be a struct of columns")
	}
	l := &Columns{EventTime: -1}
	for i := range t.NumField() {
		sf := t.Field(i)
		name, options := Tag(sf)
		if name == "-" || !sf.IsExported() {
			continue
		}
		if isOperator(sf.Type, fromInputName) || isOperator(sf.Type, fromKeyName) {
			l.passed = append(l.passed, passOf(sf, name, options, len(l.fields)+len(l.passed)))
			continue
		}
		f := Field{Name: name, at: sf.Offset, column: len(l.fields) + len(l.passed)}
		column := sf.Type
		if isGeneric(column, nullsName) {
			f.Nullable, f.valid = true, sf.Offset+column.Field(1).Offset
			column = column.Field(0).Type
		}
		var ok bool
		if f.Type, ok = columnOf(column); !ok {
			return nil, errors.New("field " + sf.Name + " of " + t.String() + ": there is no column type for " + sf.Type.String())
		}
		if has(options, "event_time") && f.Type == abi.Timestamp && strings.HasPrefix(sf.Tag.Get("tm"), ",") {
			l.EventTime = int(sf.Offset)
			continue
		}
		l.fields = append(l.fields, f)
	}
	return l, nil
}

func isGeneric(t reflect.Type, prefix string) bool {
	return t.PkgPath() == operatorPackage && strings.HasPrefix(t.Name(), prefix)
}

func columnOf(t reflect.Type) (abi.Type, bool) {
	switch {
	case isOperator(t, bitsName):
		return abi.Bool, true
	case isGeneric(t, textsName) && strings.HasPrefix(t.Name(), textsName+"string"):
		return abi.UTF8, true
	case isGeneric(t, textsName):
		return abi.Binary, true
	case t.Kind() != reflect.Slice:
		return 0, false
	}
	typ, nullable, ok := columnType(t.Elem())
	return typ, ok && !nullable && typ != abi.Bool && typ != abi.UTF8 && typ != abi.Binary
}

// Schema is the columns of the fields.
func (l *Columns) Schema() []abi.Field { return (&Layout{Fields: l.fields}).Schema() }

// Bind finds the columns in a schema, where they must have the very types of the fields, and returns their names.
func (l *Columns) Bind(schema []abi.Field) (names []string, err error) {
	if len(l.passed) > 0 {
		return nil, errPassedIn
	}
	for _, f := range l.fields {
		column := find(schema, f.Name)
		switch {
		case column == nil:
			return nil, &ColumnError{f.Name, "the input does not have it"}
		case column.Nullable && !f.Nullable:
			return nil, &ColumnError{f.Name, "it may be null, so its field must be an operator.Nulls"}
		case !alike(f.Type, typeOf(column.Type)):
			return nil, &ColumnError{f.Name, "it is of type " + column.Type + ", its field takes " + abi.TypeNames[f.Type]}
		}
		names = append(names, f.Name)
	}
	return names, nil
}

// alike says whether the values of two types are the same bytes with the same meaning.
func alike(a, b abi.Type) bool {
	return a == b || a == abi.Timestamp && b == abi.TimestampTZ
}

// View sets the fields of the struct at p to views of the first n rows of the columns.
func (l *Columns) View(columns []frame.Column, n int, p unsafe.Pointer) {
	for i := range l.fields {
		f, c := &l.fields[i], &columns[i]
		if f.Nullable {
			v := bits{}
			if c.Validity != nil {
				v = bits{unsafe.Slice((*byte)(c.Validity), (n+7)/8), n}
			}
			*(*bits)(unsafe.Add(p, f.valid)) = v
		}
		to := unsafe.Add(p, f.at)
		switch f.Type {
		case abi.Bool:
			*(*bits)(to) = bits{unsafe.Slice((*byte)(c.Values), (n+7)/8), n}
		case abi.UTF8, abi.Binary:
			offsets := unsafe.Slice((*int32)(c.Offsets), n+1)
			*(*texts)(to) = texts{offsets, unsafe.Slice((*byte)(c.Values), offsets[n])}
		default:
			*(*slice)(to) = slice{c.Values, n, n}
		}
	}
}

// Times sets the event times.
func (l *Columns) Times(times []int64, p unsafe.Pointer) {
	*(*[]int64)(unsafe.Add(p, l.EventTime)) = times
}

// Output resolves the passed columns of an output batch.
func (l *Columns) Output(input, key []abi.Field) (*Writing, error) {
	return output(l.fields, l.passed, input, key)
}

// FromInput says whether batches take columns over from an input port.
func (l *Columns) FromInput() bool { return fromInput(l.passed) }

// rows is the number of rows of a column of the struct at p.
func (f *Field) rows(p unsafe.Pointer) int {
	switch at := unsafe.Add(p, f.at); f.Type {
	case abi.Bool:
		return (*bits)(at).len
	case abi.UTF8, abi.Binary:
		return max(0, len((*texts)(at).offsets)-1)
	default:
		return (*slice)(at).len
	}
}

// Bytes is what the struct at p takes in an answer.
func (l *Columns) Bytes(p unsafe.Pointer) int {
	n := 0
	for i := range l.fields {
		f := &l.fields[i]
		n += f.rows(p) * (width(f.Type) + 1)
		if f.Type == abi.UTF8 || f.Type == abi.Binary {
			n += len((*texts)(unsafe.Add(p, f.at)).bytes)
		}
	}
	return n
}

// WriteColumns writes the n rows of a struct of columns at p, which stay as they are until the answer has been read.
func (w *Writing) WriteColumns(b *frame.Builder, nodes, n int, p unsafe.Pointer) {
	w.writePassed(b, nodes, n)
	for i := range w.fields {
		f := &w.fields[i]
		node := nodes + f.node*abi.NodeSize
		b.PutU16(node, uint16(f.Type))
		b.PutU32(node+4, uint32(n))
		if f.rows(p) != n {
			panic("column " + f.Name + " of an emitted batch has another number of rows than the batch")
		}
		if n == 0 {
			continue
		}
		if f.Nullable {
			f.lendValidity(b, node, n, (*bits)(unsafe.Add(p, f.valid)))
		}
		switch at := unsafe.Add(p, f.at); f.Type {
		case abi.Bool:
			b.Lend(node+32, (*bits)(at).bytes)
		case abi.UTF8, abi.Binary:
			t := (*texts)(at)
			b.Lend(node+24, unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(t.offsets))), 4*len(t.offsets)))
			b.Lend(node+32, t.bytes)
		default:
			b.Lend(node+32, unsafe.Slice((*byte)((*slice)(at).data), n*width(f.Type)))
		}
	}
}

func (f *Field) lendValidity(b *frame.Builder, node, n int, valid *bits) {
	if valid.len == 0 {
		return
	}
	if valid.len != n {
		panic("column " + f.Name + " of an emitted batch has another number of rows than its Valid")
	}
	nulls := n
	for i := range n {
		if valid.bytes[i>>3]>>(i&7)&1 != 0 {
			nulls--
		}
	}
	if nulls > 0 {
		b.PutU32(node+8, uint32(nulls))
		b.Lend(node+16, valid.bytes)
	}
}
