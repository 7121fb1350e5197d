package record

import (
	"fmt"
	"strings"
)

// Type is the type of a column. Its low 16 bits are the number of its kind, which is that of abi.Type; above them stands what it
// is made with, so that types are compared and switched on as numbers: 6 bits of a decimal's digits, 6 of its scale, and 4 with
// the kind of a list's element, whose digits and scale a list of decimals carries. State at rest has types so: they never change.
type Type uint32

const (
	digitsAt  = 16
	scaleAt   = 22
	elementAt = 28
	kindBits  = 1<<digitsAt - 1
	digitBits = 1<<(scaleAt-digitsAt) - 1
)

// The types of version 1. Numbers left out (10, 16-19) are reserved for time64, struct, map, fixed binary and dictionary.
const (
	Bool        Type = 1
	I8          Type = 2
	I16         Type = 3
	I32         Type = 4
	I64         Type = 5
	F32         Type = 6
	F64         Type = 7
	Decimal128  Type = 8  // the kind of what DecimalOf makes
	Date32      Type = 9  // days since 1970-01-01
	Timestamp   Type = 11 // us since 1970-01-01T00:00:00, no zone
	TimestampTZ Type = 12 // us since 1970-01-01T00:00:00Z
	UTF8        Type = 13
	Binary      Type = 14
	List        Type = 15 // the kind of what ListOf makes
)

// DecimalDigits is the greatest number of digits of a decimal128.
const DecimalDigits = 38

var typeNames = map[Type]string{
	Bool: "bool", I8: "i8", I16: "i16", I32: "i32", I64: "i64", F32: "f32", F64: "f64", Date32: "date32",
	Timestamp: "timestamp", TimestampTZ: "timestamp_tz", UTF8: "utf8", Binary: "binary",
}

// DecimalOf is the type decimal128(digits,scale): numbers of 1 to DecimalDigits decimal digits, of which scale stand behind the
// point, 0 to digits.
func DecimalOf(digits, scale int) Type {
	return Decimal128 | Type(digits)<<digitsAt | Type(scale)<<scaleAt
}

// ListOf is the type of lists of a type that is not a list itself.
func ListOf(element Type) Type {
	return List | element.Kind()<<elementAt | element&^kindBits
}

// Kind is the type without what it is made with: Decimal128 for decimals of any digits, List for a list of anything.
func (t Type) Kind() Type { return t & kindBits }

// Digits is the number of digits of a decimal128.
func (t Type) Digits() int { return int(t >> digitsAt & digitBits) }

// Scale is how many of a decimal128's digits stand behind the point.
func (t Type) Scale() int { return int(t >> scaleAt & digitBits) }

// Element is the type of a list's elements.
func (t Type) Element() Type { return t>>elementAt | t&(1<<elementAt-1)&^kindBits }

// String is the name used in job.yaml and in descriptors: "i32", "decimal128(12,2)", "list<utf8>".
func (t Type) String() string {
	if s, ok := typeNames[t]; ok {
		return s
	}
	switch t.Kind() {
	case Decimal128:
		return fmt.Sprintf("decimal128(%d,%d)", t.Digits(), t.Scale())
	case List:
		return "list<" + t.Element().String() + ">"
	}
	return fmt.Sprintf("type %d", uint32(t))
}

// ParseType returns the type of that name.
func ParseType(name string) (Type, bool) {
	for t, s := range typeNames {
		if s == name {
			return t, true
		}
	}
	if rest, list := strings.CutPrefix(name, "list<"); list {
		element, closed := strings.CutSuffix(rest, ">")
		if !closed || strings.HasPrefix(element, "list<") {
			return 0, false
		}
		t, ok := ParseType(element)
		return ListOf(t), ok
	}
	var digits, scale int
	if _, err := fmt.Sscanf(name, "decimal128(%d,%d)", &digits, &scale); err != nil || digits < 1 || digits > DecimalDigits || scale < 0 || scale > digits {
		return 0, false
	}
	t := DecimalOf(digits, scale)
	return t, t.String() == name
}

// TypeNames lists the names of the types that are not made with others or with numbers, in the order of their own.
func TypeNames() []string {
	var names []string
	for t := Bool; t <= Binary; t++ {
		if s, ok := typeNames[t]; ok {
			names = append(names, s)
		}
	}
	return names
}

// Width is the number of bytes of a value in the values buffer; 0 for bool (a bit) and for types with offsets.
func (t Type) Width() int {
	switch t.Kind() {
	case I8:
		return 1
	case I16:
		return 2
	case I32, F32, Date32:
		return 4
	case I64, F64, Timestamp, TimestampTZ:
		return 8
	case Decimal128:
		return 16
	}
	return 0
}

// HasOffsets says whether values are bytes of variable length: utf8 and binary.
func (t Type) HasOffsets() bool { return t == UTF8 || t == Binary }

// Integer says whether values are whole numbers, dates and times included: such types encode alike in keys.
func (t Type) Integer() bool {
	switch t {
	case I8, I16, I32, I64, Date32, Timestamp, TimestampTZ:
		return true
	}
	return false
}

// Field is one column of a schema.
type Field struct {
	Name     string
	Type     Type
	Nullable bool
}

// String formats as "name: i32?".
func (f Field) String() string {
	s := f.Name + ": " + f.Type.String()
	if f.Nullable {
		s += "?"
	}
	return s
}

// Schema is an ordered list of columns with distinct names. It is immutable.
type Schema struct {
	Fields []Field
}

// NewSchema checks that names are present and distinct.
func NewSchema(fields []Field) (*Schema, error) {
	seen := make(map[string]bool, len(fields))
	for _, f := range fields {
		if f.Name == "" {
			return nil, fmt.Errorf("a column has no name")
		}
		if seen[f.Name] {
			return nil, fmt.Errorf("column %q appears twice", f.Name)
		}
		if _, ok := ParseType(f.Type.String()); !ok {
			return nil, fmt.Errorf("column %q: %v is not supported", f.Name, f.Type)
		}
		seen[f.Name] = true
	}
	return &Schema{Fields: fields}, nil
}

// Index returns the position of a column, or -1.
func (s *Schema) Index(name string) int {
	for i := range s.Fields {
		if s.Fields[i].Name == name {
			return i
		}
	}
	return -1
}

// Equal compares names, types and nullability in order.
func (s *Schema) Equal(o *Schema) bool {
	if len(s.Fields) != len(o.Fields) {
		return false
	}
	for i := range s.Fields {
		if s.Fields[i] != o.Fields[i] {
			return false
		}
	}
	return true
}

// String formats as "{a: i32, b: utf8?}".
func (s *Schema) String() string {
	parts := make([]string, len(s.Fields))
	for i, f := range s.Fields {
		parts[i] = f.String()
	}
	return "{" + strings.Join(parts, ", ") + "}"
}
