// Package csv is the format csv: RFC 4180 with quotes, lines ended by LF or CRLF.
//
// A field that begins with a quote ends with one; within it a quote is written twice. A quote anywhere else, a quote still open at
// the end of a line (unless multiline is set) and a number of fields other than the header's make a bad record. Empty lines are
// no records. An unquoted field equal to the null text is null; a quoted one never is.
package csv

import (
	"bytes"
	"strings"

	"github.com/tidemill/tidemill/connectors/format"
	"github.com/tidemill/tidemill/connectors/spec"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/record"
)

func init() {
	format.Register(format.Type{
		Name: "csv", Extension: "csv",
		Example: `format: {type: csv, header: true, null: NA}`,
		Doc: "Comma-separated values after RFC 4180. Numbers are decimal; bool is true or false (any case) or 1 or 0; " +
			"date32 is " +
			"YYYY-MM-DD; timestamps are RFC 3339 or YYYY-MM-DD HH:MM:SS, without a zone they are UTC; binary is the field's bytes. " +
			"There are no lists. " +
			"A quote where none belongs and a line with another number of fields than the header are bad records.",
		Options:  options,
		Decoding: decoding,
		Encoding: encoding,
	})
}

var options = &spec.Object{Check: checkNull, Fields: []spec.Field{
	{Name: "header", Kind: spec.Bool, Default: "false",
		Doc: "The first line of each file names the columns, which may then be in any order. Without it the columns " +
			"are those of the schema, in its order. A sink writes the header first."},
	{Name: "null", Kind: spec.String,
		Doc: "The text that stands for null when it is not in quotes. Without the option an empty field is null in a " +
			"column that allows null, and an empty text in any other utf8 or binary column."},
	{Name: "delimiter", Kind: spec.String, Default: ",", Check: checkDelimiter,
		Doc: "The character between fields: one ASCII character, such as \";\" or \"\\t\"."},
	{Name: "multiline", Kind: spec.Bool, Default: "false",
		Doc: "A quoted field may contain line ends. Such a file cannot be cut into splits."},
}}

func checkDelimiter(text string) error {
	if len(text) != 1 || text[0] >= 0x80 || text == `"` || text == "\n" || text == "\r" {
		return errDelimiter
	}
	return nil
}

// checkNull refuses a null text that could not stand in a field without quotes.
func checkNull(v spec.Values) errcode.List {
	if strings.ContainsAny(v.String("null"), v.String("delimiter")+"\"\r\n") {
		return errcode.List{v.Errorf(format.ErrOptions, "null", "the null text contains the delimiter, a quote or a line end")}
	}
	return nil
}

// config is the options of one use of the format.
type config struct {
	header, multiline bool
	delimiter         byte
	null              []byte
	nullSet           bool
}

func configOf(v spec.Values) config {
	return config{header: v.Bool("header"), multiline: v.Bool("multiline"), delimiter: v.String("delimiter")[0],
		null: []byte(v.String("null")), nullSet: v.Set("null")}
}

// noLists refuses a schema that no line can hold.
func noLists(schema *record.Schema) error {
	for _, f := range schema.Fields {
		if f.Type.Kind() == record.List {
			return format.ErrOptions.Errorf("format csv has no lists, and column %s is %v", f.Name, f.Type).Do("use format json")
		}
	}
	return nil
}

func decoding(v spec.Values, schema *record.Schema) (*format.Decoding, error) {
	if err := noLists(schema); err != nil {
		return nil, err
	}
	cfg := configOf(v)
	d := &format.Decoding{
		Header: cfg.header,
		Lines:  !cfg.multiline,
		New:    func(header []byte) (format.Decoder, error) { return newDecoder(cfg, schema, header) },
	}
	if cfg.multiline {
		d.Quote = '"'
	}
	return d, nil
}

func encoding(v spec.Values, schema *record.Schema) (format.Encoder, error) {
	return &encoder{config: configOf(v), schema: schema}, noLists(schema)
}

type encoder struct {
	config
	schema *record.Schema
}

func (e *encoder) Header() []byte {
	if !e.header {
		return nil
	}
	var line []byte
	for i, f := range e.schema.Fields {
		if i > 0 {
			line = append(line, e.delimiter)
		}
		line = e.appendField(line, []byte(f.Name))
	}
	return append(line, '\n')
}

func (e *encoder) Append(dst []byte, b *record.Batch, from, to int) []byte {
	for row := from; row < to; row++ {
		for i := range b.Columns {
			if i > 0 {
				dst = append(dst, e.delimiter)
			}
			c := &b.Columns[i]
			switch {
			case c.Null(row):
				dst = append(dst, e.null...)
			case c.Type.HasOffsets():
				dst = e.appendField(dst, c.Bytes(row))
			default:
				dst = format.AppendValueText(dst, c, row)
			}
		}
		dst = append(dst, '\n')
	}
	return dst
}

// appendField appends text with quotes where it needs them: also where it would be taken for null, and where it is empty, so that
// a line is never empty.
func (e *encoder) appendField(dst, text []byte) []byte {
	plain := len(text) > 0 && !bytes.Equal(text, e.null)
	for i := 0; plain && i < len(text); i++ {
		plain = text[i] != '"' && text[i] != '\n' && text[i] != '\r' && text[i] != e.delimiter
	}
	if plain && (text[0] == 0xEF) { // could be a byte order mark at the beginning of a file
		plain = false
	}
	if plain {
		return append(dst, text...)
	}
	dst = append(dst, '"')
	for _, b := range text {
		if b == '"' {
			dst = append(dst, '"')
		}
		dst = append(dst, b)
	}
	return append(dst, '"')
}
