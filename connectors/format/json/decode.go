package json

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/connectors/format"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/record"
)

type decoder struct {
	schema  *record.Schema
	byName  map[string]int
	last    []member // of the record before, in order
	spans   []span   // of each column in the record under way
	scan    scanner
	scratch []byte
}

// member is what the name of a record's n-th member came to. Records mostly have the same members in the same order, so a name is
// compared with its predecessor before it is looked up.
type member struct {
	name   []byte
	column int // -1: nobody wants it
}

// membersMax and nameBytesMax bound what is remembered of a record's members.
const (
	membersMax   = 256
	nameBytesMax = 128
)

func newDecoder(schema *record.Schema) *decoder {
	d := &decoder{schema: schema, byName: map[string]int{}, spans: make([]span, len(schema.Fields))}
	for i, f := range schema.Fields {
		d.byName[f.Name] = i
	}
	return d
}

// Decode implements format.Decoder.
func (d *decoder) Decode(c format.Chunk, dst *record.Batch, max int, bad *[]connectors.BadRecord) format.Progress {
	p := format.Progress{Bytes: c.SkipBOM()}
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
		if blank(line) {
			continue
		}
		p.Records++
		if reason := d.row(line, dst); reason != nil {
			for i := range dst.Columns {
				dst.Columns[i].Truncate(dst.Rows)
			}
			*bad = append(*bad, c.Bad(start, p.Lines-1, line, reason))
			continue
		}
		dst.Rows++
		dst.Pos = append(dst.Pos, c.Offset+int64(start))
	}
	return p
}

func blank(line []byte) bool {
	for _, b := range line {
		if b != ' ' && b != '\t' && b != '\r' {
			return false
		}
	}
	return true
}

// row appends one record. It allocates only for a bad one.
func (d *decoder) row(line []byte, dst *record.Batch) *errcode.Error {
	if !utf8.Valid(line) {
		return format.ErrMalformed.Errorf("the record is not UTF-8")
	}
	d.scan = scanner{data: line}
	if !d.members() {
		s := &d.scan
		if s.at >= len(line) {
			return format.ErrMalformed.Errorf("at byte %d of the record: %s", s.at, s.problem)
		}
		return format.ErrMalformed.Errorf("at byte %d of the record: %s: %s", s.at, s.problem, format.Shown(line[s.at:]))
	}
	for i := range d.spans {
		if reason := d.column(line, i, &dst.Columns[i]); reason != nil {
			return reason
		}
	}
	return nil
}

// members scans the record's object and notes the values of the columns.
func (d *decoder) members() bool {
	s := &d.scan
	clear(d.spans)
	if s.peek() != '{' {
		return s.fail("an object is expected")
	}
	s.enter()
	if s.peek() == '}' {
		s.at++
	} else {
		for n := 0; ; n++ {
			name, ok := s.name()
			if !ok {
				return false
			}
			column := d.columnOf(name, n)
			v, ok := s.value()
			if !ok {
				return false
			}
			if column >= 0 {
				d.spans[column] = v
			}
			more, ok := s.next('}')
			if !ok {
				return false
			}
			if !more {
				break
			}
		}
	}
	if s.space(); s.at < len(s.data) {
		return s.fail("text after the object")
	}
	return true
}

// columnOf returns the column of the n-th member, or -1.
func (d *decoder) columnOf(name span, n int) int {
	text := d.scan.data[name.start:name.end]
	if n < len(d.last) && bytes.Equal(text, d.last[n].name) && name.kind != escaped {
		return d.last[n].column
	}
	if name.kind == escaped {
		d.scratch = unescape(d.scratch[:0], text)
		text = d.scratch
	}
	column, ok := d.byName[string(text)]
	if !ok {
		column = -1
	}
	if n == len(d.last) && n < membersMax {
		d.last = append(d.last, member{})
	}
	if n < len(d.last) && len(text) <= nameBytesMax {
		d.last[n].name = append(d.last[n].name[:0], text...)
		d.last[n].column = column
	}
	return column
}

func (d *decoder) column(line []byte, i int, c *record.Column) *errcode.Error {
	v := d.spans[i]
	f := &d.schema.Fields[i]
	raw := line[v.start:v.end]
	switch v.kind {
	case absent, null:
		if f.Nullable {
			c.AppendNull()
			return nil
		}
		if v.kind == null {
			return format.BadNull(f, "the value is null")
		}
		return format.BadNull(f, fmt.Sprintf("the record has no member %q", f.Name))
	case escaped:
		d.scratch = unescape(d.scratch[:0], raw)
		raw = d.scratch
		v.kind = text
	}
	if problem := d.appendValue(c, v.kind, raw); problem != "" {
		return format.BadValue(f, raw, problem)
	}
	return nil
}

// appendValue adds a value to a column; it returns "" or what is wrong.
func (d *decoder) appendValue(c *record.Column, k kind, raw []byte) string {
	want := text
	switch c.Type {
	case record.I8, record.I16, record.I32, record.I64:
		if k == number {
			return format.AppendInt(c, raw)
		}
		want = number
	case record.F32, record.F64:
		if k == number || k == text && (string(raw) == "NaN" || string(raw) == "Infinity" || string(raw) == "-Infinity") {
			return format.AppendFloat(c, raw)
		}
		want = number
	case record.Bool:
		if k == boolean {
			return format.AppendText(c, raw)
		}
		want = boolean
	case record.UTF8:
		if k == text {
			c.AppendBytes(raw)
			return ""
		}
	case record.Binary:
		if k == text {
			return d.appendBase64(c, raw)
		}
	case record.Date32, record.Timestamp, record.TimestampTZ:
		if k == text {
			return format.AppendText(c, raw)
		}
	default:
		return d.appendMade(c, k, raw)
	}
	return mismatch(want, k)
}

func mismatch(want, found kind) string { return "want " + want.String() + ", found " + found.String() }

// appendMade is appendValue for decimals and lists.
func (d *decoder) appendMade(c *record.Column, k kind, raw []byte) string {
	if c.Elements == nil {
		if k == number || k == text {
			return format.AppendText(c, raw)
		}
		return mismatch(number, k)
	}
	if k != array {
		return mismatch(array, k)
	}
	s := scanner{data: raw, at: 1} // raw has been found valid
	for n, more := 0, s.peek() != ']'; more; n++ {
		v, _ := s.value()
		if problem := d.appendElement(c.Elements, v, raw[v.start:v.end]); problem != "" {
			return fmt.Sprintf("element %d: %s", n, problem)
		}
		more, _ = s.next(']')
	}
	c.EndList()
	return ""
}

func (d *decoder) appendElement(c *record.Column, v span, raw []byte) string {
	switch v.kind {
	case null:
		return "an element is never null"
	case escaped:
		d.scratch = unescape(d.scratch[:0], raw)
		return d.appendValue(c, text, d.scratch)
	}
	return d.appendValue(c, v.kind, raw)
}

func (d *decoder) appendBase64(c *record.Column, raw []byte) string {
	size := base64.StdEncoding.DecodedLen(len(raw))
	from := len(c.Values)
	c.Values = slices.Grow(c.Values, size)
	n, err := base64.StdEncoding.Strict().Decode(c.Values[from:from+size], raw)
	if c.Values = c.Values[:from]; err != nil {
		return "want base64"
	}
	c.AppendBytes(c.Values[from : from+n : from+n])
	return ""
}
