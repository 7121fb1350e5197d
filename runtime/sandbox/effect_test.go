package sandbox

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/abi/frame"
	"github.com/tidemill/tidemill/abi/frame/frametest"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
	"github.com/tidemill/tidemill/runtime/state"
)

// emitting is a program without state whose output port has the given schema.
func emitting(out []abi.Field, reads []string, answer func(*fakeCall)) *program {
	return &program{
		descriptor: abi.Descriptor{Inputs: []abi.BindInput{{Columns: reads}}, Outputs: []abi.BindOutput{{Name: "out", Schema: out}}},
		entry:      abi.Entry{Name: "op", Kind: abi.EntryOperator, Inputs: []abi.InputPort{{Name: "in"}}},
		answer:     answer,
	}
}

func unkeyed(t *testing.T, fields ...record.Field) []operator.Input {
	return []operator.Input{{Port: "in", Schema: schema(t, fields...)}}
}

// TestPassedThrough gathers and shares columns of every type, with origins and positions of several splits.
func TestPassedThrough(t *testing.T) {
	types := []record.Type{record.Bool, record.I8, record.I16, record.I32, record.I64, record.F32, record.F64, record.Date32,
		record.Timestamp, record.TimestampTZ, record.UTF8, record.Binary, record.DecimalOf(5, 2), record.ListOf(record.UTF8), record.ListOf(record.Bool),
		record.ListOf(record.DecimalOf(5, 2))}
	var fields []record.Field
	var out []abi.Field
	for i, typ := range types {
		f := record.Field{Name: fmt.Sprint("c", i), Type: typ, Nullable: true}
		fields, out = append(fields, f), append(out, abi.Field{Name: f.Name, Type: typ.String(), Nullable: true})
	}
	var itemOf []uint32
	identity, backwards := false, false
	p := emitting(out, nil, func(c *fakeCall) {
		if backwards {
			itemOf = nil
			for i := c.in.Batch.Rows; i > 0; i-- {
				itemOf = append(itemOf, uint32(i-1))
			}
		}
		o := frame.OutputRows{Rows: len(itemOf), ItemOf: itemOf}
		if identity {
			o = frame.OutputRows{Rows: c.in.Batch.Rows, Identity: true}
		}
		for i, typ := range types {
			o.Columns = append(o.Columns, frametest.Pass(abi.Type(typ), abi.NodeInput, i, o.Rows))
		}
		c.Batches = []frame.OutputRows{o}
	})
	inputs := unkeyed(t, fields...)
	const rows = 20
	b := &record.Batch{Schema: inputs[0].Schema, Rows: rows}
	origins := []*record.Origin{{Source: "s", Split: "0"}, {Source: "s", Split: "1"}, {Source: "s", Split: "2"}}
	b.Runs = []record.Run{{Row: 0, Origin: origins[0]}, {Row: 5, Origin: origins[1]}, {Row: 12, Origin: origins[2]}}
	all := make([][]any, len(types))
	for i := range rows {
		b.Pos, b.EventTime = append(b.Pos, int64(1000+i)), append(b.EventTime, int64(-i))
		for c, typ := range types {
			var v any = i*7 - 50
			switch typ {
			case record.Bool:
				v = i%3 == 0
			case record.F32, record.F64:
				v = float64(i) / 4
			case record.UTF8, record.Binary:
				v = strings.Repeat("ü", i%4)
			case record.DecimalOf(5, 2):
				v = fmt.Sprint(i*7 - 50)
			case record.ListOf(record.UTF8):
				v = []any{"a", "", fmt.Sprint(i)}[:i%4]
			case record.ListOf(record.Bool):
				v = []any{i%3 == 0, i%2 == 0, true, false}[:i%5]
			case record.ListOf(record.DecimalOf(5, 2)):
				v = []any{fmt.Sprint(-i), "7"}[:i%3]
			}
			if (i+c)%5 == 0 {
				v = nil
			}
			all[c] = append(all[c], v)
		}
	}
	for c, typ := range types {
		b.Columns = append(b.Columns, column(typ, all[c]...))
	}
	check := func(r *rig, items []int) {
		t.Helper()
		got := joined(r.emitted)
		if got.Rows != len(items) {
			t.Fatalf("%d rows, want %d", got.Rows, len(items))
		}
		for row, item := range items {
			for c := range types {
				if v := values(&got.Columns[c])[row]; !reflect.DeepEqual(v, all[c][item]) {
					t.Fatalf("row %d of item %d, %v: %v, want %v", row, item, types[c], v, all[c][item])
				}
			}
			if got.Pos[row] != b.Pos[item] || got.EventTime[row] != b.EventTime[item] || got.Origin(row) != b.Origin(item) {
				t.Fatalf("row %d of item %d: position %d, time %d, origin %v", row, item, got.Pos[row], got.EventTime[row], got.Origin(row))
			}
		}
	}
	itemOf = []uint32{19, 0, 4, 5, 5, 11, 12, 13, 3}
	r := newRig(t, p, inputs, nil)
	r.process(0, b)
	check(r, []int{19, 0, 4, 5, 5, 11, 12, 13, 3})
	// Gathered backwards within frames of seven.
	backwards = true
	r = newRig(t, p, inputs, func(c *Config) { c.Cut = func(from, to int) int { return min(from+7, to) } })
	r.process(0, b)
	check(r, []int{6, 5, 4, 3, 2, 1, 0, 13, 12, 11, 10, 9, 8, 7, 19, 18, 17, 16, 15, 14})
	identity = true
	for _, cut := range []int{20, 7, 1} {
		r = newRig(t, p, inputs, func(c *Config) { c.Cut = func(from, to int) int { return min(from+cut, to) } })
		r.process(0, b)
		var want []int
		for i := range rows {
			want = append(want, i)
		}
		check(r, want)
	}
}

