package operatortest

import (
	"bytes"
	"cmp"
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
	"github.com/tidemill/tidemill/sdk-go/internal/row"
	"github.com/tidemill/tidemill/sdk-go/operator"
)

// A value of a column is nil, bool, int64 (all whole numbers, days and microseconds), float64, string, []byte, *big.Int (a decimal
// without its point) or elements. This package keeps rows that way, and converts by reflection, so that it shares no code with the
// engine that it drives.
type values = []any

// elements are a list.
type elements []any

// field is a column of a Go struct, or the one column of a scalar type.
type field struct {
	abi.Field
	typ   row.Type
	index []int // empty for a scalar
}

// fields are the columns of t, by the rules of package row. A scalar has the digits of its column, which is the one of like.
// eventTime is the field that takes the event time, or nil.
func fields(t reflect.Type, scalar string, like []abi.Field) (list []field, eventTime []int, err error) {
	layout, err := row.Of(t, scalar, digits(t, like))
	if err != nil {
		return nil, nil, err
	}
	if len(layout.Passed) > 0 {
		return nil, nil, fmt.Errorf("%v has columns of type FromInput or FromKey: give a struct with the types of their values", t)
	}
	for _, f := range layout.Schema() {
		list = append(list, field{Field: f, typ: row.ParseType(f.Type)})
	}
	if row.Scalar(t) {
		return list, nil, nil
	}
	byName := map[string]*field{}
	for i := range list {
		byName[list[i].Name] = &list[i]
	}
	for _, sf := range reflect.VisibleFields(t) {
		name, options := row.Tag(sf)
		_, timed := options["event_time"]
		if f := byName[name]; f != nil && f.index == nil && sf.IsExported() {
			f.index = sf.Index
		} else if timed && strings.HasPrefix(sf.Tag.Get("tm"), ",") {
			eventTime = sf.Index
		}
	}
	return list, eventTime, nil
}

// digits are the options of a tag that give decimals of a scalar type their digits.
func digits(t reflect.Type, like []abi.Field) map[string]string {
	if !row.Decimals(t) || len(like) != 1 {
		return nil
	}
	typ := row.ParseType(like[0].Type)
	return map[string]string{"decimal": fmt.Sprintf("%d,%d", typ.Digits, typ.Scale)}
}

// take is the values of the fields of v.
func take(t testing.TB, v reflect.Value, list []field) values {
	t.Helper()
	out := make(values, len(list))
	for i, f := range list {
		x := v
		if f.index != nil {
			x = v.FieldByIndex(f.index)
		}
		if f.Nullable {
			if !x.FieldByName("Valid").Bool() {
				continue
			}
			x = x.FieldByName("Value")
		}
		value, err := takeValue(x, f.typ)
		if err != nil {
			t.Fatalf("column %s: %v", f.Name, err)
		}
		out[i] = value
	}
	return out
}

func takeValue(x reflect.Value, t row.Type) (any, error) {
	switch {
	case t.ID == abi.List:
		list := make(elements, x.Len())
		for i := range list {
			var err error
			if list[i], err = takeValue(x.Index(i), t.Elements()); err != nil {
				return nil, err
			}
		}
		return list, nil
	case t.ID == abi.Decimal128:
		return unscaled(x.Interface().(operator.Decimal).String(), t)
	case x.CanInt():
		return x.Int(), nil
	case x.CanFloat():
		return x.Float(), nil
	case x.Kind() == reflect.Bool:
		return x.Bool(), nil
	case x.Kind() == reflect.String:
		return strings.Clone(x.String()), nil
	}
	return append([]byte{}, x.Bytes()...), nil
}

// unscaled is a decimal number without its point.
func unscaled(text string, t row.Type) (*big.Int, error) {
	whole, behind, _ := strings.Cut(text, ".")
	if zeros := int(t.Scale) - len(behind); zeros >= 0 {
		behind += strings.Repeat("0", zeros)
	} else if strings.Trim(behind[t.Scale:], "0") == "" {
		behind = behind[:t.Scale]
	} else {
		return nil, fmt.Errorf("%s is no %s", text, t)
	}
	n, _ := new(big.Int).SetString(whole+behind, 10)
	if len(strings.TrimPrefix(n.String(), "-")) > int(t.Digits) {
		return nil, fmt.Errorf("%s is no %s", text, t)
	}
	return n, nil
}

