// Package raw is the format raw: a line is the value of the one column, as it is.
package raw

import (
	"bytes"
	"unicode/utf8"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/connectors/format"
	"github.com/tidemill/tidemill/connectors/spec"
	"github.com/tidemill/tidemill/runtime/record"
)

func init() {
	format.Register(format.Type{
		Name: "raw", Extension: "raw",
		Example: `format: raw`,
		Doc: "Each line is the value of the one column, utf8 or binary, without its line feed and otherwise as it is: a carriage return " +
			"stays, an empty line is an empty value. Without a schema the column is {value: binary}. A sink writes the value and a " +
			"line feed, and null as an empty line; line feeds within values are not marked.",
		Options:  &spec.Object{},
		Schema:   &record.Schema{Fields: []record.Field{{Name: "value", Type: record.Binary}}},
		Decoding: decoding,
		Encoding: encoding,
	})
}

// check says whether a schema is one column of bytes.
func check(schema *record.Schema) error {
	if len(schema.Fields) != 1 || !schema.Fields[0].Type.HasOffsets() {
		return format.ErrOptions.Errorf("format raw wants a schema of one column, utf8 or binary, and not %v", schema).
			Do("use format json or csv for several columns")
	}
	return nil
}

func decoding(_ spec.Values, schema *record.Schema) (*format.Decoding, error) {
	if err := check(schema); err != nil {
		return nil, err
	}
	return &format.Decoding{Lines: true, New: func([]byte) (format.Decoder, error) { return &decoder{schema.Fields[0]}, nil }}, nil
}

func encoding(_ spec.Values, schema *record.Schema) (format.Encoder, error) {
	return encoder{}, check(schema)
}

type decoder struct{ field record.Field }

// Decode implements format.Decoder.
func (d *decoder) Decode(c format.Chunk, dst *record.Batch, max int, bad *[]connectors.BadRecord) format.Progress {
	var p format.Progress
	for p.Records < max && p.Bytes < len(c.Data) {
		start := p.Bytes
		n := bytes.IndexByte(c.Data[start:], '\n')
		line := c.Data[start:]
		if n >= 0 {
			line = line[:n]
		} else if !c.Final {
			return p
		}
		p.Bytes = min(start+len(line)+1, len(c.Data))
		p.Lines++
		p.Records++
		if d.field.Type == record.UTF8 && !utf8.Valid(line) {
			reason := format.BadValue(&d.field, line, "the bytes are not UTF-8")
			*bad = append(*bad, c.Bad(start, p.Lines-1, line, reason))
			continue
		}
		dst.Columns[0].AppendBytes(line)
		dst.Rows++
		dst.Pos = append(dst.Pos, c.Offset+int64(start))
	}
	return p
}

type encoder struct{}

func (encoder) Header() []byte { return nil }

func (encoder) Append(dst []byte, b *record.Batch, from, to int) []byte {
	c := &b.Columns[0]
	for row := from; row < to; row++ {
		if !c.Null(row) {
			dst = append(dst, c.Bytes(row)...)
		}
		dst = append(dst, '\n')
	}
	return dst
}
