// Package overlay is the keyed state that one frame may see through host functions: the back-end's cells of the frame's keys, with
// the changes on top that the guest has given state_apply so far. Nothing reaches the back-end before the frame has succeeded
// (I1); reads see the frame's own writes, and scans see the map as it was when they were opened.
package overlay

import (
	"fmt"
	"math"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/abi/frame"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/sandbox/crossing"
	"github.com/tidemill/tidemill/runtime/state"
)

// State is the state of one frame after another. One goroutine uses it.
type State struct {
	backend state.Backend
	binding *abi.Binding
	keys    *record.KeySet
	asked   *frame.Asked
	decoder frame.Decoder

	applied      []pending // by state id
	appliedBytes int
	scans        []*scan
	values       [][]record.Column // by state id: value columns for a read
	bounds       []record.Column
	blocks       []frame.Column
	encoded      []byte
	failed       error // of the back-end: fails the job, not the guest
}

// Limits of what one frame may hold open (I8).
const (
	scansMax        = 64
	appliedBytesMax = 4 * abi.FrameBytesMax
)

// pending is the changes to one state that state_apply has been given, in order.
type pending struct {
	changes state.Changes
	mapKeys []string           // encoded, for maps
	byKey   map[uint32][]int32 // changes of a key, in order
}

// New returns a State over a back-end. An answer frame given to Apply has frameBytesMax bytes at most.
func New(backend state.Backend, binding *abi.Binding, frameBytesMax int) *State {
	s := &State{backend: backend, binding: binding, applied: make([]pending, len(binding.States))}
	s.decoder = frame.Decoder{
		Binding: binding, BytesMax: frameBytesMax, CellBytesMax: abi.CellBytesMax, KeyBytesMax: abi.KeyBytesMax,
	}
	for i := range binding.States {
		s.values = append(s.values, crossing.For(binding.States[i].Fields[binding.States[i].Keys:]))
	}
	return s
}

// Begin forgets the frame before and takes the keys of the next. Both are borrowed until the next Begin.
func (s *State) Begin(keys *record.KeySet, asked *frame.Asked) {
	s.keys, s.asked, s.scans, s.failed = keys, asked, s.scans[:0], nil
	if s.appliedBytes > 0 {
		clear(s.applied)
		s.appliedBytes = 0
	}
}

func (s *State) declared(id, key uint32) (*abi.BoundState, error) {
	if uint64(id) >= uint64(len(s.binding.States)) {
		return nil, fmt.Errorf("state %d of %d", id, len(s.binding.States))
	}
	if uint64(key) >= uint64(s.keys.N) {
		return nil, fmt.Errorf("key %d, the frame has %d", key, s.keys.N)
	}
	return &s.binding.States[id], nil
}

// Failed is the error of the back-end that ended the frame's call, if one did: it fails the job and is not the guest's.
func (s *State) Failed() error { return s.failed }

// Pending says whether the frame has been given changes.
func (s *State) Pending() bool { return s.appliedBytes > 0 }

// broken keeps an error of the back-end for the operator, and ends the guest's call with it.
func (s *State) broken(err error) error {
	s.failed = err
	return err
}

// Get is state_get.
func (s *State) Get(id, key uint32, mapKey, out []byte) (int32, error) {
	d, err := s.declared(id, key)
	if err != nil {
		return 0, err
	}
	var encoded []byte
	switch {
	case d.Kind == abi.StateMap:
		if encoded, err = s.encodeRow(mapKey, d); err != nil {
			return 0, err
		}
	case len(mapKey) > 0:
		return 0, fmt.Errorf("a map key for the %s state %q", d.Kind, d.Name)
	}
	dst := s.values[id]
	crossing.ResetAll(dst)
	var found bool
	if d.Kind == abi.StateList {
		found, err = s.list(int(id), key, dst)
	} else {
		found, err = s.cell(int(id), d, key, encoded, dst)
	}
	if err != nil || !found {
		return -1, err
	}
	return s.put(dst, out)
}

// put writes columns as a rows block where it fits and returns its length.
func (s *State) put(columns []record.Column, out []byte) (int32, error) {
	s.blocks = crossing.AppendFrames(s.blocks[:0], columns)
	n := frame.BlockBytes(s.blocks, 0, columns[0].Len)
	if n > math.MaxInt32 {
		return 0, fmt.Errorf("a cell of %d bytes cannot be read at once", n)
	}
	if n <= len(out) {
		frame.PutBlock(out, s.blocks, 0, columns[0].Len)
	}
	return int32(n), nil
}

// cell reads a value or a map entry: the last pending change to it, else what the back-end has.
func (s *State) cell(id int, d *abi.BoundState, key uint32, mapKey []byte, dst []record.Column) (bool, error) {
	p := &s.applied[id]
	own := p.byKey[key]
	for i := len(own) - 1; i >= 0; i-- {
		at := own[i]
		switch op := p.changes.Op[at]; {
		case op == abi.OpClearAll:
			return false, nil
		case d.Kind == abi.StateMap && p.mapKeys[at] != string(mapKey):
		case op == abi.OpClear:
			return false, nil
		default:
			for c := range dst {
				dst[c].AppendRow(&p.changes.Columns[d.Keys+c], int(at))
			}
			return true, nil
		}
	}
	k := int(key)
	found, err := s.backend.Get(id, s.keys.Hash[k], s.keys.Key(k), mapKey, dst)
	if err != nil {
		return false, s.broken(err)
	}
	return found, nil
}

