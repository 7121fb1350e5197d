package csv

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"strings"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/connectors/format"
	"github.com/tidemill/tidemill/connectors/spec"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/record"
)

type decoder struct {
	config
	schema  *record.Schema
	columns []int   // for each field of a line, its column in the schema, or -1
	wanted  []want  // the fields that have a column
	ends    []int32 // of the fields of a line; as long as columns
	scratch []byte  // a quoted field without its quotes
}

// want says that a field of a line is a column of the schema.
type want struct{ field, column int }

func newDecoder(cfg config, schema *record.Schema, header []byte) (*decoder, error) {
	d := &decoder{config: cfg, schema: schema}
	if err := d.setColumns(header); err != nil {
		return nil, err
	}
	d.ends = make([]int32, len(d.columns))
	return d, nil
}

// setColumns decides which fields of a line are which columns.
func (d *decoder) setColumns(header []byte) error {
	schema := d.schema
	if !d.header {
		for i := range schema.Fields {
			d.columns = append(d.columns, i)
			d.wanted = append(d.wanted, want{i, i})
		}
		return nil
	}
	names, err := d.headerNames(header)
	if err != nil {
		return err
	}
	found := make([]int, len(schema.Fields))
	for i, name := range names {
		at := schema.Index(name)
		d.columns = append(d.columns, at)
		if at >= 0 {
			d.wanted = append(d.wanted, want{i, at})
			found[at]++
		}
	}
	for i, n := range found {
		name := schema.Fields[i].Name
		switch {
		case n == 0:
			return format.ErrHeader.Errorf("the header has no column %q%s", name, spec.Nearest(name, names)).
				Do("columns of the header: %s%s", strings.Join(names, ", "), otherDelimiter(names))
		case n > 1:
			return format.ErrHeader.Errorf("the header has %d columns %q", n, name)
		}
	}
	return nil
}

// otherDelimiter is a hint for a header that is one field.
func otherDelimiter(names []string) string {
	if len(names) == 1 {
		if i := strings.IndexAny(names[0], ",;\t|"); i >= 0 {
			return fmt.Sprintf("; if its columns are separated by %q, write delimiter: %q under format", names[0][i:i+1], names[0][i:i+1])
		}
	}
	return ""
}

func (d *decoder) headerNames(header []byte) ([]string, error) {
	chunk := format.Chunk{Data: header, Final: true}
	line := trimLineEnd(header[chunk.SkipBOM():])
	var names []string
	for at := 0; ; {
		field, _, next, bad := d.field(line, at)
		if bad != "" {
			e := format.ErrHeader.Errorf("the header is no CSV: %s", bad)
			if line[0] == '{' {
				e = e.Do("the data looks like JSON: write format: json")
			}
			return nil, e
		}
		names = append(names, string(field))
		if next < 0 {
			return names, nil
		}
		at = next
	}
}

func trimLineEnd(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
	}
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line
}

// Decode implements format.Decoder.
func (d *decoder) Decode(c format.Chunk, dst *record.Batch, max int, bad *[]connectors.BadRecord) format.Progress {
	p := format.Progress{Bytes: c.SkipBOM()}
	data := c.Data
	for p.Records < max && p.Bytes < len(data) {
		start := p.Bytes
		end, quotes, ok := d.recordEnd(data, start, c.Final)
		if !ok {
			return p
		}
		line := data[start:end]
		next := end
		if next < len(data) {
			next++ // the line feed
		}
		lines := p.Lines
		p.Bytes = next
		p.Lines++
		if d.multiline && quotes {
			p.Lines += int64(bytes.Count(line, []byte{'\n'}))
		}
		if n := len(line); n > 0 && line[n-1] == '\r' {
			line = line[:n-1]
		}
		if len(line) == 0 {
			continue
		}
		p.Records++
		var reason *errcode.Error
		if quotes {
			reason = d.quotedRow(line, dst)
		} else {
			reason = d.plainRow(line, dst)
		}
		if reason != nil {
			for i := range dst.Columns {
				dst.Columns[i].Truncate(dst.Rows)
			}
			if c.Offset+int64(start) == 0 && d.isHeader(line) {
				reason.Hint = "the first line names the columns: write header: true under format"
			}
			*bad = append(*bad, c.Bad(start, lines, line, reason))
			continue
		}
		dst.Rows++
		dst.Pos = append(dst.Pos, c.Offset+int64(start))
	}
	return p
}

// isHeader says whether a line that was taken for a record begins with the name of a column.
func (d *decoder) isHeader(line []byte) bool {
	field, _, _, bad := d.field(line, 0)
	return !d.header && bad == "" && d.schema.Index(string(field)) >= 0
}

// recordEnd returns the end of the record that starts at data[start:], without its line feed, and whether it has quotes. ok is false
// where the record is not complete yet. Its cost is linear in the record.
func (d *decoder) recordEnd(data []byte, start int, final bool) (end int, quotes, ok bool) {
	n := bytes.IndexByte(data[start:], '\n')
	line := data[start:]
	if n >= 0 {
		line = line[:n]
	}
	quotes = bytes.IndexByte(line, '"') >= 0
	if !quotes || !d.multiline {
		return start + len(line), quotes, n >= 0 || final
	}
	for at := start; at < len(data); at++ {
		if data[at] == '"' {
			if at = closingQuote(data, at); at < 0 {
				return len(data), true, final
			}
			if at++; at < len(data) && data[at] == d.delimiter {
				continue
			}
			// the end of the record, or text after a quote, which makes it bad
			if n := bytes.IndexByte(data[at:], '\n'); n >= 0 {
				return at + n, true, true
			}
			break
		}
		for at < len(data) && data[at] != d.delimiter {
			if data[at] == '\n' {
				return at, true, true
			}
			at++
		}
	}
	return len(data), true, final
}

