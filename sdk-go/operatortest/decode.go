package operatortest

import (
	"fmt"
	"math"
	"math/big"
	"unicode/utf8"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
	"github.com/tidemill/tidemill/sdk-go/internal/row"
)

// decoder reads an answer, or a rows block. It panics with a decodeError where the bytes break the contract.
type decoder []byte

type decodeError string

func broken(format string, args ...any) { panic(decodeError(fmt.Sprintf(format, args...))) }

func (d decoder) u16(at int) int { return int(little.Uint16(d.bytes(at, 2))) }

func (d decoder) u32(at int) int { return int(little.Uint32(d.bytes(at, 4))) }

func (d decoder) bytes(at, n int) []byte {
	if at < 0 || n < 0 || at+n > len(d) {
		broken("%d bytes at %d of %d", n, at, len(d))
	}
	return d[at : at+n]
}

// section is an entry of an answer's section table.
type section struct {
	id        abi.SectionID
	index, at int
}

func (d decoder) sections(kind abi.Kind, sequence uint64) (list []section) {
	if string(d.bytes(0, 4)) != abi.Magic || d.u16(4) != abi.Version || d.u32(8) != len(d) {
		broken("not an answer")
	}
	if d.u16(6) != int(kind) || little.Uint64(d[16:]) != sequence || d.u32(28) != 0 {
		broken("the answer to another frame")
	}
	for i := range d.u32(12) {
		e := abi.HeaderSize + i*abi.SectionEntrySize
		s := section{abi.SectionID(d.u16(e)), d.u16(e + 2), d.u32(e + 8)}
		if s.at%abi.BufferAlign != 0 {
			broken("section %d at %d", s.id, s.at)
		}
		d.bytes(s.at, d.u32(e+12))
		list = append(list, s)
	}
	return list
}

// array is an array of n elements whose offset stands at field.
func (d decoder) array(field, n, width int) []byte {
	if n == 0 {
		return nil
	}
	at := d.u32(field)
	if at%width != 0 || at == 0 {
		broken("an array at %d", at)
	}
	return d.bytes(at, n*width)
}

func (d decoder) u32s(field, n int) []int {
	b := d.array(field, n, 4)
	out := make([]int, n)
	for i := range out {
		out[i] = int(little.Uint32(b[4*i:]))
	}
	return out
}

// passed stands for a value that the host fills in.
type passed struct {
	key   bool
	index int
}

// columns reads rows from columns of the given types, whose nodes begin at an offset.
func (d decoder) columns(node int, types []row.Type, n int, pass bool) []values {
	rows := make([]values, n)
	for r := range rows {
		rows[r] = make(values, len(types))
	}
	for i, t := range types {
		if d.u16(node) != int(t.ID) || d.u32(node+4) != n {
			broken("column %d is of type %d with %d rows, want %d with %d", i, d.u16(node), d.u32(node+4), t.ID, n)
		}
		if flag := d.u16(node + 2); flag != 0 {
			if !pass {
				broken("column %d is passed through", i)
			}
			for r := range rows {
				rows[r][i] = passed{flag == abi.NodeKey, d.u32(node + 32)}
			}
			node += abi.NodeSize
			continue
		}
		for r, v := range d.column(node, t, n) {
			rows[r][i] = v
		}
		node += nodesOf(types[i:i+1]) * abi.NodeSize
	}
	return rows
}

// column reads the n values of a column.
func (d decoder) column(node int, t row.Type, n int) []any {
	column := make([]any, n)
	span := func(field int) []byte { return d.bytes(d.u32(node+field), d.u32(node+field+4)) }
	valid, offsets, data := span(16), span(24), span(32)
	var items []any
	if t.ID == abi.List {
		items = d.elements(node, t, offsets, n)
	}
	nulls := 0
	for r := range column {
		if len(valid) > 0 && valid[r/8]>>(r%8)&1 == 0 {
			nulls++
		} else if t.ID == abi.List {
			column[r] = elements(items[little.Uint32(offsets[4*r:]):little.Uint32(offsets[4*r+4:])])
		} else {
			column[r] = value(t.ID, data, offsets, r)
		}
	}
	if nulls != d.u32(node+8) {
		broken("a column counts %d nulls and has %d", d.u32(node+8), nulls)
	}
	return column
}

// elements reads the column that stands behind that of lists.
func (d decoder) elements(node int, t row.Type, offsets []byte, n int) []any {
	last := 0
	if n > 0 {
		last = int(little.Uint32(offsets[4*n:]))
	}
	child := node + abi.NodeSize
	if d.u32(node+12) != 1 || d.u32(node+36) != 0 || d.u16(child) != int(t.Element) || d.u32(child+4) != last || d.u32(child+8) != 0 {
		broken("a list of %d elements with %d children, of which the first is of type %d with %d rows and %d nulls",
			last, d.u32(node+12), d.u16(child), d.u32(child+4), d.u32(child+8))
	}
	return d.column(child, t.Elements(), last)
}

func value(t abi.Type, data, offsets []byte, r int) any {
	switch t {
	case abi.Bool:
		return data[r/8]>>(r%8)&1 != 0
	case abi.UTF8:
		text := string(data[little.Uint32(offsets[4*r:]):little.Uint32(offsets[4*r+4:])])
		if !utf8.ValidString(text) {
			broken("%q is no UTF-8", text)
		}
		return text
	case abi.Binary:
		return append([]byte{}, data[little.Uint32(offsets[4*r:]):little.Uint32(offsets[4*r+4:])]...)
	case abi.Decimal128:
		n := new(big.Int).SetUint64(little.Uint64(data[16*r:]))
		return n.Add(n, new(big.Int).Lsh(big.NewInt(int64(little.Uint64(data[16*r+8:]))), 64))
	case abi.I8:
		return int64(int8(data[r]))
	case abi.I16:
		return int64(int16(little.Uint16(data[2*r:])))
	case abi.I32, abi.Date32:
		return int64(int32(little.Uint32(data[4*r:])))
	case abi.F32:
		return float64(math.Float32frombits(little.Uint32(data[4*r:])))
	case abi.F64:
		return math.Float64frombits(little.Uint64(data[8*r:]))
	}
	return int64(little.Uint64(data[8*r:]))
}

// decodeBlock reads a rows block.
func decodeBlock(b []byte, types []row.Type) []values {
	d := decoder(b)
	if d.u32(4) != len(types) || d.u32(8) != nodesOf(types) || d.u32(12) > len(b) {
		broken("a block of %d columns and %d bytes", d.u32(4), d.u32(12))
	}
	return d.columns(abi.BlockSize, types, d.u32(0), false)
}
