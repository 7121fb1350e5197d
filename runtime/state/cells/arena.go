package cells

import (
	"errors"
	"math/bits"
)

// Unit is the number of bytes that memory is given out in, and what a Ref counts.
const Unit = 16

const (
	chunkShift   = 14 // units of a full chunk, as a power of two: 256 KiB
	chunkUnits   = 1 << chunkShift
	chunkMask    = chunkUnits - 1
	firstUnits   = 256                    // the first chunk has 4 KiB: most tables of most jobs are small
	largeUnits   = chunkUnits / 4         // a larger cell has a chunk of its own
	chunksMax    = 1 << (31 - chunkShift) // a Ref has 31 bits: 32 GiB an arena
	recycleShare = 4                      // a chunk is searched for holes once a quarter of it is free
	reserved     = 4                      // first units of the arena, so that small cells do not straddle cache lines; Ref 0 is in them
)

// ErrFull says that an arena has given out all that a Ref can name.
var ErrFull = errors.New("the arena holds 32 GiB")

// Ref names a cell in an Arena: the number of its first unit. 0 is no cell.
type Ref = uint32

// Units is the number of units of a cell of so many bytes.
func Units(bytes int) uint32 { return uint32(bytes+Unit-1) / Unit }

// Arena gives out runs of units. Memory never moves, so that a frozen cell stays where its reader looks for it.
type Arena struct {
	data   [][]byte   // by chunk
	used   [][]uint64 // by chunk, a bit a unit
	free   []uint32   // by chunk, units that are free
	queued []bool     // by chunk, in recycle

	next, end Ref      // the hole being filled
	recycle   []uint32 // chunks worth a search for holes
	vacant    []uint32 // numbers of chunks whose memory went back to the collector
	bytes     int64    // memory held
	live      int64    // units given out
}

// Bytes is the memory held.
func (a *Arena) Bytes() int64 { return a.bytes }

// LiveBytes is the memory given out.
func (a *Arena) LiveBytes() int64 { return a.live * Unit }

// At returns the memory from a cell's start to the end of its chunk.
func (a *Arena) At(r Ref) []byte { return a.data[r>>chunkShift][(r&chunkMask)*Unit:] }

// Alloc returns a run of n units with undefined content.
func (a *Arena) Alloc(n uint32) (Ref, error) {
	if a.end-a.next < n {
		if n > largeUnits {
			return a.allocLarge(n)
		}
		if err := a.refill(n); err != nil {
			return 0, err
		}
	}
	r := a.next
	a.next += n
	c := r >> chunkShift
	setBits(a.used[c], r&chunkMask, n)
	a.free[c] -= n
	a.live += int64(n)
	return r, nil
}

// Free gives a run back.
func (a *Arena) Free(r Ref, n uint32) {
	c := r >> chunkShift
	clearBits(a.used[c], r&chunkMask, n)
	a.free[c] += n
	a.live -= int64(n)
	total := a.units(c)
	switch {
	case total > chunkUnits, a.surplus(c):
		a.vacate(c)
	case !a.queued[c] && a.free[c] >= total/recycleShare:
		a.queued[c] = true
		a.recycle = append(a.recycle, c)
	}
}

func (a *Arena) units(c uint32) uint32 { return uint32(len(a.data[c]) / Unit) }

// surplus says that nothing in a chunk is used, and that the arena holds much more than it has given out.
func (a *Arena) surplus(c uint32) bool {
	return a.free[c] == a.units(c) && a.next>>chunkShift != c && a.bytes > 4*a.live*Unit+8*chunkUnits*Unit
}

// vacate gives the memory of a chunk in which nothing is used back to the collector.
func (a *Arena) vacate(c uint32) {
	a.bytes -= int64(len(a.data[c]))
	a.data[c], a.used[c], a.free[c] = nil, nil, 0
	a.vacant = append(a.vacant, c)
}

// refill finds a hole of at least n units: further on in the chunk being filled, in a chunk with free room, or in a new one.
func (a *Arena) refill(n uint32) error {
	if a.end != 0 {
		c := (a.end - 1) >> chunkShift
		if a.hole(c, a.end-c<<chunkShift, n) {
			return nil
		}
	}
	for len(a.recycle) > 0 {
		c := a.recycle[len(a.recycle)-1]
		a.recycle = a.recycle[:len(a.recycle)-1]
		a.queued[c] = false
		if a.hole(c, 0, n) {
			return nil
		}
	}
	size := uint32(chunkUnits)
	if k := uint32(len(a.data)); k < 3 {
		size = firstUnits << (2 * k)
	}
	for size < n+reserved {
		size *= 2
	}
	c, err := a.addChunk(size)
	if err != nil {
		return err
	}
	a.next, a.end = c<<chunkShift, c<<chunkShift+size
	if a.next == 0 { // Ref 0 is no cell
		setBits(a.used[0], 0, reserved)
		a.free[0] -= reserved
		a.next += reserved
	}
	return nil
}

// hole makes the first run of at least n free units from unit from of chunk c on the one to fill.
func (a *Arena) hole(c, from, n uint32) bool {
	total := a.units(c)
	for from < total {
		start := nextBit(a.used[c], from, total, false)
		end := nextBit(a.used[c], start, total, true)
		if end-start >= n {
			a.next, a.end = c<<chunkShift+start, c<<chunkShift+end
			return true
		}
		from = end
	}
	return false
}

func (a *Arena) addChunk(units uint32) (uint32, error) {
	var c uint32
	if v := len(a.vacant); v > 0 {
		c = a.vacant[v-1]
		a.vacant = a.vacant[:v-1]
	} else {
		if len(a.data) == chunksMax {
			return 0, ErrFull
		}
		c = uint32(len(a.data))
		a.data, a.used = append(a.data, nil), append(a.used, nil)
		a.free, a.queued = append(a.free, 0), append(a.queued, false)
	}
	a.data[c] = make([]byte, units*Unit)
	a.used[c] = make([]uint64, (units+63)/64)
	a.free[c] = units
	a.bytes += int64(units) * Unit
	return c, nil
}

func (a *Arena) allocLarge(n uint32) (Ref, error) {
	if len(a.data) == 0 { // chunk 0 begins with the unit that Ref 0 names
		if err := a.refill(1); err != nil {
			return 0, err
		}
	}
	// More than a full chunk, so that Free knows it for what it is.
	c, err := a.addChunk(max(n, chunkUnits+1))
	if err != nil {
		return 0, err
	}
	setBits(a.used[c], 0, n)
	a.free[c] -= n
	a.live += int64(n)
	return c << chunkShift, nil
}

// setBits sets n bits from bit i on.
func setBits(words []uint64, i, n uint32) {
	for n > 0 {
		low := i & 63
		k := min(n, 64-low)
		words[i>>6] |= (^uint64(0) >> (64 - k)) << low
		i, n = i+k, n-k
	}
}

func clearBits(words []uint64, i, n uint32) {
	for n > 0 {
		low := i & 63
		k := min(n, 64-low)
		words[i>>6] &^= (^uint64(0) >> (64 - k)) << low
		i, n = i+k, n-k
	}
}

// nextBit returns the first bit from i on that is set (or clear), or total.
func nextBit(words []uint64, i, total uint32, set bool) uint32 {
	var flip uint64
	if !set {
		flip = ^uint64(0)
	}
	for i < total {
		if w := (words[i>>6] ^ flip) >> (i & 63); w != 0 {
			return min(i+uint32(bits.TrailingZeros64(w)), total)
		}
		i = (i | 63) + 1
	}
	return total
}
