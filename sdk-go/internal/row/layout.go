package row

import (
	"cmp"
	"errors"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unsafe"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
)

// Layout is how the rows of a Go type lie in memory and which columns they make.
type Layout struct {
	Size      uintptr
	Fields    []Field   // in declaration order
	Passed    []Pass    // columns that an output row takes over from its item
	EventTime int       // offset of the field that takes the event time of an input row; -1 = none
	Bytes     int       // an upper bound of what a row takes in an answer, without the contents of strings and byte slices
	texts     []uintptr // offsets of the strings and byte slices
	slices    []uintptr // of the byte slices among them
	strings   []uintptr // of the strings
}

// Field is one column of a layout.
type Field struct {
	Name      string
	Type      abi.Type // what the column is written as
	Nullable  bool
	EventTime bool    // of an output row: the column is the row's event time
	at        uintptr // offset of the value
	valid     uintptr // offset of the flag, where Nullable
	width     uint8   // bytes of a number; 0 for texts
	column    int     // place among the columns, those of Passed included
}

// Pass is a column, or all columns, of an output row that the host fills from the item.
type Pass struct {
	Name   string // of the output column; empty for all columns of the input
	From   string // of the input or key column
	Key    bool   // a key column, else a column of the input port
	column int
}

// The types of package operator that mean a column type or a passed column. They are known by name, because operator is built
// on this package.
const (
	operatorPackage = "github.com/tidemill/tidemill/sdk-go/operator"
	nullName        = "Null["
	timestampName   = "Timestamp"
	dateName        = "Date"
	fromInputName   = "FromInput"
	fromKeyName     = "FromKey"
)

// Of makes the layout of t. A scalar type is one column of the given name.
func Of(t reflect.Type, scalar string) (*Layout, error) {
	l := &Layout{Size: t.Size(), EventTime: -1}
	if Scalar(t) {
		if err := l.add(scalar, t, 0); err != nil {
			return nil, err
		}
	} else if t.Kind() != reflect.Struct {
		return nil, errors.New(t.String() + " is no row: it must be a struct or a type of column")
	} else if err := l.addStruct(t, 0); err != nil {
		return nil, err
	}
	for i, f := range l.Fields {
		l.Bytes += width(f.Type)
		if f.Nullable {
			l.Bytes++
		}
		switch f.Type {
		case abi.UTF8:
			l.texts, l.strings = append(l.texts, f.at), append(l.strings, f.at)
		case abi.Binary:
			l.texts, l.slices = append(l.texts, f.at), append(l.slices, f.at)
		}
		for _, other := range l.Fields[:i] {
			if other.Name == f.Name {
				return nil, errors.New(t.String() + " has two columns " + f.Name)
			}
		}
	}
	return l, nil
}

func (l *Layout) addStruct(t reflect.Type, base uintptr) error {
	for i := range t.NumField() {
		sf := t.Field(i)
		name, options := Tag(sf)
		if name == "-" || !sf.IsExported() && !sf.Anonymous {
			continue
		}
		at := base + sf.Offset
		switch {
		case isOperator(sf.Type, fromInputName), isOperator(sf.Type, fromKeyName):
			l.Passed = append(l.Passed, passOf(sf, name, options, l.columns()))
		case !Scalar(sf.Type) && sf.Anonymous && sf.Type.Kind() == reflect.Struct:
			if err := l.addStruct(sf.Type, at); err != nil {
				return err
			}
		case has(options, "event_time") && isOperator(sf.Type, timestampName) && sf.Tag.Get("tm")[0] == ',':
			l.EventTime = int(at)
		default:
			if err := l.add(name, sf.Type, at); err != nil {
				return errors.New("field " + sf.Name + " of " + t.String() + ": " + err.Error())
			}
			f := &l.Fields[len(l.Fields)-1]
			f.EventTime = has(options, "event_time")
			if f.EventTime && (f.Type != abi.Timestamp || f.Nullable) {
				return errors.New("field " + sf.Name + " of " + t.String() + ": only an operator.Timestamp can be the event time")
			}
			if has(options, "tz") && f.Type == abi.Timestamp {
				f.Type = abi.TimestampTZ
			}
		}
	}
	return nil
}

func passOf(sf reflect.StructField, name string, options map[string]string, column int) Pass {
	p := Pass{Name: name, From: name, Key: isOperator(sf.Type, fromKeyName), column: column}
	if from, ok := options["from"]; ok {
		p.From = from
	}
	if sf.Anonymous {
		p.Name, p.From = "", ""
	}
	return p
}

func (l *Layout) columns() int { return len(l.Fields) + len(l.Passed) }

func (l *Layout) add(name string, t reflect.Type, at uintptr) error {
	typ, nullable, ok := columnType(t)
	if !ok {
		return errors.New("there is no column type for " + t.String())
	}
	f := Field{Name: name, Type: typ, Nullable: nullable, at: at, column: l.columns()}
	if typ != abi.UTF8 && typ != abi.Binary {
		f.width = uint8(width(typ))
	}
	if nullable {
		valid, _ := t.FieldByName("Valid")
		f.valid = at + valid.Offset
	}
	l.Fields = append(l.Fields, f)
	return nil
}

