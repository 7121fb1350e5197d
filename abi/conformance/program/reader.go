package program

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// Reader takes a program apart. Past its end every byte is zero.
type Reader struct {
	rest []byte
	past int // bytes read past the end
}

// NewReader reads a program from its first byte on.
func NewReader(program []byte) *Reader { return &Reader{rest: program} }

// Left is the number of bytes not read yet.
func (r *Reader) Left() int { return len(r.rest) }

// Next is the next command; false at the end.
func (r *Reader) Next() (c Command, ok bool) {
	if len(r.rest) == 0 {
		return c, false
	}
	from := r.rest
	c.Op = Op(r.Byte() % byte(ops))
	for _, operand := range shapes[c.Op].operands {
		r.operand(operand, &c)
	}
	c.Bytes = from[:len(from)-len(r.rest)]
	return c, true
}

// operand reads one operand of a command.
func (r *Reader) operand(kind rune, c *Command) {
	switch kind {
	case 'b':
		c.Byte = r.Byte()
	case 'n':
		c.Number = r.Number()
	case 'f':
		c.Real = r.Real()
	case 't':
		c.Time = r.Time()
	case 'x':
		c.Text = r.Text()
	case 'w':
		c.Text = r.word()
	case 'r':
		c.Record = r.Record()
	case 'k':
		c.Key = r.mapKey(c.Index)
	case 's':
		if c.Byte = r.Byte(); c.Byte&3 >= ScanRange {
			c.Key = r.mapKey(c.Index)
			c.High = r.mapKey(c.Index)
		}
	case 'p':
		c.Program = r.take(int(r.Byte()))
	default: // a digit: an index of so many
		c.Index = int(r.Byte()) % int(kind-'0')
	}
}

// Byte is the next byte.
func (r *Reader) Byte() byte {
	if len(r.rest) == 0 {
		r.past++
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

// take is the next n bytes, or as many as are left.
func (r *Reader) take(n int) []byte {
	n = min(n, len(r.rest))
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

// Number, Real, Time, Decimal and Text read operands of PROGRAM.md.
func (r *Reader) Number() int64 {
	if b := r.Byte(); b >= 240 {
		return Numbers[b-240]
	} else {
		return int64(b) - 120
	}
}

// Real is described with Number.
func (r *Reader) Real() float64 {
	if b := r.Byte(); b >= 240 {
		return Reals[b-240]
	} else {
		return (float64(b) - 120) / 3
	}
}

// Time is described with Number.
func (r *Reader) Time() int64 {
	if b := r.Byte(); b >= 240 {
		return Times[b-240]
	} else {
		return int64(b)
	}
}

// Decimal is described with Number.
func (r *Reader) Decimal() Decimal {
	if b := r.Byte(); b >= 240 {
		return Decimals[b-240]
	} else {
		return DecimalOf(int64(b) - 120)
	}
}

// Texts, octets and lists from this first byte on are repeated so often.
const (
	repeatFrom  = 248
	repeatTimes = 64
)

// Text is described with Number.
func (r *Reader) Text() string {
	c := r.Byte()
	text := r.symbols(int(c % 8))
	if c >= repeatFrom {
		text = strings.Repeat(text, repeatTimes)
	}
	return text
}

func (r *Reader) word() string { return r.symbols(int(r.Byte() % 4)) }

func (r *Reader) symbols(n int) string {
	var text strings.Builder
	for range n {
		text.WriteString(Symbols[r.Byte()%16])
	}
	return text.String()
}

func (r *Reader) octets() string {
	c := r.Byte()
	var text strings.Builder
	for range c % 8 {
		text.WriteByte(r.Byte())
	}
	if c >= repeatFrom {
		return strings.Repeat(text.String(), repeatTimes)
	}
	return text.String()
}

// list reads a list by the type of its elements.
func (r *Reader) list(element Type) Value {
	c := r.Byte()
	var once, all []Value
	for range c % 4 {
		if element == UTF8 {
			once = append(once, Text(r.word()))
		} else {
			once = append(once, Int(r.Number()))
		}
	}
	times := 1
	if c >= repeatFrom {
		times = repeatTimes
	}
	for range times {
		all = append(all, once...)
	}
	return List(all...)
}

// Record reads a record.
func (r *Reader) Record() Record {
	mask := binary.LittleEndian.Uint16([]byte{r.Byte(), r.Byte()})
	record := NoRecord()
	for i := range Fields {
		if mask>>i&1 != 0 {
			record[i] = r.field(Fields[i].Type)
		}
	}
	return record
}

func (r *Reader) field(typ Type) Value {
	switch typ {
	case Bool:
		return Int(int64(r.Byte() & 1))
	case I8:
		return Int(int64(int8(r.Number())))
	case I16:
		return Int(int64(int16(r.Number())))
	case I32, Date32:
		return Int(int64(int32(r.Number())))
	case F32:
		return Real(float64(float32(r.Real())))
	case F64:
		return Real(r.Real())
	case UTF8:
		return Text(r.Text())
	case Binary:
		return Text(r.octets())
	case Decimal128:
		return Amount(r.Decimal())
	case ListI64, ListUTF8:
		return r.list(typ.Element())
	}
	return Int(r.Number())
}

func (r *Reader) mapKey(index int) MapKey {
	if index != Pairs {
		return MapKey{Text: r.Text()}
	}
	k := MapKey{Small: int16(r.Number()), Amount: r.Decimal()}
	b := r.Byte()
	k.Flag, k.Day, k.At = b&1 != 0, int32(b>>1&7)-4, int64(b>>4)-8
	k.Text = r.word()
	return k
}

// Name is how the key of a map is written in output rows.
func (k MapKey) Name(index int) string {
	if index != Pairs {
		return k.Text
	}
	flag := 0
	if k.Flag {
		flag = 1
	}
	return fmt.Sprintf("%d,%v,%d,%d,%d,%s", k.Small, k.Amount, flag, k.Day, k.At, k.Text)
}
