package frame_test

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/abi/frame"
	"github.com/tidemill/tidemill/abi/frame/frametest"
)

// types are all plain types, two decimals, and lists of each.
var types = func() []abi.Type {
	list := []abi.Type{
		abi.Bool, abi.I8, abi.I16, abi.I32, abi.I64, abi.F32, abi.F64, abi.Date32, abi.Timestamp, abi.TimestampTZ, abi.UTF8, abi.Binary,
		abi.DecimalOf(5, 2), abi.DecimalOf(38, 0),
	}
	for _, t := range list[:len(list):len(list)] {
		list = append(list, abi.ListOf(t))
	}
	return list
}()

func drawValue(t *rapid.T, typ abi.Type) any {
	switch typ.Kind() {
	case abi.List:
		elements := make([]any, rapid.IntRange(0, 3).Draw(t, "elements"))
		for i := range elements {
			elements[i] = drawValue(t, typ.Element())
		}
		return elements
	case abi.Decimal128:
		return rapid.StringMatching(fmt.Sprintf("0|-?[1-9][0-9]{0,%d}", typ.Digits()-1)).Draw(t, "decimal")
	case abi.Bool:
		return rapid.Bool().Draw(t, "bool")
	case abi.F32:
		return float64(rapid.Float32().Draw(t, "f32"))
	case abi.F64:
		return rapid.Float64().Draw(t, "f64")
	case abi.UTF8:
		return rapid.String().Draw(t, "utf8")
	case abi.Binary:
		return string(rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "binary"))
	}
	shift := 64 - 8*typ.Width()
	return int(rapid.Int64().Draw(t, "int") >> shift)
}

// drawColumn draws a column and the values that it was made of.
func drawColumn(t *rapid.T, typ abi.Type, rows int) (frame.Column, []any) {
	values := make([]any, rows)
	nullable := rapid.Bool().Draw(t, "nullable")
	for i := range values {
		if !nullable || rapid.IntRange(0, 3).Draw(t, "null") > 0 {
			values[i] = drawValue(t, typ)
		}
	}
	return frametest.Column(typ, values...), values
}

func drawColumns(t *rapid.T, rows, most int) ([]frame.Column, [][]any) {
	var columns []frame.Column
	var values [][]any
	for range rapid.IntRange(0, most).Draw(t, "columns") {
		c, v := drawColumn(t, rapid.SampledFrom(types).Draw(t, "type"), rows)
		columns, values = append(columns, c), append(values, v)
	}
	return columns, values
}

func checkColumns(t *rapid.T, what string, got []frame.Column, want [][]any) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d columns, want %d", what, len(got), len(want))
	}
	for i := range got {
		if v := frametest.Values(&got[i]); !same(v, want[i]) {
			t.Fatalf("%s column %d: %v, want %v", what, i, v, want[i])
		}
	}
}

// same compares values, NaN being equal to itself.
func same(a, b []any) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, xf := a[i].(float64)
		y, yf := b[i].(float64)
		if xf && yf && math.IsNaN(x) && math.IsNaN(y) {
			continue
		}
		p, pl := a[i].([]any)
		q, ql := b[i].([]any)
		if pl != ql || pl && !same(p, q) || !pl && a[i] != b[i] {
			return false
		}
	}
	return true
}

func slices(values [][]any, from, to int) [][]any {
	out := make([][]any, len(values))
	for i := range values {
		out[i] = values[i][from:to]
	}
	return out
}

func drawKeyOf(t *rapid.T, items int) ([]uint32, int) {
	keyOf, keys := make([]uint32, items), 0
	for i := range keyOf {
		k := rapid.IntRange(0, keys).Draw(t, "key")
		keys = max(keys, k+1)
		keyOf[i] = uint32(k)
	}
	return keyOf, keys
}