// joined puts emitted batches together.
func joined(list []emitted) *record.Batch {
	var parts []*record.Batch
	for _, e := range list {
		parts = append(parts, e.batch)
	}
	return record.Concat(parts)
}

// TestLargeOutput: more rows than a batch may have come as several batches.
func TestLargeOutput(t *testing.T) {
	const rows = 3*record.RowsMax + 5
	p := emitting([]abi.Field{{Name: "s", Type: "utf8", Nullable: true}, {Name: "n", Type: "i64"}, {Name: "b", Type: "bool"},
		{Name: "l", Type: "list<bool>", Nullable: true}, {Name: "d", Type: "decimal128(38,0)"}}, nil, func(c *fakeCall) {
		o := frame.OutputRows{Rows: rows, ItemOf: make([]uint32, rows)}
		var s, b, l, d []any
		for i := range rows {
			o.ItemOf[i] = uint32(i % 2)
			s, b = append(s, fmt.Sprint(i)), append(b, i%3 == 0)
			l, d = append(l, []any{i%2 == 0, i%3 == 0, i%5 == 0}[:i%4]), append(d, fmt.Sprint(-i))
			if i%7 == 0 {
				s[i], l[i] = nil, nil
			}
		}
		o.Columns = []frame.Column{frametest.Column(abi.UTF8, s...), frametest.Pass(abi.I64, abi.NodeInput, 0, rows), frametest.Column(abi.Bool, b...),
			frametest.Column(abi.ListOf(abi.Bool), l...), frametest.Column(abi.DecimalOf(38, 0), d...)}
		c.Batches = []frame.OutputRows{o}
	})
	inputs := unkeyed(t, record.Field{Name: "n", Type: record.I64})
	r := newRig(t, p, inputs, nil)
	p.spare = append(p.spare, make([]byte, 4<<20))
	r.op.dropGuest()
	r.process(0, &record.Batch{Schema: inputs[0].Schema, Rows: 2, Columns: []record.Column{column(record.I64, 100, 200)}})
	if len(r.emitted) != 4 {
		t.Fatalf("%d batches", len(r.emitted))
	}
	got := joined(r.emitted)
	s, n, b, l, d := values(&got.Columns[0]), values(&got.Columns[1]), values(&got.Columns[2]), values(&got.Columns[3]), values(&got.Columns[4])
	for i := range rows {
		var want, list any = fmt.Sprint(i), []any{i%2 == 0, i%3 == 0, i%5 == 0}[:i%4]
		if i%7 == 0 {
			want, list = nil, nil
		}
		if s[i] != want || n[i] != 100+100*(i%2) || b[i] != (i%3 == 0) || !reflect.DeepEqual(l[i], list) || d[i] != fmt.Sprint(-i) {
			t.Fatalf("row %d: %v %v %v %v %v", i, s[i], n[i], b[i], l[i], d[i])
		}
	}
}

