package frame

import (
	"errors"
	"strconv"
	"unsafe"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
)

// Reader is one input frame. It keeps the places of the sections as offsets, because a struct full of pointers is slow to write in
// a module.
type Reader struct {
	Kind     abi.Kind
	Slot     uint32
	Sequence uint64

	Watermark      int64 // us
	ProcessingTime int64 // us
	Seed           uint64
	Port           int // index of the input port; abi.NoPort outside of BATCH frames

	base                unsafe.Pointer
	batch, keys, timers uint32   // offsets of the sections, 0 where there is none
	states              []uint32 // by state id
}

var errForeign = errors.New("not a frame of version 1 of the contract")

// errSection is a section that this SDK does not know and must understand.
type errSection abi.SectionID

func (e errSection) Error() string {
	return "the frame has a section " + strconv.Itoa(int(e)) + " that this SDK does not know and must understand"
}

// Read reads header, section table and context. The frame must stay as it is while the reader and its sections are used.
func (r *Reader) Read(data []byte, states int) error {
	if len(data) < abi.HeaderSize || string(data[:4]) != abi.Magic {
		return errForeign
	}
	base := unsafe.Pointer(unsafe.SliceData(data))
	if load[uint16](base, 4) != abi.Version || int(load[uint32](base, 8)) > len(data) {
		return errForeign
	}
	r.base = base
	r.Kind = abi.Kind(load[uint16](base, 6))
	r.Sequence = load[uint64](base, 16)
	r.Slot = load[uint32](base, 24)
	r.Port = abi.NoPort
	r.batch, r.keys, r.timers = 0, 0, 0
	if states > len(r.states) {
		r.states = make([]uint32, states)
	}
	for i := range r.states {
		r.states[i] = 0
	}
	entry := unsafe.Add(base, abi.HeaderSize)
	for range load[uint32](base, 12) {
		if err := r.section(entry); err != nil {
			return err
		}
		entry = unsafe.Add(entry, abi.SectionEntrySize)
	}
	return nil
}

func (r *Reader) section(entry unsafe.Pointer) error {
	at := load[uint32](entry, 8)
	switch id := abi.SectionID(load[uint16](entry, 0)); id {
	case abi.SectionContext:
		context := unsafe.Add(r.base, at)
		r.Watermark = load[int64](context, 0)
		r.ProcessingTime = load[int64](context, 8)
		r.Seed = load[uint64](context, 16)
		r.Port = int(load[uint16](context, 24))
	case abi.SectionBatch:
		r.batch = at
	case abi.SectionKeys:
		r.keys = at
	case abi.SectionTimers:
		r.timers = at
	case abi.SectionState:
		if id := int(load[uint16](entry, 2)); id < len(r.states) {
			r.states[id] = at
		}
	default:
		if load[uint32](entry, 4)&abi.FlagMustUnderstand != 0 {
			return errSection(id)
		}
	}
	return nil
}

func (r *Reader) at(offset uint32) Section {
	if offset == 0 {
		return Section{}
	}
	return Section{base: r.base, head: unsafe.Add(r.base, offset)}
}

// Batch is the section of the rows.
func (r *Reader) Batch() Section { return r.at(r.batch) }

// Keys is the section of the keys.
func (r *Reader) Keys() Section { return r.at(r.keys) }

// Timers is the section of the timers that fire.
func (r *Reader) Timers() Section { return r.at(r.timers) }

// State is the section of a state, by its id.
func (r *Reader) State(id int) Section { return r.at(r.states[id]) }

// Items is the number of rows or timers of the frame.
func (r *Reader) Items() int {
	switch r.Kind {
	case abi.KindBatch:
		return int(r.Batch().U32(0))
	case abi.KindTimers:
		return int(r.Timers().U32(0))
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

// Columns appends the n nodes that follow a head of headSize bytes: a column each, and behind a list that of its elements. They are
// written field by field, because copying a
// struct with pointers is slow in a module.
func (s Section) Columns(to []Column, headSize uintptr, n int) []Column {
	from := len(to)
	if from+n > cap(to) {
		to = append(make([]Column, 0, 2*(from+n)), to...)
	}
	to = to[:from+n]
	node := unsafe.Add(s.head, headSize)
	for i := range to[from:] {
		c := &to[from+i]
		c.Type = abi.Type(load[uint16](node, 0))
		c.Len = int(load[uint32](node, 4))
		c.Nulls = int(load[uint32](node, 8))
		c.Validity = nil
		if c.Nulls > 0 {
			c.Validity = s.buffer(load[uint64](node, 16))
		}
		c.Offsets = s.buffer(load[uint64](node, 24))
		c.Values = s.buffer(load[uint64](node, 32))
		node = unsafe.Add(node, abi.NodeSize)
	}
	return to
}

// buffer is the address of the buffer that a span of a node names: its offset, and in the high half its length.
func (s Section) buffer(span uint64) unsafe.Pointer {
	if span>>32 == 0 {
		return nil
	}
	return unsafe.Add(s.base, uint32(span))
}

// Column is a view of a column's buffers.
type Column struct {
	Type     abi.Type
	Len      int
	Nulls    int
	Validity unsafe.Pointer // a bit a row; nil where no row is null
	Offsets  unsafe.Pointer // int32[Len+1] for utf8, binary and list
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
