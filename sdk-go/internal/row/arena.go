package row

import (
	"unsafe"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
)

// Arena keeps copies of strings and byte slices until the end of a frame.
type Arena struct {
	chunks [][]byte
	used   int // chunks in use; the last of them has room
	free   []byte
	frame  []byte // bytes that live as long as the arena's own
}

const arenaChunk = 64 << 10

// Reset forgets all copies. What lies in frame needs no copy until the next Reset.
func (a *Arena) Reset(frame []byte) {
	a.frame, a.used, a.free = frame, 0, nil
}

// Alloc is n bytes that live until the next Reset.
func (a *Arena) Alloc(n int) []byte {
	for n > len(a.free) {
		if a.used == len(a.chunks) {
			a.chunks = append(a.chunks, make([]byte, max(n, arenaChunk)))
		}
		a.free = a.chunks[a.used]
		a.used++
	}
	b := a.free[:n:n]
	a.free = a.free[n:]
	return b
}

// Keep copies b, at a multiple of 16, where the buffers of a block must be.
func (a *Arena) Keep(b []byte) []byte {
	to := a.Alloc(len(b) + abi.BufferAlign)
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(to))) & (abi.BufferAlign - 1)
	to = to[skip:][:len(b)]
	copy(to, b)
	return to
}

func (a *Arena) keep(p *byte, n int) *byte {
	if n == 0 {
		return nil
	}
	start := uintptr(unsafe.Pointer(unsafe.SliceData(a.frame)))
	if at := uintptr(unsafe.Pointer(p)); at-start < uintptr(len(a.frame)) {
		return p
	}
	b := a.Alloc(n)
	copy(b, unsafe.Slice(p, n))
	return unsafe.SliceData(b)
}

// Own replaces the strings and byte slices of a row by copies in the arena and returns their total length.
func (l *Layout) Own(a *Arena, row unsafe.Pointer) int {
	total := 0
	for _, i := range l.variable {
		f := &l.Fields[i]
		p := unsafe.Add(row, f.at)
		if f.Type == abi.UTF8 {
			s := (*string)(p)
			total += len(*s)
			*s = unsafe.String(a.keep(unsafe.StringData(*s), len(*s)), len(*s))
			continue
		}
		s := (*[]byte)(p)
		total += len(*s)
		*s = unsafe.Slice(a.keep(unsafe.SliceData(*s), len(*s)), len(*s))
	}
	return total
}

// Variable says whether rows have strings or byte slices.
func (l *Layout) Variable() bool { return len(l.variable) > 0 }
