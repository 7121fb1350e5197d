package cells

import "encoding/binary"

// Header is the first word of a cell: the length of its row (21 bits) and of its key (17 bits), four flags, and the generation
// in which it was written (22 bits).
type Header uint64

// Limits of a header's fields.
const (
	RowMax = 1<<21 - 1
	KeyMax = 1<<17 - 1
	genMax = 1<<22 - 1

	keyAt  = 21
	flagAt = 38
	genAt  = 42
)

// Flags of a header.
const (
	Absent Header = 1 << (flagAt + iota) // known to be absent: what is beneath, if anything, does not count
	Stored                               // an earlier checkpoint, or the store beneath, may know the key
	Dead                                 // replaced or deleted since it was written; only its place in the dirty list is left
	Blind                                // written without having looked in the store beneath
)

// MakeHeader makes a header without flags.
func MakeHeader(keyLen, rowLen int, gen uint32) Header {
	return Header(rowLen) | Header(keyLen)<<keyAt | Header(gen)<<genAt
}

// RowLen is the length of the row.
func (h Header) RowLen() int { return int(h & RowMax) }

// KeyLen is the length of the key.
func (h Header) KeyLen() int { return int(h >> keyAt & KeyMax) }

// Gen is the generation.
func (h Header) Gen() uint32 { return uint32(h >> genAt) }

// HeaderOf reads the header at the start of b.
func HeaderOf(b []byte) Header { return Header(binary.LittleEndian.Uint64(b)) }

// Put writes the header to the start of b.
func (h Header) Put(b []byte) { binary.LittleEndian.PutUint64(b, uint64(h)) }
