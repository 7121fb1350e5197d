package frame

import (
	"encoding/binary"

	"github.com/tidemill/tidemill/abi"
)

// header is a decoded frame header.
type header struct {
	kind     abi.Kind
	sections int
	sequence uint64
	slot     uint32
	flags    uint32
}

func readHeader(frame []byte, flagsKnown uint32) (header, *abi.Violation) {
	var h header
	if len(frame) < abi.HeaderSize {
		return h, abi.Broken("%d bytes, a frame has %d at least", len(frame), abi.HeaderSize).In("header")
	}
	if string(frame[:4]) != abi.Magic {
		return h, abi.Broken("magic %q, not %q", frame[:4], abi.Magic).In("header")
	}
	if v := binary.LittleEndian.Uint16(frame[4:]); v != abi.Version {
		return h, abi.Broken("version %d, not %d", v, abi.Version).In("header")
	}
	h.kind = abi.Kind(binary.LittleEndian.Uint16(frame[6:]))
	h.sequence = binary.LittleEndian.Uint64(frame[16:])
	h.slot = binary.LittleEndian.Uint32(frame[24:])
	h.flags = binary.LittleEndian.Uint32(frame[28:])
	if n := binary.LittleEndian.Uint32(frame[8:]); uint64(n) != uint64(len(frame)) {
		return h, abi.Broken("total length %d of a frame of %d bytes", n, len(frame)).In("header")
	}
	if h.flags&^flagsKnown != 0 {
		return h, abi.Broken("unknown flags %#x", h.flags).In("header")
	}
	if binary.LittleEndian.Uint64(frame[32:]) != 0 {
		return h, abi.Broken("the reserved field is not zero").In("header")
	}
	sections := binary.LittleEndian.Uint32(frame[12:])
	if sections > abi.SectionsMax {
		return h, abi.Broken("%d sections, at most %d", sections, abi.SectionsMax).In("header")
	}
	h.sections = int(sections)
	if abi.HeaderSize+h.sections*abi.SectionEntrySize > len(frame) {
		return h, abi.Broken("a table of %d sections does not fit %d bytes", sections, len(frame)).In("header")
	}
	return h, nil
}

// section is an entry of the section table.
type section struct {
	id       abi.SectionID
	index    uint16
	must     bool
	low, end int
}

// readSection reads entry i of the table and checks that the section lies in the frame, after the table.
func readSection(frame []byte, h *header, i int) (section, *abi.Violation) {
	e := frame[abi.HeaderSize+i*abi.SectionEntrySize:]
	s := section{id: abi.SectionID(binary.LittleEndian.Uint16(e)), index: binary.LittleEndian.Uint16(e[2:])}
	flags := binary.LittleEndian.Uint32(e[4:])
	off, n := binary.LittleEndian.Uint32(e[8:]), binary.LittleEndian.Uint32(e[12:])
	if flags&^abi.FlagMustUnderstand != 0 {
		return s, s.at(abi.Broken("unknown flags %#x", flags))
	}
	s.must = flags&abi.FlagMustUnderstand != 0
	if off%8 != 0 {
		return s, s.at(abi.Broken("offset %d, not a multiple of 8", off))
	}
	table := abi.HeaderSize + h.sections*abi.SectionEntrySize
	if uint64(off) < uint64(table) || uint64(off)+uint64(n) > uint64(len(frame)) {
		return s, s.at(abi.Broken("%d bytes at offset %d lie outside of [%d, %d)", n, off, table, len(frame)))
	}
	s.low, s.end = int(off), int(off)+int(n)
	return s, nil
}

func (s *section) at(v *abi.Violation) *abi.Violation { return v.In("%s(%d)", s.id, s.index) }

// head returns the fixed part of a section, size bytes.
func (s *section) head(frame []byte, size int) ([]byte, *abi.Violation) {
	if s.end-s.low < size {
		return nil, abi.Broken("%d bytes, the section has %d at least", s.end-s.low, size)
	}
	return frame[s.low : s.low+size : s.low+size], nil
}

// nodes returns the run of nodes after the head. Columns and nodes are the counts that the head gives; a list has a node more.
func (s *section) nodes(frame []byte, size int, columns, nodes uint32) ([]byte, *abi.Violation) {
	if columns > abi.ColumnsMax {
		return nil, abi.Broken("%d columns, at most %d", columns, abi.ColumnsMax)
	}
	if nodes < columns || nodes > 2*columns {
		return nil, abi.Broken("%d nodes for %d columns", nodes, columns)
	}
	from := s.low + size
	end := from + int(nodes)*abi.NodeSize
	if end > s.end {
		return nil, abi.Broken("%d nodes do not fit the section", nodes)
	}
	return frame[from:end:end], nil
}

// noNodes checks that the columns have taken all nodes of a run.
func noNodes(rest []byte) *abi.Violation {
	if len(rest) > 0 {
		return abi.Broken("%d nodes after those of the columns", len(rest)/abi.NodeSize)
	}
	return nil
}

func zero(b []byte) bool {
	for _, x := range b {
		if x != 0 {
			return false
		}
	}
	return true
}

func u32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }
