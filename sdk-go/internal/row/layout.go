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
	"github.com/tidemill/tidemill/sdk-go/internal/int128"
)

// Layout is how the rows of a Go type lie in memory and which columns they make.
type Layout struct {
	Size      uintptr
	Fields    []Field   // in declaration order
	Passed    []Pass    // columns that an output row takes over from its item
	EventTime int       // offset of the field that takes the event time of an input row; -1 = none
	Bytes     int       // an upper bound of what a row takes in an answer, without the contents of texts and lists
	texts     []uintptr // offsets of the strings and byte slices
	slices    []uintptr // of the byte slices among them
	lists     []Field
	decimals  []Field // decimals and lists of them
}

// Field is one column of a layout.
type Field struct {
	Name      string
	Type      Type // what the column is written as
	Nullable  bool
	EventTime bool       // of an output row: the column is the row's event time
	at        uintptr    // offset of the value
	valid     uintptr    // offset of the flag, where Nullable
	width     uint8      // bytes of a number; 0 for texts and lists
	column    int        // place among the columns, those of Passed included
	limit     int128.Int // 10^P, what the numbers of decimals must be below
	element   *Field     // of a list: an element, at offset 0
	size      uintptr    // of an element: its bytes in memory
}

// Pass is a column, or all columns, of an output row that the host fills from the item.
type Pass struct {
	Name   string // of the output column; empty for all columns of the input
	From   string // of the input or key column
	Key    bool   // a key column, else a column of the input port
	column int
}

