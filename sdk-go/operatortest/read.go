package operatortest

import (
	"reflect"
	"slices"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
	"github.com/tidemill/tidemill/sdk-go/operator"
)

// Value reads a value state of a key, given as the values of its columns in their order.
func Value[T any](h *Harness, state string, key ...any) (value T, found bool) {
	h.t.Helper()
	rows := list[T](h, abi.StateValue, state, key)
	if len(rows) == 0 {
		return value, false
	}
	return rows[0], true
}

// List reads a list state of a key.
func List[T any](h *Harness, state string, key ...any) []T {
	h.t.Helper()
	return list[T](h, abi.StateList, state, key)
}

// Map reads a map state of a key.
func Map[K comparable, V any](h *Harness, state string, key ...any) map[K]V {
	h.t.Helper()
	st, rows := h.cell(abi.StateMap, state, key)
	out := map[K]V{}
	n := len(st.keyTypes)
	for _, row := range rows {
		out[decodeRow[K](h, st.bind.Key, row[:n])] = decodeRow[V](h, st.bind.Value, row[n:])
	}
	return out
}

func list[T any](h *Harness, kind abi.StateKind, state string, key []any) (out []T) {
	h.t.Helper()
	st, rows := h.cell(kind, state, key)
	for _, row := range rows {
		out = append(out, decodeRow[T](h, st.bind.Value, row))
	}
	return out
}

func (h *Harness) cell(kind abi.StateKind, state string, key []any) (*stateStore, []values) {
	h.t.Helper()
	for _, st := range h.store.states {
		if st.bind.Name == state {
			if st.kind != kind {
				h.t.Fatalf("state %s is a %s", state, st.bind.Kind)
			}
			return st, st.rows(h.keyOf(key), h.now)
		}
	}
	h.t.Fatalf("the operator has no state %s", state)
	return nil, nil
}

// keyOf is the key as the store has it.
func (h *Harness) keyOf(key []any) string {
	h.t.Helper()
	if len(key) != len(h.request.Key) {
		h.t.Fatalf("a key has %d columns", len(h.request.Key))
	}
	var row values
	for i, v := range key {
		x := reflect.ValueOf(v)
		list, _, err := fields(x.Type(), "key", h.request.Key[i:i+1])
		if err != nil {
			h.t.Fatal(err)
		}
		row = append(row, take(h.t, x, list)...)
	}
	return keyBytes(row)
}

func decodeRow[T any](h *Harness, schema []abi.Field, row values) (out T) {
	h.t.Helper()
	list, _, err := fields(reflect.TypeFor[T](), schema[0].Name, schema)
	if err != nil {
		h.t.Fatal(err)
	}
	named := make([]field, len(schema))
	for i, f := range schema {
		named[i] = field{Field: f}
	}
	give(reflect.ValueOf(&out).Elem(), list, project(h.t, row, named, list))
	return out
}

// Timer is a timer that is set.
type Timer struct {
	Name       string
	Processing bool
	Time       operator.Timestamp
	Tag        string
}

// Timers are the timers of a key, in the order in which they will fire.
func (h *Harness) Timers(key ...any) (out []Timer) {
	h.t.Helper()
	for _, t := range slices.Clone(h.store.timers[h.keyOf(key)]) {
		out = append(out, Timer{
			Name: h.descriptor.Timers[t.name].Name, Processing: t.domain == abi.DomainProcessing,
			Time: operator.Timestamp(t.time), Tag: t.tag,
		})
	}
	return out
}
