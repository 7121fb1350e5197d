package frametest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"slices"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/abi/frame"
)

// Column builds a column from Go values, one a row: nil is null, else bool, int (integers, dates and times), float64, string (utf8,
// binary, and of a decimal128 the digits of the number without its point), or []any (the elements of a list).
func Column(t abi.Type, values ...any) frame.Column {
	c := frame.Column{Type: t, Len: len(values)}
	bitmap := make([]byte, (len(values)+7)/8)
	if (t.HasOffsets() || t.Kind() == abi.List) && len(values) > 0 {
		c.Offsets = []int32{0}
	}
	if t == abi.Bool {
		c.Values = make([]byte, (len(values)+7)/8)
	}
	var elements []any
	for i, v := range values {
		if list, ok := v.([]any); ok {
			elements = append(elements, list...)
		}
		if t.Kind() == abi.List {
			c.Offsets = append(c.Offsets, int32(len(elements)))
		}
		if v == nil {
			c.Nulls++
		} else {
			bitmap[i/8] |= 1 << (i % 8)
		}
		add(&c, i, v)
	}
	if c.Nulls > 0 {
		c.Validity = bitmap
	}
	if t.Kind() == abi.List {
		of := Column(t.Element(), elements...)
		c.Elements = &of
	}
	return c
}

func add(c *frame.Column, row int, v any) {
	switch {
	case c.Type.Kind() == abi.List:
	case c.Type.Kind() == abi.Decimal128:
		s, _ := v.(string)
		c.Values = append(c.Values, decimal(s)...)
	case c.Type.HasOffsets():
		s, _ := v.(string)
		c.Values = append(c.Values, s...)
		c.Offsets = append(c.Offsets, int32(len(c.Values)))
	case c.Type == abi.Bool:
		if b, _ := v.(bool); b {
			c.Values[row/8] |= 1 << (row % 8)
		}
	case c.Type == abi.F32:
		f, _ := v.(float64)
		c.Values = binary.LittleEndian.AppendUint32(c.Values, math.Float32bits(float32(f)))
	case c.Type == abi.F64:
		f, _ := v.(float64)
		c.Values = binary.LittleEndian.AppendUint64(c.Values, math.Float64bits(f))
	default:
		n, _ := v.(int)
		c.Values = append(c.Values, binary.LittleEndian.AppendUint64(nil, uint64(n))[:c.Type.Width()]...)
	}
}

// decimal is the 16 bytes of a number, 0 where the text is none.
func decimal(text string) []byte {
	n, _ := new(big.Int).SetString(text, 10)
	if n == nil {
		n = new(big.Int)
	}
	b := n.And(n, ones128).FillBytes(make([]byte, 16))
	slices.Reverse(b)
	return b
}

// ones128 has all of 128 bits set.
var ones128 = new(big.Int).SetBytes(bytes.Repeat([]byte{0xff}, 16))

// digits is the inverse of decimal.
func digits(b []byte) string {
	b = slices.Clone(b)
	slices.Reverse(b)
	n := new(big.Int).SetBytes(b)
	if b[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), 128))
	}
	return n.String()
}

// Values is the inverse of Column.
func Values(c *frame.Column) []any {
	out := make([]any, c.Len)
	if c.Elements != nil {
		elements := Values(c.Elements)
		for i := range out {
			if c.Nulls == 0 || c.Validity[i/8]>>(i%8)&1 == 1 {
				out[i] = elements[c.Offsets[i]:c.Offsets[i+1]:c.Offsets[i+1]]
			}
		}
		return out
	}
	for i := range out {
		if c.Nulls > 0 && c.Validity[i/8]>>(i%8)&1 == 0 {
			continue
		}
		out[i] = value(c, i)
	}
	return out
}

func value(c *frame.Column, i int) any {
	switch c.Type.Kind() {
	case abi.Decimal128:
		return digits(c.Values[16*i : 16*i+16])
	case abi.UTF8, abi.Binary:
		return string(c.Values[c.Offsets[i]:c.Offsets[i+1]])
	case abi.Bool:
		return c.Values[i/8]>>(i%8)&1 == 1
	case abi.F32:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(c.Values[4*i:])))
	case abi.F64:
		return math.Float64frombits(binary.LittleEndian.Uint64(c.Values[8*i:]))
	}
	w := c.Type.Width()
	if w == 0 {
		panic(fmt.Sprintf("frametest: column of type %v", c.Type))
	}
	n := int64(0)
	for k := w - 1; k >= 0; k-- {
		n = n<<8 | int64(c.Values[w*i+k])
	}
	return int(n << (64 - 8*w) >> (64 - 8*w))
}

// Pass is a column that passes input or key column ref through: flag is abi.NodeInput or abi.NodeKey.
func Pass(t abi.Type, flag uint16, ref, rows int) frame.Column {
	return frame.Column{Type: t, Pass: flag, Ref: uint32(ref), Len: rows}
}
