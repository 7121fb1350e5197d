package statetest

import (
	"io"

	"github.com/tidemill/tidemill/runtime/state"
)

// Segment is the entries of one checkpoint in memory. It implements state.Writer.
type Segment struct {
	entries []state.Entry
	space   *state.Space
	Bytes   int64 // as a segment file would have them: varint lengths, a byte of flags
}

// Begin implements state.Writer.
func (s *Segment) Begin(space state.Space) error {
	s.space = &space
	return nil
}

// Put implements state.Writer.
func (s *Segment) Put(key, sub, value []byte) error {
	s.add(key, sub, value, false)
	return nil
}

// Delete implements state.Writer.
func (s *Segment) Delete(key, sub []byte) error {
	s.add(key, sub, nil, true)
	return nil
}

func (s *Segment) add(key, sub, value []byte, deleted bool) {
	all := append(append(append([]byte{}, key...), sub...), value...)
	k, m := len(key), len(key)+len(sub)
	s.entries = append(s.entries, state.Entry{Space: s.space, Key: all[:k:k], Sub: all[k:m:m], Value: all[m:], Deleted: deleted})
	s.Bytes++
	for _, n := range []int{len(key), len(sub), len(value)} {
		for s.Bytes += int64(n) + 1; n >= 0x80; n >>= 7 {
			s.Bytes++
		}
	}
}

// Len is the number of entries.
func (s *Segment) Len() int { return len(s.entries) }

// Reader returns the entries again.
func (s *Segment) Reader() state.Reader { return &reader{s.entries} }

type reader struct{ rest []state.Entry }

func (r *reader) Next() (state.Entry, error) {
	if len(r.rest) == 0 {
		return state.Entry{}, io.EOF
	}
	e := r.rest[0]
	r.rest = r.rest[1:]
	return e, nil
}
