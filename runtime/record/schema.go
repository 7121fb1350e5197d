package record

import (
	"fmt"
	"strings"
)

// Type is the type of a column. The numbers are those of abi.Type and of the state at rest: they never change.
type Type uint16

// The types of version 1. Numbers left out (8, 10, 15-19) are reserved for decimal128, time64, list, struct, map, fixed binary
// and dictionary.
const (
	Bool        Type = 1
	I8          Type = 2
	I16         Type = 3
	I32         Type = 4
	I64         Type = 5
	F32         Type = 6
	F64         Type = 7
	Date32      Type = 9  // days since 1970-01-01
	Timestamp   Type = 11 // us since 1970-01-01T00:00:00, no zone
	TimestampTZ Type = 12 // us since 1970-01-01T00:00:00Z
	UTF8        Type = 13
	Binary      Type = 14
)

var typeNames = map[Type]string{
	Bool: "bool", I8: "i8", I16: "i16", I32: "i32", I64: "i64", F32: "f32", F64: "f64", Date32: "date32",
	Timestamp: "timestamp", TimestampTZ: "timestamp_tz", UTF8: "utf8", Binary: "binary",
}

// String is the name used in job.yaml and in descriptors.
func (t Type) String() string {
	if s, ok := typeNames[t]; ok {
		return s
	}
	return fmt.Sprintf("type %d", uint16(t))
}

// ParseType returns the type of that name.
func ParseType(name string) (Type, bool) {
	for t, s := range typeNames {
		if s == name {
			return t, true
		}
	}
	return 0, false
}

// TypeNames lists the names of all types, in the order of their numbers.
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
	switch t {
	case I8:
		return 1
	case I16:
		return 2
	case I32, F32, Date32:
		return 4
	case I64, F64, Timestamp, TimestampTZ:
		return 8
	}
	return 0
}

// HasOffsets says whether values are of variable length.
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
		if _, ok := typeNames[f.Type]; !ok {
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
