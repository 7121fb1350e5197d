package row

import (
	"errors"
	"reflect"
	"strconv"
	"strings"
	"unsafe"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
	"github.com/tidemill/tidemill/sdk-go/internal/int128"
)

// Type is the type of a column.
type Type struct {
	ID      abi.Type
	Element abi.Type // of a list
	Digits  uint8    // of a decimal128, or of the elements of a list of them
	Scale   uint8    // how many of the digits stand behind the point
}

// String is the name of the type in descriptors.
func (t Type) String() string {
	switch t.ID {
	case abi.List:
		return "list<" + t.Elements().String() + ">"
	case abi.Decimal128:
		return "decimal128(" + strconv.Itoa(int(t.Digits)) + "," + strconv.Itoa(int(t.Scale)) + ")"
	}
	return abi.TypeNames[t.ID]
}

// Elements is the type of a list's elements.
func (t Type) Elements() Type { return Type{ID: t.Element, Digits: t.Digits, Scale: t.Scale} }

// listOf is the type of lists of a type that is no list.
func listOf(t Type) Type { return Type{ID: abi.List, Element: t.ID, Digits: t.Digits, Scale: t.Scale} }

// ParseType is the type of a name in a descriptor, the zero Type of one that no column has.
func ParseType(name string) Type {
	if element, list := strings.CutPrefix(name, "list<"); list {
		return listOf(ParseType(strings.TrimSuffix(element, ">")))
	}
	if digits, decimal := strings.CutPrefix(name, "decimal128("); decimal {
		t, _ := parseDigits(strings.TrimSuffix(digits, ")"))
		return t
	}
	for t, s := range abi.TypeNames {
		if s == name {
			return Type{ID: t}
		}
	}
	return Type{}
}

// parseDigits reads what stands in the brackets of decimal(P,S).
func parseDigits(text string) (Type, bool) {
	p, s, _ := strings.Cut(text, ",")
	digits, err := strconv.ParseUint(strings.TrimSpace(p), 10, 8)
	scale, err2 := strconv.ParseUint(strings.TrimSpace(s), 10, 8)
	ok := err == nil && err2 == nil && 1 <= digits && digits <= int128.TensMax && scale <= digits
	return Type{ID: abi.Decimal128, Digits: uint8(digits), Scale: uint8(scale)}, ok
}

// The types of package operator that mean a column type or a passed column. They are known by name, because operator is built
// on this package.
const (
	operatorPackage = "github.com/tidemill/tidemill/sdk-go/operator"
	nullName        = "Null["
	timestampName   = "Timestamp"
	dateName        = "Date"
	decimalName     = "Decimal"
	fromInputName   = "FromInput"
	fromKeyName     = "FromKey"
)

// The shapes of values.
type (
	decimal struct { // operator.Decimal
		unscaled int128.Int
		scale    uint8
	}
	slice struct {
		data     unsafe.Pointer
		len, cap int
	}
)

func isOperator(t reflect.Type, name string) bool {
	return t.PkgPath() == operatorPackage && t.Name() == name
}

func isGeneric(t reflect.Type, prefix string) bool {
	return t.PkgPath() == operatorPackage && strings.HasPrefix(t.Name(), prefix)
}

var (
	errNoColumn     = errors.New("there is no column type for it")
	errNullElements = errors.New("an element of a list is never null")
	errNested       = errors.New("there are no lists of lists")
)

// columnType is the column type of a scalar Go type. The digits of decimals are not in it: a tag says them.
func columnType(t reflect.Type) (typ Type, nullable bool, err error) {
	switch {
	case isGeneric(t, nullName):
		typ, nullable, err = columnType(t.Field(0).Type)
		if nullable {
			err = errNoColumn
		}
		return typ, true, err
	case t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8:
		return listType(t)
	}
	id := scalarID(t)
	if id == 0 {
		err = errNoColumn
	}
	return Type{ID: id}, false, err
}

func listType(t reflect.Type) (typ Type, nullable bool, err error) {
	typ, nullable, err = columnType(t.Elem())
	switch {
	case err != nil:
		return typ, false, err
	case nullable:
		return typ, false, errNullElements
	case typ.ID == abi.List:
		return typ, false, errNested
	}
	return listOf(typ), false, nil
}

// scalarID is the type of a column of single values, 0 where there is none.
func scalarID(t reflect.Type) abi.Type {
	switch {
	case isOperator(t, timestampName):
		return abi.Timestamp
	case isOperator(t, dateName):
		return abi.Date32
	case isOperator(t, decimalName):
		return abi.Decimal128
	}
	switch t.Kind() {
	case reflect.Bool:
		return abi.Bool
	case reflect.Int8:
		return abi.I8
	case reflect.Int16:
		return abi.I16
	case reflect.Int32:
		return abi.I32
	case reflect.Int64:
		return abi.I64
	case reflect.Int:
		if unsafe.Sizeof(int(0)) == 8 {
			return abi.I64
		}
	case reflect.Float32:
		return abi.F32
	case reflect.Float64:
		return abi.F64
	case reflect.String:
		return abi.UTF8
	case reflect.Slice:
		return abi.Binary
	}
	return 0
}

// Scalar says whether t is the type of one column.
func Scalar(t reflect.Type) bool {
	_, _, err := columnType(t)
	return err == nil
}

// Decimals says whether t is the type of one column, of decimals or lists of them.
func Decimals(t reflect.Type) bool {
	typ, _, err := columnType(t)
	return err == nil && (typ.ID == abi.Decimal128 || typ.Element == abi.Decimal128)
}

// Options of the tag of a column.
const (
	optionDecimal   = "decimal"
	optionTZ        = "tz"
	optionEventTime = "event_time"
)

// tagged completes a type by what the options of its field's tag say.
func (t Type) tagged(options map[string]string) (Type, error) {
	text, digits := options[optionDecimal]
	decimals := t.ID == abi.Decimal128 || t.Element == abi.Decimal128
	switch {
	case decimals && !digits:
		return t, errors.New(`a decimal column needs its digits in the tag: tm:"name,decimal(12,2)" for 12 digits, 2 of them behind the point`)
	case digits && !decimals:
		return t, errors.New("the tag option decimal is for an operator.Decimal and lists of it")
	case digits:
		d, ok := parseDigits(text)
		if !ok {
			return t, errors.New("decimal(" + text + ") in the tag is not decimal(P,S) with 1 to 38 digits P, and a scale S from 0 to P")
		}
		t.Digits, t.Scale = d.Digits, d.Scale
	}
	if has(options, optionTZ) && t.ID == abi.Timestamp {
		t.ID = abi.TimestampTZ
	}
	if has(options, optionTZ) && t.Element == abi.Timestamp {
		t.Element = abi.TimestampTZ
	}
	return t, nil
}

func has(options map[string]string, name string) bool {
	_, ok := options[name]
	return ok
}

// width is the number of bytes that a value takes in a frame, without the contents of texts and lists.
func width(t abi.Type) int {
	switch t {
	case abi.Bool, abi.I8:
		return 1
	case abi.I16:
		return 2
	case abi.I64, abi.F64, abi.Timestamp, abi.TimestampTZ:
		return 8
	case abi.Decimal128:
		return 16
	}
	return 4
}

// nodes is how many nodes a column of the type has.
func (t Type) nodes() int {
	if t.ID == abi.List {
		return 2
	}
	return 1
}