// TestCleaned: NaNs become one, and nothing stands under nulls, in outputs and in state.
func TestCleaned(t *testing.T) {
	const odd = 0xfff8dead_beef0001
	p := samples(func(c *fakeCall) {
		f64 := frametest.Column(abi.F64, 1.5, nil, 0.0)
		copy(f64.Values[16:], frameBytes(uint32(odd&0xffffffff), odd>>32))
		copy(f64.Values[8:], frameBytes(1, 2))
		f32 := frametest.Column(abi.F32, 1.5, 2.5, 0.0)
		copy(f32.Values[8:], frameBytes(0xffc12345))
		s := frametest.Column(abi.UTF8, "a", "under null", "b")
		s.Nulls, s.Validity = 1, []byte{0b101}
		b := frametest.Column(abi.Bool, true, true, true)
		b.Nulls, b.Validity = 1, []byte{0b101}
		c.Batches = []frame.OutputRows{{Rows: 3, Identity: true, Columns: []frame.Column{f64, f32, s, b}}}
		c.States = []frametest.State{{Kind: abi.StateValue, StateChanges: frame.StateChanges{State: 0, Key: []uint32{0, 1, 0},
			Op: []byte{abi.OpSet, abi.OpSet, abi.OpSet}, Columns: []frame.Column{f64}}}}
	})
	p.descriptor.Outputs = p.descriptor.Outputs[:1]
	p.descriptor.Outputs[0].Schema = []abi.Field{{Name: "d", Type: "f64", Nullable: true}, {Name: "f", Type: "f32"},
		{Name: "s", Type: "utf8", Nullable: true}, {Name: "b", Type: "bool", Nullable: true}}
	p.descriptor.States[0].Value = []abi.Field{{Name: "d", Type: "f64", Nullable: true}}
	inputs := sampleInputs(t)
	r := newRig(t, p, inputs, nil)
	r.process(0, sampleBatch(inputs[0].Schema))
	got := r.emitted[0].batch
	f := got.Columns[0].Int(2)
	g := uint32(got.Columns[1].Values[8]) | uint32(got.Columns[1].Values[9])<<8 | uint32(got.Columns[1].Values[10])<<16 | uint32(got.Columns[1].Values[11])<<24
	if uint64(f) != math.Float64bits(math.NaN())&^1 || g != 0x7fc00000 {
		t.Errorf("NaNs %#x and %#x", f, g)
	}
	if got.Columns[0].Int(1) != 0 || string(got.Columns[2].Values) != "ab" || got.Columns[3].Values[0] != 0b101 {
		t.Errorf("under nulls: %v, %q, %b", got.Columns[0].Int(1), got.Columns[2].Values, got.Columns[3].Values)
	}
	stored := r.state.cells[0][string(record.AppendKey(nil, sampleBatch(inputs[0].Schema).Columns, []int{1}, 0))]
	if v := stored.rows[0][0].Int(0); uint64(v) != 0x7ff8000000000000 {
		t.Errorf("stored %#x", v)
	}
}

// timed is a program that records what fires, and does as its script says.
func timed(fired *[]string, script func(c *fakeCall, entry int, name string, at int64, tag string)) *program {
	p := samples(nil)
	p.answer = func(c *fakeCall) {
		switch c.in.Kind {
		case abi.KindTimers:
			for i := range c.in.Timers.N() {
				key := frametest.Values(&c.in.Keys.Columns[0])[i]
				name := p.descriptor.Timers[c.in.Timers.Name[i]].Name
				tag := string(c.in.Timers.Tags[c.in.Timers.TagOffsets[i]:c.in.Timers.TagOffsets[i+1]])
				at := c.in.Timers.Time[i]
				script(c, i, name, at, tag)
				*fired = append(*fired, fmt.Sprintf("%v %s %d %d%s w=%d", key, name, c.in.Timers.Domain[i], at, tag, c.in.Context.Watermark))
			}
		case abi.KindBatch:
			script(c, -1, "", 0, "")
		default:
			*fired = append(*fired, fmt.Sprintf("%s w=%d", c.in.Kind, c.in.Context.Watermark))
		}
	}
	p.descriptor.Inputs[0].NeedsKey = true
	return p
}

// set adds a timer change to an answer.
func (c *fakeCall) set(key uint32, op byte, name uint16, domain byte, at int64, tag string) {
	if c.Timers == nil {
		c.Timers = &frame.TimerChanges{TagOffsets: []int32{0}}
	}
	t := c.Timers
	t.Key, t.Op, t.Name, t.Domain, t.Time = append(t.Key, key), append(t.Op, op), append(t.Name, name), append(t.Domain, domain), append(t.Time, at)
	t.Tags = append(t.Tags, tag...)
	t.TagOffsets = append(t.TagOffsets, int32(len(t.Tags)))
}