// columnType is the column type of a scalar Go type.
func columnType(t reflect.Type) (typ abi.Type, nullable, ok bool) {
	if t.PkgPath() == operatorPackage && strings.HasPrefix(t.Name(), nullName) {
		typ, inner, ok := columnType(t.Field(0).Type)
		return typ, true, ok && !inner
	}
	switch {
	case isOperator(t, timestampName):
		return abi.Timestamp, false, true
	case isOperator(t, dateName):
		return abi.Date32, false, true
	}
	switch t.Kind() {
	case reflect.Bool:
		return abi.Bool, false, true
	case reflect.Int8:
		return abi.I8, false, true
	case reflect.Int16:
		return abi.I16, false, true
	case reflect.Int32:
		return abi.I32, false, true
	case reflect.Int64:
		return abi.I64, false, true
	case reflect.Int:
		return abi.I64, false, unsafe.Sizeof(int(0)) == 8
	case reflect.Float32:
		return abi.F32, false, true
	case reflect.Float64:
		return abi.F64, false, true
	case reflect.String:
		return abi.UTF8, false, true
	case reflect.Slice:
		return abi.Binary, false, t.Elem().Kind() == reflect.Uint8
	}
	return 0, false, false
}

// Scalar says whether t is the type of one column.
func Scalar(t reflect.Type) bool {
	_, _, ok := columnType(t)
	return ok
}

func isOperator(t reflect.Type, name string) bool {
	return t.PkgPath() == operatorPackage && t.Name() == name
}

func has(options map[string]string, name string) bool {
	_, ok := options[name]
	return ok
}

// Tag is the name that a field's tag `tm:"name,option,option=value"` gives it, or its own in snake case, and the options.
func Tag(f reflect.StructField) (name string, options map[string]string) {
	parts := strings.Split(f.Tag.Get("tm"), ",")
	name = parts[0]
	if name == "" {
		name = snake(f.Name)
	}
	for _, option := range parts[1:] {
		if options == nil {
			options = map[string]string{}
		}
		key, value, _ := strings.Cut(option, "=")
		options[key] = value
	}
	return name, options
}

// snake turns DepDelay into dep_delay and UserID into user_id.
func snake(name string) string {
	var b []rune
	runes := []rune(name)
	for i, r := range runes {
		if unicode.IsUpper(r) && i > 0 && (!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			b = append(b, '_')
		}
		b = append(b, unicode.ToLower(r))
	}
	return string(b)
}

// width is the number of bytes that a value takes in a frame, without the contents of strings.
func width(t abi.Type) int {
	switch t {
	case abi.Bool, abi.I8:
		return 1
	case abi.I16:
		return 2
	case abi.I64, abi.F64, abi.Timestamp, abi.TimestampTZ:
		return 8
	}
	return 4
}

// Schema is the columns of the fields; a layout with passed columns has more, see Output.
func (l *Layout) Schema() []abi.Field {
	schema := make([]abi.Field, len(l.Fields))
	for i, f := range l.Fields {
		schema[i] = abi.Field{Name: f.Name, Type: abi.TypeNames[f.Type], Nullable: f.Nullable}
	}
	return schema
}

// Ordered says whether the fields can be a key: no floats, no nulls, no byte slices.
func (l *Layout) Ordered() bool {
	return !slices.ContainsFunc(l.Fields, func(f Field) bool {
		return f.Nullable || f.Type == abi.F32 || f.Type == abi.F64 || f.Type == abi.Binary
	}) && len(l.Passed) == 0 && len(l.Fields) > 0
}

// Compare orders rows as the host orders keys: field by field, numbers by value, texts by their bytes, false before true.
func (l *Layout) Compare(a, b unsafe.Pointer) int {
	for i := range l.Fields {
		f := &l.Fields[i]
		if c := f.compare(unsafe.Add(a, f.at), unsafe.Add(b, f.at)); c != 0 {
			return c
		}
	}
	return 0
}

func (f *Field) compare(a, b unsafe.Pointer) int {
	switch {
	case f.Type == abi.UTF8:
		return strings.Compare(*(*string)(a), *(*string)(b))
	case f.Type == abi.Bool:
		return cmp.Compare(*(*uint8)(a), *(*uint8)(b))
	case f.width == 1:
		return cmp.Compare(*(*int8)(a), *(*int8)(b))
	case f.width == 2:
		return cmp.Compare(*(*int16)(a), *(*int16)(b))
	case f.width == 4:
		return cmp.Compare(*(*int32)(a), *(*int32)(b))
	}
	return cmp.Compare(*(*int64)(a), *(*int64)(b))
}

// Hash is a hash of a number and a row of an ordered layout.
func (l *Layout) Hash(seed uint64, n uint32, row unsafe.Pointer) uint32 {
	h := mix(seed, uint64(n)) // before the row, so that number and row do not cancel out
	for i := range l.Fields {
		f := &l.Fields[i]
		p := unsafe.Add(row, f.at)
		switch {
		case f.Type == abi.UTF8:
			h = hashText(h, *(*string)(p))
		case f.width == 1:
			h = mix(h, uint64(*(*uint8)(p)))
		case f.width == 2:
			h = mix(h, uint64(*(*uint16)(p)))
		case f.width == 4:
			h = mix(h, uint64(*(*uint32)(p)))
		default:
			h = mix(h, *(*uint64)(p))
		}
	}
	return uint32(h >> 32)
}

// mix is a step of the hash: the multiplier of splitmix64, and the high half, which it mixes best, into the low one.
func mix(h, v uint64) uint64 {
	h = (h ^ v) * 0xbf58476d1ce4e5b9
	return h ^ h>>32
}

func hashText(h uint64, s string) uint64 {
	h = mix(h, uint64(len(s)))
	p, i := unsafe.Pointer(unsafe.StringData(s)), 0
	for ; i+8 <= len(s); i += 8 {
		h = mix(h, *(*uint64)(unsafe.Add(p, i)))
	}
	tail := uint64(0)
	for ; i < len(s); i++ {
		tail = tail<<8 | uint64(s[i])
	}
	return mix(h, tail)
}
