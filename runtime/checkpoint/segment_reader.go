package checkpoint

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"

	"github.com/zeebo/xxh3"

	"github.com/tidemill/tidemill/runtime/state"
)

// SegmentReader reads one segment. It is a state.Reader, holds one block, and has verified every byte of an entry before it
// returns it; that nothing is missing is known at io.EOF. Errors of integrity are ErrDamaged and name the file and the block's
// offset. One goroutine uses it.
type SegmentReader struct {
	file   string
	from   *bufio.Reader
	left   int64 // bytes of the file not yet read
	at     int64 // offset of the block that is being read
	next   int64 // offset after it
	total  xxh3.Hasher
	block  []byte
	of     SegmentOf
	spaces []*state.Space

	entries cursor // what is left of the block's entries
	space   *state.Space
	key     []byte
	count   int64
	err     error // sticky

	expect *Segment // what a manifest says of the segment; nil where none does
	closer io.Closer
}

// NewSegmentReader reads the header and says what the segment holds (Of). The caller closes content.
func NewSegmentReader(file string, content Content) (*SegmentReader, error) {
	r := &SegmentReader{file: file, from: bufio.NewReaderSize(content, int(min(2*blockBytes, content.Bytes()))), left: content.Bytes()}
	head := make([]byte, segmentHeaderBytes)
	if err := r.fill(head); err != nil {
		return nil, err
	}
	version := binary.LittleEndian.Uint32(head[8:])
	if string(head) != string(appendHeader(nil, version)) {
		return nil, damaged(file, 0, "its header is not that of a segment")
	}
	if version != SegmentVersion {
		return nil, newer(file, int(version), SegmentVersion)
	}
	_, _ = r.total.Write(head)
	r.next = segmentHeaderBytes
	kind, payload, err := r.readBlock()
	if err != nil {
		return nil, err
	}
	if kind != blockMeta {
		return nil, r.damaged("its description is missing")
	}
	if r.of, err = decodeMeta(payload); err != nil {
		return nil, r.damaged("%v", err)
	}
	if want := SegmentName(r.of.Checkpoint, r.of.Node, r.of.Groups); file != want {
		return nil, damaged(file, -1, "it is another segment and belongs into %s", want)
	}
	return r, nil
}

// Of says what the segment holds.
func (r *SegmentReader) Of() SegmentOf { return r.of }

// Close frees the file where OpenSegment opened it.
func (r *SegmentReader) Close() error {
	if r.closer == nil {
		return nil
	}
	return r.closer.Close()
}

// Next returns the next entry, io.EOF after the last.
func (r *SegmentReader) Next() (state.Entry, error) {
	if r.err != nil {
		return state.Entry{}, r.err
	}
	for len(r.entries.rest) == 0 {
		if r.err = r.advance(); r.err != nil {
			return state.Entry{}, r.err
		}
	}
	e, ok := r.entry()
	if !ok {
		r.err = r.damaged("an entry does not fit its block")
		return state.Entry{}, r.err
	}
	r.count++
	return e, nil
}

func (r *SegmentReader) entry() (state.Entry, bool) {
	c := &r.entries
	head := c.uvarint()
	subLen := c.uvarint()
	e := state.Entry{Space: r.space, Deleted: head&1 != 0}
	var valueLen uint64
	if !e.Deleted {
		valueLen = c.uvarint()
	}
	if head&2 == 0 {
		r.key = c.take(head >> 2)
	} else if r.key == nil || head>>2 != 0 {
		return e, false
	}
	e.Key, e.Sub, e.Value = r.key, c.take(subLen), c.take(valueLen)
	return e, !c.bad
}

// advance goes to the next block of entries; io.EOF where the segment ends as it should.
func (r *SegmentReader) advance() error {
	before := r.total.Sum128()
	kind, payload, err := r.readBlock()
	if err != nil {
		return err
	}
	switch kind {
	case blockSpace:
		space, err := decodeSpace(payload)
		if err != nil || len(r.spaces) == spacesMax {
			return r.damaged("its description of a state cannot be read")
		}
		r.spaces = append(r.spaces, space)
		return nil
	case blockEntries:
		r.entries, r.key = cursor{rest: payload}, nil
		index := r.entries.uvarint()
		if index >= uint64(len(r.spaces)) || len(r.entries.rest) == 0 {
			return r.damaged("it has entries of a state that it does not describe")
		}
		r.space = r.spaces[index]
		return nil
	case blockEnd:
		return r.end(payload, before)
	}
	return r.damaged("a block has the unknown type %d", kind)
}

func (r *SegmentReader) end(payload []byte, before xxh3.Uint128) error {
	want := appendEnd(nil, r.count, r.at, before)[blockHeadBytes:]
	if string(payload) != string(want) {
		return damaged(r.file, -1, "blocks are missing, doubled or out of order: its end does not fit")
	}
	if r.left > 0 {
		r.at = r.next
		return r.damaged("%d bytes follow its end", r.left)
	}
	if r.expect == nil {
		return io.EOF
	}
	if got := hashString(r.total.Sum128()); got != r.expect.XXH3 || r.count != r.expect.Entries {
		return damaged(r.file, -1, "it is whole, but not the segment that the manifest names (XXH3 %s instead of %s)", got, r.expect.XXH3)
	}
	return io.EOF
}

// readBlock reads and verifies one block; the payload is valid until the next call.
func (r *SegmentReader) readBlock() (kind uint32, payload []byte, err error) {
	r.at = r.next
	head := r.grow(blockHeadBytes)
	if err := r.fill(head); err != nil {
		return 0, nil, err
	}
	length := int64(binary.LittleEndian.Uint32(head[8:]))
	if length > blockBytesMax || length > r.left {
		return 0, nil, r.damaged("a block says that it has %d bytes, %d are left in the file", length, r.left)
	}
	block := r.grow(blockHeadBytes + int(length))
	if err := r.fill(block[blockHeadBytes:]); err != nil {
		return 0, nil, err
	}
	if xxh3.Hash(block[8:]) != binary.LittleEndian.Uint64(block) {
		return 0, nil, r.damaged("the checksum of a block of %d bytes does not fit", len(block))
	}
	_, _ = r.total.Write(block)
	r.next += int64(len(block))
	return binary.LittleEndian.Uint32(block[12:]), block[blockHeadBytes:], nil
}

// grow returns the block buffer at a length, its content kept.
func (r *SegmentReader) grow(n int) []byte {
	if cap(r.block) < n {
		old := r.block
		r.block = make([]byte, n, max(n, blockBytes+blockHeadBytes))
		copy(r.block, old)
	}
	r.block = r.block[:n]
	return r.block
}

func (r *SegmentReader) fill(b []byte) error {
	if int64(len(b)) > r.left {
		return damaged(r.file, r.next+r.left, "the file ends too early")
	}
	n, err := io.ReadFull(r.from, b)
	r.left -= int64(n)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return damaged(r.file, -1, "the file became shorter while it was read")
	}
	return ReadError(r.file, err)
}

func (r *SegmentReader) damaged(format string, args ...any) error {
	return damaged(r.file, r.at, format, args...)
}
