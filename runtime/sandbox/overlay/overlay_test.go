package overlay

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/abi/frame"
	"github.com/tidemill/tidemill/abi/frame/frametest"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/sandbox/crossing"
	"github.com/tidemill/tidemill/runtime/state"
	"github.com/tidemill/tidemill/runtime/state/memory"
)

// stateRig is a State over one back-end, and another back-end that the same changes are applied to at once: reading through the
// first must always give what the second holds.
type stateRig struct {
	t       *testing.T
	s       *State
	want    state.Backend
	binding *abi.Binding
	keys    record.KeySet
	asked   frame.Asked
}

var overlayStates = []abi.BoundState{
	{Name: "value", Kind: abi.StateValue, Fields: []abi.FieldType{{Name: "a", Type: abi.UTF8, Nullable: true}, {Name: "b", Type: abi.I32},
		{Name: "d", Type: abi.DecimalOf(5, 2)}, {Name: "l", Type: abi.ListOf(abi.UTF8), Nullable: true}}},
	{Name: "list", Kind: abi.StateList, Fields: []abi.FieldType{{Name: "a", Type: abi.F64, Nullable: true}}},
	{Name: "map", Kind: abi.StateMap, Keys: 2, Fields: []abi.FieldType{
		{Name: "k", Type: abi.UTF8, Nullable: true}, {Name: "n", Type: abi.I16}, {Name: "v", Type: abi.Bool, Nullable: true},
	}},
}

