package operatortest

import (
	"bytes"
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
	"github.com/tidemill/tidemill/sdk-go/internal/row"
)

// A value of a column is nil, bool, int64 (all whole numbers, days and microseconds), float64, string or []byte. This package
// keeps rows that way, and converts by reflection, so that it shares no code with the engine that it drives.
type values = []any

// field is a column of a Go struct, or the one column of a scalar type.
type field struct {
	abi.Field
	typ   abi.Type
	index []int // empty for a scalar
}

var typeByName = func() map[string]abi.Type {
	m := map[string]abi.Type{}
	for t, name := range abi.TypeNames {
		m[name] = t
	}
	return m
}()

// fields are the columns of t, by the rules of package row. eventTime is the field that takes the event time, or nil.
func fields(t reflect.Type, scalar string) (list []field, eventTime []int, err error) {
	layout, err := row.Of(t, scalar)
	if err != nil {
		return nil, nil, err
	}
	if len(layout.Passed) > 0 {
		return nil, nil, fmt.Errorf("%v has columns of type FromInput or FromKey: give a struct with the types of their values", t)
	}
	for _, f := range layout.Schema() {
		list = append(list, field{Field: f, typ: typeByName[f.Type]})
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

// take is the values of the fields of v.
func take(v reflect.Value, list []field) values {
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
		switch {
		case x.CanInt():
			out[i] = x.Int()
		case x.CanFloat():
			out[i] = x.Float()
		case x.Kind() == reflect.Bool:
			out[i] = x.Bool()
		case x.Kind() == reflect.String:
			out[i] = strings.Clone(x.String())
		default:
			out[i] = bytes.Clone(append([]byte{}, x.Bytes()...))
		}
	}
	return out
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
		if !takes(f.typ, typeByName[c.Type]) {
			return fmt.Errorf("column %s is of type %s, its field takes %s", c.Name, c.Type, f.Type)
		}
		if c.Nullable && !f.Nullable {
			return fmt.Errorf("column %s may be null, so its field must be an operator.Null", c.Name)
		}
	}
	return nil
}

// takes says whether a field of one type takes a column of another.
func takes(field, column abi.Type) bool {
	switch field {
	case column:
		return true
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
		switch value := from[i].(type) {
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
		}
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
