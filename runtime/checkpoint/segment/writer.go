package segment

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"github.com/zeebo/xxh3"

	"github.com/tidemill/tidemill/runtime/state"
)

// Writer writes one segment. It is a state.Writer, holds one block (64 KiB, more for greater entries) and writes nothing
// before the first entry. One goroutine uses it.
type Writer struct {
	to     io.Writer
	of     Of
	spaces []state.Space
	space  int // of the entries that come, -1 before Begin

	block    []byte // head and payload of the block of entries being filled
	scratch  []byte // other blocks
	lastKey  []byte // view of the last key in block
	inBlock  int    // entries in block
	declared int    // spaces written
	total    xxh3.Hasher
	written  int64
	entries  int64
}

// NewWriter starts a segment.
func NewWriter(to io.Writer, of Of) (*Writer, error) {
	if of.Checkpoint == 0 || of.Groups[0] < 0 || of.Groups[0] >= of.Groups[1] || of.Groups[1] > of.MaxParallelism {
		return nil, fmt.Errorf("starting a segment: checkpoint %d, key groups %v of %d", of.Checkpoint, of.Groups, of.MaxParallelism)
	}
	return &Writer{to: to, of: of, space: -1}, nil
}

// Begin starts a run of entries of a space; a space may come again.
func (w *Writer) Begin(space state.Space) error {
	index := -1
	for i := range w.spaces {
		if w.spaces[i].Kind == space.Kind && w.spaces[i].Name == space.Name {
			if !slices.Equal(w.spaces[i].MapKey, space.MapKey) || !slices.Equal(w.spaces[i].Value, space.Value) {
				return fmt.Errorf("state %q is written with two schemas", space.Name)
			}
			index = i
		}
	}
	if index >= 0 && index == w.space {
		return nil
	}
	if err := w.flush(); err != nil {
		return err
	}
	if index < 0 {
		if len(w.spaces) == spacesMax {
			return ErrLimit.Errorf("operator %q has more than %d states and timer names", w.of.Node, spacesMax).
				Do("start anew with --fresh to drop states that are no longer declared")
		}
		index = len(w.spaces)
		space.MapKey, space.Value = slices.Clone(space.MapKey), slices.Clone(space.Value)
		w.spaces = append(w.spaces, space)
	}
	w.space = index
	return nil
}

// Put adds an entry.
func (w *Writer) Put(key, sub, value []byte) error { return w.add(key, sub, value, 0) }

// Delete adds the end of an entry, or of all entries of the key.
func (w *Writer) Delete(key, sub []byte) error { return w.add(key, sub, nil, 1) }

func (w *Writer) add(key, sub, value []byte, deleted uint64) error {
	if w.space < 0 {
		return fmt.Errorf("an entry comes before its state")
	}
	size := len(key) + len(sub) + len(value)
	if size > EntryBytesMax {
		return ErrLimit.Errorf("an entry of state %q of operator %q has %d bytes, more than the limit of %d",
			w.spaces[w.space].Name, w.of.Node, size, EntryBytesMax).
			Do("keep large values as several list elements or map entries")
	}
	if w.inBlock > 0 && len(w.block)+size > blockBytes {
		if err := w.flush(); err != nil {
			return err
		}
	}
	b := w.block
	if w.inBlock == 0 {
		b = binary.AppendUvarint(beginBlock(b[:0]), uint64(w.space))
	}
	if w.inBlock > 0 && string(w.lastKey) == string(key) {
		b = binary.AppendUvarint(b, 2|deleted)
		key = nil
	} else {
		b = binary.AppendUvarint(b, uint64(len(key))<<2|deleted)
	}
	b = binary.AppendUvarint(b, uint64(len(sub)))
	if deleted == 0 {
		b = binary.AppendUvarint(b, uint64(len(value)))
	}
	if key != nil || w.inBlock == 0 {
		at := len(b)
		b = append(b, key...)
		w.lastKey = b[at:]
	}
	b = append(b, sub...)
	w.block = append(b, value...)
	w.inBlock++
	w.entries++
	return nil
}

// flush writes the block of entries.
func (w *Writer) flush() error {
	if w.inBlock == 0 {
		return nil
	}
	w.inBlock = 0
	if err := w.preamble(); err != nil {
		return err
	}
	sealBlock(w.block, blockEntries)
	return w.write(w.block)
}

// preamble writes what has to come before a block of entries: header and meta once, and the space where it is new.
func (w *Writer) preamble() error {
	b := w.scratch[:0]
	if w.written == 0 {
		b = appendHeader(b, Version)
		meta, err := json.Marshal(w.of)
		if err != nil {
			return err
		}
		at := len(b)
		b = append(beginBlock(b), meta...)
		sealBlock(b[at:], blockMeta)
	}
	for ; w.declared <= w.space; w.declared++ {
		at := len(b)
		b = appendSpace(beginBlock(b), &w.spaces[w.declared])
		sealBlock(b[at:], blockSpace)
	}
	w.scratch = b
	if len(b) == 0 {
		return nil
	}
	return w.write(b)
}

func (w *Writer) write(b []byte) error {
	if _, err := w.to.Write(b); err != nil {
		return err
	}
	_, _ = w.total.Write(b) // a hash takes everything
	w.written += int64(len(b))
	return nil
}

// Finish writes what is left and returns the segment as a manifest names it, or nil where there was no entry and nothing has been
// written.
func (w *Writer) Finish() (*Ref, error) {
	if w.entries == 0 {
		return nil, nil
	}
	if err := w.flush(); err != nil {
		return nil, err
	}
	if err := w.write(appendEnd(w.scratch[:0], w.entries, w.written, w.total.Sum128())); err != nil {
		return nil, err
	}
	return &Ref{
		File: Name(w.of.Checkpoint, w.of.Node, w.of.Groups), Node: w.of.Node, Groups: w.of.Groups,
		Checkpoint: w.of.Checkpoint, Base: w.of.Base, Bytes: w.written, Entries: w.entries, XXH3: hashString(w.total.Sum128()),
	}, nil
}

func appendEnd(dst []byte, entries, before int64, total xxh3.Uint128) []byte {
	dst = beginBlock(dst)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(entries))
	dst = binary.LittleEndian.AppendUint64(dst, uint64(before))
	sum := total.Bytes()
	dst = append(dst, sum[:]...)
	sealBlock(dst, blockEnd)
	return dst
}

func hashString(sum xxh3.Uint128) string { return fmt.Sprintf("%016x%016x", sum.Hi, sum.Lo) }