// TestTimers: per key in order, one a key and frame; what a timer sets for a time reached fires in the same advance, what it deletes
// does not fire any more; then the watermark callback.
func TestTimers(t *testing.T) {
	var fired []string
	p := timed(&fired, func(c *fakeCall, entry int, name string, at int64, tag string) {
		switch {
		case entry < 0:
			for k, name := range frametest.Values(&c.in.Keys.Columns[0]) {
				key, last := uint32(k), map[any]int64{"AA": 30, "UA": 29}[name]
				c.set(key, abi.TimerSet, 1, 0, last, "")
				c.set(key, abi.TimerSet, 1, 0, 10, "b")
				c.set(key, abi.TimerSet, 1, 0, 10, "a")
				c.set(key, abi.TimerSet, 0, 0, 10, "z")
			}
		case at == 10 && tag == "a":
			c.set(c.in.Timers.Key[entry], abi.TimerDelete, 1, 0, 10, "b")
			c.set(c.in.Timers.Key[entry], abi.TimerSet, 0, 0, 5, "")
		}
	})
	p.descriptor.Callbacks = []string{abi.CallbackWatermark, abi.CallbackEnd}
	inputs := sampleInputs(t)
	for name, adjust := range map[string]func(*Config){
		"whole": nil, "one by one": func(c *Config) { c.Cut = func(from, _ int) int { return from + 1 } },
	} {
		t.Run(name, func(t *testing.T) {
			fired = nil
			r := newRig(t, p, inputs, adjust)
			r.process(0, sampleBatch(inputs[0].Schema))
			fired = nil
			for _, w := range []int64{9, 20, 29} {
				if err := r.op.Advance(w); err != nil {
					t.Fatal(err)
				}
			}
			if err := r.op.Advance(record.WatermarkEnd); err != nil {
				t.Fatal(err)
			}
			if err := r.op.End(); err != nil {
				t.Fatal(err)
			}
			var aa, ua, rest []string
			for _, f := range fired {
				switch f[:2] {
				case "AA":
					aa = append(aa, f[3:])
				case "UA":
					ua = append(ua, f[3:])
				default:
					rest = append(rest, f)
				}
			}
			first := []string{"t 0 10z w=20", "u 0 10a w=20", "t 0 5 w=20"}
			wantAA := append(first[:3:3], "u 0 30 w=9223372036854775807")
			wantUA := append(first[:3:3], "u 0 29 w=29")
			wantRest := []string{"WATERMARK w=9", "WATERMARK w=20", "WATERMARK w=29", "WATERMARK w=9223372036854775807", "END w=9223372036854775807"}
			if !reflect.DeepEqual(aa, wantAA) || !reflect.DeepEqual(ua, wantUA) || !reflect.DeepEqual(rest, wantRest) {
				t.Errorf("AA %v\nUA %v\n%v", aa, ua, rest)
			}
			if last := fired[len(fired)-3]; last != "AA u 0 30 w=9223372036854775807" {
				t.Errorf("the callback came before the timers: %v", fired)
			}
		})
	}
}

// TestPastTimers: a timer for what the watermark has reached is dropped where its name says so, else it fires with the next advance.
func TestPastTimers(t *testing.T) {
	var fired []string
	p := timed(&fired, func(c *fakeCall, entry int, _ string, _ int64, _ string) {
		if entry < 0 {
			for i, at := range []int64{4, 5, 6} {
				c.set(0, abi.TimerSet, 1, 0, at, "")
				c.set(0, abi.TimerSet, 0, 0, at, fmt.Sprint(i))
			}
		}
	})
	p.descriptor.Timers[1].Past = abi.PastDrop
	inputs := sampleInputs(t)
	r := newRig(t, p, inputs, nil)
	if err := r.op.Advance(5); err != nil {
		t.Fatal(err)
	}
	r.process(0, sampleBatch(inputs[0].Schema))
	if len(fired) > 0 {
		t.Errorf("fired without an advance: %v", fired)
	}
	if err := r.op.Advance(6); err != nil {
		t.Fatal(err)
	}
	if want := []string{"AA t 0 40 w=6", "AA t 0 51 w=6", "AA t 0 62 w=6", "AA u 0 6 w=6"}; !reflect.DeepEqual(fired, want) {
		t.Errorf("fired %v, want %v", fired, want)
	}
}