// TestInputRoundTrip writes drawn frames of drawn row ranges and reads them back; the expected values never went through the codec.
func TestInputRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.IntRange(1, 100).Draw(t, "total")
		from := rapid.IntRange(0, total-1).Draw(t, "from")
		rows := rapid.IntRange(1, total-from).Draw(t, "rows")
		columns, values := drawColumns(t, total, 5)
		in := frame.Input{
			Kind: abi.KindBatch, Sequence: rapid.Uint64().Draw(t, "sequence"),
			Context: frame.Context{
				Watermark: rapid.Int64().Draw(t, "watermark"), ProcessingTime: rapid.Int64().Draw(t, "now"),
				Seed: rapid.Uint64().Draw(t, "seed"), Port: 3,
			},
			Batch: &frame.Rows{From: from, Rows: rows, Columns: columns},
		}
		if rapid.Bool().Draw(t, "event time") {
			in.Batch.EventTime = rapid.SliceOfN(rapid.Int64(), total, total).Draw(t, "times")
		}
		if rapid.Bool().Draw(t, "kinds") {
			in.Batch.Kinds = rapid.SliceOfN(rapid.ByteRange(0, 3), total, total).Draw(t, "kinds")
		}
		var keyValues [][]any
		var stateValues [][][]any
		if rapid.Bool().Draw(t, "keyed") {
			keyOf, keys := drawKeyOf(t, rows)
			in.Keys = &frame.Keys{N: keys, KeyOf: keyOf}
			in.Keys.Columns, keyValues = drawColumns(t, keys, 2)
			for id := range rapid.IntRange(0, 3).Draw(t, "states") {
				s, v := drawState(t, uint16(id*2), keys)
				in.States, stateValues = append(in.States, s), append(stateValues, v)
			}
		}
		out := encodeDecode(t, &in)
		if out.Kind != in.Kind || out.Sequence != in.Sequence || out.Context != in.Context || out.Batch.Rows != rows {
			t.Fatalf("got %+v", out)
		}
		checkColumns(t, "BATCH", out.Batch.Columns, slices(values, from, from+rows))
		if in.Batch.EventTime != nil && !reflect.DeepEqual(out.Batch.EventTime, in.Batch.EventTime[from:from+rows]) {
			t.Fatalf("event times %v", out.Batch.EventTime)
		}
		if in.Batch.Kinds != nil && !bytes.Equal(out.Batch.Kinds, in.Batch.Kinds[from:from+rows]) {
			t.Fatalf("kinds %v", out.Batch.Kinds)
		}
		if (in.Keys == nil) != (out.Keys == nil) {
			t.Fatal("KEYS")
		}
		if in.Keys != nil {
			if out.Keys.N != in.Keys.N || !reflect.DeepEqual(out.Keys.KeyOf, in.Keys.KeyOf) {
				t.Fatalf("keys %+v", out.Keys)
			}
			checkColumns(t, "KEYS", out.Keys.Columns, keyValues)
		}
		for i := range in.States {
			a, b := &in.States[i], &out.States[i]
			if a.State != b.State || a.Kind != b.Kind || !bytes.Equal(a.Status, b.Status) || len(a.Start) != len(b.Start) {
				t.Fatalf("state %+v, want %+v", b, a)
			}
			checkColumns(t, "STATE", b.Columns, stateValues[i])
		}
	})
}

// TestCutFramesAreTheSame: a frame of some rows of a batch has the bytes of a frame of those rows alone.
func TestCutFramesAreTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.IntRange(1, 60).Draw(t, "total")
		from := rapid.IntRange(0, total-1).Draw(t, "from")
		rows := rapid.IntRange(1, total-from).Draw(t, "rows")
		columns, values := drawColumns(t, total, 5)
		in := frame.Input{Kind: abi.KindBatch, Batch: &frame.Rows{From: from, Rows: rows, Columns: columns}}
		alone := frame.Input{Kind: abi.KindBatch, Batch: &frame.Rows{Rows: rows}}
		for i := range columns {
			part := frametest.Column(columns[i].Type, values[i][from:from+rows]...)
			if columns[i].Nulls > 0 && part.Nulls == 0 {
				return // the whole column has a bitmap, the part needs none
			}
			alone.Batch.Columns = append(alone.Batch.Columns, part)
		}
		a, b := make([]byte, in.Size()), make([]byte, alone.Size())
		in.Put(a)
		alone.Put(b)
		if !bytes.Equal(a, b) {
			t.Fatalf("cut:\n%s\nalone:\n%s", annotate(a, false, false), annotate(b, false, false))
		}
	})
}

