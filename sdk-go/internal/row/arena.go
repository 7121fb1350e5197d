package row

import (
	"unsafe"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
)

// Arena is memory for strings and byte slices that must live until the end of a frame.
type Arena struct {
	chunks [][]byte
	used   int // chunks in use; the last of them has room
	free   []byte
}

const arenaChunk = 64 << 10

// Reset forgets all that was allocated.
func (a *Arena) Reset() { a.used, a.free = 0, nil }

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

// Block copies b to a multiple of 16, where the buffers of a rows block must be.
func (a *Arena) Block(b []byte) []byte {
	to := a.Alloc(len(b) + abi.BufferAlign)
	skip := -uintptr(unsafe.Pointer(unsafe.SliceData(to))) & (abi.BufferAlign - 1)
	to = to[skip:][:len(b)]
	copy(to, b)
	return to
}

func (a *Arena) clone(b []byte) []byte {
	to := a.Alloc(len(b))
	copy(to, b)
	return to
}

// TextBytes is the length of all strings and byte slices of a row.
func (l *Layout) TextBytes(row unsafe.Pointer) int {
	n := 0
	for _, at := range l.texts {
		n += *(*int)(unsafe.Add(row, at+unsafe.Sizeof(at))) // both begin with a pointer and a length
	}
	return n
}

// Own replaces the byte slices of a row by copies in the arena, because their owner may change them. Strings stay: they do not
// change, and those that this SDK makes live as long as the arena's content.
func (l *Layout) Own(a *Arena, row unsafe.Pointer) {
	for _, at := range l.slices {
		s := (*[]byte)(unsafe.Add(row, at))
		*s = a.clone(*s)
	}
}

// Keep replaces the strings and byte slices of a row, views of a buffer that will be used again, by copies in the arena.
func (l *Layout) Keep(a *Arena, row unsafe.Pointer) {
	l.Own(a, row)
	for _, at := range l.strings {
		s := (*string)(unsafe.Add(row, at))
		b := a.clone(unsafe.Slice(unsafe.StringData(*s), len(*s)))
		*s = unsafe.String(unsafe.SliceData(b), len(b))
	}
}

// HasTexts says whether rows have strings or byte slices.
func (l *Layout) HasTexts() bool { return len(l.texts) > 0 }

// HasSlices says whether rows have byte slices.
func (l *Layout) HasSlices() bool { return len(l.slices) > 0 }
