package statetest

import (
	"bytes"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"sort"
	"strings"

	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
)

// Row is a row as text: fields joined, so that rows compare with ==.
type Row string

// RowOf formats row i of columns.
func RowOf(columns []record.Column, i int) Row {
	var b strings.Builder
	for c := range columns {
		writeValue(&b, &columns[c], i)
		b.WriteByte('|')
	}
	return Row(b.String())
}

func writeValue(b *strings.Builder, c *record.Column, i int) {
	switch {
	case c.Null(i):
		b.WriteString("null")
	case c.Elements != nil:
		for e := c.Offsets[i]; e < c.Offsets[i+1]; e++ {
			writeValue(b, c.Elements, int(e))
			b.WriteByte(',')
		}
	case c.Type.Kind() == record.Decimal128:
		fmt.Fprint(b, c.Decimal(i))
	case c.Type.HasOffsets():
		fmt.Fprintf(b, "%q", c.Bytes(i))
	case c.Type == record.F32 || c.Type == record.F64:
		fmt.Fprint(b, c.Float(i))
	default:
		fmt.Fprint(b, c.Int(i))
	}
}

// Timer is a timer of the model.
type Timer struct {
	Domain  state.Domain
	Name    int // declared position
	Time    int64
	Tag     string
	setting int
}

// cell is a row and the time from which on it is absent.
type cell struct {
	row  Row
	ends int64 // us of processing time
}

// Model is keyed state and timers in Go maps, by encoded key. What has expired stays in them and is passed over.
type Model struct {
	States []state.Decl
	Names  []state.TimerDecl
	Now    int64 // us of processing time

	values   []map[string]cell            // by state, key
	lists    []map[string][]cell          // by state, key
	entries  []map[string]map[string]cell // by state, key, encoded map key
	timers   map[string][]Timer           // by key, in no order
	settings int
}

// NewModel makes an empty model.
func NewModel(states []state.Decl, names []state.TimerDecl) *Model {
	m := &Model{States: states, Names: names, timers: map[string][]Timer{}}
	for range states {
		m.values = append(m.values, map[string]cell{})
		m.lists = append(m.lists, map[string][]cell{})
		m.entries = append(m.entries, map[string]map[string]cell{})
	}
	return m
}

// Clone copies the model.
func (m *Model) Clone() *Model {
	c := NewModel(m.States, m.Names)
	for s := range m.States {
		c.values[s] = maps.Clone(m.values[s])
		for k, l := range m.lists[s] {
			c.lists[s][k] = slices.Clone(l)
		}
		for k, e := range m.entries[s] {
			c.entries[s][k] = maps.Clone(e)
		}
	}
	for k, t := range m.timers {
		c.timers[k] = slices.Clone(t)
	}
	c.settings, c.Now = m.settings, m.Now
	return c
}

// written is a row written now.
func (m *Model) written(s int, row Row) cell {
	if ttl := m.States[s].TTL; ttl > 0 {
		return cell{row, m.Now + ttl}
	}
	return cell{row, math.MaxInt64}
}

func (m *Model) lives(c cell) bool { return m.Now < c.ends }

// Change makes one change of a state. mapKey is the encoded map key, row the value.
func (m *Model) Change(s int, key string, op uint8, mapKey string, row Row) {
	switch kind := m.States[s].Kind; {
	case kind == state.Value && op == state.OpSet:
		m.values[s][key] = m.written(s, row)
	case kind == state.Value && op == state.OpClear:
		delete(m.values[s], key)
	case kind == state.List && op == state.OpAppend:
		m.lists[s][key] = append(m.lists[s][key], m.written(s, row))
	case kind == state.List && op == state.OpClear:
		delete(m.lists[s], key)
	case kind == state.Map && op == state.OpSet:
		if m.entries[s][key] == nil {
			m.entries[s][key] = map[string]cell{}
		}
		m.entries[s][key][mapKey] = m.written(s, row)
	case kind == state.Map && op == state.OpClear:
		delete(m.entries[s][key], mapKey)
	case kind == state.Map && op == state.OpClearAll:
		delete(m.entries[s], key)
	default:
		panic(fmt.Sprintf("operation %d on state %d", op, s))
	}
}

