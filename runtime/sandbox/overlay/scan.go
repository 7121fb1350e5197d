package overlay

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/abi/frame"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/sandbox/crossing"
	"github.com/tidemill/tidemill/runtime/state"
)

// scan goes through a map's entries as they were when it was opened: the back-end's entries merged with the changes that were
// pending then.
type scan struct {
	fields     []abi.FieldType
	keys       int // the first so many columns are the map key
	descending bool

	base      state.Scanner   // nil once it has ended, or where the map had been cleared
	chunk     []record.Column // entries of base
	chunkNext int

	own     []ownEntry // pending changes in the order of the scan
	pending []record.Column

	ready []record.Column // entries from next on are to be handed out
	next  int
}

// ownEntry is the last pending change to an entry.
type ownEntry struct {
	mapKey string
	row    int32 // of pending; -1: cleared
}

// scanChunk is how many entries are fetched at once.
const scanChunk = 256

// ScanOpen is state_scan_open.
func (s *State) ScanOpen(id, key uint32, bounds []byte, flags uint32) (int32, error) {
	d, err := s.declared(id, key)
	if err != nil {
		return 0, err
	}
	if d.Kind != abi.StateMap {
		return 0, fmt.Errorf("a scan of the %s state %q", d.Kind, d.Name)
	}
	if flags&^(abi.ScanDescending|abi.ScanLow|abi.ScanHigh) != 0 {
		return 0, fmt.Errorf("unknown scan flags %#x", flags)
	}
	handle := slices.Index(s.scans, nil)
	if handle < 0 {
		handle = len(s.scans)
	}
	if handle >= scansMax {
		return 0, fmt.Errorf("more than %d scans open at once", scansMax)
	}
	low, high, err := s.scanBounds(d, bounds, flags)
	if err != nil {
		return 0, err
	}
	c := &scan{
		fields: d.Fields, keys: d.Keys, descending: flags&abi.ScanDescending != 0,
		chunk: crossing.For(d.Fields), ready: crossing.For(d.Fields), pending: s.applied[id].changes.Columns,
	}
	cleared := c.collect(&s.applied[id], key, low, high)
	if !cleared {
		k := int(key)
		if c.base, err = s.backend.Scan(int(id), s.keys.Hash[k], s.keys.Key(k), low, high, c.descending); err != nil {
			return 0, s.broken(err)
		}
	}
	if handle == len(s.scans) {
		s.scans = append(s.scans, nil)
	}
	s.scans[handle] = c
	return int32(handle), nil
}

// scanBounds encodes the rows of a bounds block: one a bound present, low first.
func (s *State) scanBounds(d *abi.BoundState, block []byte, flags uint32) (low, high []byte, err error) {
	n := 0
	for _, f := range []uint32{abi.ScanLow, abi.ScanHigh} {
		if flags&f != 0 {
			n++
		}
	}
	if n == 0 {
		if len(block) > 0 {
			return nil, nil, fmt.Errorf("bounds without a flag that says which")
		}
		return nil, nil, nil
	}
	columns, err := s.decodeKeys(block, d, n)
	if err != nil {
		return nil, nil, err
	}
	row := 0
	if flags&abi.ScanLow != 0 {
		low = appendMapKey(nil, columns, d.Keys, row)
		row++
	}
	if flags&abi.ScanHigh != 0 {
		high = appendMapKey(nil, columns, d.Keys, row)
	}
	return low, high, nil
}

// collect gathers the pending changes to a key within the bounds, the last of each entry, in the order of the scan; it reports
// whether the map was cleared, so that the back-end's entries are gone.
func (c *scan) collect(p *pending, key uint32, low, high []byte) (cleared bool) {
	last := make(map[string]int32)
	for _, at := range p.byKey[key] {
		switch p.changes.Op[at] {
		case abi.OpClearAll:
			cleared = true
			clear(last)
		case abi.OpClear:
			last[p.mapKeys[at]] = -1
		case abi.OpSet:
			last[p.mapKeys[at]] = at
		}
	}
	for mapKey, row := range last {
		if (low == nil || mapKey >= string(low)) && (high == nil || mapKey < string(high)) {
			c.own = append(c.own, ownEntry{mapKey, row})
		}
	}
	slices.SortFunc(c.own, func(a, b ownEntry) int { return c.order(a.mapKey, b.mapKey) })
	return cleared
}

func (c *scan) order(a, b string) int {
	if c.descending {
		return strings.Compare(b, a)
	}
	return strings.Compare(a, b)
}

// ScanNext is state_scan_next. The scan ends, and its handle is free, with the block of no rows or with an empty out.
func (s *State) ScanNext(handle int32, out []byte) (int32, error) {
	if handle < 0 || int(handle) >= len(s.scans) || s.scans[handle] == nil {
		return 0, fmt.Errorf("scan handle %d is not open", handle)
	}
	if len(out) == 0 {
		s.scans[handle] = nil
		return 0, nil
	}
	c := s.scans[handle]
	if c.next == c.ready[0].Len {
		crossing.ResetAll(c.ready)
		c.next = 0
		if err := c.fill(); err != nil {
			return 0, s.broken(err)
		}
	}
	s.blocks = crossing.AppendFrames(s.blocks[:0], c.ready)
	end := c.ready[0].Len
	need := frame.BlockBytes(s.blocks, c.next, min(c.next+1, end))
	if need > len(out) {
		return int32(-need), nil
	}
	for low := c.next; low < end; { // the most entries that fit
		mid := (low + end + 1) / 2
		if frame.BlockBytes(s.blocks, c.next, mid) <= len(out) {
			low = mid
		} else {
			end = mid - 1
		}
	}
	n := frame.BlockBytes(s.blocks, c.next, end)
	frame.PutBlock(out, s.blocks, c.next, end)
	if c.next == end {
		s.scans[handle] = nil
	}
	c.next = end
	return int32(n), nil
}

// fill makes the next entries ready: none at the end.
func (c *scan) fill() error {
	if len(c.own) == 0 && c.chunkNext == c.chunk[0].Len {
		if c.base == nil {
			return nil
		}
		n, err := c.base.Next(c.ready, scanChunk)
		if n == 0 {
			c.base = nil
		}
		return err
	}
	for c.ready[0].Len < scanChunk {
		if err := c.fetch(); err != nil {
			return err
		}
		haveBase := c.chunkNext < c.chunk[0].Len
		if !haveBase && len(c.own) == 0 {
			return nil
		}
		order := -1 // the back-end's entry comes first
		if len(c.own) > 0 {
			order = 1
			if haveBase {
				order = c.order(string(appendMapKey(nil, c.chunk, c.keys, c.chunkNext)), c.own[0].mapKey)
			}
		}
		if order < 0 {
			c.take(c.chunk, c.chunkNext)
		} else {
			if row := c.own[0].row; row >= 0 {
				c.take(c.pending, int(row))
			}
			c.own = c.own[1:]
		}
		if order <= 0 {
			c.chunkNext++
		}
	}
	return nil
}

// fetch gets entries of the back-end where the last ones are used up.
func (c *scan) fetch() error {
	if c.base == nil || c.chunkNext < c.chunk[0].Len {
		return nil
	}
	crossing.ResetAll(c.chunk)
	c.chunkNext = 0
	n, err := c.base.Next(c.chunk, scanChunk)
	if n == 0 {
		c.base = nil
	}
	return err
}

func (c *scan) take(from []record.Column, row int) {
	for i := range c.ready {
		c.ready[i].AppendRow(&from[i], row)
	}
}
