package row

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"unsafe"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
	"github.com/tidemill/tidemill/sdk-go/internal/frame"
	"github.com/tidemill/tidemill/sdk-go/internal/int128"
)

// Columns is how the columns of a batch lie in a Go struct, whose fields are slices of numbers, operator.Bits, operator.Texts or
// operator.Lists of these, or operator.Nulls of all of them. Nothing but decimals is copied on the way in.
type Columns struct {
	fields    []Field // at is where the slice, Bits, Texts or Lists is; valid where the Bits of a Nulls are
	passed    []Pass
	EventTime int // offset of the []Timestamp that takes the event times; -1 = none
}

// The shapes of columns.
type (
	bits struct { // operator.Bits
		bytes []byte
		len   int
	}
	texts struct { // operator.Texts
		offsets []int32
		bytes   []byte
	}
	lists struct { // operator.Lists, before the column of its elements
		offsets []int32
	}
)

const (
	bitsName  = "Bits"
	textsName = "Texts["
	listsName = "Lists["
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
		f, err := columnField(name, sf, options)
		if err != nil {
			return nil, errors.New("field " + sf.Name + " of " + t.String() + ": " + err.Error())
		}
		if has(options, optionEventTime) && f.Type.ID == abi.Timestamp && strings.HasPrefix(sf.Tag.Get("tm"), ",") {
			l.EventTime = int(sf.Offset)
			continue
		}
		f.column = len(l.fields) + len(l.passed)
		l.fields = append(l.fields, f)
	}
	return l, nil
}

func columnField(name string, sf reflect.StructField, options map[string]string) (Field, error) {
	column, nullable, valid := sf.Type, false, uintptr(0)
	if isGeneric(column, nullsName) {
		nullable, valid = true, sf.Offset+column.Field(1).Offset
		column = column.Field(0).Type
	}
	typ, ok := columnOf(column)
	if !ok {
		return Field{}, errors.New("there is no column type for " + sf.Type.String())
	}
	typ, err := typ.tagged(options)
	f := newField(name, typ, sf.Offset)
	f.Nullable, f.valid = nullable, valid
	return f, err
}

// columnOf is the type of the rows of a Go type of columns.
func columnOf(t reflect.Type) (Type, bool) {
	switch {
	case isOperator(t, bitsName):
		return Type{ID: abi.Bool}, true
	case isGeneric(t, textsName) && strings.HasPrefix(t.Name(), textsName+"string"):
		return Type{ID: abi.UTF8}, true
	case isGeneric(t, textsName):
		return Type{ID: abi.Binary}, true
	case isGeneric(t, listsName):
		element, ok := columnOf(t.Field(1).Type)
		return listOf(element), ok && element.ID != abi.List
	case t.Kind() != reflect.Slice:
		return Type{}, false
	}
	id := scalarID(t.Elem())
	return Type{ID: id}, id != 0 && id != abi.Bool && id != abi.UTF8 && id != abi.Binary
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
		case !alike(f.Type, ParseType(column.Type)):
			return nil, &ColumnError{f.Name, "it is of type " + column.Type + ", its field takes " + f.Type.String()}
		}
		names = append(names, f.Name)
	}
	return names, nil
}

// alike says whether the values of two types are the same bytes with the same meaning.
func alike(field, column Type) bool {
	if field.ID == abi.List {
		return column.ID == abi.List && alike(field.Elements(), column.Elements())
	}
	c := conversionOf(field, column)
	return copyBits <= c && c <= copy64 || c == textToString || c == textToBytes && column.ID == abi.Binary || c == readDecimal
}

// View sets the fields of the struct at p to views of the first n rows of the columns, and to decimals in the arena.
func (l *Columns) View(columns []frame.Column, n int, p unsafe.Pointer, arena *Arena) {
	node := 0
	for i := range l.fields {
		f := &l.fields[i]
		c := columns[node:]
		if f.Nullable {
			v := bits{}
			if c[0].Validity != nil {
				v = bits{unsafe.Slice((*byte)(c[0].Validity), (n+7)/8), n}
			}
			*(*bits)(unsafe.Add(p, f.valid)) = v
		}
		if to := unsafe.Add(p, f.at); f.element != nil {
			offsets := unsafe.Slice((*int32)(c[0].Offsets), n+1)
			*(*lists)(to) = lists{offsets}
			f.element.view(&c[1], int(offsets[n]), unsafe.Add(to, unsafe.Sizeof(lists{})), arena)
		} else {
			f.view(&c[0], n, to, arena)
		}
		node += f.Type.nodes()
	}
}