// decimalOf is the decimal number whose digits n has.
func decimalOf(n *big.Int, t row.Type) operator.Decimal {
	text := fmt.Sprintf("%0*s", int(t.Scale)+1, new(big.Int).Abs(n))
	point := len(text) - int(t.Scale)
	if text = text[:point] + "." + text[point:]; t.Scale == 0 {
		text = text[:point]
	}
	if n.Sign() < 0 {
		text = "-" + text
	}
	d, err := operator.ParseDecimal(text)
	if err != nil {
		broken("%s: %v", text, err)
	}
	return d
}

// fit says why rows of a port's columns cannot be given to fields.
func fit(list []field, port []abi.Field) error {
	for _, f := range list {
		i := slices.IndexFunc(port, func(c abi.Field) bool { return c.Name == f.Name })
		if i < 0 {
			var names []string
			for _, c := range port {
				names = append(names, c.Name)
			}
			return fmt.Errorf("there is no column %s, only %s", f.Name, strings.Join(names, ", "))
		}
		c := port[i]
		if !takes(f.typ, row.ParseType(c.Type)) {
			return fmt.Errorf("column %s is of type %s, its field takes %s", c.Name, c.Type, f.Type)
		}
		if c.Nullable && !f.Nullable {
			return fmt.Errorf("column %s may be null, so its field must be an operator.Null", c.Name)
		}
	}
	return nil
}

// takes says whether a field of one type takes a column of another.
func takes(to, from row.Type) bool {
	if to.ID == abi.List && from.ID == abi.List {
		return takes(to.Elements(), from.Elements())
	}
	if to.ID == abi.Decimal128 && from.ID == abi.Decimal128 {
		return to.Scale == from.Scale && to.Digits >= from.Digits
	}
	switch field, column := to.ID, from.ID; field {
	case column:
		return column != 0
	case abi.I16, abi.I32, abi.I64:
		return abi.I8 <= column && column < field
	case abi.F64:
		return abi.I8 <= column && column <= abi.I32 || column == abi.F32
	case abi.Timestamp, abi.TimestampTZ:
		return column == abi.Timestamp || column == abi.TimestampTZ
	case abi.Binary:
		return column == abi.UTF8
	}
	return false
}

// give sets the fields of v from values.
func give(v reflect.Value, list []field, from values) {
	for i, f := range list {
		x := v
		if f.index != nil {
			x = v.FieldByIndex(f.index)
		}
		if f.Nullable {
			x.FieldByName("Valid").SetBool(from[i] != nil)
			x = x.FieldByName("Value")
		}
		giveValue(x, f.typ, from[i])
	}
}

func giveValue(x reflect.Value, t row.Type, value any) {
	switch value := value.(type) {
	case int64:
		if x.CanFloat() {
			x.SetFloat(float64(value))
		} else {
			x.SetInt(value)
		}
	case float64:
		x.SetFloat(value)
	case bool:
		x.SetBool(value)
	case string:
		if x.Kind() == reflect.String {
			x.SetString(value)
		} else {
			x.SetBytes([]byte(value))
		}
	case []byte:
		x.SetBytes(bytes.Clone(value))
	case *big.Int:
		x.Set(reflect.ValueOf(decimalOf(value, t)))
	case elements:
		list := reflect.MakeSlice(x.Type(), len(value), len(value))
		for i, v := range value {
			giveValue(list.Index(i), t.Elements(), v)
		}
		x.Set(list)
	}
}

// compare orders rows as the host orders the keys of maps: numbers by value, texts by bytes, false before true.
func compare(a, b values) int {
	for i := range a {
		if c := compareValue(a[i], b[i]); c != 0 {
			return c
		}
	}
	return 0
}

func compareValue(a, b any) int {
	switch a := a.(type) {
	case int64:
		if b, ok := b.(int64); ok {
			return cmp.Compare(a, b)
		}
	case string:
		if b, ok := b.(string); ok {
			return cmp.Compare(a, b)
		}
	case *big.Int:
		if b, ok := b.(*big.Int); ok {
			return a.Cmp(b)
		}
	case bool:
		if b, ok := b.(bool); ok && a != b {
			if b {
				return -1
			}
			return 1
		}
		return 0
	}
	return 1
}
