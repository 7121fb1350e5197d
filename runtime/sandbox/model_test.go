package sandbox

import (
	"bytes"
	"cmp"
	"errors"
	"slices"
	"sort"

	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/sandbox/crossing"
	"github.com/tidemill/tidemill/runtime/state"
)

// modelState is a state back-end of plain maps: slow, obvious, and what the tests compare with. A row is a slice of one-row columns.
type modelState struct {
	states []state.Decl
	timers []state.TimerDecl
	cells  []map[string]*modelCell
	set    []modelTimer
	fail   error // returned by every method, where set
	loads  int
}

type modelCell struct {
	rows [][]record.Column // value: one; list: the elements
	keys []string          // map: encoded map keys, ascending, beside rows of key and value columns
}

type modelTimer struct {
	domain state.Domain
	key    string
	name   uint16
	time   int64
	tag    string
}

var _ state.Backend = (*modelState)(nil)

func (m *modelState) Declare(states []state.Decl, timers []state.TimerDecl) error {
	m.states, m.timers = states, timers
	m.cells = make([]map[string]*modelCell, len(states))
	for i := range m.cells {
		m.cells[i] = map[string]*modelCell{}
	}
	return m.fail
}

// SetNow: no state of the tests that use the model has a TTL.
func (m *modelState) SetNow(int64) {}

func oneRow(columns []record.Column, row int) []record.Column {
	out := make([]record.Column, len(columns))
	for i := range columns {
		out[i] = columns[i].Take([]int32{int32(row)})
	}
	return out
}

func appendRow(dst, row []record.Column) {
	for i := range dst {
		dst[i].AppendRow(&row[i], 0)
	}
}

func (m *modelState) Load(id int, keys *record.KeySet, limit int, dst *state.Cells) error {
	m.loads++
	dst.Status, dst.Start = dst.Status[:0], dst.Start[:0]
	crossing.ResetAll(dst.Columns)
	isValue := m.states[id].Kind == state.Value
	if isValue {
		dst.Start = nil
	} else {
		dst.Start = append(dst.Start, 0)
	}
	for k := range keys.N {
		c := m.cells[id][string(keys.Key(k))]
		status := uint8(state.Inline)
		if c == nil {
			status = state.Absent
		} else if size(c) > limit {
			status = state.Ask
		}
		dst.Status = append(dst.Status, status)
		switch {
		case status == state.Inline:
			for _, row := range c.rows {
				appendRow(dst.Columns, row)
			}
		case isValue:
			for i := range dst.Columns {
				dst.Columns[i].AppendNull()
			}
		}
		if !isValue {
			dst.Start = append(dst.Start, uint32(dst.Columns[0].Len))
		}
	}
	return m.fail
}

func size(c *modelCell) int {
	n := 0
	for _, row := range c.rows {
		for i := range row {
			n += row[i].Size()
		}
	}
	return n
}

func (m *modelState) Get(id int, hash uint64, key, mapKey []byte, dst []record.Column) (bool, error) {
	c := m.cells[id][string(key)]
	if c == nil || m.fail != nil {
		return false, m.fail
	}
	if m.states[id].Kind == state.Map {
		at, ok := slices.BinarySearch(c.keys, string(mapKey))
		if ok {
			appendRow(dst, c.rows[at][len(m.states[id].MapKey):])
		}
		return ok, nil
	}
	for _, row := range c.rows {
		appendRow(dst, row)
	}
	return true, nil
}

type modelScan struct{ rows [][]record.Column }

func (s *modelScan) Next(dst []record.Column, most int) (int, error) {
	n := min(most, len(s.rows))
	for _, row := range s.rows[:n] {
		appendRow(dst, row)
	}
	s.rows = s.rows[n:]
	return n, nil
}

func (m *modelState) Scan(id int, hash uint64, key, low, high []byte, descending bool) (state.Scanner, error) {
	s := &modelScan{}
	if c := m.cells[id][string(key)]; c != nil {
		for i, k := range c.keys {
			if (low == nil || k >= string(low)) && (high == nil || k < string(high)) {
				s.rows = append(s.rows, c.rows[i])
			}
		}
	}
	if descending {
		slices.Reverse(s.rows)
	}
	return s, m.fail
}

func (m *modelState) Apply(id int, keys *record.KeySet, changes *state.Changes) error {
	for i, op := range changes.Op {
		key := string(keys.Key(int(changes.Key[i])))
		c := m.cells[id][key]
		if c == nil {
			c = &modelCell{}
		}
		m.change(id, c, op, oneRow(changes.Columns, i))
		if len(c.rows) == 0 {
			delete(m.cells[id], key)
		} else {
			m.cells[id][key] = c
		}
	}
	return m.fail
}