// Cell returns the rows of a key's cell: a value's one, a list's elements, a map's values in ascending order of map keys.
func (m *Model) Cell(s int, key string) []Row {
	var rows []Row
	switch m.States[s].Kind {
	case state.Value:
		if c, ok := m.values[s][key]; ok && m.lives(c) {
			rows = append(rows, c.row)
		}
	case state.List:
		for _, c := range m.lists[s][key] {
			if m.lives(c) {
				rows = append(rows, c.row)
			}
		}
	default:
		for _, k := range m.mapKeys(s, key) {
			rows = append(rows, m.entries[s][key][k].row)
		}
	}
	return rows
}

// Entry returns a map's entry.
func (m *Model) Entry(s int, key, mapKey string) (Row, bool) {
	c, ok := m.entries[s][key][mapKey]
	if !ok || !m.lives(c) {
		return "", false
	}
	return c.row, true
}

// mapKeys lists the map keys of a key, in order.
func (m *Model) mapKeys(s int, key string) []string {
	keys := m.everMapKeys(s, key)
	return slices.DeleteFunc(keys, func(k string) bool { return !m.lives(m.entries[s][key][k]) })
}

// everMapKeys is mapKeys with those that have expired.
func (m *Model) everMapKeys(s int, key string) []string {
	return slices.Sorted(maps.Keys(m.entries[s][key]))
}

// Scan returns the map keys with low <= key < high in order; nil is unbounded.
func (m *Model) Scan(s int, key string, low, high []byte, descending bool) []string {
	var keys []string
	for _, k := range m.mapKeys(s, key) {
		if low != nil && bytes.Compare([]byte(k), low) < 0 || high != nil && bytes.Compare([]byte(k), high) >= 0 {
			continue
		}
		keys = append(keys, k)
	}
	if descending {
		slices.Reverse(keys)
	}
	return keys
}

// same says whether a timer is the one that a change names: domain, name, tag, and time where the name may have many.
func (m *Model) same(t, o Timer) bool {
	return t.Domain == o.Domain && t.Name == o.Name && t.Tag == o.Tag && (!m.Names[t.Name].Many || t.Time == o.Time)
}

// ChangeTimer makes one change of a timer.
func (m *Model) ChangeTimer(key string, op uint8, t Timer, reached [2]int64) {
	drop := func(gone func(Timer) bool) { m.timers[key] = slices.DeleteFunc(m.timers[key], gone) }
	switch op {
	case state.TimerSet:
		if m.Names[t.Name].DropPast && t.Time <= reached[t.Domain] {
			return
		}
		drop(func(o Timer) bool { return m.same(t, o) })
		m.settings++
		t.setting = m.settings
		m.timers[key] = append(m.timers[key], t)
	case state.TimerDelete:
		drop(func(o Timer) bool { return m.same(t, o) })
	case state.TimerDeleteTag:
		drop(func(o Timer) bool { return t.Domain == o.Domain && t.Name == o.Name && t.Tag == o.Tag })
	case state.TimerDeleteKey:
		drop(func(Timer) bool { return true })
	}
	if len(m.timers[key]) == 0 {
		delete(m.timers, key)
	}
}

// Fire removes a timer where it still has the setting it had.
func (m *Model) Fire(key string, t Timer) {
	m.timers[key] = slices.DeleteFunc(m.timers[key], func(o Timer) bool { return o == t })
	if len(m.timers[key]) == 0 {
		delete(m.timers, key)
	}
}

// Due returns each key's earliest timer, where that is due.
func (m *Model) Due(domain state.Domain, upTo int64) map[string]Timer {
	due := map[string]Timer{}
	for key, list := range m.timers {
		mine := slices.DeleteFunc(slices.Clone(list), func(t Timer) bool { return t.Domain != domain || t.Time > upTo })
		if len(mine) == 0 {
			continue
		}
		sort.Slice(mine, func(i, j int) bool {
			a, b := mine[i], mine[j]
			if a.Time != b.Time {
				return a.Time < b.Time
			}
			if a.Name != b.Name {
				return a.Name < b.Name
			}
			return a.Tag < b.Tag
		})
		due[key] = mine[0]
	}
	return due
}

// Timers counts all timers.
func (m *Model) Timers() int {
	n := 0
	for _, list := range m.timers {
		n += len(list)
	}
	return n
}

// Cells counts value cells, list elements and map entries.
func (m *Model) Cells() int {
	n := 0
	for s := range m.States {
		for _, keys := range []iter.Seq[string]{maps.Keys(m.values[s]), maps.Keys(m.lists[s]), maps.Keys(m.entries[s])} {
			for key := range keys {
				n += len(m.Cell(s, key))
			}
		}
	}
	return n
}