func drawState(t *rapid.T, id uint16, keys int) (frame.StateIn, [][]any) {
	s := frame.StateIn{State: id, Kind: abi.StateKind(rapid.IntRange(1, 3).Draw(t, "kind")), Entries: keys}
	if s.Kind != abi.StateValue {
		s.Start = []uint32{0}
	}
	for range keys {
		status := rapid.ByteRange(0, 2).Draw(t, "status")
		s.Status = append(s.Status, status)
		if s.Kind != abi.StateValue {
			n := uint32(0)
			if status == abi.StatusInline {
				n = uint32(rapid.IntRange(0, 4).Draw(t, "entries"))
			}
			s.Start = append(s.Start, s.Start[len(s.Start)-1]+n)
		}
	}
	if s.Kind != abi.StateValue {
		s.Entries = int(s.Start[keys])
	}
	var values [][]any
	s.Columns, values = drawColumns(t, s.Entries, 3)
	return s, values
}

func encodeDecode(t *rapid.T, in *frame.Input) *frame.Input {
	size := in.Size()
	buffer := bytes.Repeat([]byte{0xa5}, size+16) // what was there must not shine through
	in.Put(buffer[:size:size])
	if !bytes.Equal(buffer[size:], bytes.Repeat([]byte{0xa5}, 16)) {
		t.Fatal("Put wrote behind its frame")
	}
	again := make([]byte, size)
	in.Put(again)
	if !bytes.Equal(buffer[:size], again) {
		t.Fatal("Put left bytes as they were")
	}
	out, err := frame.DecodeInput(buffer[:size])
	if err != nil {
		t.Fatalf("decoding: %v", err)
	}
	return out
}

func drawTimers(t *rapid.T, n, keys int) frame.TimerChanges {
	c := frame.TimerChanges{TagOffsets: []int32{0}}
	for i := range n {
		c.Key = append(c.Key, uint32(i%max(keys, 1)))
		c.Name = append(c.Name, uint16(rapid.IntRange(0, 2).Draw(t, "name")))
		c.Domain = append(c.Domain, rapid.ByteRange(0, 1).Draw(t, "domain"))
		c.Op = append(c.Op, rapid.ByteRange(1, 4).Draw(t, "op"))
		c.Time = append(c.Time, rapid.Int64().Draw(t, "time"))
		c.Tags = append(c.Tags, rapid.SliceOfN(rapid.Byte(), 0, 12).Draw(t, "tag")...)
		c.TagOffsets = append(c.TagOffsets, int32(len(c.Tags)))
	}
	return c
}

func TestTimersRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "n")
		c := drawTimers(t, n, n)
		in := frame.Input{
			Kind: abi.KindTimers, Context: frame.Context{Port: abi.NoPort}, Keys: &frame.Keys{N: n, KeyOf: c.Key},
			Timers: &frame.TimersIn{Key: c.Key, Name: c.Name, Domain: c.Domain, Time: c.Time, TagOffsets: c.TagOffsets, Tags: c.Tags},
		}
		out := encodeDecode(t, &in).Timers
		if !reflect.DeepEqual(out.Key, c.Key) || !reflect.DeepEqual(out.Name, c.Name) || !bytes.Equal(out.Domain, c.Domain) ||
			!reflect.DeepEqual(out.Time, c.Time) || !reflect.DeepEqual(out.TagOffsets, c.TagOffsets) || !bytes.Equal(out.Tags, c.Tags) {
			t.Fatalf("got %+v, want %+v", out, c)
		}
	})
}

// answerCase is a drawn answer with what it answers.
type answerCase struct {
	binding *abi.Binding
	asked   frame.Asked
	answer  frametest.Answer
	own     [][][]any // values of the batches' own columns
	states  [][][]any
}