func TestProcessingTimeTimers(t *testing.T) {
	var fired []string
	p := timed(&fired, func(c *fakeCall, entry int, _ string, _ int64, _ string) {
		if entry < 0 {
			c.set(0, abi.TimerSet, 0, abi.DomainProcessing, 2_000_000, "")
			c.set(1, abi.TimerSet, 0, abi.DomainEvent, 1, "")
			return
		}
		c.Batches = []frame.OutputRows{{Rows: 2, ItemOf: []uint32{0, abi.ItemNone},
			Columns: []frame.Column{frametest.Column(abi.I64, 1, 2), frametest.Column(abi.UTF8, "a", "b")}}}
	})
	inputs := sampleInputs(t)
	r := newRig(t, p, inputs, nil)
	r.process(0, sampleBatch(inputs[0].Schema))
	for _, now := range []int64{1_500_000, 2_500_000} {
		r.now = now
		if err := r.op.Tick(now); err != nil {
			t.Fatal(err)
		}
		if fires := now >= 2_000_000; fires != (len(fired) > 0) {
			t.Fatalf("at %d: %v", now, fired)
		}
	}
	if want := []string{"AA t 1 2000000 w=" + fmt.Sprint(record.WatermarkNone)}; !reflect.DeepEqual(fired, want) {
		t.Errorf("fired %v, want %v", fired, want)
	}
	if times := r.emitted[0].batch.EventTime; !reflect.DeepEqual(times, []int64{2_500_000, 2_500_000}) {
		t.Errorf("event times %v, want the processing time", times)
	}
	if err := r.op.Advance(5); err != nil {
		t.Fatal(err)
	}
	if times := r.emitted[1].batch.EventTime; !reflect.DeepEqual(times, []int64{1, 2_500_000}) {
		t.Errorf("event times %v, want the timer's, and the processing time of a row without item", times)
	}
}

// TestEndlessTimers names the timer that keeps setting itself.
func TestEndlessTimers(t *testing.T) {
	var fired []string
	p := timed(&fired, func(c *fakeCall, _ int, _ string, _ int64, _ string) { c.set(0, abi.TimerSet, 0, 0, 1, "") })
	inputs := sampleInputs(t)
	r := newRig(t, p, inputs, func(c *Config) { c.Limits.TimerRoundsMax = 7 })
	r.process(0, sampleBatch(inputs[0].Schema))
	err := r.op.Advance(5)
	if !errcode.Is(err, ErrRounds) || !strings.Contains(err.Error(), `timer "t" fired in more than 7 rounds`) || len(fired) != 7 {
		t.Errorf("%d fired, %v", len(fired), err)
	}
}

// TestRejectedTimer: a timer at fault is treated by the policy as a record is, and does not fire again.
func TestRejectedTimer(t *testing.T) {
	var fired []string
	p := timed(&fired, func(c *fakeCall, entry int, _ string, at int64, _ string) {
		switch {
		case entry < 0:
			c.set(0, abi.TimerSet, 0, 0, 1_000_000, "x")
			c.set(1, abi.TimerSet, 1, 0, 2_000_000, "")
		case at == 1_000_000:
			c.trap(entry, "no", "t.go:1")
		}
	})
	inputs := sampleInputs(t)
	r := newRig(t, p, inputs, nil)
	r.process(0, sampleBatch(inputs[0].Schema))
	if err := r.op.Advance(3_000_000); err != nil {
		t.Fatal(err)
	}
	if len(r.state.set) > 0 {
		t.Errorf("left: %v", r.state.set)
	}
	want := &operator.Timer{Key: "(k=AA)", Name: "t", Domain: state.EventTime, Time: 1_000_000, Tag: "x"}
	if len(r.rejected) != 1 || !reflect.DeepEqual(r.rejected[0].Timer, want) || r.rejected[0].Row != nil {
		t.Fatalf("rejected %+v", r.rejected)
	}
	if text := r.rejected[0].Cause.Error(); !strings.Contains(text, `timer t of key (k=AA) at 1970-01-01T00:00:01Z tag "x"`) {
		t.Errorf("got %s", text)
	}
}

// TestClocks: one processing time a call of the task, never back; a monotonic clock that only waits move; random numbers from the
// frame's seed.
func TestClocks(t *testing.T) {
	type reading struct {
		wall, monotonic int64
		seed            uint64
		random          [12]byte
	}
	var got []reading
	p := emitting([]abi.Field{{Name: "n", Type: "i64"}}, nil, func(c *fakeCall) {
		x := reading{wall: c.host.WallMicros(), monotonic: c.host.MonotonicNanos(), seed: c.in.Context.Seed}
		c.host.Random(x.random[:5])
		c.host.Random(x.random[5:])
		c.host.Wait(1000)
		c.host.Wait(-5)
		if x.wall != c.in.Context.ProcessingTime {
			t.Errorf("wall clock %d, processing time %d", x.wall, c.in.Context.ProcessingTime)
		}
		got = append(got, x)
	})
	inputs := unkeyed(t, record.Field{Name: "n", Type: record.I64})
	run := func() []reading {
		got = nil
		r := newRig(t, p, inputs, func(c *Config) { c.Cut = func(from, _ int) int { return from + 1 } })
		b := &record.Batch{Schema: inputs[0].Schema, Rows: 2, Columns: []record.Column{column(record.I64, 1, 2)}}
		r.process(0, b)
		r.now -= 500_000
		r.process(0, b)
		r.now += 900_000
		r.process(0, b)
		return got
	}
	first := run()
	for i, x := range first {
		if want := []int64{1_000_000, 1_000_000, 1_000_000, 1_000_000, 1_400_000, 1_400_000}[i]; x.wall != want {
			t.Errorf("frame %d: wall %d, want %d", i, x.wall, want)
		}
		if x.monotonic != 1+int64(i)*1000 {
			t.Errorf("frame %d: monotonic %d", i, x.monotonic)
		}
		for k := range i {
			if first[k].seed == x.seed || first[k].random == x.random {
				t.Errorf("frames %d and %d have the same seed or random bytes", k, i)
			}
		}
	}
	if second := run(); !reflect.DeepEqual(first, second) {
		t.Error("a second run differs")
	}
}

