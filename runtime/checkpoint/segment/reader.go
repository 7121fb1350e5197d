package segment

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"

	"github.com/zeebo/xxh3"

	"github.com/tidemill/tidemill/runtime/state"
)

// Reader reads one segment. It is a state.Reader, holds one block, and has verified every byte of an entry before it
// returns it; that nothing is missing is known at io.EOF. Errors of integrity are ErrDamaged and name the file and the block's
// offset. One goroutine uses it.
type Reader struct {
	file   string
	from   *bufio.Reader
	left   int64 // bytes of the file not yet read
	at     int64 // offset of the block that is being read
	next   int64 // offset after it
	total  xxh3.Hasher
	block  []byte
	of     Of
	spaces []*state.Space

	entries cursor // what is left of the block's entries
	space   *state.Space
	key     []byte
	count   int64
	err     error // sticky

	expect *Ref // what a manifest says of the segment; nil where none does
	closer io.Closer
}

// Open reads the header of a segment that a manifest names, and closes content where that fails. At the end the reader compares the
// segment with the Ref. Errors that are no damage are those of content.
func Open(ref Ref, content io.ReadCloser, bytes int64) (*Reader, error) {
	if bytes != ref.Bytes {
		content.Close()
		return nil, Damaged(ref.File, min(bytes, ref.Bytes), "it has %d bytes instead of %d", bytes, ref.Bytes)
	}
	r, err := NewReader(ref.File, content, bytes)
	if err != nil {
		return nil, err
	}
	r.expect = &ref
	return r, nil
}

// NewReader is Open for a segment that no manifest names.
func NewReader(file string, content io.ReadCloser, bytes int64) (*Reader, error) {
	r := &Reader{file: file, from: bufio.NewReaderSize(content, int(min(2*blockBytes, bytes))), left: bytes, closer: content}
	if err := r.start(); err != nil {
		content.Close()
		return nil, err
	}
	return r, nil
}

// start reads header and meta.
func (r *Reader) start() error {
	head := make([]byte, headerBytes)
	if err := r.fill(head); err != nil {
		return err
	}
	version := binary.LittleEndian.Uint32(head[8:])
	if string(head) != string(appendHeader(nil, version)) {
		return Damaged(r.file, 0, "its header is not that of a segment")
	}
	if version != Version {
		return Newer(r.file, int(version), Version)
	}
	_, _ = r.total.Write(head)
	r.next = headerBytes
	kind, payload, err := r.readBlock()
	if err != nil {
		return err
	}
	if kind != blockMeta {
		return r.damaged("its description is missing")
	}
	if r.of, err = decodeMeta(payload); err != nil {
		return r.damaged("%v", err)
	}
	if want := Name(r.of.Checkpoint, r.of.Node, r.of.Groups); r.file != want {
		return Damaged(r.file, -1, "it is another segment and belongs into %s", want)
	}
	return nil
}

// Of says what the segment holds.
func (r *Reader) Of() Of { return r.of }

// Close closes the file.
func (r *Reader) Close() error { return r.closer.Close() }

// Next returns the next entry, io.EOF after the last.
func (r *Reader) Next() (state.Entry, error) {
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

func (r *Reader) entry() (state.Entry, bool) {
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
func (r *Reader) advance() error {
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

func (r *Reader) end(payload []byte, before xxh3.Uint128) error {
	want := appendEnd(nil, r.count, r.at, before)[blockHeadBytes:]
	if string(payload) != string(want) {
		return Damaged(r.file, -1, "blocks are missing, doubled or out of order: its end does not fit")
	}
	if r.left > 0 {
		r.at = r.next
		return r.damaged("%d bytes follow its end", r.left)
	}
	if r.expect == nil {
		return io.EOF
	}
	if got := hashString(r.total.Sum128()); got != r.expect.XXH3 || r.count != r.expect.Entries {
		return Damaged(r.file, -1, "it is whole, but not the segment that the manifest names (XXH3 %s instead of %s)", got, r.expect.XXH3)
	}
	return io.EOF
}

// readBlock reads and verifies one block; the payload is valid until the next call.
func (r *Reader) readBlock() (kind uint32, payload []byte, err error) {
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
func (r *Reader) grow(n int) []byte {
	if cap(r.block) < n {
		old := r.block
		r.block = make([]byte, n, max(int64(n), min(blockBytes+blockHeadBytes, r.left)))
		copy(r.block, old)
	}
	r.block = r.block[:n]
	return r.block
}

func (r *Reader) fill(b []byte) error {
	if int64(len(b)) > r.left {
		return Damaged(r.file, r.next+r.left, "the file ends too early")
	}
	n, err := io.ReadFull(r.from, b)
	r.left -= int64(n)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return Damaged(r.file, -1, "the file became shorter while it was read")
	}
	return err
}

func (r *Reader) damaged(format string, args ...any) error {
	return Damaged(r.file, r.at, format, args...)
}
