package lists

import (
	"errors"

	"github.com/tidemill/tidemill/runtime/state/cells"
	"github.com/tidemill/tidemill/runtime/state/hot/heads"
	"github.com/tidemill/tidemill/runtime/state/hot/table"
)

// live returns how much of a list in memory has not expired, from its end to the block that passes limit bytes, and takes out the
// blocks in which nothing is left. Without a store the head goes with the last of them.
func (t *Table) live(head cells.Ref, limit int) (in heads.Extent) {
	h := t.heads.At(head)
	if !t.schema.Life.Ends {
		return h.Extent()
	}
	t.prune(head, func(cell []byte) (more bool) {
		_ = eachElement(cell, func(_ uint64, row []byte) error {
			if !t.schema.Life.Over(row) {
				in.Add(1, len(row))
			}
			return nil
		})
		return in.Bytes <= uint64(limit)
	})
	return in
}

// prune goes through the blocks of a list, the last first, takes out those in which all has expired, and calls visit with the others
// until it says no. It returns the number of elements taken out. Over a store blocks that are not clean stay.
//
// What has expired is the beginning of a list, as long as its state's TTL has always been the same. Where it has not, a block in
// the middle may go; only the last one stays as long as another is there, because an append goes on from its last sequence. An
// element is written once and never changed, so no checkpoint needs to be told that one is gone.
func (t *Table) prune(head cells.Ref, visit func(cell []byte) (more bool)) (gone int) {
	h := t.heads.At(head)
	after := cells.Ref(0)
	for ref, more := h.Root(), true; ref != 0 && more; {
		cell := t.cells.At(ref)
		hdr, before := cells.HeaderOf(cell), cells.U32(cell, blockPrev)
		switch {
		case !t.over(cell):
			more = visit(cell)
			after = ref
		case after == 0 && before != 0, t.beneath != nil && !t.cells.Clean(hdr.Gen()):
			after = ref
		default:
			if after != 0 {
				cells.Put32(t.cells.At(after), blockPrev, before)
			} else {
				h.SetRoot(0)
			}
			gone += t.uncount(h, cell)
			t.cells.Drop(ref, hdr, blockUnits(cell))
		}
		ref = before
	}
	t.schema.Life.Swept += int64(gone)
	if gone > 0 && h.Root() == 0 && t.beneath == nil {
		t.removeHead(head)
	}
	return gone
}

func (t *Table) removeHead(head cells.Ref) {
	t.count.Add(0, -len(t.heads.At(head).Key()))
	t.heads.Remove(head)
}

var errLives = errors.New("an element lives")

// over says whether all elements of a block have expired.
func (t *Table) over(cell []byte) bool {
	return eachElement(cell, func(_ uint64, row []byte) error {
		if t.schema.Life.Over(row) {
			return nil
		}
		return errLives
	}) == nil
}

// uncount takes the elements of a block out of the counts, and returns their number.
func (t *Table) uncount(h heads.Head, cell []byte) (n int) {
	_ = eachElement(cell, func(_ uint64, row []byte) error {
		h.Grow(-1, -len(row))
		t.count.Add(-1, -8-len(row))
		n++
		return nil
	})
	return n
}

// Sweep implements table.Table. Where it comes upon a block that has expired, it looks at the blocks of that list. Over a store it
// forgets a head with its last block, where that is clean.
func (t *Table) Sweep() (last bool, err error) {
	left := table.SweepMost
	return t.cells.Visit(blockUnits, func(_ cells.Ref, cell []byte) bool {
		if !t.over(cell) {
			return true
		}
		head := cells.U32(cell, blockHead)
		gone := t.prune(head, func([]byte) bool { return true })
		if gone == 0 { // not clean, given back, or the last one
			return true
		}
		if t.beneath != nil {
			if h := t.heads.At(head); h.Root() == 0 && t.heads.Cells.Clean(h.Gen()) {
				t.removeHead(head)
			}
		}
		left -= gone
		return left > 0
	}), nil
}