// list reads all elements: those of the back-end unless the list was cleared, then the pending ones.
func (s *State) list(id int, key uint32, dst []record.Column) (bool, error) {
	p := &s.applied[id]
	own := p.byKey[key]
	from := 0
	for i, at := range own {
		if p.changes.Op[at] == abi.OpClear {
			from = i + 1
		}
	}
	found := false
	if from == 0 {
		var err error
		k := int(key)
		if found, err = s.backend.Get(id, s.keys.Hash[k], s.keys.Key(k), nil, dst); err != nil {
			return false, s.broken(err)
		}
	}
	for _, at := range own[from:] {
		for c := range dst {
			dst[c].AppendRow(&p.changes.Columns[c], int(at))
		}
		found = true
	}
	return found, nil
}

// encodeRow encodes the one row of a block of map key columns. The result is valid until the next encoding.
func (s *State) encodeRow(block []byte, d *abi.BoundState) ([]byte, error) {
	columns, err := s.decodeKeys(block, d, 1)
	if err != nil {
		return nil, err
	}
	s.encoded = appendMapKey(s.encoded[:0], columns, len(columns), 0)
	if len(s.encoded) > abi.KeyBytesMax {
		return nil, fmt.Errorf("a map key of %d bytes, at most %d", len(s.encoded), abi.KeyBytesMax)
	}
	return s.encoded, nil
}

func (s *State) decodeKeys(block []byte, d *abi.BoundState, rows int) ([]record.Column, error) {
	var err error
	if s.blocks, _, err = frame.DecodeBlock(block, d.Fields[:d.Keys], rows, s.blocks[:0]); err != nil {
		return nil, err
	}
	s.bounds = s.bounds[:0]
	for i := range s.blocks {
		s.bounds = append(s.bounds, crossing.View(&s.blocks[i]))
	}
	return s.bounds, nil
}

// appendMapKey encodes the first n columns of a row.
func appendMapKey(dst []byte, columns []record.Column, n, row int) []byte {
	return record.AppendKey(dst, columns, firstColumns[:n], row)
}

// firstColumns is 0, 1, 2, ...
var firstColumns = func() (list [abi.ColumnsMax]int) {
	for i := range list {
		list[i] = i
	}
	return list
}()

// Apply is state_apply: it takes a frame of STATE sections on top of what was applied before.
func (s *State) Apply(data []byte) error {
	changes, err := s.decoder.DecodeChanges(data, s.asked)
	if err != nil {
		return err
	}
	if s.appliedBytes += len(data); s.appliedBytes > appliedBytesMax {
		return fmt.Errorf("state_apply was given %d bytes in one frame, at most %d", s.appliedBytes, appliedBytesMax)
	}
	for i := range changes {
		s.add(&changes[i])
	}
	return nil
}

func (s *State) add(c *frame.StateChanges) {
	p, d := &s.applied[c.State], &s.binding.States[c.State]
	if p.byKey == nil {
		p.byKey = make(map[uint32][]int32)
		p.changes.Columns = crossing.For(d.Fields)
	}
	base := int32(len(p.changes.Key))
	p.changes.Key = append(p.changes.Key, c.Key...)
	p.changes.Op = append(p.changes.Op, c.Op...)
	for i := range c.Columns {
		column := crossing.Copy(&c.Columns[i], 0, c.Columns[i].Len)
		p.changes.Columns[i].AppendRange(&column, 0, column.Len)
	}
	for i, key := range c.Key {
		at := base + int32(i)
		p.byKey[key] = append(p.byKey[key], at)
		if d.Kind == abi.StateMap {
			s.encoded = appendMapKey(s.encoded[:0], p.changes.Columns, d.Keys, int(at))
			p.mapKeys = append(p.mapKeys, string(s.encoded))
		}
	}
}

// Flush hands the changes that state_apply was given to the back-end.
func (s *State) Flush() error {
	if s.appliedBytes == 0 {
		return nil
	}
	for id := range s.applied {
		if p := &s.applied[id]; len(p.changes.Key) > 0 {
			if err := s.backend.Apply(id, s.keys, &p.changes); err != nil {
				return err
			}
		}
	}
	return nil
}

// Beyond finds a change that state_apply was given to a key that none of the consumed items has: it would take effect
// although its item has not.
func (s *State) Beyond(consumed int) *abi.Violation {
	if s.appliedBytes == 0 || consumed == s.asked.Items {
		return nil
	}
	seen := uint32(0)
	for _, k := range s.asked.KeyOf[:consumed] {
		seen = max(seen, k+1)
	}
	for id := range s.applied {
		for _, key := range s.applied[id].changes.Key {
			if key >= seen {
				return abi.Broken("state_apply was given a change to key %d, the consumed items have %d", key, seen).In("STATE(%d)", id)
			}
		}
	}
	return nil
}
