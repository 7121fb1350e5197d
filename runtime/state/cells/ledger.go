package cells

import "fmt"

// Ledger is an arena whose cells can be frozen for a checkpoint.
type Ledger struct {
	Arena
	gen    uint32 // of cells written now
	frozen uint32 // cells of generations [frozen, gen) are being read by a checkpoint; gen where none is
	dirty  []Ref  // cells written in this generation, dead ones included
	dead   []extent
	held   []extent // given back while a checkpoint reads; free after it
	spare  []extent // free now, not yet given back to the arena: Drain does that bit by bit
	log    Log
	hand   int // the chunk of the next Visit

	// units of the cells in dirty, of those that a checkpoint reads, in held and in spare
	changed, reading, holding, sparing int64
}

type extent struct {
	ref   Ref
	units uint32
}

// drainStep bounds the work of Drain: some 50 us.
const drainStep = 8192

// Gen is the generation of cells written now. The first is 1; what is restored has 0.
func (l *Ledger) Gen() uint32 {
	if l.gen == 0 {
		l.gen, l.frozen = 1, 1
	}
	return l.gen
}

// Frozen says whether a checkpoint reads cells of this generation.
func (l *Ledger) Frozen(gen uint32) bool { return gen >= l.frozen && gen < l.gen }

// Reading says whether a checkpoint reads any cell.
func (l *Ledger) Reading() bool { return l.frozen < l.gen }

// Dirty adds a cell, just written with the current generation, to those of the next checkpoint.
func (l *Ledger) Dirty(r Ref, units uint32) {
	l.dirty = append(l.dirty, r)
	l.changed += int64(units)
}

// Touched counts a cell that is in no dirty list among the changed ones.
func (l *Ledger) Touched(units uint32) { l.changed += int64(units) }

// Clean says whether a cell of a generation may be forgotten: it is in no checkpoint to come and none reads it.
func (l *Ledger) Clean(gen uint32) bool {
	l.Gen()
	return gen < l.frozen
}

// CleanBytes is the memory of the cells that may be forgotten.
func (l *Ledger) CleanBytes() int64 {
	return (l.live - l.changed - l.reading - l.sparing) * Unit
}

// Drop gives back a cell with header h that nothing leads to any more: at once, after the checkpoint that reads it, or, where
// it is in the dirty list, with that.
func (l *Ledger) Drop(r Ref, h Header, units uint32) {
	switch gen := h.Gen(); {
	case gen == l.Gen():
		(h | Dead).Put(l.At(r))
		l.dead = append(l.dead, extent{r, units})
		if len(l.dead) > len(l.dirty)/2+64 {
			l.sweepDirty()
		}
	case l.Frozen(gen):
		l.hold(r, units)
	default:
		l.Free(r, units)
	}
}

// Retire gives back a cell that is in no dirty list but that frozen cells may refer to.
func (l *Ledger) Retire(r Ref, units uint32) {
	if l.Reading() {
		l.hold(r, units)
		return
	}
	l.Free(r, units)
}

func (l *Ledger) hold(r Ref, units uint32) {
	l.held = append(l.held, extent{r, units})
	l.holding += int64(units)
}

// sweepDirty takes the dead cells out of the dirty list, so that it is never much longer than the cells it is for.
func (l *Ledger) sweepDirty() {
	kept := l.dirty[:0]
	for _, r := range l.dirty {
		if HeaderOf(l.At(r))&Dead == 0 {
			kept = append(kept, r)
		}
	}
	l.dirty = kept
	for _, e := range l.dead {
		l.Free(e.ref, e.units)
		l.changed -= int64(e.units)
	}
	l.dead = l.dead[:0]
}

// Deleted notes that key and sub are gone.
func (l *Ledger) Deleted(key, sub []byte) { l.log.add(key, sub) }

// Freeze ends the generation and returns what was changed in it, or, for a base, all that the arena holds. It fails
// where the former Frozen has not been released.
func (l *Ledger) Freeze(base bool) (*Frozen, error) {
	l.Gen()
	if l.Reading() {
		return nil, fmt.Errorf("the cells of the former checkpoint are still frozen")
	}
	f := &Frozen{data: append([][]byte(nil), l.data...)}
	for _, e := range l.dead {
		l.hold(e.ref, e.units)
	}
	l.dead = l.dead[:0]
	if base {
		for len(l.spare) > 0 {
			l.Drain()
		}
		f.used = make([][]uint64, len(l.used))
		for i, words := range l.used {
			f.used[i] = append([]uint64(nil), words...)
		}
		l.frozen = 0
		l.dirty, l.log = l.dirty[:0], Log{}
	} else {
		f.refs, f.Deleted = l.dirty, l.log
		l.dirty, l.log = make([]Ref, 0, len(f.refs)), Log{}
	}
	l.reading, l.changed = l.changed, 0
	l.gen++
	return f, nil
}

