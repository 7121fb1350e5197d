package state

import (
	"slices"
	"unsafe"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
	"github.com/tidemill/tidemill/sdk-go/internal/frame"
)

// scan is the memory of one loop over a map. Loops nest, so each has its own.
type scan[K comparable, V any] struct {
	pairs  []pair[K, V]
	buffer []byte
}

// scanBytes is the first size of a scan's buffer: entries come in blocks of that size.
const scanBytes = 64 << 10

func (c *mapCore[K, V]) scan(b bounds[K], yield func(K, V) bool) {
	cell := &c.cells[c.slot.Cursor.Key]
	c.settled()
	for i := range b.rows {
		c.refuse(c.keyLayout.Rescale(unsafe.Pointer(&b.rows[i])))
	}
	var s *scan[K, V]
	if n := len(c.scans); n > 0 {
		s, c.scans = c.scans[n-1], c.scans[:n-1]
	} else {
		s = &scan[K, V]{}
	}
	if cell.status == ask && !cell.cleared {
		c.scanHost(s, b, yield)
	} else {
		c.scanFrame(s, cell, b, yield)
	}
	c.scans = append(c.scans, s)
}

// scanFrame loops over a map that is here: what came with the frame, with the frame's changes on top.
func (c *mapCore[K, V]) scanFrame(s *scan[K, V], cell *mapCell, b bounds[K], yield func(K, V) bool) {
	s.pairs = s.pairs[:0]
	at := c.slot.Cursor.Key
	for i := cell.first; i > 0; i = c.entries[i].next {
		if e := &c.entries[i]; e.present && c.within(&e.key, &b) {
			s.pairs = append(s.pairs, e.pair)
		}
	}
	if !cell.cleared {
		for i := cell.from; i < cell.to; i++ {
			p := &c.base[i]
			if c.within(&p.key, &b) && (cell.first == 0 || c.find(at, c.hash(at, p.key)) == 0) {
				s.pairs = append(s.pairs, *p)
			}
		}
	}
	slices.SortFunc(s.pairs, func(x, y pair[K, V]) int { return c.compare(&x.key, &y.key) })
	if b.flags&abi.ScanDescending != 0 {
		slices.Reverse(s.pairs)
	}
	for i := range s.pairs {
		if !yield(s.pairs[i].key, s.pairs[i].value) {
			return
		}
	}
}

func (c *mapCore[K, V]) within(key *K, b *bounds[K]) bool {
	return b.flags&abi.ScanLow == 0 || c.compare(key, &b.rows[0]) >= 0 && c.compare(key, &b.rows[1]) < 0
}

// scanHost loops over a map that the host has. It gets to know the frame's changes first.
func (c *mapCore[K, V]) scanHost(s *scan[K, V], b bounds[K], yield func(K, V) bool) {
	c.slot.Apply(c)
	var bounds []byte
	if b.flags&abi.ScanLow != 0 {
		bounds = c.block(unsafe.Pointer(&b.rows), len(b.rows))
	}
	handle := c.slot.Host.ScanOpen(c.state, c.slot.Cursor.Key, bounds, b.flags)
	if s.buffer == nil {
		s.buffer = frame.Aligned(scanBytes)
	}
	for {
		n := c.slot.Host.ScanNext(handle, s.buffer)
		if n < 0 {
			s.buffer = frame.Aligned(max(int(-n), 2*len(s.buffer)))
			continue
		}
		block := frame.Block(s.buffer)
		if c.keyLayout.HoldsMemory() || c.valueLayout.HoldsMemory() {
			block = c.hold(s.buffer[:n])
		}
		rows := int(block.U32(0))
		if rows == 0 {
			return
		}
		c.columns = block.Columns(c.columns[:0], abi.BlockSize, int(block.U32(8)))
		s.pairs = grow(s.pairs[:0], rows)
		c.decode(s.pairs)
		for i := range rows {
			if !yield(s.pairs[i].key, s.pairs[i].value) {
				c.slot.Host.ScanNext(handle, nil) // ends the scan: few may be open at once
				return
			}
		}
	}
}
