package statetest

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
)

// keysOf makes a key set of integer keys.
func keysOf(values ...int64) *record.KeySet {
	b := record.NewBatch(&record.Schema{Fields: []record.Field{{Name: "k", Type: record.I64}}}, len(values))
	for _, v := range values {
		b.Columns[0].AppendInt(v)
	}
	b.Rows = len(values)
	var keys record.KeySet
	keys.Build(b, []int{0}, 0, b.Rows)
	return &keys
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// checkpointOf writes what a back-end has to a segment.
func checkpointOf(t *testing.T, b state.Backend, base bool) *Segment {
	t.Helper()
	f, err := b.Freeze(base)
	must(t, err)
	s := &Segment{}
	must(t, f.Write(s))
	must(t, f.Close())
	return s
}

// restored makes a back-end of segments.
func restored(t *testing.T, open Opener, segments ...*Segment) state.Backend {
	t.Helper()
	b := open(t, state.Options{})
	for _, s := range segments {
		must(t, b.Restore(s.Reader(), [2]int{0, maxParallelism}, maxParallelism))
	}
	return b
}

// fill sets or appends one row of every state for one key: "v", 7 or the empty list for every field.
func fill(t *testing.T, b state.Backend, states []state.Decl) {
	t.Helper()
	for s, d := range states {
		c := &state.Changes{Key: []uint32{0}, Op: []uint8{state.OpSet}}
		if d.Kind == state.List {
			c.Op[0] = state.OpAppend
		}
		for _, f := range slices.Concat(d.MapKey, d.Value) {
			col := record.NewColumn(f.Type, 1)
			switch {
			case f.Type.HasOffsets():
				col.AppendString("v")
			case f.Type.Kind() == record.List:
				col.EndList()
			case f.Type.Kind() == record.Decimal128:
				col.AppendDecimal(record.Decimal{Low: 7})
			default:
				col.AppendInt(7)
			}
			c.Columns = append(c.Columns, col)
		}
		must(t, b.Apply(s, keysOf(1), c))
	}
}

// allowing opens back-ends that go on although not all that was restored is declared.
func allowing(open Opener) Opener {
	return func(t *testing.T, o state.Options) state.Backend {
		o.AllowUndeclared = true
		return open(t, o)
	}
}

// runSchemas restores every state under other declarations: the same one is accepted, any other is refused and named.
func runSchemas(t *testing.T, open Opener) {
	i64, utf8 := record.Field{Name: "n", Type: record.I64}, record.Field{Name: "s", Type: record.UTF8}
	nullable := i64
	nullable.Nullable = true
	stored := []state.Decl{
		{Name: "v", Kind: state.Value, Value: []record.Field{i64}},
		{Name: "l", Kind: state.List, Value: []record.Field{i64, utf8}},
		{Name: "m", Kind: state.Map, MapKey: []record.Field{utf8}, Value: []record.Field{i64}},
		{Name: "d", Kind: state.Value, Value: []record.Field{{Name: "n", Type: record.DecimalOf(12, 2)}, {Name: "l", Type: record.ListOf(record.I64)}}},
	}
	b := open(t, state.Options{})
	must(t, b.Declare(stored, nil))
	fill(t, b, stored)
	segment := checkpointOf(t, b, true)
	for _, c := range []struct {
		name string
		decl state.Decl
		ok   bool
	}{
		{"same value", stored[0], true},
		{"same list", stored[1], true},
		{"same map", stored[2], true},
		{"same decimal and list", stored[3], true},
		{"more digits", state.Decl{Name: "d", Kind: state.Value, Value: []record.Field{{Name: "n", Type: record.DecimalOf(13, 2)}, stored[3].Value[1]}}, false},
		{"another scale", state.Decl{Name: "d", Kind: state.Value, Value: []record.Field{{Name: "n", Type: record.DecimalOf(12, 3)}, stored[3].Value[1]}}, false},
		{"other elements", state.Decl{Name: "d", Kind: state.Value, Value: []record.Field{stored[3].Value[0], {Name: "l", Type: record.ListOf(record.I32)}}}, false},
		{"another kind", state.Decl{Name: "v", Kind: state.List, Value: []record.Field{i64}}, false},
		{"another type", state.Decl{Name: "v", Kind: state.Value, Value: []record.Field{{Name: "n", Type: record.I32}}}, false},
		{"another name", state.Decl{Name: "v", Kind: state.Value, Value: []record.Field{{Name: "m", Type: record.I64}}}, false},
		{"nullable", state.Decl{Name: "v", Kind: state.Value, Value: []record.Field{nullable}}, false},
		{"a field more", state.Decl{Name: "v", Kind: state.Value, Value: []record.Field{i64, utf8}}, false},
		{"fields swapped", state.Decl{Name: "l", Kind: state.List, Value: []record.Field{utf8, i64}}, false},
		{"another map key", state.Decl{Name: "m", Kind: state.Map, MapKey: []record.Field{i64}, Value: []record.Field{i64}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := restored(t, allowing(open), segment).Declare([]state.Decl{c.decl}, nil)
			switch {
			case c.ok:
				must(t, err)
			case !errcode.Is(err, state.CodeSchema):
				t.Fatalf("the error is %v", err)
			case !strings.Contains(err.Error(), fmt.Sprintf("%q", c.decl.Name)) || errcode.Of(err).Hint == "":
				t.Fatalf("%v does not name the state, or has no hint", err)
			}
		})
	}
}

// runUndeclared sees that what is not declared any more is carried from checkpoint to checkpoint, and comes back when it is.
func runUndeclared(t *testing.T, open Opener) {
	b := open(t, state.Options{})
	i64 := []record.Field{{Name: "n", Type: record.I64}}
	all := []state.Decl{
		{Name: "v", Kind: state.Value, Value: i64}, {Name: "l", Kind: state.List, Value: i64}, {Name: "m", Kind: state.Map, MapKey: i64, Value: i64},
	}
	timers := []state.TimerDecl{{Name: "t"}}
	must(t, b.Declare(all, timers))
	fill(t, b, all)
	setTimer(t, b, keysOf(1), timer{set: state.TimerSet, time: 5, tag: "x"})
	first := checkpointOf(t, b, true)

	err := restored(t, open, first).Declare(all[1:], []state.TimerDecl{{Name: "other"}})
	if !errcode.Is(err, state.CodeUndeclared) || !strings.Contains(err.Error(), "declare: timer t (1 in one subtask), v") {
		t.Fatalf("a state and a timer that are not declared any more: %v", err)
	}
	without := restored(t, allowing(open), first)
	must(t, without.Declare(nil, []state.TimerDecl{{Name: "other"}}))
	if n, err := without.Due(state.EventTime, 100, 10, &state.Round{}); n != 0 || err != nil {
		t.Fatalf("%d timers of a name that is not declared are due: %v", n, err)
	}
	second := checkpointOf(t, without, true)

	again := restored(t, open, second)
	must(t, again.Declare(all, timers))
	third := checkpointOf(t, again, true)
	if a, b := dump(first), dump(third); !slices.Equal(a, b) || len(a) != 4 {
		t.Fatalf("the entries were\n%v and are\n%v", a, b)
	}
}

// dump formats the entries of a segment, sorted.
func dump(s *Segment) []string {
	var all []string
	for _, e := range s.entries {
		all = append(all, fmt.Sprintf("%v %s %x %x %x %v", e.Space, e.Space.Name, e.Key, e.Sub, e.Value, e.Deleted))
	}
	slices.Sort(all)
	return all
}

// runLimit fills a back-end of at most 1 MiB: 200 KiB are accepted, however often they are written, 16 MiB are not, nor are so
// many timers; the error names the limit.
func runLimit(t *testing.T, open Opener) {
	const limit = 1 << 20
	decl := []state.Decl{{Name: "blob", Kind: state.Value, Value: []record.Field{{Name: "b", Type: record.Binary}}}}
	write := func(b state.Backend, first, n int) error {
		values := make([]int64, n)
		c := &state.Changes{Columns: []record.Column{record.NewColumn(record.Binary, n)}}
		for i := range n {
			values[i] = int64(first + i)
			c.Key, c.Op = append(c.Key, uint32(i)), append(c.Op, state.OpSet)
			c.Columns[0].AppendBytes(bytes.Repeat([]byte{byte(i)}, 1000))
		}
		return b.Apply(0, keysOf(values...), c)
	}
	refused := func(err error) {
		t.Helper()
		if !errcode.Is(err, state.CodeLimit) || !strings.Contains(err.Error(), fmt.Sprint(limit)) || errcode.Of(err).Hint == "" {
			t.Fatalf("the error is %v", err)
		}
	}
	b := open(t, state.Options{StateBytesMax: limit})
	must(t, b.Declare(decl, nil))
	for range 50 {
		must(t, write(b, 0, 200))
	}
	var err error
	for i := 0; err == nil && i < 16<<20/1000; i += 200 {
		err = write(b, i, 200)
	}
	refused(err)

	b = open(t, state.Options{StateBytesMax: limit})
	must(t, b.Declare(nil, []state.TimerDecl{{Name: "t", Many: true}}))
	keys := keysOf(1)
	err = nil
	for i := int64(0); err == nil && i < limit/8; i += 1000 {
		c := &state.TimerChanges{TagOff: []int32{0}}
		for at := range int64(1000) {
			c.Key, c.Name, c.Domain, c.Op = append(c.Key, 0), append(c.Name, 0), append(c.Domain, 0), append(c.Op, state.TimerSet)
			c.Time, c.TagOff = append(c.Time, i+at), append(c.TagOff, 0)
		}
		if err = b.ApplyTimers(keys, c, [2]int64{}); err != nil && b.Stats().Timers < limit/8/4 {
			t.Fatalf("%d timers are refused", b.Stats().Timers)
		}
	}
	refused(err)
}