func drawAnswer(t *rapid.T) *answerCase {
	items := rapid.IntRange(1, 30).Draw(t, "items")
	a := &answerCase{binding: &abi.Binding{}}
	keyOf, keys := drawKeyOf(t, items)
	a.asked = frame.Asked{Kind: abi.KindBatch, Sequence: rapid.Uint64().Draw(t, "sequence"), Items: items, Keys: keys, KeyOf: keyOf}
	a.asked.First = rapid.IntRange(0, 3).Draw(t, "first")
	a.asked.Columns, _ = drawColumns(t, a.asked.First+items, 4)
	a.asked.Key, _ = drawColumns(t, a.asked.First+items, 2)
	a.answer = frametest.Answer{Kind: abi.KindBatch, Sequence: a.asked.Sequence}
	consumed := items
	if rapid.Bool().Draw(t, "consumes some") {
		consumed = rapid.IntRange(1, items).Draw(t, "consumed")
		a.answer.Consumed = consumed
	}
	for port := range rapid.IntRange(0, 3).Draw(t, "ports") {
		a.drawRows(t, port, consumed)
	}
	seen := 0
	for _, k := range keyOf[:consumed] {
		seen = max(seen, int(k)+1)
	}
	for id := range rapid.IntRange(0, 3).Draw(t, "states") {
		a.drawChanges(t, id, seen)
	}
	if rapid.Bool().Draw(t, "timers") {
		a.binding.Timers = make([]abi.BoundTimer, 3)
		c := drawTimers(t, rapid.IntRange(1, 20).Draw(t, "timers"), seen)
		a.answer.Timers = &c
	}
	a.binding.Metrics = []abi.BindMetric{{Name: "n", Kind: abi.MetricCounter}}
	if rapid.Bool().Draw(t, "metrics") {
		a.answer.Metrics = []frame.MetricUpdate{{Metric: 0, Value: rapid.Uint64().Draw(t, "metric")}}
	}
	if rapid.IntRange(0, 4).Draw(t, "fails") == 0 {
		a.answer.Failure = &frame.Failure{Code: abi.ErrorCodeUser, Item: rapid.IntRange(-1, items-1).Draw(t, "item"), Message: "no", Place: "here"}
	}
	return a
}

func (a *answerCase) drawRows(t *rapid.T, port, consumed int) {
	o := frame.OutputRows{Port: port, Rows: rapid.IntRange(1, 40).Draw(t, "rows"), Identity: rapid.Bool().Draw(t, "identity")}
	if o.Identity {
		o.Rows = consumed
	}
	passes := rapid.Bool().Draw(t, "passes")
	for range o.Rows {
		if o.Identity {
			break
		}
		item := uint32(rapid.IntRange(0, consumed-1).Draw(t, "item"))
		if !passes && rapid.IntRange(0, 4).Draw(t, "itemless") == 0 {
			item = abi.ItemNone
		}
		o.ItemOf = append(o.ItemOf, item)
	}
	if rapid.Bool().Draw(t, "own times") {
		o.EventTime = rapid.SliceOfN(rapid.Int64(), o.Rows, o.Rows).Draw(t, "times")
	}
	bound := abi.BoundOutput{Name: "p", EventTime: -1}
	var values [][]any
	for range rapid.IntRange(1, 4).Draw(t, "columns") {
		source, flag := a.asked.Columns, abi.NodeInput
		if rapid.Bool().Draw(t, "of key") {
			source, flag = a.asked.Key, abi.NodeKey
		}
		var c frame.Column
		var v []any
		if passes && len(source) > 0 && rapid.Bool().Draw(t, "pass") {
			ref := rapid.IntRange(0, len(source)-1).Draw(t, "ref")
			c = frametest.Pass(source[ref].Type, uint16(flag), ref, o.Rows)
		} else {
			c, v = drawColumn(t, rapid.SampledFrom(types).Draw(t, "type"), o.Rows)
		}
		o.Columns, values = append(o.Columns, c), append(values, v)
		bound.Fields = append(bound.Fields, abi.FieldType{Name: "c", Type: c.Type, Nullable: true})
	}
	a.binding.Outputs = append(a.binding.Outputs, bound)
	a.answer.Batches = append(a.answer.Batches, o)
	a.own = append(a.own, values)
}