// closingQuote returns the index of the quote that ends the field whose opening quote is at text[at], or -1.
func closingQuote(text []byte, at int) int {
	for i := at + 1; ; i += 2 {
		n := bytes.IndexByte(text[i:], '"')
		if n < 0 {
			return -1
		}
		i += n
		if i+1 >= len(text) || text[i+1] != '"' {
			return i
		}
	}
}

// plainRow appends a line that has no quotes: fields are what lies between delimiters.
func (d *decoder) plainRow(line []byte, dst *record.Batch) *errcode.Error {
	if n := d.findEnds(line); n != len(d.columns) {
		return d.wrongCount(n)
	}
	for _, w := range d.wanted {
		from := 0
		if w.field > 0 {
			from = int(d.ends[w.field-1]) + 1
		}
		if reason := d.value(line[from:d.ends[w.field]], false, w.column, dst); reason != nil {
			return reason
		}
	}
	return nil
}

// findEnds notes the end of each field of a line, as far as there are columns, and returns the number of fields. It looks at eight
// bytes at a time: a byte of x is zero where the line has the delimiter, and the sum sets the top bit of each byte that is not zero,
// without carries between bytes.
func (d *decoder) findEnds(line []byte) int {
	const low = 0x7f7f7f7f7f7f7f7f
	ends, pattern := d.ends, uint64(d.delimiter)*0x0101010101010101
	at, n := 0, 0
	for ; at+8 <= len(line); at += 8 {
		x := binary.LittleEndian.Uint64(line[at:]) ^ pattern
		for m := ^((x&low + low) | x | low); m != 0; m &= m - 1 {
			if n < len(ends) {
				ends[n] = int32(at + bits.TrailingZeros64(m)>>3)
			}
			n++
		}
	}
	for ; at < len(line); at++ {
		if line[at] == d.delimiter {
			if n < len(ends) {
				ends[n] = int32(at)
			}
			n++
		}
	}
	if n < len(ends) {
		ends[n] = int32(len(line))
	}
	return n + 1
}

func (d *decoder) quotedRow(line []byte, dst *record.Batch) *errcode.Error {
	count, reason := 0, (*errcode.Error)(nil)
	for at := 0; at >= 0; count++ {
		field, quoted, next, bad := d.field(line, at)
		if bad != "" {
			name := ""
			if count < len(d.columns) && d.columns[count] >= 0 {
				name = ", column " + d.schema.Fields[d.columns[count]].Name
			}
			return format.ErrMalformed.Errorf("field %d%s: %s: %s", count+1, name, bad, format.Shown(line[at:]))
		}
		if count < len(d.columns) && d.columns[count] >= 0 && reason == nil {
			reason = d.value(field, quoted, d.columns[count], dst)
		}
		at = next
	}
	if count != len(d.columns) {
		return d.wrongCount(count)
	}
	return reason
}

// field returns the field that begins at line[at:], whether it was quoted, and where the next one begins, -1 for none; bad is what
// is wrong with it. The field of quotes with quotes in it is in d.scratch.
func (d *decoder) field(line []byte, at int) (field []byte, quoted bool, next int, bad string) {
	if at == len(line) || line[at] != '"' {
		field, next = line[at:], -1
		if n := bytes.IndexByte(field, d.delimiter); n >= 0 {
			field, next = field[:n], at+n+1
		}
		if bytes.IndexByte(field, '"') >= 0 {
			return nil, false, 0, "a quote in a field that does not begin with one"
		}
		return field, false, next, ""
	}
	end := closingQuote(line, at)
	switch {
	case end < 0:
		return nil, false, 0, d.openQuote()
	case end+1 == len(line):
		next = -1
	case line[end+1] != d.delimiter:
		return nil, false, 0, "text after a closing quote"
	default:
		next = end + 2
	}
	field = line[at+1 : end]
	if bytes.IndexByte(field, '"') >= 0 {
		d.scratch = d.scratch[:0]
		for i := 0; i < len(field); i++ {
			d.scratch = append(d.scratch, field[i])
			if field[i] == '"' {
				i++ // written twice
			}
		}
		field = d.scratch
	}
	return field, true, next, ""
}

func (d *decoder) openQuote() string {
	if d.multiline {
		return "a quote is open at the end of the data"
	}
	return "a quote is open at the end of the line (set multiline: true if fields may contain line ends)"
}

func (d *decoder) wrongCount(n int) *errcode.Error {
	what := "the schema"
	if d.header {
		what = "the header"
	}
	return format.ErrMalformed.Errorf("the line has %d fields, %s has %d", n, what, len(d.columns))
}

func (d *decoder) value(field []byte, quoted bool, column int, dst *record.Batch) *errcode.Error {
	c := &dst.Columns[column]
	if !quoted && len(field) == len(d.null) && string(field) == string(d.null) {
		f := &d.schema.Fields[column]
		if f.Nullable {
			c.AppendNull()
			return nil
		}
		if d.nullSet || !f.Type.HasOffsets() {
			return format.BadNull(f, "the field is "+format.Shown(field)+", which is null")
		}
	}
	if problem := format.AppendText(c, field); problem != "" {
		return format.BadValue(&d.schema.Fields[column], field, problem)
	}
	return nil
}
