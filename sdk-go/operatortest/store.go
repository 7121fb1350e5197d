package operatortest

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
	"github.com/tidemill/tidemill/sdk-go/internal/row"
)

// store is the state and the timers of all keys.
type store struct {
	keys   map[string]values // as keyBytes has them
	states []*stateStore
	timers map[string][]timer // by key
}

// stateStore is one state. A value has one row, a list its elements, a map its entries in the order of their keys.
type stateStore struct {
	bind     abi.BindState
	kind     abi.StateKind
	keyTypes []row.Type // of a map
	types    []row.Type // of the values
	cells    map[string][]stored
}

// stored is a row with the processing time at which it was written.
type stored struct {
	row     values
	written int64
}

type timer struct {
	key    string // as keyBytes has it
	name   int
	domain byte
	time   int64
	tag    string
}

func newStore(d *abi.Descriptor) *store {
	s := &store{keys: map[string]values{}, timers: map[string][]timer{}}
	for _, bind := range d.States {
		st := &stateStore{bind: bind, cells: map[string][]stored{}, keyTypes: types(bind.Key), types: types(bind.Value)}
		st.kind = map[string]abi.StateKind{"value": abi.StateValue, "list": abi.StateList, "map": abi.StateMap}[bind.Kind]
		s.states = append(s.states, st)
	}
	return s
}

func types(schema []abi.Field) (list []row.Type) {
	for _, f := range schema {
		list = append(list, row.ParseType(f.Type))
	}
	return list
}

// all are the types of a row: of the map key, then of the value.
func (st *stateStore) all() []row.Type { return slices.Concat(st.keyTypes, st.types) }

// rows are those of a cell that have not expired.
func (st *stateStore) rows(key string, now int64) (rows []values) {
	for _, s := range st.cells[key] {
		if ttl := st.bind.TTLms; ttl == 0 || now-s.written < ttl*1000 {
			rows = append(rows, s.row)
		}
	}
	return rows
}

// compareKeys orders a row of a map and a map key.
func (st *stateStore) compareKeys(row, key values) int { return compare(row[:len(st.keyTypes)], key) }

// apply changes a cell at a processing time.
func (st *stateStore) apply(key string, op int, row values, now int64) {
	rows, s := st.cells[key], stored{row, now}
	switch {
	case op == abi.OpSet && st.kind == abi.StateValue:
		rows = []stored{s}
	case op == abi.OpAppend && st.kind == abi.StateList:
		rows = append(slices.Clone(rows), s)
	case op == abi.OpClear && st.kind != abi.StateMap, op == abi.OpClearAll && st.kind == abi.StateMap:
		rows = nil
	case st.kind == abi.StateMap && (op == abi.OpSet || op == abi.OpClear):
		rows = slices.Clone(rows)
		i, found := slices.BinarySearchFunc(rows, row[:len(st.keyTypes)], func(s stored, key values) int { return st.compareKeys(s.row, key) })
		if found {
			rows = slices.Delete(rows, i, i+1)
		}
		if op == abi.OpSet {
			rows = slices.Insert(rows, i, s)
		}
	default:
		broken("operation %d on a %s", op, st.bind.Kind)
	}
	if len(rows) == 0 {
		delete(st.cells, key)
		return
	}
	st.cells[key] = rows
}

func (st *stateStore) clone() *stateStore {
	c := *st
	c.cells = maps.Clone(st.cells)
	return &c
}

// keyBytes tells keys apart.
func keyBytes(key values) string {
	var b []byte
	for _, v := range key {
		switch v := v.(type) {
		case nil:
			b = append(b, 0)
		case int64:
			b = binary.BigEndian.AppendUint64(append(b, 1), uint64(v))
		case float64:
			b = binary.BigEndian.AppendUint64(append(b, 2), math.Float64bits(v+0))
		case bool:
			b = fmt.Append(append(b, 3), v)
		case string:
			b = append(append(binary.BigEndian.AppendUint32(append(b, 4), uint32(len(v))), v...), 0)
		case *big.Int:
			b = append(append(b, 6), v.String()+"."...)
		case []byte:
			b = append(append(binary.BigEndian.AppendUint32(append(b, 5), uint32(len(v))), v...), 0)
		}
	}
	return string(b)
}

// change applies a change of timers, at a moment in both domains.
func (s *store) change(d *abi.Descriptor, t timer, op int, watermark, now int64) {
	list := s.timers[t.key]
	keep := list[:0:0]
	for _, old := range list {
		same := old.name == t.name && old.domain == t.domain && old.tag == t.tag
		switch op {
		case abi.TimerSet, abi.TimerDelete:
			if d.Timers[t.name].Mode == abi.TimerMany {
				same = same && old.time == t.time
			}
		case abi.TimerDeleteKey:
			same = true
		case abi.TimerDeleteTag:
		default:
			broken("timer operation %d", op)
		}
		if !same {
			keep = append(keep, old)
		}
	}
	if op == abi.TimerSet {
		reached := watermark
		if t.domain == abi.DomainProcessing {
			reached = now
		}
		if d.Timers[t.name].Past != abi.PastDrop || t.time > reached {
			keep = append(keep, t)
		}
	}
	slices.SortFunc(keep, compareTimers)
	s.timers[t.key] = keep
}

// compareTimers is the order in which timers of a key fire.
func compareTimers(a, b timer) int {
	return compare(values{a.time, int64(a.name), a.tag}, values{b.time, int64(b.name), b.tag})
}
