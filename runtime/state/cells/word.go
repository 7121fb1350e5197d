package cells

import "encoding/binary"

// U32 and the functions below read and write the fields of a cell, at a byte offset, little-endian.
func U32(b []byte, at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }

// U64 reads a field of eight bytes.
func U64(b []byte, at int) uint64 { return binary.LittleEndian.Uint64(b[at:]) }

// Put32 writes a field of four bytes.
func Put32(b []byte, at int, v uint32) { binary.LittleEndian.PutUint32(b[at:], v) }

// Put64 writes a field of eight bytes.
func Put64(b []byte, at int, v uint64) { binary.LittleEndian.PutUint64(b[at:], v) }