func TestLog(t *testing.T) {
	var speak func(h vm.Host)
	p := emitting([]abi.Field{{Name: "n", Type: "i64"}}, nil, func(c *fakeCall) { speak(c.host) })
	inputs := unkeyed(t, record.Field{Name: "n", Type: record.I64})
	r := newRig(t, p, inputs, func(c *Config) { c.Limits.LogLinesPerSec = 6 })
	b := &record.Batch{Schema: inputs[0].Schema, Rows: 1, Columns: []record.Column{column(record.I64, 1)}}
	say := func(f func(h vm.Host)) []string {
		speak, r.logged.lines = f, nil
		r.now += 10_000_000
		r.process(0, b)
		return r.logged.lines
	}
	for name, c := range map[string]struct {
		speak func(h vm.Host)
		want  []string
	}{
		"levels": {func(h vm.Host) {
			for level := range int32(6) {
				h.Log(level, []byte(fmt.Sprint("at ", level)))
			}
		}, []string{"DEBUG-4 at 0", "DEBUG at 1", "INFO at 2", "WARN at 3", "ERROR at 4", "ERROR at 5"}},
		"cleaned": {func(h vm.Host) { h.Log(2, []byte("a\x1b[31m\xff\r")) }, []string{"INFO a\ufffd[31m\ufffd\ufffd"}},
		"lines": {func(h vm.Host) {
			h.Write(1, []byte("one\ntw"))
			h.Write(2, []byte("err\n"))
			h.Write(1, []byte("o\n\nlast"))
		}, []string{"INFO one", "WARN err", "INFO two", "INFO ", "INFO last"}},
		"long": {func(h vm.Host) {
			h.Write(1, []byte(strings.Repeat("x", abi.LogLineBytesMax-1)))
			h.Write(1, []byte("yz\n"))
			h.Log(2, []byte(strings.Repeat("w", abi.LogLineBytesMax+1)))
		}, []string{"INFO " + strings.Repeat("x", abi.LogLineBytesMax-1) + "y", "INFO z", "INFO " + strings.Repeat("w", abi.LogLineBytesMax)}},
		"too many": {func(h vm.Host) {
			for range 100 {
				h.Log(2, []byte("x"))
			}
		}, []string{"INFO x", "INFO x", "INFO x", "INFO x", "INFO x", "INFO x"}},
	} {
		if got := say(c.speak); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	if n := r.ctx.Meter.Dropped.Load(); n != 94 {
		t.Errorf("%d lines dropped, want 94", n)
	}
	r.now += 500_000 // half a second later: half the allowance
	r.logged.lines = nil
	r.process(0, b)
	if len(r.logged.lines) > 6 {
		t.Errorf("%d lines in half a second", len(r.logged.lines))
	}
}

// TestFrameSizes: a batch is cut so that frames stay near their aim, an item over the limit is an error of that item.
func TestFrameSizes(t *testing.T) {
	var rows []int
	p := emitting([]abi.Field{{Name: "n", Type: "i64"}}, []string{"b"}, func(c *fakeCall) { rows = append(rows, c.in.Batch.Rows) })
	p.room = 20 << 20
	inputs := unkeyed(t, record.Field{Name: "unread", Type: record.Binary}, record.Field{Name: "b", Type: record.Binary})
	r := newRig(t, p, inputs, nil)
	batch := func(sizes ...int) *record.Batch {
		var b, unread []any
		for _, n := range sizes {
			b, unread = append(b, strings.Repeat("x", n)), append(unread, strings.Repeat("y", 1<<20))
		}
		return &record.Batch{Schema: inputs[0].Schema, Rows: len(sizes), Columns: []record.Column{column(record.Binary, unread...), column(record.Binary, b...)}}
	}
	r.process(0, batch(1<<20, 1<<20, 1<<20, 1<<20, 1<<20, 10<<20, 10, 20))
	if want := []int{3, 2, 1, 2}; !reflect.DeepEqual(rows, want) {
		t.Errorf("frames of %v rows, want %v", rows, want)
	}
	rows = nil
	r.process(0, batch(1, 17<<20, 2))
	if want := []int{1, 1}; !reflect.DeepEqual(rows, want) || len(r.rejected) != 1 || !errcode.Is(r.rejected[0].Cause, ErrItem) {
		t.Errorf("frames of %v rows, rejected %v", rows, r.rejected)
	}
	if text := r.rejected[0].Cause.Error(); !strings.Contains(text, "at most 16777216") {
		t.Errorf("the error does not name the limit: %s", text)
	}
}

// TestLongKey: a key over the limit is an error of its item.
func TestLongKey(t *testing.T) {
	var rows []int
	inputs := sampleInputs(t)
	r := newRig(t, samples(func(c *fakeCall) { rows = append(rows, c.in.Batch.Rows) }), inputs, nil)
	r.process(0, &record.Batch{Schema: inputs[0].Schema, Rows: 3, Columns: []record.Column{
		column(record.I64, 1, 2, 3), column(record.UTF8, "a", strings.Repeat("x", abi.KeyBytesMax), "b")}})
	if want := []int{1, 1}; !reflect.DeepEqual(rows, want) || len(r.rejected) != 1 || !errcode.Is(r.rejected[0].Cause, ErrItem) {
		t.Errorf("frames of %v rows, rejected %v", rows, r.rejected)
	}
}

// TestPrefetch has every kind of state inline, absent and to be asked for, and frames that shrink when their state is large.
func TestPrefetch(t *testing.T) {
	large := strings.Repeat("x", abi.FramePrefetchBytesMax+1)
	var seen []string
	fill := true
	p := samples(nil)
	p.descriptor.States[0].Value = []abi.Field{{Name: "s", Type: "utf8"}}
	p.descriptor.Inputs[0].Prefetch = []string{"map", "value", "lists", "list"}
	p.answer = func(c *fakeCall) {
		if fill {
			c.States = []frametest.State{
				{Kind: abi.StateValue, StateChanges: frame.StateChanges{State: 0, Key: []uint32{0, 1}, Op: []byte{1, 1},
					Columns: []frame.Column{frametest.Column(abi.UTF8, "small", large)}}},
				{Kind: abi.StateList, StateChanges: frame.StateChanges{State: 1, Key: []uint32{0, 0}, Op: []byte{3, 3},
					Columns: []frame.Column{frametest.Column(abi.UTF8, "e1", "e2")}}},
				{Kind: abi.StateMap, StateChanges: frame.StateChanges{State: 2, Key: []uint32{1, 1}, Op: []byte{1, 1},
					Columns: []frame.Column{frametest.Column(abi.UTF8, "b", "a"), frametest.Column(abi.I64, 2, 1)}}},
				{Kind: abi.StateValue, StateChanges: frame.StateChanges{State: 3, Key: []uint32{1}, Op: []byte{1},
					Columns: []frame.Column{frametest.Column(abi.DecimalOf(5, 2), "-1230"), frametest.Column(abi.ListOf(abi.I64), []any{7, -8})}}},
			}
			return
		}
		for _, s := range c.in.States {
			text := fmt.Sprintf("%s %v %v", p.descriptor.States[s.State].Name, s.Status, s.Start)
			for i := range s.Columns {
				text += fmt.Sprintf(" %v", frametest.Values(&s.Columns[i]))
			}
			seen = append(seen, text)
		}
		out := make([]byte, 1<<18)
		n, err := c.host.StateGet(0, 1, nil, out)
		if err != nil {
			t.Error(err)
		}
		columns, _, err := frame.DecodeBlock(out[:n], []abi.FieldType{{Name: "s", Type: abi.UTF8}}, 1, nil)
		if err != nil || frametest.Values(&columns[0])[0] != large {
			t.Errorf("asked for the large cell: %v", err)
		}
	}
	inputs := sampleInputs(t)
	r := newRig(t, p, inputs, nil)
	r.process(0, sampleBatch(inputs[0].Schema))
	fill = false
	r.process(0, sampleBatch(inputs[0].Schema))
	want := []string{"value [1 2] [] [small <nil>]", "list [1 0] [0 2 2] [e1 e2]", "map [0 1] [0 0 2] [a b] [1 2]",
		"lists [0 1] [] [<nil> -1230] [<nil> [7 -8]]"}
	if !reflect.DeepEqual(seen, want) {
		t.Errorf("got  %q\nwant %q", seen, want)
	}
}

// TestStateLargerThanFrames: with 60 KiB for each key, frames shrink until they hold what a frame may, and still see all rows.
func TestStateLargerThanFrames(t *testing.T) {
	cell := strings.Repeat("x", 60<<10)
	rows, small := 0, 0
	p := samples(nil)
	p.room = 20 << 20
	p.descriptor.States[0].Value = []abi.Field{{Name: "s", Type: "utf8"}}
	p.descriptor.Inputs[0].Prefetch = []string{"value"}
	p.answer = func(c *fakeCall) {
		rows += c.in.Batch.Rows
		if c.in.Batch.Rows < 100 {
			small++
		}
	}
	inputs := sampleInputs(t)
	r := newRig(t, p, inputs, nil)
	var n, k []any
	for i := range 300 {
		n, k = append(n, i), append(k, fmt.Sprint(i))
	}
	b := &record.Batch{Schema: inputs[0].Schema, Rows: 300, Columns: []record.Column{column(record.I64, n...), column(record.UTF8, k...)}}
	for i := range 300 {
		key := record.AppendKey(nil, b.Columns, []int{1}, i)
		r.state.cells[0][string(key)] = &modelCell{rows: [][]record.Column{{column(record.UTF8, cell)}}}
	}
	r.process(0, b)
	if rows != 300 || small < 5 || len(r.rejected) != 0 {
		t.Errorf("%d rows, %d small frames, %d rejected", rows, small, len(r.rejected))
	}
	if r.state.loads > small+4 { // the first frame halves until it fits, the others begin there
		t.Errorf("state was loaded %d times for %d frames", r.state.loads, small)
	}
	// Where a frame may hold less than one cell, the guest is told to ask.
	asked := 0
	p.answer = func(c *fakeCall) {
		for _, s := range c.in.States[0].Status {
			if s == abi.StatusAsk {
				asked++
			}
		}
	}
	r = newRig(t, p, inputs, func(c *Config) { c.Limits.FrameBytesMax = 32 << 10 })
	for i := range 3 {
		key := record.AppendKey(nil, b.Columns, []int{1}, i)
		r.state.cells[0][string(key)] = &modelCell{rows: [][]record.Column{{column(record.UTF8, cell)}}}
	}
	r.process(0, b.Slice(0, 3))
	if asked != 3 || len(r.rejected) != 0 {
		t.Errorf("asked for %d cells, rejected %d", asked, len(r.rejected))
	}
}

// TestOwnEventTime: a port's column, or the guest's own array, is the event time of its rows.
func TestOwnEventTime(t *testing.T) {
	p := emitting([]abi.Field{{Name: "t", Type: "timestamp"}}, nil, func(c *fakeCall) {
		rows := []frame.Column{frametest.Column(abi.Timestamp, 77, 78)}
		c.Batches = []frame.OutputRows{{Rows: 2, Identity: true, Columns: rows}, {Port: 1, Rows: 2, Identity: true, Columns: rows, EventTime: []int64{5, 6}},
			{Port: 1, Rows: 2, Identity: true, Columns: rows}}
	})
	p.descriptor.Outputs[0].EventTime = "t"
	p.descriptor.Outputs = append(p.descriptor.Outputs, abi.BindOutput{Name: "own", Schema: p.descriptor.Outputs[0].Schema})
	inputs := unkeyed(t, record.Field{Name: "n", Type: record.I64})
	r := newRig(t, p, inputs, nil)
	r.process(0, &record.Batch{Schema: inputs[0].Schema, Rows: 2, Columns: []record.Column{column(record.I64, 1, 2)}})
	for i, want := range [][]int64{{77, 78}, {5, 6}, {1_000_000, 1_000_000}} { // the last: the stream has no event time
		if got := r.emitted[i].batch.EventTime; !reflect.DeepEqual(got, want) {
			t.Errorf("batch %d: %v, want %v", i, got, want)
		}
	}
}

func TestMetrics(t *testing.T) {
	p := samples(func(c *fakeCall) {
		c.Metrics = []frame.MetricUpdate{{Metric: 0, Value: 3}, {Metric: 1, Value: math.Float64bits(2.5)}, {Metric: 0, Value: 4}}
		c.fuelUsed = 1000
	})
	inputs := sampleInputs(t)
	r := newRig(t, p, inputs, nil)
	r.process(0, sampleBatch(inputs[0].Schema))
	r.process(0, sampleBatch(inputs[0].Schema))
	custom := r.ctx.Meter.Custom()
	if custom[0].Value.Load() != 14 || custom[1].Value.Load() != math.Float64bits(2.5) || custom[0].Gauge || !custom[1].Gauge {
		t.Errorf("metrics %+v", custom)
	}
	if f := r.ctx.Meter.Fuel.Load(); f != 2000+4*100 { // open, reserve, and 100 for each call
		t.Errorf("fuel %d", f)
	}
}
