package operatortest

import (
	"encoding/binary"
	"math"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
	"github.com/tidemill/tidemill/sdk-go/internal/frame"
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

// columns writes rows as columns, whose nodes begin at an offset.
func (e *encoder) columns(nodes int, types []abi.Type, rows []values) {
	for i, t := range types {
		node := nodes + i*abi.NodeSize
		little.PutUint16(e.b[node:], uint16(t))
		little.PutUint32(e.b[node+4:], uint32(len(rows)))
		if len(rows) == 0 {
			continue
		}
		valid, data, offsets := make([]byte, (len(rows)+7)/8), []byte(nil), []byte(nil)
		nulls := 0
		if t == abi.Bool {
			data = make([]byte, (len(rows)+7)/8)
		}
		for r, row := range rows {
			v := row[i]
			if v == nil {
				nulls++
			} else {
				valid[r/8] |= 1 << (r % 8)
			}
			switch t {
			case abi.Bool:
				if v == true {
					data[r/8] |= 1 << (r % 8)
				}
			case abi.UTF8, abi.Binary:
				offsets = little.AppendUint32(offsets, uint32(len(data)))
				data = appendText(data, v)
			default:
				data = appendNumber(data, t, v)
			}
		}
		if nulls > 0 {
			little.PutUint32(e.b[node+8:], uint32(nulls))
			e.span(node+16, valid)
		}
		if offsets != nil {
			e.span(node+24, little.AppendUint32(offsets, uint32(len(data))))
		}
		e.span(node+32, data)
	}
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
func encodeBlock(types []abi.Type, rows []values) []byte {
	e := &encoder{b: make([]byte, abi.BlockSize+len(types)*abi.NodeSize)}
	e.columns(abi.BlockSize, types, rows)
	e.pad()
	for i, n := range []int{len(rows), len(types), len(types), len(e.b)} {
		little.PutUint32(e.b[4*i:], uint32(n))
	}
	return e.b
}
