package segment

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/zeebo/xxh3"

	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
)

// A segment at rest is a header and blocks, integers little-endian:
//
//	header   8 bytes "tidemseg", u32 version, u32 zero, u64 XXH3-64 of the 16 bytes before; alike in every version
//	block    u64 XXH3-64 of the rest of the block, u32 payload length, u32 type, payload
//
// The blocks are one meta (JSON: what the segment holds), any order of spaces and entries, and one end, after which the file ends:
//
//	space    kind, name, map key fields, value fields; the first space of a segment has index 0, the next 1, ...
//	entries  uvarint space index, then entries: uvarint (key length << 2 | same << 1 | deleted), uvarint sub length,
//	         uvarint value length (not where deleted), key, sub, value. same: the key is that of the entry before in this block,
//	         and the key length is 0
//	end      u64 entries, u64 length and 16 bytes XXH3-128 of everything before this block
//
// So each byte is under a block's checksum, and the end finds blocks that are missing, doubled or out of order. An entry costs 3
// to 5 bytes besides its key, sub and value, a block of 64 KiB 16 bytes.
const (
	magic          = "tidemseg"
	headerBytes    = 24
	blockHeadBytes = 16
	endBytes       = 32

	blockMeta    = 1
	blockSpace   = 2
	blockEntries = 3
	blockEnd     = 4

	// Version is the format that this build writes, and the newest that it reads.
	Version = 1

	// blockBytes is the size at which a block of entries is closed: large enough for its 16 bytes not to matter, small enough
	// for a reader's memory and for naming the place of damage.
	blockBytes = 64 << 10

	// EntryBytesMax limits key, sub and value of one entry together, and with it the memory of a reader. It is well above the
	// 1 MiB cell and 64 KiB key that guests may have.
	EntryBytesMax = 16 << 20

	// blockBytesMax is the greatest payload that a reader accepts: one entry with its lengths.
	blockBytesMax = EntryBytesMax + 64

	// spacesMax limits the spaces of a segment: 64 states and 64 timer names of an entry, and as many again that are no longer
	// declared and carried along.
	spacesMax = 4096
)

func appendHeader(dst []byte, version uint32) []byte {
	dst = append(dst, magic...)
	dst = binary.LittleEndian.AppendUint32(dst, version)
	dst = binary.LittleEndian.AppendUint32(dst, 0)
	return binary.LittleEndian.AppendUint64(dst, xxh3.Hash(dst[len(dst)-16:]))
}

// beginBlock makes room for a block's head; sealBlock fills it in.
func beginBlock(dst []byte) []byte { return append(dst, make([]byte, blockHeadBytes)...) }

func sealBlock(block []byte, kind uint32) {
	binary.LittleEndian.PutUint32(block[8:], uint32(len(block)-blockHeadBytes))
	binary.LittleEndian.PutUint32(block[12:], kind)
	binary.LittleEndian.PutUint64(block, xxh3.Hash(block[8:]))
}

func appendSpace(dst []byte, s *state.Space) []byte {
	dst = append(dst, byte(s.Kind))
	dst = appendString(dst, s.Name)
	dst = appendFields(dst, s.MapKey)
	return appendFields(dst, s.Value)
}

func appendFields(dst []byte, fields []record.Field) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(fields)))
	for _, f := range fields {
		dst = appendString(dst, f.Name)
		dst = binary.AppendUvarint(dst, uint64(f.Type))
		nullable := byte(0)
		if f.Nullable {
			nullable = 1
		}
		dst = append(dst, nullable)
	}
	return dst
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// cursor reads a payload; the first thing out of bounds sets bad, and from then on everything read is zero.
type cursor struct {
	rest []byte
	bad  bool
}

func (c *cursor) uvarint() uint64 {
	v, n := binary.Uvarint(c.rest)
	if n <= 0 {
		c.bad, c.rest = true, nil
		return 0
	}
	c.rest = c.rest[n:]
	return v
}

func (c *cursor) take(n uint64) []byte {
	if n > uint64(len(c.rest)) {
		c.bad, c.rest = true, nil
		return nil
	}
	b := c.rest[:n:n]
	c.rest = c.rest[n:]
	return b
}

func (c *cursor) byte() byte {
	if b := c.take(1); b != nil {
		return b[0]
	}
	return 0
}

func (c *cursor) fields() []record.Field {
	n := c.uvarint()
	if n > uint64(len(c.rest)) { // a field takes more than a byte
		c.bad = true
		return nil
	}
	var fields []record.Field
	for range n {
		name, typ := string(c.take(c.uvarint())), c.uvarint()
		f := record.Field{Name: name, Type: record.Type(typ), Nullable: c.byte() == 1}
		if t, known := record.ParseType(f.Type.String()); !known || uint64(t) != typ {
			c.bad = true
		}
		fields = append(fields, f)
	}
	return fields
}

func decodeSpace(payload []byte) (*state.Space, error) {
	c := cursor{rest: payload}
	s := &state.Space{Kind: state.SpaceKind(c.byte())}
	s.Name = string(c.take(c.uvarint()))
	s.MapKey = c.fields()
	s.Value = c.fields()
	if c.bad || len(c.rest) != 0 || s.Kind < state.SpaceValue || s.Kind > state.SpaceTimersProcessing {
		return nil, fmt.Errorf("its description of a state cannot be read")
	}
	return s, nil
}

func decodeMeta(payload []byte) (Of, error) {
	var of Of
	if err := json.Unmarshal(payload, &of); err != nil {
		return of, fmt.Errorf("its description cannot be read: %w", err)
	}
	return of, nil
}