func newStateRig(t *testing.T) *stateRig {
	t.Helper()
	r := &stateRig{t: t, binding: &abi.Binding{States: overlayStates}}
	var backends []state.Backend
	for range 2 {
		b, err := memory.Factory{}.New(state.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		var decls []state.Decl
		for _, s := range overlayStates {
			fields := crossing.Fields(s.Fields)
			decls = append(decls, state.Decl{Name: s.Name, Kind: state.Kind(s.Kind), MapKey: fields[:s.Keys], Value: fields[s.Keys:]})
		}
		if err := b.Declare(decls, nil); err != nil {
			t.Fatal(err)
		}
		backends = append(backends, b)
	}
	r.want = backends[1]
	r.s = New(backends[0], r.binding, abi.FrameBytesMax)
	r.keys.Reset(4)
	for i := range 3 {
		r.keys.Add([]byte{byte('a' + i)}, int32(i))
	}
	r.asked = frame.Asked{Kind: abi.KindBatch, Sequence: 1, Items: 3, Keys: 3, KeyOf: []uint32{0, 1, 2}}
	return r
}

func overlayValue(rng *rand.Rand, f abi.FieldType) any {
	if f.Nullable && rng.IntN(5) == 0 {
		return nil
	}
	switch f.Type {
	case abi.DecimalOf(5, 2):
		return []string{"0", "-1230", "99999"}[rng.IntN(3)]
	case abi.ListOf(abi.UTF8):
		return []any{"x", "", "yz"}[:rng.IntN(4)]
	case abi.UTF8:
		return []string{"", "a", "b\x00", "b", "\u00ff"}[rng.IntN(5)]
	case abi.F64:
		return float64(rng.IntN(100)) / 4
	case abi.Bool:
		return rng.IntN(2) == 0
	}
	return rng.IntN(6) - 3
}

// draw makes changes to one state.
func (r *stateRig) draw(rng *rand.Rand) frametest.State {
	id := rng.IntN(len(overlayStates))
	d := &overlayStates[id]
	legal := [][]byte{{abi.OpSet, abi.OpSet, abi.OpClear}, {abi.OpAppend, abi.OpAppend, abi.OpAppend, abi.OpClear},
		{abi.OpSet, abi.OpSet, abi.OpSet, abi.OpSet, abi.OpClear, abi.OpClear, abi.OpClearAll}}[id]
	s := frametest.State{Kind: d.Kind, StateChanges: frame.StateChanges{State: id}}
	n := 1 + rng.IntN(6)
	for range n {
		s.Key, s.Op = append(s.Key, uint32(rng.IntN(3))), append(s.Op, legal[rng.IntN(len(legal))])
	}
	for _, f := range d.Fields {
		values := make([]any, n)
		for i := range values {
			values[i] = overlayValue(rng, f)
		}
		s.Columns = append(s.Columns, frametest.Column(f.Type, values...))
	}
	return s
}

func (r *stateRig) applyTo(m state.Backend, s *frametest.State) {
	changes := state.Changes{Key: s.Key, Op: s.Op}
	for i := range s.Columns {
		changes.Columns = append(changes.Columns, crossing.Copy(&s.Columns[i], 0, s.Columns[i].Len))
	}
	if err := m.Apply(s.State, &r.keys, &changes); err != nil {
		r.t.Fatal(err)
	}
}

func (r *stateRig) apply(s frametest.State) {
	r.t.Helper()
	a := frametest.Answer{Kind: abi.KindBatch, Sequence: 1, States: []frametest.State{s}}
	if err := r.s.Apply(a.Encode()); err != nil {
		r.t.Fatal(err)
	}
	r.applyTo(r.want, &s)
}

// check reads every cell of every key and compares.
func (r *stateRig) check() {
	r.t.Helper()
	for id := range overlayStates {
		for key := range uint32(3) {
			if overlayStates[id].Kind == abi.StateMap {
				r.checkMap(key)
				r.checkEntries(key)
				continue
			}
			want := crossing.For(overlayStates[id].Fields)
			found, err := r.want.Get(id, r.keys.Hash[key], r.keys.Key(int(key)), nil, want)
			if err != nil {
				r.t.Fatal(err)
			}
			got := r.get(uint32(id), key, nil)
			if (got != nil) != found || (found && !reflect.DeepEqual(got, rowsOf(want))) {
				r.t.Fatalf("state %d of key %d: %v, want %v (%v)", id, key, got, rowsOf(want), found)
			}
		}
	}
}

// rowsOf is the rows of columns as values.
func rowsOf(columns []record.Column) []string {
	var rows []string
	for i := range columns[0].Len {
		var row []any
		for c := range columns {
			row = append(row, values(&columns[c])[i])
		}
		rows = append(rows, fmt.Sprintf("%#v", row))
	}
	return rows
}

func (r *stateRig) get(id, key uint32, mapKey []byte) []string {
	r.t.Helper()
	out := make([]byte, 8)
	n, err := r.s.Get(id, key, mapKey, out)
	if err != nil {
		r.t.Fatal(err)
	}
	if n < 0 {
		return nil
	}
	out = make([]byte, n)
	if again, err := r.s.Get(id, key, mapKey, out); err != nil || again != n {
		r.t.Fatalf("%d bytes, then %d, %v", n, again, err)
	}
	d := &overlayStates[id]
	return blockRows(r.t, out, d.Fields[d.Keys:])
}

func blockRows(t *testing.T, block []byte, fields []abi.FieldType) []string {
	t.Helper()
	columns, _, err := frame.DecodeBlock(block, fields, -1, nil)
	if err != nil {
		t.Fatal(err)
	}
	out := make([]record.Column, len(columns))
	for i := range columns {
		out[i] = crossing.Copy(&columns[i], 0, columns[i].Len)
	}
	return rowsOf(out)
}

func (r *stateRig) checkMap(key uint32) {
	r.t.Helper()
	d := &overlayStates[2]
	all := r.scan(key, nil, 0)
	want := crossing.For(d.Fields)
	scanner, err := r.want.Scan(2, r.keys.Hash[key], r.keys.Key(int(key)), nil, nil, false)
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := scanner.Next(want, 5000); err != nil {
		r.t.Fatal(err)
	}
	if !reflect.DeepEqual(all, rowsOf(want)) {
		r.t.Fatalf("map of key %d: %v, want %v", key, all, rowsOf(want))
	}
	for i := range want[0].Len { // each entry by itself
		row := []frame.Column{}
		for c := range d.Keys {
			one := want[c].Take([]int32{int32(i)})
			row = append(row, crossing.AsFrame(&one))
		}
		one := want[2].Take([]int32{int32(i)})
		if got := r.get(2, key, frametest.Block(1, row)); !reflect.DeepEqual(got, rowsOf([]record.Column{one})) {
			r.t.Fatalf("entry %d: %v, want %v", i, got, rowsOf([]record.Column{one}))
		}
	}
}

// checkEntries reads every entry that there could be, most of which are not there.
func (r *stateRig) checkEntries(key uint32) {
	r.t.Helper()
	for _, k := range []any{nil, "", "a", "b\x00", "b", "\u00ff"} {
		for n := -3; n < 3; n++ {
			encoded := record.AppendKey(nil, []record.Column{column(record.UTF8, k), column(record.I16, n)}, []int{0, 1}, 0)
			want := crossing.For(overlayStates[2].Fields[2:])
			found, err := r.want.Get(2, r.keys.Hash[key], r.keys.Key(int(key)), encoded, want)
			if err != nil {
				r.t.Fatal(err)
			}
			got := r.get(2, key, frametest.Block(1, []frame.Column{frametest.Column(abi.UTF8, k), frametest.Column(abi.I16, n)}))
			if (got != nil) != found || (found && !reflect.DeepEqual(got, rowsOf(want))) {
				r.t.Fatalf("entry %v %d of key %d: %v, want %v (%v)", k, n, key, got, rowsOf(want), found)
			}
		}
	}
}

// scan reads a map a little at a time, in buffers that are often too small.
func (r *stateRig) scan(key uint32, bounds []byte, flags uint32) []string {
	r.t.Helper()
	h, err := r.s.ScanOpen(2, key, bounds, flags)
	if err != nil {
		r.t.Fatal(err)
	}
	var rows []string
	for size := 100; ; {
		out := make([]byte, size)
		n, err := r.s.ScanNext(h, out)
		if err != nil {
			r.t.Fatal(err)
		}
		if n < 0 {
			size = int(-n)
			continue
		}
		some := blockRows(r.t, out[:n], overlayStates[2].Fields)
		if len(some) == 0 {
			if _, err := r.s.ScanNext(h, out); err == nil {
				r.t.Fatal("a scan that has ended goes on")
			}
			return rows
		}
		rows = append(rows, some...)
	}
}

func TestAppliedStateIsRead(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 2))
			r := newStateRig(t)
			for range rng.IntN(30) { // what the back-end holds
				s := r.draw(rng)
				r.applyTo(r.s.backend, &s)
				r.applyTo(r.want, &s)
			}
			r.s.Begin(&r.keys, &r.asked)
			r.check()
			for range 1 + rng.IntN(8) {
				r.apply(r.draw(rng))
				r.check()
				r.checkBounds(rng)
			}
			// Flushed, the back-end has it all; a new frame begins with nothing pending.
			if err := r.s.Flush(); err != nil {
				t.Fatal(err)
			}
			r.s.Begin(&r.keys, &r.asked)
			r.check()
		})
	}
}