// Release ends the reading of frozen cells: what was given back since then is free.
func (l *Ledger) Release() {
	l.frozen = l.gen
	l.reading, l.holding, l.sparing = 0, 0, l.sparing+l.holding
	if len(l.spare) == 0 {
		l.spare, l.held = l.held, l.spare
		return
	}
	l.spare = append(l.spare, l.held...)
	l.held = l.held[:0]
}

// Drain gives a bounded number of cells that Release has freed back to the arena. The owner calls it once a batch.
func (l *Ledger) Drain() {
	n := max(len(l.spare)-drainStep, 0)
	for _, e := range l.spare[n:] {
		l.Free(e.ref, e.units)
		l.sparing -= int64(e.units)
	}
	l.spare = l.spare[:n]
}

// Old says that so many checkpoints were taken that generations must be counted from the start again: Renumber.
func (l *Ledger) Old() bool { return l.gen > genMax/2 }

// Renumber counts generations from the start again. It goes through all cells; none is frozen. units gives a cell's size.
func (l *Ledger) Renumber(units func(cell []byte) uint32) {
	l.Walk(units, func(_ Ref, cell []byte) {
		h := HeaderOf(cell)
		gen := uint32(0)
		if h.Gen() == l.gen {
			gen = 1
		}
		(h&(1<<genAt-1) | Header(gen)<<genAt).Put(cell)
	})
	l.gen, l.frozen = 1, 1
}

// Walk calls visit with every cell that is not dead, by ascending address. What Release has freed is drained before, so that
// it does not appear; while a checkpoint reads, what was given back since does.
func (l *Ledger) Walk(units func(cell []byte) uint32, visit func(r Ref, cell []byte)) {
	for len(l.spare) > 0 {
		l.Drain()
	}
	for c := range l.data {
		for u := nextCell(l.data, l.used, c, 0, units); u < chunkLen(l.data, c); {
			cell := l.data[c][u*Unit:]
			size := units(cell)
			visit(uint32(c)<<chunkShift+u, cell)
			u = nextCell(l.data, l.used, c, u+size, units)
		}
	}
}

// Visit calls visit with the cells of one chunk that are not dead, by ascending address, chunk by chunk from call to call; where
// visit says no, the next call is of the same chunk again. It returns whether a pass over all chunks has ended. visit may give cells
// back, this one and others. While a checkpoint reads, it also sees what was given back since. What Release has freed is drained
// first, a bounded number a call, which then visits nothing. A chunk in which nothing is left goes back to the collector where the
// arena has many such.
func (l *Ledger) Visit(units func(cell []byte) uint32, visit func(r Ref, cell []byte) bool) (last bool) {
	if len(l.spare) > 0 {
		l.Drain()
		return false
	}
	for l.hand < len(l.data) && l.data[l.hand] == nil {
		l.hand++
	}
	if l.hand >= len(l.data) {
		l.hand = 0
		return true
	}
	c := l.hand
	for u := nextCell(l.data, l.used, c, 0, units); u < chunkLen(l.data, c); {
		cell := l.data[c][u*Unit:]
		size := units(cell)
		if !visit(uint32(c)<<chunkShift+u, cell) {
			return false
		}
		u = nextCell(l.data, l.used, c, u+size, units)
	}
	if l.data[c] != nil && l.surplus(uint32(c)) { // it was not when its last cell was given back
		l.vacate(uint32(c))
	}
	l.hand++
	return false
}

// ChangedBytes is the memory of the cells that changed since the last Freeze, or that a checkpoint reads.
func (l *Ledger) ChangedBytes() int64 { return (l.changed + l.reading) * Unit }

// LedgerBytes is the memory held, lists included.
func (l *Ledger) LedgerBytes() int64 {
	return l.Bytes() + int64(cap(l.dirty))*4 + int64(cap(l.held)+cap(l.spare)+cap(l.dead))*8 + int64(cap(l.log.bytes))
}
