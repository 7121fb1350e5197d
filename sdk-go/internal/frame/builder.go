package frame

import (
	"runtime"
	"unsafe"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
)

// Builder builds one answer, or one rows block, at a time in memory that it keeps. The bytes of an answer are valid until the
// next Start. All positions are byte offsets, because the memory may move when it grows.
type Builder struct {
	frame    *Reader // that is answered
	sections int     // at most
	buf      []byte  // always a multiple of 16 bytes long and 16-aligned
	entries  int
	section  int   // where the open section began
	spans    []int // where the offsets of buffers stand
	lent     bool  // some buffers lie elsewhere in memory
}

const bufferMin = 64 << 10

// Start begins an answer that echoes the frame and has at most sections sections. Nothing is written before the first of them.
func (b *Builder) Start(r *Reader, sections int) {
	b.frame, b.sections = r, sections
	b.entries, b.lent = 0, false
}

func (b *Builder) header() {
	b.buf, b.spans = b.buf[:0], b.spans[:0]
	b.Extend(abi.HeaderSize + b.sections*abi.SectionEntrySize)
	clear(b.buf)
	copy(b.buf, abi.Magic)
	b.PutU16(4, abi.Version)
	b.PutU16(6, uint16(b.frame.Kind))
	b.PutU64(16, b.frame.Sequence)
	b.PutU32(24, b.frame.Slot)
}

// Sections is the number of sections so far.
func (b *Builder) Sections() int { return b.entries }

// Open begins a section with a zeroed head and room for its nodes; it returns where the head is.
func (b *Builder) Open(id abi.SectionID, index, head, nodes int) int {
	if b.entries == 0 {
		b.header()
	}
	b.section = b.Extend(head + nodes*abi.NodeSize)
	clear(b.buf[b.section:])
	entry := abi.HeaderSize + b.entries*abi.SectionEntrySize
	b.PutU16(entry, uint16(id))
	b.PutU16(entry+2, uint16(index))
	b.PutU32(entry+8, uint32(b.section))
	b.entries++
	return b.section
}

// Close ends the open section.
func (b *Builder) Close() {
	entry := abi.HeaderSize + (b.entries-1)*abi.SectionEntrySize
	b.PutU32(entry+12, uint32(len(b.buf)-b.section))
}

// Finish completes the header and returns the answer.
func (b *Builder) Finish() []byte {
	if b.lent {
		b.PutU32(28, abi.FlagAbsolute)
		base := uint32(uintptr(unsafe.Pointer(unsafe.SliceData(b.buf))))
		for _, at := range b.spans {
			*(*uint32)(unsafe.Pointer(&b.buf[at])) += base
		}
	}
	b.PutU32(8, uint32(len(b.buf)))
	b.PutU32(12, uint32(b.entries))
	return b.buf
}

// StartBlock begins a rows block of columns without lists.
func (b *Builder) StartBlock(rows, columns int) {
	b.buf, b.spans = b.buf[:0], b.spans[:0]
	b.Extend(abi.BlockSize + columns*abi.NodeSize)
	clear(b.buf)
	b.PutU32(0, uint32(rows))
	b.PutU32(4, uint32(columns))
	b.PutU32(8, uint32(columns))
}

// FinishBlock completes the head of a rows block and returns it.
func (b *Builder) FinishBlock() []byte {
	b.PutU32(12, uint32(len(b.buf)))
	return b.buf
}

// Extend adds n bytes, padded with zeros to the alignment of a buffer, and returns where they begin. The n bytes hold whatever
// was there.
func (b *Builder) Extend(n int) int {
	at := len(b.buf)
	end := (at + n + abi.BufferAlign - 1) &^ (abi.BufferAlign - 1)
	if end > cap(b.buf) {
		b.buf = append(Aligned(max(end, 2*cap(b.buf), bufferMin))[:0], b.buf...)
	}
	b.buf = b.buf[:end]
	clear(b.buf[at+n:])
	return at
}

// Array adds an array of n elements of T, writes its offset at field and returns it for filling; it is valid until the next
// Extend. The offset stays 0 for n = 0.
func Array[T any](b *Builder, field, n int) []T {
	if n == 0 {
		return nil
	}
	var element T
	at := b.Extend(n * int(unsafe.Sizeof(element)))
	b.PutU32(field, uint32(at))
	return unsafe.Slice((*T)(unsafe.Pointer(&b.buf[at])), n)
}

// Bytes is the memory from an offset on, valid until the next Extend.
func (b *Builder) Bytes(at int) []byte { return b.buf[at:] }

// Buffer adds a column buffer of n bytes, writes offset and length to the span at field, and returns it for filling.
func (b *Builder) Buffer(field, n int) unsafe.Pointer {
	if n == 0 {
		return nil
	}
	at := b.Extend(n)
	b.PutU32(field, uint32(at))
	b.PutU32(field+4, uint32(n))
	b.spans = append(b.spans, field)
	return unsafe.Pointer(&b.buf[at])
}

// addresses says whether pointers are addresses of the contract: in a module of 32-bit memory they are.
const addresses = runtime.GOARCH == "wasm"

// Lend makes memory that stays as it is until the answer has been read a column buffer. In a module it is not copied.
func (b *Builder) Lend(field int, data []byte) {
	if !addresses {
		copy(unsafe.Slice((*byte)(b.Buffer(field, len(data))), len(data)), data)
		return
	}
	if len(data) == 0 {
		return
	}
	b.lent = true
	b.PutU32(field, uint32(uintptr(unsafe.Pointer(unsafe.SliceData(data)))))
	b.PutU32(field+4, uint32(len(data)))
}

// PutU16 writes at an offset.
func (b *Builder) PutU16(at int, v uint16) { *(*uint16)(unsafe.Pointer(&b.buf[at])) = v }

// PutU32 writes at an offset.
func (b *Builder) PutU32(at int, v uint32) { *(*uint32)(unsafe.Pointer(&b.buf[at])) = v }

// PutU64 writes at an offset.
func (b *Builder) PutU64(at int, v uint64) { *(*uint64)(unsafe.Pointer(&b.buf[at])) = v }

// Aligned allocates n bytes at a multiple of 16.
func Aligned(n int) []byte {
	raw := make([]byte, n+abi.BufferAlign-1)
	skip := int(-uintptr(unsafe.Pointer(unsafe.SliceData(raw))) & (abi.BufferAlign - 1))
	return raw[skip : skip+n : skip+n]
}