func (a *answerCase) drawChanges(t *rapid.T, id, keys int) {
	n := rapid.IntRange(1, 20).Draw(t, "changes")
	kind := abi.StateKind(rapid.IntRange(1, 3).Draw(t, "kind"))
	legal := map[abi.StateKind][]byte{
		abi.StateValue: {abi.OpSet, abi.OpClear}, abi.StateList: {abi.OpAppend, abi.OpClear},
		abi.StateMap: {abi.OpSet, abi.OpClear, abi.OpClearAll},
	}[kind]
	s := frametest.State{Kind: kind, StateChanges: frame.StateChanges{State: id}}
	for range n {
		s.Key = append(s.Key, uint32(rapid.IntRange(0, keys-1).Draw(t, "key")))
		s.Op = append(s.Op, rapid.SampledFrom(legal).Draw(t, "op"))
	}
	var values [][]any
	s.Columns, values = drawColumns(t, n, 3)
	bound := abi.BoundState{Name: "s", Kind: kind}
	for _, c := range s.Columns {
		bound.Fields = append(bound.Fields, abi.FieldType{Name: "c", Type: c.Type, Nullable: true})
	}
	if kind == abi.StateMap {
		bound.Keys = min(1, len(bound.Fields))
	}
	a.binding.States = append(a.binding.States, bound)
	a.answer.States = append(a.answer.States, s)
	a.states = append(a.states, values)
}

func (a *answerCase) decoder() *frame.Decoder {
	return &frame.Decoder{Binding: a.binding, BytesMax: abi.FrameBytesMax, CellBytesMax: abi.CellBytesMax, KeyBytesMax: abi.KeyBytesMax}
}

// place puts a frame into a memory at an address.
func place(data []byte, at int) []byte {
	memory := make([]byte, at+len(data)+32)
	copy(memory[at:], data)
	return memory
}

// TestAnswerRoundTrip decodes drawn answers, written by another encoder, and compares all that they say.
func TestAnswerRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := drawAnswer(t)
		data := a.answer.Encode()
		got, err := a.decoder().Decode(place(data, 64), 64, uint32(len(data)), &a.asked)
		if err != nil {
			t.Fatalf("decoding: %v", err)
		}
		a.check(t, got)
	})
}

func (a *answerCase) check(t *rapid.T, got *frame.Answer) {
	want := &a.answer
	consumed := want.Consumed
	if consumed == 0 {
		consumed = a.asked.Items
	}
	if got.Consumed != consumed || len(got.Batches) != len(want.Batches) || len(got.States) != len(want.States) {
		t.Fatalf("got %+v", got)
	}
	for i := range got.Batches {
		g, w := &got.Batches[i], &want.Batches[i]
		if g.Port != w.Port || g.Rows != w.Rows || g.Identity != w.Identity || !equal(g.ItemOf, w.ItemOf) || !equal(g.EventTime, w.EventTime) {
			t.Fatalf("batch %d: %+v, want %+v", i, g, w)
		}
		for c := range g.Columns {
			if w.Columns[c].Pass != 0 {
				if g.Columns[c].Pass != w.Columns[c].Pass || g.Columns[c].Ref != w.Columns[c].Ref {
					t.Fatalf("batch %d column %d: %+v", i, c, g.Columns[c])
				}
			} else if v := frametest.Values(&g.Columns[c]); !same(v, a.own[i][c]) {
				t.Fatalf("batch %d column %d: %v, want %v", i, c, v, a.own[i][c])
			}
		}
	}
	if n := a.materialised(consumed); got.Materialised != n {
		t.Fatalf("materialised %d bytes, want %d", got.Materialised, n)
	}
	for i := range got.States {
		g, w := &got.States[i], &want.States[i]
		if g.State != w.State || !equal(g.Key, w.Key) || !bytes.Equal(g.Op, w.Op) {
			t.Fatalf("state %d: %+v", i, g)
		}
		checkColumns(t, "STATE", g.Columns, a.states[i])
	}
	if w := want.Timers; w != nil {
		g := got.Timers
		if g == nil || !equal(g.Key, w.Key) || !equal(g.Name, w.Name) || !bytes.Equal(g.Domain, w.Domain) || !bytes.Equal(g.Op, w.Op) ||
			!equal(g.Time, w.Time) || !equal(g.TagOffsets, w.TagOffsets) || !bytes.Equal(g.Tags, w.Tags) {
			t.Fatalf("timers %+v, want %+v", g, w)
		}
	} else if got.Timers != nil {
		t.Fatal("timers from nowhere")
	}
	if !reflect.DeepEqual(got.Failure, want.Failure) || (len(want.Metrics) > 0 && !reflect.DeepEqual(got.Metrics, want.Metrics)) {
		t.Fatalf("got %+v", got)
	}
}

