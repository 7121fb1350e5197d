package operatortest

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
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
	keyTypes []abi.Type // of a map
	types    []abi.Type // of the values
	cells    map[string][]values
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
		st := &stateStore{bind: bind, cells: map[string][]values{}, keyTypes: types(bind.Key), types: types(bind.Value)}
		st.kind = map[string]abi.StateKind{"value": abi.StateValue, "list": abi.StateList, "map": abi.StateMap}[bind.Kind]
		s.states = append(s.states, st)
	}
	return s
}

func types(schema []abi.Field) (list []abi.Type) {
	for _, f := range schema {
		list = append(list, typeByName[f.Type])
	}
	return list
}

// all are the types of a row: of the map key, then of the value.
func (st *stateStore) all() []abi.Type { return slices.Concat(st.keyTypes, st.types) }

// find is the place of a map key among the rows of a cell.
func (st *stateStore) find(rows []values, key values) (int, bool) {
	return slices.BinarySearchFunc(rows, key, func(row, key values) int { return compare(row[:len(st.keyTypes)], key) })
}

// apply changes a cell; the rows of a cell are replaced, not changed, so that a scan keeps what it began with.
func (st *stateStore) apply(key string, op int, row values) {
	rows := slices.Clone(st.cells[key])
	switch {
	case op == abi.OpSet && st.kind == abi.StateValue:
		rows = []values{row}
	case op == abi.OpAppend && st.kind == abi.StateList:
		rows = append(rows, row)
	case op == abi.OpClear && st.kind != abi.StateMap, op == abi.OpClearAll && st.kind == abi.StateMap:
		rows = nil
	case st.kind == abi.StateMap && (op == abi.OpSet || op == abi.OpClear):
		i, found := st.find(rows, row[:len(st.keyTypes)])
		if found {
			rows = slices.Delete(rows, i, i+1)
		}
		if op == abi.OpSet {
			rows = slices.Insert(rows, i, row)
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
	c.cells = make(map[string][]values, len(st.cells))
	for k, v := range st.cells {
		c.cells[k] = v
	}
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
