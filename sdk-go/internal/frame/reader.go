package frame

import (
	"errors"
	"unsafe"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
)

// Reader is one input frame. Its sections are zero where the frame has none.
type Reader struct {
	Kind     abi.Kind
	Sequence uint64
	Slot     uint32

	Watermark      int64 // us
	ProcessingTime int64 // us
	Seed           uint64
	Port           int // index of the input port; abi.NoPort outside of BATCH frames

	Batch  Section
	Keys   Section
	Timers Section
	States []Section // by state id
}

var errForeign = errors.New("not a frame of version 1 of the contract")

// Read reads header, section table and context. The frame must stay as it is while the reader and its sections are used.
func (r *Reader) Read(data []byte, states int) error {
	if len(data) < abi.HeaderSize || string(data[:4]) != abi.Magic {
		return errForeign
	}
	base := unsafe.Pointer(unsafe.SliceData(data))
	if load[uint16](base, 4) != abi.Version || int(load[uint32](base, 8)) > len(data) {
		return errForeign
	}
	*r = Reader{
		Kind:     abi.Kind(load[uint16](base, 6)),
		Sequence: load[uint64](base, 16),
		Slot:     load[uint32](base, 24),
		Port:     abi.NoPort,
		States:   r.States[:0],
	}
	for range states {
		r.States = append(r.States, Section{})
	}
	entry := unsafe.Add(base, abi.HeaderSize)
	for range load[uint32](base, 12) {
		r.section(base, entry)
		entry = unsafe.Add(entry, abi.SectionEntrySize)
	}
	return nil
}

func (r *Reader) section(base, entry unsafe.Pointer) {
	at := load[uint32](entry, 8)
	s := Section{base: base, head: unsafe.Add(base, at)}
	switch abi.SectionID(load[uint16](entry, 0)) {
	case abi.SectionContext:
		r.Watermark = load[int64](s.head, 0)
		r.ProcessingTime = load[int64](s.head, 8)
		r.Seed = load[uint64](s.head, 16)
		r.Port = int(load[uint16](s.head, 24))
	case abi.SectionBatch:
		r.Batch = s
	case abi.SectionKeys:
		r.Keys = s
	case abi.SectionTimers:
		r.Timers = s
	case abi.SectionState:
		if id := int(load[uint16](entry, 2)); id < len(r.States) {
			r.States[id] = s
		}
	}
}

// Items is the number of rows or timers of the frame.
func (r *Reader) Items() int {
	switch r.Kind {
	case abi.KindBatch:
		return int(r.Batch.U32(0))
	case abi.KindTimers:
		return int(r.Timers.U32(0))
	}
	return 0
}

// Section is a section of a frame, or a rows block. The zero Section is absent.
type Section struct {
	base, head unsafe.Pointer
}

// Block is the rows block in data.
func Block(data []byte) Section {
	p := unsafe.Pointer(unsafe.SliceData(data))
	return Section{base: p, head: p}
}

// Present says whether the frame has the section.
func (s Section) Present() bool { return s.head != nil }

// U32 is the number at a byte offset of the section's head.
func (s Section) U32(field uintptr) uint32 { return load[uint32](s.head, field) }

// Slice is an array of n elements, or nil where it or the section is absent.
func Slice[T any](s Section, field uintptr, n int) []T {
	if !s.Present() {
		return nil
	}
	at := s.U32(field)
	if at == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Add(s.base, at)), n)
}

// Columns appends the columns whose n nodes follow a head of headSize bytes.
func (s Section) Columns(to []Column, headSize uintptr, n int) []Column {
	node := unsafe.Add(s.head, headSize)
	for range n {
		c := Column{
			Type:   abi.Type(load[uint16](node, 0)),
			Len:    int(load[uint32](node, 4)),
			Nulls:  int(load[uint32](node, 8)),
			Values: s.buffer(node, 32),
		}
		if c.Nulls > 0 {
			c.Validity = s.buffer(node, 16)
		}
		c.Offsets = s.buffer(node, 24)
		to = append(to, c)
		node = unsafe.Add(node, abi.NodeSize)
	}
	return to
}

func (s Section) buffer(node unsafe.Pointer, span uintptr) unsafe.Pointer {
	if load[uint32](node, span+4) == 0 {
		return nil
	}
	return unsafe.Add(s.base, load[uint32](node, span))
}

// Column is a view of a column's buffers.
type Column struct {
	Type     abi.Type
	Len      int
	Nulls    int
	Validity unsafe.Pointer // a bit a row; nil where no row is null
	Offsets  unsafe.Pointer // int32[Len+1] for utf8 and binary
	Values   unsafe.Pointer
}

func load[T any](p unsafe.Pointer, offset uintptr) T { return *(*T)(unsafe.Add(p, offset)) }

// Slot is the slot that a frame is for.
func Slot(data []byte) uint32 {
	if len(data) < abi.HeaderSize {
		return 1<<32 - 1
	}
	return load[uint32](unsafe.Pointer(unsafe.SliceData(data)), 24)
}