// checkBounds compares a scan between drawn bounds, in either direction.
func (r *stateRig) checkBounds(rng *rand.Rand) {
	r.t.Helper()
	key, flags := uint32(rng.IntN(3)), uint32(rng.IntN(8))
	var bounds [][]any
	var low, high []byte
	for _, f := range []uint32{abi.ScanLow, abi.ScanHigh} {
		if flags&f == 0 {
			continue
		}
		row := []any{overlayValue(rng, overlayStates[2].Fields[0]), overlayValue(rng, overlayStates[2].Fields[1])}
		bounds = append(bounds, row)
		encoded := record.AppendKey(nil, []record.Column{column(record.UTF8, row[0]), column(record.I16, row[1])}, []int{0, 1}, 0)
		if f == abi.ScanLow {
			low = encoded
		} else {
			high = encoded
		}
	}
	var block []byte
	if len(bounds) > 0 {
		var k, n []any
		for _, row := range bounds {
			k, n = append(k, row[0]), append(n, row[1])
		}
		block = frametest.Block(len(bounds), []frame.Column{frametest.Column(abi.UTF8, k...), frametest.Column(abi.I16, n...)})
	}
	want := crossing.For(overlayStates[2].Fields)
	scanner, err := r.want.Scan(2, r.keys.Hash[key], r.keys.Key(int(key)), low, high, flags&abi.ScanDescending != 0)
	if err != nil {
		r.t.Fatal(err)
	}
	if _, err := scanner.Next(want, 5000); err != nil {
		r.t.Fatal(err)
	}
	if got := r.scan(key, block, flags); !reflect.DeepEqual(got, rowsOf(want)) {
		r.t.Fatalf("scan of key %d, flags %d, bounds %v: %v, want %v", key, flags, bounds, got, rowsOf(want))
	}
}

