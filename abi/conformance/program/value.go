package program

import (
	"encoding/hex"
	"strconv"
	"strings"
)

// Type is the type of a column.
type Type string

// The types, by their names in schemas.
const (
	Bool        Type = "bool"
	I8          Type = "i8"
	I16         Type = "i16"
	I32         Type = "i32"
	I64         Type = "i64"
	F32         Type = "f32"
	F64         Type = "f64"
	Date32      Type = "date32"
	Timestamp   Type = "timestamp"
	TimestampTZ Type = "timestamp_tz"
	UTF8        Type = "utf8"
	Binary      Type = "binary"
	Decimal128  Type = "decimal128(20,4)"
	ListI64     Type = "list<i64>"
	ListUTF8    Type = "list<utf8>"
)

// Element is the type of a list's elements; empty where the type is no list.
func (t Type) Element() Type {
	element, list := strings.CutPrefix(string(t), "list<")
	if !list {
		return ""
	}
	return Type(strings.TrimSuffix(element, ">"))
}

// Field is a column.
type Field struct {
	Name     string
	Type     Type
	Nullable bool
}

// Places of fields in a record that commands name.
const (
	FieldFlag    = 0
	FieldTiny    = 1
	FieldLarge   = 4
	FieldSingle  = 5
	FieldAt      = 8
	FieldZoned   = 9
	FieldText    = 10
	FieldBytes   = 11
	FieldAmount  = 12
	FieldNumbers = 13
	FieldNames   = 14
)

// Fields are those of a record.
var Fields = [15]Field{
	{"flag", Bool, false}, {"tiny", I8, true}, {"small", I16, false}, {"medium", I32, true}, {"large", I64, false}, {"single", F32, true},
	{"double", F64, false}, {"day", Date32, true}, {"at", Timestamp, false}, {"zoned", TimestampTZ, true}, {"text", UTF8, true}, {"bytes", Binary, false},
	{"amount", Decimal128, true}, {"numbers", ListI64, false}, {"names", ListUTF8, true},
}

// Value is a value of any type: Int of bool, whole numbers and times, Real of floats, Text of utf8 and binary, Decimal of decimals, List of
// lists. Of a null nothing counts.
type Value struct {
	Null    bool
	Int     int64
	Real    float64
	Text    string
	Decimal Decimal
	List    []Value
}

// Null, Int, Real, Text, Amount and List make values.
var Null = Value{Null: true}

// Int is described with Null.
func Int(v int64) Value { return Value{Int: v} }

// Real is described with Null.
func Real(v float64) Value { return Value{Real: v} }

// Text is described with Null.
func Text(v string) Value { return Value{Text: v} }

// Amount is described with Null.
func Amount(v Decimal) Value { return Value{Decimal: v} }

// List is described with Null.
func List(v ...Value) Value { return Value{List: v} }

// Format writes a value of a type so that equal texts are equal values: any NaN is NaN, and -0 is not 0.
func (v Value) Format(t Type) string {
	switch {
	case v.Null:
		return "null"
	case t == F32:
		return strconv.FormatFloat(v.Real, 'g', -1, 32)
	case t == F64:
		return strconv.FormatFloat(v.Real, 'g', -1, 64)
	case t == UTF8:
		return strconv.Quote(v.Text)
	case t == Binary:
		return "x" + hex.EncodeToString([]byte(v.Text))
	case t == Decimal128:
		return v.Decimal.String()
	case t.Element() != "":
		parts := make([]string, len(v.List))
		for i := range v.List {
			parts[i] = v.List[i].Format(t.Element())
		}
		return "[" + strings.Join(parts, " ") + "]"
	}
	return strconv.FormatInt(v.Int, 10)
}

// Record is the values of Fields.
type Record [len(Fields)]Value

// NoRecord has nulls and, where there can be none, zeros.
func NoRecord() (r Record) {
	for i := range r {
		r[i].Null = Fields[i].Nullable
	}
	return r
}

// String writes the fields that are not null or zero.
func (r Record) String() string {
	none := NoRecord()
	var parts []string
	for i, f := range Fields {
		if text := r[i].Format(f.Type); text != none[i].Format(f.Type) {
			parts = append(parts, f.Name+":"+text)
		}
	}
	return "{" + strings.Join(parts, " ") + "}"
}

// Port is an output port of the interpreter.
type Port struct {
	Name   string
	Fields []Field
}

// The key's columns as the operator writes them itself, and as they are passed through.
var (
	ownKey    = []Field{{"k", UTF8, true}, {"g", I64, true}}
	passedKey = []Field{{"k", UTF8, true}, {"g", I64, false}}
)

// Ports of the interpreter, in the order of its declaration.
var Ports = [4]Port{
	{"values", append(append(ownKey[:2:2], Field{"command", I16, false}, Field{"n", I64, true}, Field{"name", UTF8, true}), Fields[:]...)},
	{"passed", append(passedKey[:2:2], Field{"n", I64, false}, Field{"text", UTF8, true}, Field{"unread", UTF8, true},
		Field{"moved", Timestamp, false}, Field{"bytes", Binary, false}, Field{"flag", Bool, false}, Field{"single", F32, true}, Field{"tiny", I8, true},
		Field{"amount", Decimal128, true}, Field{"numbers", ListI64, false}, Field{"names", ListUTF8, true},
		Field{"cost", Decimal128, false}, Field{"ramp", ListI64, false})},
	{"timed", append(passedKey[:2:2], Field{"due", Timestamp, false}, Field{"n", I64, false})},
	{"drawn", append(ownKey[:2:2], Field{"number", I64, false})},
}

// Indexes of Ports.
const (
	PortValues = iota
	PortPassed
	PortTimed
	PortDrawn
)
