package operatortest

import (
	"encoding/binary"
	"math"
	"math/big"
	"slices"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
	"github.com/tidemill/tidemill/sdk-go/internal/frame"
	"github.com/tidemill/tidemill/sdk-go/internal/row"
)

var little = binary.LittleEndian

// encoder builds a frame, or a rows block, section by section.
type encoder struct {
	b        []byte
	sections int
	begin    int
}

func newFrame(kind abi.Kind, sequence uint64, sections int) *encoder {
	e := &encoder{}
	e.b = append(e.b, abi.Magic...)
	e.b = little.AppendUint16(e.b, abi.Version)
	e.b = little.AppendUint16(e.b, uint16(kind))
	e.b = little.AppendUint32(e.b, 0)
	e.b = little.AppendUint32(e.b, uint32(sections))
	e.b = little.AppendUint64(e.b, sequence)
	e.b = append(e.b, make([]byte, 16+sections*abi.SectionEntrySize)...)
	return e
}

func (e *encoder) pad() {
	for len(e.b)%abi.BufferAlign != 0 {
		e.b = append(e.b, 0)
	}
}

// open begins a section with a head of numbers; it returns where the head is.
func (e *encoder) open(id abi.SectionID, index, size, nodes int, head ...uint32) int {
	e.pad()
	e.begin = len(e.b)
	e.b = append(e.b, make([]byte, size+nodes*abi.NodeSize)...)
	for i, n := range head {
		little.PutUint32(e.b[e.begin+4*i:], n)
	}
	entry := abi.HeaderSize + e.sections*abi.SectionEntrySize
	little.PutUint16(e.b[entry:], uint16(id))
	little.PutUint16(e.b[entry+2:], uint16(index))
	little.PutUint32(e.b[entry+8:], uint32(e.begin))
	e.sections++
	return e.begin
}

func (e *encoder) close() {
	little.PutUint32(e.b[abi.HeaderSize+(e.sections-1)*abi.SectionEntrySize+12:], uint32(len(e.b)-e.begin))
}

// finish returns the frame in memory that is aligned as the contract wants it.
func (e *encoder) finish() []byte {
	e.pad()
	little.PutUint32(e.b[8:], uint32(len(e.b)))
	out := frame.Aligned(len(e.b))
	copy(out, e.b)
	return out
}

// array adds bytes and writes their offset at field.
func (e *encoder) array(field int, data []byte) {
	if len(data) == 0 {
		return
	}
	e.pad()
	little.PutUint32(e.b[field:], uint32(len(e.b)))
	e.b = append(e.b, data...)
}

func (e *encoder) span(field int, data []byte) {
	e.array(field, data)
	little.PutUint32(e.b[field+4:], uint32(len(data)))
}

// nodesOf is how many nodes columns have.
func nodesOf(types []row.Type) int {
	n := len(types)
	for _, t := range types {
		if t.ID == abi.List {
			n++
		}
	}
	return n
}

// columns writes rows as columns, whose nodes begin at an offset.
func (e *encoder) columns(node int, types []row.Type, rows []values) {
	for i, t := range types {
		column := make([]any, len(rows))
		for r, row := range rows {
			column[r] = row[i]
		}
		e.column(node, t, column)
		node += nodesOf(types[i:i+1]) * abi.NodeSize
	}
}

func (e *encoder) column(node int, t row.Type, column []any) {
	little.PutUint16(e.b[node:], uint16(t.ID))
	little.PutUint32(e.b[node+4:], uint32(len(column)))
	valid, data, offsets := make([]byte, (len(column)+7)/8), []byte(nil), []byte(nil)
	if t.ID == abi.Bool {
		data = make([]byte, (len(column)+7)/8)
	}
	nulls, items := 0, elements{}
	for r, v := range column {
		if v == nil {
			nulls++
		} else {
			valid[r/8] |= 1 << (r % 8)
		}
		switch t.ID {
		case abi.Bool:
			if v == true {
				data[r/8] |= 1 << (r % 8)
			}
		case abi.UTF8, abi.Binary:
			offsets = little.AppendUint32(offsets, uint32(len(data)))
			data = appendText(data, v)
		case abi.List:
			offsets = little.AppendUint32(offsets, uint32(len(items)))
			items = appendList(items, t.Elements(), v)
		case abi.Decimal128:
			data = appendDecimal(data, v)
		default:
			data = appendNumber(data, t.ID, v)
		}
	}
	if nulls > 0 {
		little.PutUint32(e.b[node+8:], uint32(nulls))
		e.span(node+16, valid)
	}
	if t.ID == abi.List {
		little.PutUint32(e.b[node+12:], 1)
		e.column(node+abi.NodeSize, t.Elements(), items)
	}
	if offsets != nil {
		e.span(node+24, little.AppendUint32(offsets, uint32(max(len(data), len(items)))))
	}
	e.span(node+32, data)
}

// appendList appends the elements of a list. Under a null stands something too, which does not count.
func appendList(items elements, t row.Type, v any) elements {
	switch {
	case v != nil:
		return append(items, v.(elements)...)
	case t.ID == abi.UTF8, t.ID == abi.Binary:
		return append(items, "nobody's business")
	case t.ID == abi.Decimal128:
		return append(items, big.NewInt(1))
	case t.ID == abi.Bool:
		return append(items, true)
	}
	return append(items, int64(1))
}

func appendDecimal(data []byte, v any) []byte {
	n, ok := v.(*big.Int)
	if !ok {
		return append(data, "nobody's busines"...) // as in appendNumber
	}
	b := new(big.Int).And(n, new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(1))).FillBytes(make([]byte, 16))
	slices.Reverse(b)
	return append(data, b...)
}

func appendText(data []byte, v any) []byte {
	switch v := v.(type) {
	case string:
		return append(data, v...)
	case []byte:
		return append(data, v...)
	}
	return data
}

func appendNumber(data []byte, t abi.Type, v any) []byte {
	n, _ := v.(int64)
	if f, ok := v.(float64); ok {
		n = int64(math.Float64bits(f))
		if t == abi.F32 {
			n = int64(math.Float32bits(float32(f)))
		}
	}
	if v == nil {
		n = 0x5a5a5a5a5a5a5a5a // what lies under a null is nobody's business, and not always zero
	}
	switch t {
	case abi.I8:
		return append(data, byte(n))
	case abi.I16:
		return little.AppendUint16(data, uint16(n))
	case abi.I32, abi.F32, abi.Date32:
		return little.AppendUint32(data, uint32(n))
	}
	return little.AppendUint64(data, uint64(n))
}

// encodeBlock makes a rows block.
func encodeBlock(types []row.Type, rows []values) []byte {
	nodes := nodesOf(types)
	e := &encoder{b: make([]byte, abi.BlockSize+nodes*abi.NodeSize)}
	e.columns(abi.BlockSize, types, rows)
	e.pad()
	for i, n := range []int{len(rows), len(types), nodes, len(e.b)} {
		little.PutUint32(e.b[4*i:], uint32(n))
	}
	return e.b
}
