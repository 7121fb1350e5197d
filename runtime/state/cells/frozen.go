package cells

import "encoding/binary"

// Log is a list of keys and subs, end to end.
type Log struct {
	bytes []byte
	n     int
}

// Len is the number of entries.
func (l *Log) Len() int { return l.n }

func (l *Log) add(key, sub []byte) {
	l.bytes = binary.LittleEndian.AppendUint32(l.bytes, uint32(len(key)))
	l.bytes = binary.LittleEndian.AppendUint32(l.bytes, uint32(len(sub)))
	l.bytes = append(append(l.bytes, key...), sub...)
	l.n++
}

// Each calls visit with every entry, in order, until it fails. The slices are views.
func (l *Log) Each(visit func(key, sub []byte) error) error {
	for b := l.bytes; len(b) > 0; {
		k := int(binary.LittleEndian.Uint32(b))
		s := int(binary.LittleEndian.Uint32(b[4:]))
		if err := visit(b[8:8+k], b[8+k:8+k+s]); err != nil {
			return err
		}
		b = b[8+k+s:]
	}
	return nil
}

// Frozen is the cells of one checkpoint. One goroutine reads it, which may be another than the owner of the Ledger; the owner
// calls Ledger.Release when that is done.
type Frozen struct {
	Deleted Log // what was deleted since the former checkpoint; some of it may have been written again after

	refs []Ref // the cells changed; nil for a base
	used [][]uint64
	data [][]byte
}

// At returns the memory from a cell's start to the end of its chunk.
func (f *Frozen) At(r Ref) []byte { return f.data[r>>chunkShift][(r&chunkMask)*Unit:] }

// Empty says that nothing was changed.
func (f *Frozen) Empty() bool { return f.used == nil && len(f.refs) == 0 && f.Deleted.n == 0 }

// Each calls visit with every live cell, by ascending address, until it fails. units gives the size of a cell.
func (f *Frozen) Each(units func(cell []byte) uint32, visit func(r Ref, cell []byte) error) error {
	if f.used != nil {
		for c := range f.data {
			if err := walkChunk(f.data, f.used, c, units, visit); err != nil {
				return err
			}
		}
		return nil
	}
	f.refs = sortRefs(f.refs)
	for _, r := range f.refs {
		cell := f.At(r)
		if HeaderOf(cell)&Dead != 0 {
			continue
		}
		if err := visit(r, cell); err != nil {
			return err
		}
	}
	return nil
}

// walkChunk visits the cells of chunk c that are not dead.
func walkChunk(data [][]byte, used [][]uint64, c int, units func([]byte) uint32, visit func(Ref, []byte) error) error {
	for u := nextCell(data, used, c, 0, units); u < chunkLen(data, c); {
		cell := data[c][u*Unit:]
		if err := visit(uint32(c)<<chunkShift+u, cell); err != nil {
			return err
		}
		u = nextCell(data, used, c, u+units(cell), units)
	}
	return nil
}

func chunkLen(data [][]byte, c int) uint32 { return uint32(len(data[c]) / Unit) }

// nextCell is the first unit of the first cell of chunk c at or after unit u that is not dead; the chunk's length where there is
// none.
func nextCell(data [][]byte, used [][]uint64, c int, u uint32, units func([]byte) uint32) uint32 {
	if c == 0 {
		u = max(u, reserved)
	}
	total := chunkLen(data, c)
	for u = nextBit(used[c], u, total, true); u < total; u = nextBit(used[c], u, total, true) {
		cell := data[c][u*Unit:]
		if HeaderOf(cell)&Dead == 0 {
			break
		}
		u += units(cell)
	}
	return u
}

// sortRefs sorts by radix, 11 bits a pass: reading the cells in address order costs a fraction of reading them in the order
// in which they changed.
func sortRefs(refs []Ref) []Ref {
	if len(refs) < 2 {
		return refs
	}
	const bits, size = 11, 1 << 11
	var counts [3][size]uint32
	for _, r := range refs {
		counts[0][r&(size-1)]++
		counts[1][r>>bits&(size-1)]++
		counts[2][r>>(2*bits)]++
	}
	from, to := refs, make([]Ref, len(refs))
	for pass := range counts {
		shift := pass * bits
		count := &counts[pass]
		if count[refs[0]>>shift&(size-1)] == uint32(len(refs)) {
			continue // all alike
		}
		sum := uint32(0)
		for i, n := range count {
			count[i] = sum
			sum += n
		}
		for _, r := range from {
			d := r >> shift & (size - 1)
			to[count[d]] = r
			count[d]++
		}
		from, to = to, from
	}
	return from
}
