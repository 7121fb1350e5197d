package maps

import (
	"bytes"
	"cmp"

	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
	"github.com/tidemill/tidemill/runtime/state/cells"
	"github.com/tidemill/tidemill/runtime/state/hot/heads"
)

// scanner implements state.Scanner over a map. It starts anew with each Next, from the last entry it gave, so that what is read,
// brought up or forgotten in between does not matter.
type scanner struct {
	t          *Table
	hash       uint64
	key        []byte
	low, high  []byte
	descending bool
	done       bool

	dst  []record.Column // of the Next under way
	left int
	last []byte // map key of the last entry
	err  error
}

// Scan is state.Backend.Scan; the slices are copied.
func (t *Table) Scan(hash uint64, key, low, high []byte, descending bool) state.Scanner {
	return &scanner{t: t, hash: hash, key: bytes.Clone(key), low: bytes.Clone(low), high: bytes.Clone(high), descending: descending}
}

// Next implements state.Scanner.
func (s *scanner) Next(dst []record.Column, most int) (int, error) {
	if s.done {
		return 0, nil
	}
	s.dst, s.left, s.err = dst, most, nil
	head := s.t.heads.Find(s.hash, s.key)
	var hot treeWalk
	whole := s.t.beneath == nil
	if head != 0 {
		h := s.t.heads.At(head)
		whole = h.Is(heads.Complete)
		hot = s.t.from(h, s.low, s.high, s.descending)
	}
	next := hot.next()
	if !whole {
		err := s.t.beneath.Scan(s.key, s.low, s.high, s.descending, func(sub, row []byte) bool {
			for next != 0 && s.before(entrySub(s.t.cells.At(next)), sub) {
				if !s.giveHot(next) {
					return false
				}
				next = hot.next()
			}
			if next != 0 && bytes.Equal(entrySub(s.t.cells.At(next)), sub) { // newer than what the store has
				ok := s.giveHot(next)
				next = hot.next()
				return ok
			}
			return s.t.schema.Life.Over(row) || s.give(sub, row)
		})
		s.t.beneath.Rest()
		if err = cmp.Or(err, s.err); err != nil {
			return most - s.left, err
		}
	}
	for s.left > 0 && next != 0 && s.within(entrySub(s.t.cells.At(next))) && s.giveHot(next) {
		next = hot.next()
	}
	n := most - s.left
	switch {
	case s.left > 0:
		s.done = true
	case s.descending:
		s.high = append(s.high[:0], s.last...)
	default:
		s.low = append(append(s.low[:0], s.last...), 0) // the least key after it
	}
	return n, s.err
}

// before says whether map key a comes before b in the scan's order.
func (s *scanner) before(a, b []byte) bool {
	if s.descending {
		return bytes.Compare(a, b) > 0
	}
	return bytes.Compare(a, b) < 0
}

// within says whether a map key in memory has not passed the scan's end.
func (s *scanner) within(sub []byte) bool {
	if s.descending {
		return s.low == nil || bytes.Compare(sub, s.low) >= 0
	}
	return s.high == nil || bytes.Compare(sub, s.high) < 0
}

// giveHot gives an entry in memory, or passes over one that says that there is none or that has expired; false where no more is
// wanted.
func (s *scanner) giveHot(ref cells.Ref) bool {
	e := s.t.cells.At(ref)
	if cells.HeaderOf(e)&cells.Absent != 0 || s.t.schema.Life.Over(entryRow(e)) {
		return true
	}
	return s.give(entrySub(e), entryRow(e))
}

func (s *scanner) give(sub, row []byte) bool {
	if s.left == 0 {
		return false
	}
	if s.err = s.t.decode(sub, row, s.dst); s.err != nil {
		return false
	}
	s.last = append(s.last[:0], sub...)
	s.left--
	return s.left > 0
}