func (f *Field) view(c *frame.Column, n int, to unsafe.Pointer, arena *Arena) {
	switch f.Type.ID {
	case abi.Bool:
		*(*bits)(to) = bits{unsafe.Slice((*byte)(c.Values), (n+7)/8), n}
	case abi.UTF8, abi.Binary:
		if c.Offsets == nil { // elements of lists that are all empty
			*(*texts)(to) = texts{}
			return
		}
		offsets := unsafe.Slice((*int32)(c.Offsets), n+1)
		*(*texts)(to) = texts{offsets, unsafe.Slice((*byte)(c.Values), offsets[n])}
	case abi.Decimal128:
		decimals := arena.elements(f.Type.ID, n, f.size)
		f.readDecimals(c, 0, n, decimals, f.size)
		*(*slice)(to) = slice{decimals, n, n}
	default:
		*(*slice)(to) = slice{c.Values, n, n}
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

// rows is the number of rows of a column that is at p.
func (f *Field) rows(p unsafe.Pointer) int {
	switch f.Type.ID {
	case abi.Bool:
		return (*bits)(p).len
	case abi.UTF8, abi.Binary, abi.List: // which all begin with offsets
		return max(0, len((*texts)(p).offsets)-1)
	default:
		return (*slice)(p).len
	}
}

// bytes is what a column that is at p takes in an answer.
func (f *Field) bytes(p unsafe.Pointer) int {
	n := f.rows(p) * (width(f.Type.ID) + 1)
	switch f.Type.ID {
	case abi.UTF8, abi.Binary:
		n += len((*texts)(p).bytes)
	case abi.List:
		n += f.element.bytes(unsafe.Add(p, unsafe.Sizeof(lists{})))
	}
	return n
}

// Bytes is what the struct at p takes in an answer.
func (l *Columns) Bytes(p unsafe.Pointer) int {
	n := 0
	for i := range l.fields {
		f := &l.fields[i]
		n += f.bytes(unsafe.Add(p, f.at))
	}
	return n
}

// WriteColumns writes the n rows of a struct of columns at p, which stay as they are until the answer has been read. The error is
// a *ValueError: a decimal that its column cannot hold.
func (w *Writing) WriteColumns(b *frame.Builder, nodes, n int, p unsafe.Pointer) error {
	w.writePassed(b, nodes, n)
	for i := range w.fields {
		f := &w.fields[i]
		node := f.writeNode(b, nodes, n)
		at := unsafe.Add(p, f.at)
		if f.rows(at) != n {
			panic("column " + f.Name + " of an emitted batch has another number of rows than the batch")
		}
		if n == 0 {
			continue
		}
		var valid bits
		if f.Nullable {
			valid = *(*bits)(unsafe.Add(p, f.valid))
			f.lendValidity(b, node, n, &valid)
		}
		if err := f.lend(b, node, n, at, valid); err != nil {
			return err
		}
	}
	return nil
}

// lend writes the buffers of a column of n rows that is at p; valid is empty where no row is null.
func (f *Field) lend(b *frame.Builder, node, n int, p unsafe.Pointer, valid bits) error {
	switch f.Type.ID {
	case abi.Bool:
		b.Lend(node+32, (*bits)(p).bytes)
	case abi.UTF8, abi.Binary:
		t := (*texts)(p)
		lendOffsets(b, node, t.offsets)
		b.Lend(node+32, t.bytes)
	case abi.List:
		l := (*lists)(p)
		lendOffsets(b, node, l.offsets)
		elements := unsafe.Add(p, unsafe.Sizeof(*l))
		total := int(l.offsets[n])
		if f.element.rows(elements) != total {
			panic("column " + f.Name + " of an emitted batch has another number of elements than its lists")
		}
		b.PutU32(node+abi.NodeSize+4, uint32(total))
		if total == 0 {
			return nil
		}
		err := f.element.lend(b, node+abi.NodeSize, total, elements, bits{})
		if e, ok := err.(*ValueError); ok {
			e.Row, _ = slices.BinarySearch(l.offsets[1:], int32(e.Row+1))
		}
		return err
	case abi.Decimal128:
		return f.copyDecimals(b.Buffer(node+32, n*int(f.width)), *(*[]decimal)(p), valid)
	default:
		b.Lend(node+32, unsafe.Slice((*byte)((*slice)(p).data), n*int(f.width)))
	}
	return nil
}

// copyDecimals writes decimals to a buffer. What stands under nulls becomes 0.
func (f *Field) copyDecimals(to unsafe.Pointer, from []decimal, valid bits) error {
	for i := range from {
		n, ok := int128.Int{}, true
		if valid.len == 0 || valid.bytes[i>>3]>>(i&7)&1 != 0 {
			n, ok = f.fit(&from[i])
		}
		if !ok {
			return f.misfit(i, &from[i])
		}
		*(*int128.Int)(unsafe.Add(to, i*int(f.width))) = n
	}
	return nil
}

func lendOffsets(b *frame.Builder, node int, offsets []int32) {
	b.Lend(node+24, unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(offsets))), 4*len(offsets)))
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