func (m *modelState) change(id int, c *modelCell, op uint8, row []record.Column) {
	kind := m.states[id].Kind
	switch {
	case op == state.OpClearAll || (op == state.OpClear && kind != state.Map):
		*c = modelCell{}
	case op == state.OpAppend:
		c.rows = append(c.rows, row)
	case kind == state.Value:
		c.rows = [][]record.Column{row}
	default:
		var first []int
		for i := range m.states[id].MapKey {
			first = append(first, i)
		}
		mapKey := string(record.AppendKey(nil, row, first, 0))
		at, found := slices.BinarySearch(c.keys, mapKey)
		if found {
			c.keys, c.rows = slices.Delete(c.keys, at, at+1), slices.Delete(c.rows, at, at+1)
		}
		if op == state.OpSet {
			c.keys, c.rows = slices.Insert(c.keys, at, mapKey), slices.Insert(c.rows, at, row)
		}
	}
}

func (m *modelState) ApplyTimers(keys *record.KeySet, t *state.TimerChanges, reached [2]int64) error {
	for i, op := range t.Op {
		key, tag := string(keys.Key(int(t.Key[i]))), string(t.Tags[t.TagOff[i]:t.TagOff[i+1]])
		domain := state.Domain(t.Domain[i])
		many := op != state.TimerDeleteKey && m.timers[t.Name[i]].Many
		m.set = slices.DeleteFunc(m.set, func(s modelTimer) bool {
			switch {
			case s.key != key:
				return false
			case op == state.TimerDeleteKey:
				return true
			case s.domain != domain || s.name != t.Name[i] || s.tag != tag:
				return false
			}
			return op == state.TimerDeleteTag || !many || s.time == t.Time[i]
		})
		if op == state.TimerSet && !(m.timers[t.Name[i]].DropPast && t.Time[i] <= reached[domain]) {
			m.set = append(m.set, modelTimer{domain, key, t.Name[i], t.Time[i], tag})
		}
	}
	return m.fail
}

func (m *modelState) Due(domain state.Domain, upTo int64, most int, dst *state.Round) (int, error) {
	sort.SliceStable(m.set, func(i, j int) bool {
		a, b := &m.set[i], &m.set[j]
		return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.name, b.name), cmp.Compare(a.tag, b.tag), cmp.Compare(a.key, b.key)) < 0
	})
	dst.Keys.Reset(len(m.set))
	dst.Name, dst.Time, dst.Tags, dst.TagOff = dst.Name[:0], dst.Time[:0], dst.Tags[:0], append(dst.TagOff[:0], 0)
	seen := map[string]bool{}
	for _, s := range m.set {
		if s.domain != domain || s.time > upTo || seen[s.key] || len(seen) == most {
			continue
		}
		seen[s.key] = true
		dst.Keys.Add([]byte(s.key), int32(len(dst.Name)))
		dst.Name, dst.Time = append(dst.Name, s.name), append(dst.Time, s.time)
		dst.Tags = append(dst.Tags, s.tag...)
		dst.TagOff = append(dst.TagOff, int32(len(dst.Tags)))
	}
	return len(dst.Name), m.fail
}

func (m *modelState) Fired(domain state.Domain, r *state.Round, from, to int) error {
	for i := from; i < to; i++ {
		m.set = slices.DeleteFunc(m.set, func(s modelTimer) bool {
			return s.domain == domain && s.key == string(r.Keys.Key(i)) && s.name == r.Name[i] && s.time == r.Time[i] &&
				bytes.Equal([]byte(s.tag), r.Tags[r.TagOff[i]:r.TagOff[i+1]])
		})
	}
	return m.fail
}

func (m *modelState) NextTimer(domain state.Domain) (int64, bool) {
	least, found := int64(0), false
	for _, s := range m.set {
		if s.domain == domain && (!found || s.time < least) {
			least, found = s.time, true
		}
	}
	return least, found
}

var errNotInModel = errors.New("the model has no checkpoints")

func (m *modelState) Freeze(bool) (state.Frozen, error)       { return nil, errNotInModel }
func (m *modelState) Restore(state.Reader, [2]int, int) error { return errNotInModel }
func (m *modelState) Stats() state.Stats                      { return state.Stats{} }
func (m *modelState) Close() error                            { return nil }
