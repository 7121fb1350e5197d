package row

import (
	"unsafe"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
)

// Arena is memory for texts and lists that must live until the end of a frame. What holds pointers lies apart, where the garbage
// collector sees them.
type Arena struct {
	bytes   chunks[byte]
	words   chunks[uint64] // elements of lists that are numbers
	strings chunks[string]
	slices  chunks[[]byte]
}

// chunks are pieces of memory that are used again after a reset.
type chunks[T any] struct {
	all  [][]T
	used int // chunks in use; the last of them has room
	free []T
}

// chunkBytes is the least size of a chunk.
const chunkBytes = 64 << 10

func (c *chunks[T]) reset() { c.used, c.free = 0, nil }

func (c *chunks[T]) alloc(n int) []T {
	for n > len(c.free) {
		if c.used == len(c.all) {
			var value T
			c.all = append(c.all, make([]T, max(n, chunkBytes/int(unsafe.Sizeof(value)))))
		}
		c.free = c.all[c.used]
		c.used++
	}
	b := c.free[:n:n]
	c.free = c.free[n:]
	return b
}

// Reset forgets all that was allocated.
func (a *Arena) Reset() {
	a.bytes.reset()
	a.words.reset()
	a.strings.reset()
	a.slices.reset()
}

// Alloc is n bytes that live until the next Reset.
func (a *Arena) Alloc(n int) []byte { return a.bytes.alloc(n) }

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

// elements is memory for n values of a type, of so many bytes each.
func (a *Arena) elements(t abi.Type, n int, size uintptr) unsafe.Pointer {
	switch t {
	case abi.UTF8:
		return unsafe.Pointer(unsafe.SliceData(a.strings.alloc(n)))
	case abi.Binary:
		return unsafe.Pointer(unsafe.SliceData(a.slices.alloc(n)))
	}
	const word = unsafe.Sizeof(uint64(0))
	return unsafe.Pointer(unsafe.SliceData(a.words.alloc(int((uintptr(n)*size + word - 1) / word))))
}

// HeldBytes is what the texts and lists of a row take in an answer.
func (l *Layout) HeldBytes(row unsafe.Pointer) int {
	n := 0
	for _, at := range l.texts {
		n += *(*int)(unsafe.Add(row, at+unsafe.Sizeof(at))) // both begin with a pointer and a length
	}
	for i := range l.lists {
		f := &l.lists[i]
		n += f.listBytes((*slice)(unsafe.Add(row, f.at)))
	}
	return n
}

// Own replaces the byte slices and lists of a row by copies in the arena, because their owner may change them. Strings stay: they
// do not change, and those that this SDK makes live as long as the arena's content.
func (l *Layout) Own(a *Arena, row unsafe.Pointer) {
	for _, at := range l.slices {
		s := (*[]byte)(unsafe.Add(row, at))
		*s = a.clone(*s)
	}
	for i := range l.lists {
		f := &l.lists[i]
		f.ownList(a, (*slice)(unsafe.Add(row, f.at)))
	}
}

// HoldsMemory says whether rows have texts or lists.
func (l *Layout) HoldsMemory() bool { return len(l.texts)+len(l.lists) > 0 }

// Changing says whether rows have what its owner may change: byte slices or lists.
func (l *Layout) Changing() bool { return len(l.slices)+len(l.lists) > 0 }
