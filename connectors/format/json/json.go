// Package json is the format json: one JSON object a line (JSON Lines), after RFC 8259.
//
// The decoder is a scanner of its own that validates the whole record and notes where the values of the wanted columns are, then
// fills the columns; it is as strict as encoding/json, and stricter in two points: text that is not UTF-8 and escapes of half a
// surrogate pair are errors, where encoding/json puts U+FFFD. Where a name appears twice the last value counts.
package json

import (
	"encoding/base64"
	"math"

	"github.com/tidemill/tidemill/connectors/format"
	"github.com/tidemill/tidemill/connectors/spec"
	"github.com/tidemill/tidemill/runtime/record"
)

func init() {
	format.Register(format.Type{
		Name: "json", Extension: "jsonl",
		Example: `format: json`,
		Doc: "JSON lines: one object a line. A column is the member of its name; an absent member is null, other members are ignored. " +
			"Whole numbers and floats are numbers; f32 and f64 also take \"NaN\", \"Infinity\" and \"-Infinity\", and write them so; " +
			"a decimal128 is a number, or a string of one, and written with all its digits; a list is an array without nulls; " +
			"date32 is \"YYYY-MM-DD\"; timestamps are RFC 3339 strings, written in UTC with Z; binary is base64.",
		Options:  &spec.Object{},
		Decoding: decoding,
		Encoding: func(_ spec.Values, schema *record.Schema) (format.Encoder, error) { return NewEncoder(schema), nil },
	})
}

func decoding(_ spec.Values, schema *record.Schema) (*format.Decoding, error) {
	return &format.Decoding{
		Lines: true,
		New:   func([]byte) (format.Decoder, error) { return newDecoder(schema), nil },
	}, nil
}

// Encoder writes rows as JSON lines, members in the order of the schema. It is safe for concurrent use.
type Encoder struct {
	names [][]byte // `{"name":` or `,"name":` of each column
}

// NewEncoder returns an encoder for rows of a schema.
func NewEncoder(schema *record.Schema) *Encoder {
	e := &Encoder{}
	for i, f := range schema.Fields {
		name := []byte{','}
		if i == 0 {
			name[0] = '{'
		}
		e.names = append(e.names, append(appendString(name, []byte(f.Name)), ':'))
	}
	return e
}

// Header implements format.Encoder: there is none.
func (*Encoder) Header() []byte { return nil }

// Append implements format.Encoder.
func (e *Encoder) Append(dst []byte, b *record.Batch, from, to int) []byte {
	for row := from; row < to; row++ {
		if len(e.names) == 0 {
			dst = append(dst, '{')
		}
		for i, name := range e.names {
			dst = append(dst, name...)
			dst = appendValue(dst, &b.Columns[i], row)
		}
		dst = append(dst, '}', '\n')
	}
	return dst
}

func appendValue(dst []byte, c *record.Column, row int) []byte {
	if c.Null(row) {
		return append(dst, "null"...)
	}
	switch c.Type {
	case record.UTF8:
		return appendString(dst, c.Bytes(row))
	case record.Binary:
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, c.Bytes(row))
		return append(dst, '"')
	case record.Date32, record.Timestamp, record.TimestampTZ:
		dst = append(dst, '"')
		dst = format.AppendValueText(dst, c, row)
		return append(dst, '"')
	case record.F32, record.F64:
		if v := c.Float(row); v != v || math.IsInf(v, 0) {
			dst = append(dst, '"')
			dst = format.AppendFloatText(dst, v, 64)
			return append(dst, '"')
		}
	case record.Bool, record.I8, record.I16, record.I32, record.I64:
	default:
		if c.Elements != nil {
			return appendList(dst, c, row)
		}
	}
	return format.AppendValueText(dst, c, row)
}

func appendList(dst []byte, c *record.Column, row int) []byte {
	dst = append(dst, '[')
	for from, e := int(c.Offsets[row]), int(c.Offsets[row]); e < int(c.Offsets[row+1]); e++ {
		if e > from {
			dst = append(dst, ',')
		}
		dst = appendValue(dst, c.Elements, e)
	}
	return append(dst, ']')
}

const hex = "0123456789abcdef"

// appendString appends valid UTF-8 as a JSON string.
func appendString(dst, text []byte) []byte {
	dst = append(dst, '"')
	from := 0
	for i, b := range text {
		if b >= ' ' && b != '"' && b != '\\' {
			continue
		}
		dst = append(dst, text[from:i]...)
		from = i + 1
		switch b {
		case '"', '\\':
			dst = append(dst, '\\', b)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[b>>4], hex[b&15])
		}
	}
	dst = append(dst, text[from:]...)
	return append(dst, '"')
}