// materialised counts the bytes of the output from the values: 16 a row, and the buffers of each column as a batch of the host
// would have it.
func (a *answerCase) materialised(consumed int) int {
	total := 0
	for _, o := range a.answer.Batches {
		total += 16 * o.Rows
		items := o.ItemOf
		for i := range consumed {
			if o.Identity {
				items = append(items, uint32(i))
			}
		}
		for _, c := range o.Columns {
			if c.Pass == 0 {
				total += len(c.Validity) + 4*len(c.Offsets) + len(c.Values)
				for _, v := range frametest.Values(&c) {
					total += elementBytes(c.Type, v)
				}
				continue
			}
			source := a.asked.Columns
			if c.Pass == abi.NodeKey {
				source = a.asked.Key
			}
			from := source[c.Ref]
			if from.Nulls > 0 {
				total += (o.Rows + 7) / 8
			}
			switch {
			case from.Type == abi.Bool:
				total += (o.Rows + 7) / 8
			case from.Type.HasOffsets():
				total += 4 * (o.Rows + 1)
				for _, item := range items {
					if text, ok := frametest.Values(&from)[a.asked.First+int(item)].(string); ok {
						total += len(text)
					}
				}
			case from.Type.Kind() == abi.List:
				total += 4 * (o.Rows + 1)
				for _, item := range items {
					total += elementBytes(from.Type, frametest.Values(&from)[a.asked.First+int(item)])
				}
			default:
				total += o.Rows * from.Type.Width()
			}
		}
	}
	return total
}

// elementBytes is what the elements of a list count for, 0 for a value that is none.
func elementBytes(t abi.Type, v any) int {
	n := 0
	if t.Kind() != abi.List || v == nil {
		return 0
	}
	for _, e := range v.([]any) {
		switch e := e.(type) {
		case bool:
			n++
		case string:
			if t.Element().Kind() == abi.Decimal128 {
				n += 16
			} else {
				n += 4 + len(e)
			}
		default:
			n += t.Element().Width()
		}
	}
	return n
}

func equal[T comparable](a, b []T) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

func TestBlockRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.IntRange(0, 50).Draw(t, "rows")
		from := rapid.IntRange(0, total).Draw(t, "from")
		to := rapid.IntRange(from, total).Draw(t, "to")
		columns, values := drawColumns(t, total, 4)
		var fields []abi.FieldType
		for _, c := range columns {
			fields = append(fields, abi.FieldType{Name: "c", Type: c.Type, Nullable: true})
		}
		b := bytes.Repeat([]byte{0xa5}, frame.BlockBytes(columns, from, to)+8)
		frame.PutBlock(b, columns, from, to)
		got, rows, err := frame.DecodeBlock(b, fields, to-from, nil)
		if err != nil || rows != to-from {
			t.Fatalf("%d rows, %v", rows, err)
		}
		checkColumns(t, "block", got, slices(values, from, to))
		// A guest's block, by the other encoder.
		got, rows, err = frame.DecodeBlock(frametest.Block(total, columns), fields, -1, nil)
		if err != nil || rows != total {
			t.Fatalf("%d rows, %v", rows, err)
		}
		checkColumns(t, "guest's block", got, values)
	})
}
