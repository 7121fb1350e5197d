package wazerovm

import (
	"golang.org/x/sys/unix"
)

// linearMemory is the memory of one instance: address space for all that the instance may ever have, reserved at once and made
// accessible page by page. Growing never moves or copies it, untouched pages take no memory, and an access beyond the end
// that the engine's own checks let through would hit inaccessible pages. It lies outside of Go's heap.
//
// What it holds at first is a private view of an image: the system copies a page when the instance writes to it.
type linearMemory struct {
	reserved []byte
	view     []byte // what the guest has
}

// reserve makes a memory of size bytes at first and bytesMax at most, both whole pages of WebAssembly.
func reserve(size, bytesMax uint64, content *image) (*linearMemory, error) {
	b, err := unix.Mmap(-1, 0, int(bytesMax), unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, err
	}
	m := &linearMemory{reserved: b}
	if size > 0 {
		err = m.grow(size)
	}
	if err == nil {
		err = content.copyTo(m.view)
	}
	if err != nil {
		m.release()
		return nil, err
	}
	return m, nil
}

// Reallocate implements experimental.LinearMemory: nil makes memory.grow fail inside the guest. wazero asks first for what the
// module declares; an image may be larger.
func (m *linearMemory) Reallocate(size uint64) []byte {
	if size > uint64(len(m.view)) {
		if size > uint64(len(m.reserved)) || m.grow(size) != nil {
			return nil
		}
	}
	return m.view
}

func (m *linearMemory) grow(size uint64) error {
	if err := unix.Mprotect(m.reserved[len(m.view):size], unix.PROT_READ|unix.PROT_WRITE); err != nil {
		return err
	}
	m.view = m.reserved[:size:size]
	return nil
}

// Free implements experimental.LinearMemory. wazero calls it when a fault closes the module; the memory stays readable until the
// instance is closed.
func (m *linearMemory) Free() {}

func (m *linearMemory) release() {
	if m.reserved != nil {
		// An error would mean that the slice is not a mapping, which it is.
		_ = unix.Munmap(m.reserved)
	}
	m.reserved, m.view = nil, nil
}
