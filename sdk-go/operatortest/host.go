package operatortest

import (
	"slices"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
)

// scan is an open scan over the rest of a map.
type scan struct {
	of   *stateStore
	rows []values
}

// scanRows are the entries of a block: few, so that a small test has several blocks.
const scanRows = 3

// host answers what the operator asks for while a frame is under way.
type host struct{ h *Harness }

func (x host) Log(_ int, line string) { x.h.logs = append(x.h.logs, string([]byte(line))) }

// state is a state as the frame sees it by now.
func (x host) state(id uint32) *stateStore {
	if a := x.h.running.applied; a != nil && a[id] != nil {
		return a[id]
	}
	return x.h.store.states[id]
}

func (x host) StateGet(id, key uint32, mapKey, out []byte) int32 {
	st := x.state(id)
	rows := st.rows(x.h.running.names[key], x.h.now)
	if st.kind == abi.StateMap {
		i, found := slices.BinarySearchFunc(rows, decodeBlock(mapKey, st.keyTypes)[0], st.compareKeys)
		if !found {
			return -1
		}
		rows = []values{rows[i][len(st.keyTypes):]}
	}
	if rows == nil {
		return -1
	}
	b := encodeBlock(st.types, rows)
	if len(b) <= len(out) {
		copy(out, b)
	}
	return int32(len(b))
}

func (x host) ScanOpen(id, key uint32, bounds []byte, flags uint32) int32 {
	st, r := x.state(id), x.h.running
	rows := st.rows(r.names[key], x.h.now)
	if flags&(abi.ScanLow|abi.ScanHigh) != 0 {
		limits := decodeBlock(bounds, st.keyTypes)
		if flags&abi.ScanLow != 0 {
			low := limits[0]
			limits = limits[1:]
			rows = slices.DeleteFunc(rows, func(v values) bool { return compare(v[:len(st.keyTypes)], low) < 0 })
		}
		if flags&abi.ScanHigh != 0 {
			rows = slices.DeleteFunc(rows, func(v values) bool { return compare(v[:len(st.keyTypes)], limits[0]) >= 0 })
		}
	}
	if flags&abi.ScanDescending != 0 {
		slices.Reverse(rows)
	}
	handle := slices.Index(r.scans, nil)
	if handle < 0 {
		handle = len(r.scans)
		r.scans = append(r.scans, nil)
	}
	if handle >= scansMax {
		broken("more than %d scans open at once", scansMax)
	}
	r.scans[handle] = &scan{st, rows}
	return int32(handle)
}

// scansMax scans may be open at once.
const scansMax = 64

// ScanNext ends the scan with a block of no rows, or where out is empty.
func (x host) ScanNext(handle int32, out []byte) int32 {
	s := x.h.running.scans[handle]
	n := min(len(s.rows), scanRows)
	if n == 0 || len(out) == 0 {
		x.h.running.scans[handle] = nil
	}
	if len(out) == 0 {
		return 0
	}
	for {
		b := encodeBlock(s.of.all(), s.rows[:n])
		if len(b) <= len(out) {
			copy(out, b)
			s.rows = s.rows[n:]
			return int32(len(b))
		}
		if n <= 1 {
			return int32(-len(b))
		}
		n--
	}
}

func (x host) Apply(data []byte) {
	r := x.h.running
	if r.applied == nil {
		r.applied = make([]*stateStore, len(x.h.store.states))
	}
	d := decoder(data)
	for _, s := range d.sections(r.kind, x.h.sequence) {
		if s.id != abi.SectionState {
			broken("section %d in state_apply", s.id)
		}
		if r.applied[s.index] == nil {
			r.applied[s.index] = x.h.store.states[s.index].clone()
		}
		decodeState(d, r, r.applied[s.index], s.at, x.h.now)
	}
}