// TestScanSeesItsOpening: what is applied after a scan was opened is not in it.
func TestScanSeesItsOpening(t *testing.T) {
	r := newStateRig(t)
	entry := func(op byte, n int, v bool) frametest.State {
		return frametest.State{Kind: abi.StateMap, StateChanges: frame.StateChanges{State: 2, Key: []uint32{0}, Op: []byte{op}, Columns: []frame.Column{
			frametest.Column(abi.UTF8, "k"), frametest.Column(abi.I16, n), frametest.Column(abi.Bool, v)}}}
	}
	one := entry(abi.OpSet, 1, true)
	r.applyTo(r.s.backend, &one)
	r.s.Begin(&r.keys, &r.asked)
	r.apply(entry(abi.OpSet, 2, true))
	h, err := r.s.ScanOpen(2, 0, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	r.apply(entry(abi.OpSet, 2, false))
	r.apply(entry(abi.OpClear, 1, false))
	r.apply(entry(abi.OpSet, 3, true))
	out := make([]byte, 1000)
	n, err := r.s.ScanNext(h, out)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{`[]interface {}{"k", 1, true}`, `[]interface {}{"k", 2, true}`}
	if got := blockRows(t, out[:n], overlayStates[2].Fields); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// TestLongScan goes over more entries than are fetched at once, with pending ones among them.
func TestLongScan(t *testing.T) {
	for _, descending := range []uint32{0, abi.ScanDescending} {
		r := newStateRig(t)
		set := func(from, to, step int) frametest.State {
			s := frametest.State{Kind: abi.StateMap, StateChanges: frame.StateChanges{State: 2}}
			var k, n, v []any
			for i := from; i < to; i += step {
				s.Key, s.Op = append(s.Key, 0), append(s.Op, abi.OpSet)
				k, n, v = append(k, nil), append(n, i), append(v, step == 3)
			}
			s.Columns = []frame.Column{frametest.Column(abi.UTF8, k...), frametest.Column(abi.I16, n...), frametest.Column(abi.Bool, v...)}
			return s
		}
		stored := set(0, 2000, 2)
		r.applyTo(r.s.backend, &stored)
		r.applyTo(r.want, &stored)
		r.s.Begin(&r.keys, &r.asked)
		r.apply(set(500, 2500, 3))
		want := crossing.For(overlayStates[2].Fields)
		scanner, err := r.want.Scan(2, r.keys.Hash[0], r.keys.Key(0), nil, nil, descending != 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := scanner.Next(want, 5000); err != nil {
			t.Fatal(err)
		}
		if got := r.scan(0, nil, descending); !reflect.DeepEqual(got, rowsOf(want)) {
			t.Errorf("descending %d: %d entries, want %d", descending, len(got), want[0].Len)
		}
	}
}

// column builds a column of the host from Go values.
func column(t record.Type, values ...any) record.Column {
	c := frametest.Column(abi.Type(t), values...)
	return crossing.Copy(&c, 0, c.Len)
}

func values(c *record.Column) []any {
	f := crossing.AsFrame(c)
	return frametest.Values(&f)
}
