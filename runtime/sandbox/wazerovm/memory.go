package wazerovm

import "syscall"

// linearMemory is the memory of one instance: address space for all that the instance may ever have, reserved at once and made
// accessible page by page. Growing never moves or copies it, untouched pages take no memory, and an access beyond the end
// that the engine's own checks let through would hit inaccessible pages. It lies outside of Go's heap.
type linearMemory struct {
	reserved []byte
	view     []byte // what the guest has
}

func reserve(bytesMax uint64) (*linearMemory, error) {
	b, err := syscall.Mmap(-1, 0, int(bytesMax), syscall.PROT_NONE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, err
	}
	return &linearMemory{reserved: b}, nil
}

// Reallocate implements experimental.LinearMemory: nil makes memory.grow fail inside the guest.
func (m *linearMemory) Reallocate(size uint64) []byte {
	if size > uint64(len(m.reserved)) {
		return nil
	}
	if grown := m.reserved[len(m.view):size]; len(grown) > 0 {
		if err := syscall.Mprotect(grown, syscall.PROT_READ|syscall.PROT_WRITE); err != nil {
			return nil
		}
	}
	m.view = m.reserved[:size:size]
	return m.view
}

// Free implements experimental.LinearMemory. wazero calls it when a fault closes the module; the memory stays readable until the
// instance is closed.
func (m *linearMemory) Free() {}

func (m *linearMemory) release() {
	if m.reserved != nil {
		// An error would mean that the slice is not a mapping, which it is.
		_ = syscall.Munmap(m.reserved)
	}
	m.reserved, m.view = nil, nil
}