// Of makes the layout of t. A scalar type is one column of the given name, for which the options of a tag can say more.
func Of(t reflect.Type, scalar string, options map[string]string) (*Layout, error) {
	l := &Layout{Size: t.Size(), EventTime: -1}
	if Scalar(t) {
		if err := l.add(scalar, t, 0, options); err != nil {
			return nil, err
		}
	} else if t.Kind() != reflect.Struct {
		return nil, errors.New(t.String() + " is no row: it must be a struct or a type of column")
	} else if has(options, optionDecimal) {
		return nil, errors.New("the tag option decimal stands at the fields of " + t.String())
	} else if err := l.addStruct(t, 0); err != nil {
		return nil, err
	}
	for i, f := range l.Fields {
		l.Bytes += width(f.Type.ID)
		if f.Nullable {
			l.Bytes++
		}
		if f.limit != (int128.Int{}) || f.element != nil && f.element.limit != (int128.Int{}) {
			l.decimals = append(l.decimals, f)
		}
		switch f.Type.ID {
		case abi.UTF8:
			l.texts = append(l.texts, f.at)
		case abi.Binary:
			l.texts, l.slices = append(l.texts, f.at), append(l.slices, f.at)
		case abi.List:
			l.lists = append(l.lists, f)
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
		case sf.Anonymous && sf.Type.Kind() == reflect.Struct && !Scalar(sf.Type):
			if err := l.addStruct(sf.Type, at); err != nil {
				return err
			}
		case has(options, optionEventTime) && isOperator(sf.Type, timestampName) && sf.Tag.Get("tm")[0] == ',':
			l.EventTime = int(at)
		default:
			if err := l.add(name, sf.Type, at, options); err != nil {
				return errors.New("field " + sf.Name + " of " + t.String() + ": " + err.Error())
			}
			f := &l.Fields[len(l.Fields)-1]
			f.EventTime = has(options, optionEventTime)
			if f.EventTime && !isOperator(sf.Type, timestampName) {
				return errors.New("field " + sf.Name + " of " + t.String() + ": only an operator.Timestamp can be the event time")
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

func (l *Layout) add(name string, t reflect.Type, at uintptr, options map[string]string) error {
	typ, nullable, err := columnType(t)
	if err == errNoColumn {
		return errors.New("there is no column type for " + t.String())
	} else if err != nil {
		return err
	}
	if typ, err = typ.tagged(options); err != nil {
		return err
	}
	f := newField(name, typ, at)
	f.Nullable, f.column = nullable, l.columns()
	if nullable {
		valid, _ := t.FieldByName("Valid")
		f.valid = at + valid.Offset
	}
	l.Fields = append(l.Fields, f)
	return nil
}

func newField(name string, t Type, at uintptr) Field {
	f := Field{Name: name, Type: t, at: at}
	switch t.ID {
	case abi.List:
		element := newField(name, t.Elements(), 0)
		f.element = &element
	case abi.UTF8:
		f.size = unsafe.Sizeof("")
	case abi.Binary:
		f.size = unsafe.Sizeof(slice{})
	case abi.Decimal128:
		f.width, f.size = uint8(width(t.ID)), unsafe.Sizeof(decimal{})
		f.limit = int128.Ten(int(t.Digits))
	default:
		f.width, f.size = uint8(width(t.ID)), uintptr(width(t.ID))
	}
	return f
}

// Tag is the name that a field's tag `tm:"name,option,option=value,option(value,value)"` gives it, or its own in snake case, and the
// options with their values.
func Tag(f reflect.StructField) (name string, options map[string]string) {
	name, rest, more := strings.Cut(f.Tag.Get("tm"), ",")
	if name == "" {
		name = snake(f.Name)
	}
	for more {
		var option, value string
		option, rest, more = strings.Cut(rest, ",")
		if open, inner, brackets := strings.Cut(option, "("); brackets {
			for more && !strings.HasSuffix(inner, ")") {
				var next string
				next, rest, more = strings.Cut(rest, ",")
				inner += "," + next
			}
			option, value = open, strings.TrimSuffix(inner, ")")
		} else {
			option, value, _ = strings.Cut(option, "=")
		}
		if options == nil {
			options = map[string]string{}
		}
		options[option] = value
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

// Schema is the columns of the fields; a layout with passed columns has more, see Output.
func (l *Layout) Schema() []abi.Field {
	schema := make([]abi.Field, len(l.Fields))
	for i, f := range l.Fields {
		schema[i] = abi.Field{Name: f.Name, Type: f.Type.String(), Nullable: f.Nullable}
	}
	return schema
}

// Ordered says whether the fields can be a key: no floats, no nulls, no byte slices, no lists.
func (l *Layout) Ordered() bool {
	return !slices.ContainsFunc(l.Fields, func(f Field) bool {
		t := f.Type.ID
		return f.Nullable || t == abi.F32 || t == abi.F64 || t == abi.Binary || t == abi.List
	}) && len(l.Passed) == 0 && len(l.Fields) > 0
}

// HasLists says whether some fields are lists.
func (l *Layout) HasLists() bool { return len(l.lists) > 0 }

// Compare orders rows as the host orders keys: field by field, numbers by value, texts by their bytes, false before true. Decimals
// must have their column's scale.
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
	case f.Type.ID == abi.UTF8:
		return strings.Compare(*(*string)(a), *(*string)(b))
	case f.Type.ID == abi.Bool:
		return cmp.Compare(*(*uint8)(a), *(*uint8)(b))
	case f.width == 8:
		return cmp.Compare(*(*int64)(a), *(*int64)(b))
	case f.width == 4:
		return cmp.Compare(*(*int32)(a), *(*int32)(b))
	case f.width == 2:
		return cmp.Compare(*(*int16)(a), *(*int16)(b))
	case f.width == 1:
		return cmp.Compare(*(*int8)(a), *(*int8)(b))
	}
	return (*int128.Int)(a).Cmp(*(*int128.Int)(b))
}

// Hash is a hash of a number and a row of an ordered layout, whose decimals it brings to their columns' scales first, so that
// keys that are the same are the same bits. It panics where one is not exactly a number of its column.
func (l *Layout) Hash(seed uint64, n uint32, row unsafe.Pointer) uint32 {
	h := mix(seed, uint64(n)) // before the row, so that number and row do not cancel out
	for i := range l.Fields {
		f := &l.Fields[i]
		p := unsafe.Add(row, f.at)
		switch {
		case f.Type.ID == abi.UTF8:
			h = hashText(h, *(*string)(p))
		case f.width == 8:
			h = mix(h, *(*uint64)(p))
		case f.width == 4:
			h = mix(h, uint64(*(*uint32)(p)))
		case f.width == 2:
			h = mix(h, uint64(*(*uint16)(p)))
		case f.width == 1:
			h = mix(h, uint64(*(*uint8)(p)))
		default:
			d := (*decimal)(p)
			if !f.rescale(d) {
				panic(f.misfit(0, d))
			}
			h = mix(mix(h, d.unscaled.Lo), uint64(d.unscaled.Hi))
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
