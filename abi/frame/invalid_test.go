package frame_test

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/abi/frame"
	"github.com/tidemill/tidemill/abi/frame/frametest"
)

// edit is bytes of an answer, to be damaged.
type edit struct{ b []byte }

func (e *edit) put16(at int, v uint16) *edit { binary.LittleEndian.PutUint16(e.b[at:], v); return e }
func (e *edit) put32(at int, v uint32) *edit { binary.LittleEndian.PutUint32(e.b[at:], v); return e }

// entry is the place of a section's entry in the table; section that of the section itself.
func (e *edit) entry(id abi.SectionID, index int) int {
	for at := 40; ; at += 16 {
		if binary.LittleEndian.Uint16(e.b[at:]) == uint16(id) && binary.LittleEndian.Uint16(e.b[at+2:]) == uint16(index) {
			return at
		}
	}
}

func (e *edit) section(id abi.SectionID, index int) int { return int(u32(e.b, e.entry(id, index)+8)) }

// Edits of one field of a section or of one of its nodes.
func (e *edit) field(id abi.SectionID, index, field int, v uint32) *edit {
	return e.put32(e.section(id, index)+field, v)
}

func (e *edit) node(id abi.SectionID, index, column, field int, v uint32) *edit {
	return e.put32(e.section(id, index)+32+40*column+field, v)
}

// at is where an array or buffer that a field names begins.
func (e *edit) at(id abi.SectionID, index, field int) int {
	return int(u32(e.b, e.section(id, index)+field))
}

const (
	batch    = abi.SectionBatch
	states   = abi.SectionState
	timers   = abi.SectionTimers
	consumed = abi.SectionConsumed
	metrics  = abi.SectionMetrics
	failed   = abi.SectionError
)

// invalidCase is a golden answer with one thing wrong.
type invalidCase struct {
	name   string
	base   string // golden answer
	damage func(e *edit)
	setup  func(d *frame.Decoder, a *frame.Asked)
	want   string // part of the violation
}

func set(id abi.SectionID, index, field int, v uint32) func(*edit) {
	return func(e *edit) { e.field(id, index, field, v) }
}

func node(id abi.SectionID, index, column, field int, v uint32) func(*edit) {
	return func(e *edit) { e.node(id, index, column, field, v) }
}

func raw32(at int, v uint32) func(*edit) { return func(e *edit) { e.put32(at, v) } }

func bits(id abi.SectionID, index, field, skip int, v byte) func(*edit) {
	return func(e *edit) { e.b[e.at(id, index, field)+skip] = v }
}

// extra adds a section to the golden answer with rows.
func extra(sections ...frametest.Section) func(*edit) {
	return func(e *edit) {
		a := *goldenAnswers()["answer-rows"]
		a.Extra = sections
		e.b = a.Encode()
	}
}

func notKeyed(_ *frame.Decoder, a *frame.Asked) { a.Keys, a.KeyOf, a.Key = 0, nil, nil }

var headerCases = []invalidCase{
	{name: "bad magic", base: "answer-rows", damage: raw32(0, 0), want: "magic"},
	{name: "another version", base: "answer-rows", damage: func(e *edit) { e.put16(4, 2) }, want: "version 2"},
	{name: "another kind", base: "answer-rows", damage: func(e *edit) { e.put16(6, 2) }, want: "kind TIMERS answers BATCH"},
	{name: "total length", base: "answer-rows", damage: raw32(8, 41), want: "total length 41"},
	{name: "too many sections", base: "answer-rows", damage: raw32(12, 1<<20), want: "at most 1024"},
	{name: "sections do not fit", base: "answer-rows", damage: raw32(12, 1000), want: "does not fit"},
	{name: "another sequence", base: "answer-rows", damage: raw32(16, 8), want: "sequence 8 answers 9"},
	{name: "another slot", base: "answer-rows", damage: raw32(24, 1), want: "slot 1"},
	{name: "unknown flags", base: "answer-rows", damage: raw32(28, 2), want: "unknown flags"},
	{name: "reserved field", base: "answer-rows", damage: raw32(36, 1), want: "reserved field"},
	{name: "section flags", base: "answer-rows", damage: raw32(44, 2), want: "unknown flags 0x2"},
	{name: "section not aligned", base: "answer-rows", damage: raw32(48, 68), want: "not a multiple of 8"},
	{name: "section before its table ends", base: "answer-rows", damage: raw32(48, 48), want: "lie outside"},
	{name: "section behind the frame", base: "answer-rows", damage: raw32(48, 1<<20), want: "lie outside"},
	{name: "section length overflows", base: "answer-rows", damage: raw32(52, 0xfffffff8), want: "lie outside"},
	{name: "CONTEXT in an answer", damage: extra(frametest.Section{ID: abi.SectionContext}), want: "frames from the host"},
	{name: "KEYS in an answer", damage: extra(frametest.Section{ID: abi.SectionKeys}), want: "frames from the host"},
	{name: "own watermark", damage: extra(frametest.Section{ID: abi.SectionWatermark}), want: abi.FeatureWatermarks},
	{name: "merge", damage: extra(frametest.Section{ID: abi.SectionMerge}), want: abi.FeatureMerge},
	{name: "unknown section that must be understood", damage: extra(frametest.Section{ID: 99, Flags: 1}), want: "must-understand"},
	{name: "index of a section without", damage: extra(frametest.Section{ID: consumed, Index: 1, Data: []byte{3, 0, 0, 0, 0, 0, 0, 0}}),
		want: "reserved field"},
}

var rowsCases = []invalidCase{
	{name: "section too short", base: "answer-rows", damage: raw32(52, 16), want: "32 at least"},
	{name: "unknown port", base: "answer-rows", damage: func(e *edit) { e.put16(42, 2) }, want: "output port 2 of 2"},
	{name: "too few columns", base: "answer-rows", damage: set(batch, 0, 4, 1), want: "1 columns, declared are 2"},
	{name: "nodes of other number", base: "answer-rows", damage: set(batch, 0, 8, 3), want: "3 nodes for 2 columns"},
	{name: "rows that cannot be", base: "answer-rows", damage: set(batch, 0, 0, 1<<31), want: "do not fit"},
	{name: "unknown batch flags", base: "answer-rows", damage: set(batch, 0, 12, 64), want: "unknown flags 0x40"},
	{name: "reserved batch field", base: "answer-rows", damage: set(batch, 0, 28, 1), want: "reserved field"},
	{name: "item_of out of range", base: "answer-rows", damage: bits(batch, 0, 16, 0, 3), want: "row 0 is of item 3, 3 were consumed"},
	{name: "item_of not aligned", base: "answer-rows", damage: set(batch, 0, 16, 0x91), want: "not a multiple of 4"},
	{name: "item_of outside of its section", base: "answer-rows", damage: set(batch, 0, 16, 0), want: "lie outside"},
	{name: "item_of runs out of its section", base: "answer-rows", damage: set(batch, 0, 16, 0xfffffffc), want: "lie outside"},
	{name: "identity with item_of", base: "answer-rows", damage: set(batch, 0, 12, 3), want: "item_of beside"},
	{name: "identity of other length", base: "answer-identity", damage: func(e *edit) { e.field(consumed, 0, 0, 1) }, want: "1 items were consumed"},
	{name: "event times without flag", base: "answer-rows", damage: set(batch, 0, 12, 0), want: "without their flag"},
	{name: "event times not aligned", base: "answer-rows", damage: set(batch, 0, 20, 0xc4), want: "not a multiple of 8"},
	{name: "event times beside a column", base: "answer-rows", want: "beside the port's event time column",
		setup: func(d *frame.Decoder, _ *frame.Asked) { d.Binding.Outputs[0].EventTime = 0 }},
	{name: "row kinds without flag", base: "answer-identity", damage: set(batch, 0, 24, 96), want: "row kinds without"},
	{name: "row kinds given and inherited", base: "answer-identity", damage: set(batch, 0, 12, 13), want: "both inherited and given"},
	{name: "row kinds of an append port", base: "answer-rows", want: "append port", damage: func(e *edit) {
		e.field(batch, 0, 12, 6).field(batch, 0, 24, uint32(e.at(batch, 0, 16)))
		e.b[e.at(batch, 0, 16)] = 3
		copy(e.b[e.at(batch, 0, 16):], []byte{2, 0, 0, 0, 0, 0, 0, 0})
	}},
	{name: "unknown row kind", base: "answer-rows", want: "row kind 4", damage: func(e *edit) {
		e.field(batch, 0, 12, 6).field(batch, 0, 24, uint32(e.at(batch, 0, 20)))
		e.b[e.at(batch, 0, 20)] = 4
	}},
}

var columnCases = []invalidCase{
	{name: "another type", base: "answer-rows", damage: node(batch, 0, 0, 0, uint32(abi.Timestamp)), want: "type timestamp, declared is i64"},
	{name: "reserved type", base: "answer-rows", damage: node(batch, 0, 0, 0, uint32(abi.Decimal128)), want: "decimal128 is specified"},
	{name: "nested type", base: "answer-rows", damage: node(batch, 0, 0, 0, uint32(abi.List)), want: "list is specified"},
	{name: "unknown type", base: "answer-rows", damage: node(batch, 0, 0, 0, 99), want: "unknown type 99"},
	{name: "length", base: "answer-rows", damage: node(batch, 0, 0, 4, 3), want: "length 3, not the 2 rows"},
	{name: "children", base: "answer-rows", damage: node(batch, 0, 0, 12, 1), want: "1 children"},
	{name: "nulls without validity", base: "answer-rows", damage: node(batch, 0, 0, 20, 0), want: "validity of 1 bytes are missing"},
	{name: "null count", base: "answer-rows", damage: node(batch, 0, 0, 8, 2), want: "null count 2, the validity has 1"},
	{name: "validity without null count", base: "answer-rows", damage: node(batch, 0, 0, 8, 0), want: "null count 0, the validity has 1"},
	{name: "null in a column that is not nullable", base: "answer-rows", want: "not nullable",
		setup: func(d *frame.Decoder, _ *frame.Asked) {
			d.Binding.Outputs[0].Fields = notNullable(d.Binding.Outputs[0].Fields)
		}},
	{name: "values missing", base: "answer-rows", damage: node(batch, 0, 0, 36, 0), want: "values of 16 bytes are missing"},
	{name: "values too short", base: "answer-rows", damage: node(batch, 0, 0, 36, 15), want: "have 15 bytes, the rows need 16"},
	{name: "values not aligned", base: "answer-rows", damage: node(batch, 0, 0, 32, 200), want: "not a multiple of 16"},
	{name: "values before the section", base: "answer-rows", damage: node(batch, 0, 0, 32, 0), want: "lie outside"},
	{name: "values run out of the section", base: "answer-rows", damage: node(batch, 0, 0, 36, 0xffffff00), want: "lie outside"},
	{name: "offsets of a fixed column", base: "answer-rows", damage: node(batch, 0, 0, 28, 4), want: "offsets in a column of type i64"},
	{name: "offsets missing", base: "answer-rows", damage: node(batch, 0, 1, 28, 0), want: "offsets of 12 bytes are missing"},
	{name: "first offset", base: "answer-rows", damage: func(e *edit) { e.b[e.at(batch, 0, 32+40+24)] = 1 }, want: "the first offset is 1"},
	{name: "offsets fall", base: "answer-rows", damage: func(e *edit) { e.b[e.at(batch, 0, 32+40+24)+8] = 0 }, want: "below the one before"},
	{name: "negative offset", base: "answer-rows", damage: func(e *edit) { e.b[e.at(batch, 0, 32+40+24)+7] = 0xff }, want: "below the one before"},
	{name: "offsets pass the values", base: "answer-rows", damage: func(e *edit) { e.b[e.at(batch, 0, 32+40+24)+8] = 200 },
		want: "have 2 bytes, the rows need 200"},
	{name: "not UTF-8", base: "answer-rows", damage: func(e *edit) { e.b[e.at(batch, 0, 32+40+32)+1] = 0xff }, want: "row 1 is not valid UTF-8"},
	{name: "a rune over two rows", base: "answer-rows", want: "row 0 is not valid UTF-8",
		damage: func(e *edit) { copy(e.b[e.at(batch, 0, 32+40+32):], "é") }},
	{name: "unknown node flags", base: "answer-filter", damage: func(e *edit) { e.put16(e.section(batch, 1)+32+2, 4) }, want: "unknown node flags"},
	{name: "passed through with buffers", base: "answer-filter", damage: node(batch, 1, 0, 36, 8), want: "buffers of its own"},
	{name: "passed through from nowhere", base: "answer-filter", damage: node(batch, 1, 0, 32, 1), want: "input column 1 of 1"},
	{name: "a key that is not there", base: "answer-filter", damage: node(batch, 1, 1, 32, 1), want: "key column 1 of 1"},
	{name: "passed through as another type", base: "answer-filter", want: "input column 0 of type f64 is passed through as i64",
		setup: func(_ *frame.Decoder, a *frame.Asked) { a.Columns[0].Type = abi.F64 }},
	{name: "passed through without an item", base: "answer-filter", want: "has no item",
		damage: func(e *edit) { e.put32(e.at(batch, 1, 16), abi.ItemNone) }},
	{name: "passes a null through", base: "answer-filter", want: "row 1 passes a null",
		setup: func(d *frame.Decoder, _ *frame.Asked) {
			d.Binding.Outputs[1].Fields = notNullable(d.Binding.Outputs[1].Fields)
		}},
	{name: "more than a frame once put together", base: "answer-filter", want: "what is passed through included",
		setup: func(d *frame.Decoder, a *frame.Asked) {
			d.BytesMax = 4096
			big := strings.Repeat("x", 3000)
			a.Key = []frame.Column{frametest.Column(abi.UTF8, big, "b", big)}
		}},
}

func notNullable(fields []abi.FieldType) []abi.FieldType {
	out := append([]abi.FieldType(nil), fields...)
	for i := range out {
		out[i].Nullable = false
	}
	return out
}

var stateCases = []invalidCase{
	{name: "state without keys", base: "answer-state", setup: notKeyed, want: "the frame has no keys"},
	{name: "unknown state", base: "answer-state", damage: func(e *edit) { e.put16(e.entry(states, 2)+2, 3) }, want: "state 3 of 3"},
	{name: "the same state twice", base: "answer-state", damage: func(e *edit) { e.put16(e.entry(states, 2)+2, 0) }, want: "STATE(0): appears twice"},
	{name: "another state kind", base: "answer-state", damage: set(states, 0, 4, 2), want: "list, declared is value"},
	{name: "reserved state field", base: "answer-state", damage: set(states, 0, 24, 1), want: "reserved field"},
	{name: "changes that cannot be", base: "answer-state", damage: set(states, 0, 0, 1<<30), want: "do not fit"},
	{name: "columns of a state", base: "answer-state", damage: set(states, 0, 8, 2), want: "2 columns, declared are 1"},
	{name: "unknown key", base: "answer-state", damage: bits(states, 0, 16, 0, 2), want: "change 0 is to key 2"},
	{name: "key of an item that was not consumed", want: "change 1 is to key 1, the consumed items have 1", damage: func(e *edit) {
		a := *goldenAnswers()["answer-state"]
		a.Consumed = 1
		e.b = a.Encode()
	}},
	{name: "append to a value", base: "answer-state", damage: bits(states, 0, 20, 0, abi.OpAppend), want: "operation 3 of change 0 to a value"},
	{name: "clear all of a value", base: "answer-state", damage: bits(states, 0, 20, 0, abi.OpClearAll), want: "operation 4 of change 0 to a value"},
	{name: "set a list", base: "answer-state", damage: bits(states, 1, 20, 0, abi.OpSet), want: "operation 1 of change 0 to a list"},
	{name: "clear all of a list", base: "answer-state", damage: bits(states, 1, 20, 0, abi.OpClearAll), want: "operation 4 of change 0 to a list"},
	{name: "append to a map", base: "answer-state", damage: bits(states, 2, 20, 1, abi.OpAppend), want: "operation 3 of change 1 to a map"},
	{name: "unknown operation", base: "answer-state", damage: bits(states, 0, 20, 0, 9), want: "operation 9"},
	{name: "sets a cell to null", base: "answer-state", damage: bits(states, 0, 20, 1, abi.OpSet), want: "change 1 writes null",
		setup: func(d *frame.Decoder, _ *frame.Asked) {
			d.Binding.States[0].Fields = notNullable(d.Binding.States[0].Fields)
		}},
	{name: "cell over the limit", base: "answer-state", want: "the cell of change 0 has 8 bytes, at most 7",
		setup: func(d *frame.Decoder, _ *frame.Asked) { d.CellBytesMax = 7 }},
	{name: "map key over the limit", base: "answer-state", want: "the map key of change 1 has 3 bytes, at most 2",
		setup: func(d *frame.Decoder, _ *frame.Asked) { d.KeyBytesMax = 2 }},
	{name: "state passes through", base: "answer-state", want: "nothing can be passed through", damage: func(e *edit) {
		e.put16(e.section(states, 0)+34, 1)
		for f := 8; f < 40; f += 4 {
			e.node(states, 0, 0, f, 0)
		}
	}},
}

var otherCases = []invalidCase{
	{name: "timers without keys", base: "answer-timers", setup: notKeyed, want: "the frame has no keys"},
	{name: "timer of an unknown key", base: "answer-timers", damage: bits(timers, 0, 8, 0, 2), want: "change 0 is to key 2"},
	{name: "timer operation 0", base: "answer-timers", damage: bits(timers, 0, 20, 0, 0), want: "operation 0 of change 0"},
	{name: "timer operation 5", base: "answer-timers", damage: bits(timers, 0, 20, 0, 5), want: "operation 5 of change 0"},
	{name: "unknown timer name", base: "answer-timers", damage: bits(timers, 0, 12, 0, 2), want: "timer name 2 of 2"},
	{name: "unknown domain", base: "answer-timers", damage: bits(timers, 0, 16, 0, 2), want: "domain 2"},
	{name: "tag offsets fall", base: "answer-timers", damage: bits(timers, 0, 28, 8, 0), want: "tag offset 0 of entry 2"},
	{name: "tags too short", base: "answer-timers", damage: set(timers, 0, 36, 2), want: "the tags end at 3 of 2"},
	{name: "tag over the limit", want: "has 257 bytes, at most 256", damage: func(e *edit) {
		a := *goldenAnswers()["answer-timers"]
		t := *a.Timers
		t.TagOffsets, t.Tags = []int32{0, 257, 257, 257, 257}, make([]byte, 257)
		a.Timers = &t
		e.b = a.Encode()
	}},
	{name: "reserved timer field", base: "answer-timers", damage: set(timers, 0, 40, 1), want: "reserved field"},
	{name: "timers that cannot be", base: "answer-timers", damage: set(timers, 0, 0, 1<<30), want: "do not fit"},
	{name: "TIMERS twice", damage: func(e *edit) {
		a := *goldenAnswers()["answer-timers"]
		a.Extra = []frametest.Section{{ID: timers, Data: make([]byte, 48)}}
		e.b = a.Encode()
	}, want: "TIMERS(0): appears twice"},
	{name: "consumes nothing", base: "answer-identity", damage: set(consumed, 0, 0, 0), want: "0 items of 3"},
	{name: "consumes more than there is", base: "answer-identity", damage: set(consumed, 0, 0, 4), want: "4 items of 3"},
	{name: "consumed reserved", base: "answer-identity", damage: set(consumed, 0, 4, 1), want: "reserved field"},
	{name: "CONSUMED twice", damage: extra(frametest.Section{ID: consumed, Data: []byte{3, 0, 0, 0, 0, 0, 0, 0}},
		frametest.Section{ID: consumed, Data: []byte{3, 0, 0, 0, 0, 0, 0, 0}}), want: "appears twice"},
	{name: "unknown metric", base: "answer-metrics", damage: set(metrics, 0, 8, 2), want: "metric 2 of 2"},
	{name: "metrics do not fit", base: "answer-metrics", damage: set(metrics, 0, 0, 9), want: "9 entries do not fit"},
	{name: "metric reserved", base: "answer-metrics", damage: set(metrics, 0, 12, 1), want: "reserved field"},
	{name: "error code 0", base: "answer-error", damage: set(failed, 0, 0, 0), want: "unknown code 0"},
	{name: "error code 4", base: "answer-error", damage: set(failed, 0, 0, 4), want: "unknown code 4"},
	{name: "error of an unknown item", base: "answer-error", damage: set(failed, 0, 4, 3), want: "item 3 of 3"},
	{name: "error of item -2", base: "answer-error", damage: set(failed, 0, 4, 0xfffffffe), want: "item -2"},
	{name: "error message too long", base: "answer-error", damage: set(failed, 0, 8, 4097), want: "at most 4096"},
	{name: "error message does not fit", base: "answer-error", damage: set(failed, 0, 8, 4096), want: "do not fit"},
	{name: "error message not UTF-8", base: "answer-error", damage: func(e *edit) { e.b[e.section(failed, 0)+16] = 0xff }, want: "not valid UTF-8"},
}

// TestInvalidAnswers has one case for each thing that can be wrong with an answer.
func TestInvalidAnswers(t *testing.T) {
	for _, group := range [][]invalidCase{headerCases, rowsCases, columnCases, stateCases, otherCases} {
		for _, c := range group {
			t.Run(c.name, func(t *testing.T) {
				e := &edit{}
				if c.base != "" {
					e.b = readHex(t, c.base)
				}
				if c.damage != nil {
					c.damage(e)
				}
				d, asked := goldenDecoder(), goldenAsked()
				if c.setup != nil {
					c.setup(d, asked)
				}
				_, err := d.Decode(place(e.b, 16), 16, uint32(len(e.b)), asked)
				checkViolation(t, err, c.want)
			})
		}
	}
}

func checkViolation(t *testing.T, err error, want string) {
	t.Helper()
	var v *abi.Violation
	if !errors.As(err, &v) {
		t.Fatalf("got %v, want a violation", err)
	}
	if !strings.Contains(v.Error(), want) || v.Part == "" {
		t.Errorf("got %q, want %q in it", v.Error(), want)
	}
}

// TestInvalidAddresses has answers that are not where the guest says.
func TestInvalidAddresses(t *testing.T) {
	data := readHex(t, "answer-rows")
	memory := place(data, 16)
	n := uint32(len(data))
	for _, c := range []struct {
		name  string
		at, n uint32
		want  string
	}{
		{"behind the memory", uint32(len(memory)) &^ 15, n, "end after the memory"},
		{"address and length overflow", 0xfffffff0, 0x20, "end after the memory"},
		{"no bytes", 16, 0, "0 bytes, a frame has 40"},
		{"less than a header", 16, 39, "39 bytes"},
		{"not aligned", 24, n - 8, "not a multiple of 16"},
	} {
		_, err := goldenDecoder().Decode(memory, c.at, c.n, goldenAsked())
		t.Run(c.name, func(t *testing.T) { checkViolation(t, err, c.want) })
	}
	d := goldenDecoder()
	d.BytesMax = int(n) - 1
	_, err := d.Decode(memory, 16, n, goldenAsked())
	checkViolation(t, err, "at most")
}

// TestAbsolute has buffers anywhere in the guest's memory, and nowhere in it.
func TestAbsolute(t *testing.T) {
	build := func(address, length uint32) ([]byte, *edit) {
		e := &edit{b: readHex(t, "answer-rows")}
		e.put32(28, abi.FlagAbsolute)
		for column, fields := range [][]int{{16, 32}, {24, 32}} {
			for _, f := range fields {
				at := e.section(batch, 0) + 32 + 40*column + f
				e.put32(at, u32(e.b, at)+64) // the frame is placed at 64
			}
		}
		e.node(batch, 0, 0, 32, address).node(batch, 0, 0, 36, length)
		memory := place(e.b, 64)
		memory = append(memory[:len(memory)&^15], make([]byte, 64)...)
		copy(memory[8:], []byte{42, 0, 0, 0, 0, 0, 0, 0})
		return memory, e
	}
	memory, e := build(8, 16) // 8 is aligned for 8-byte values
	a, err := goldenDecoder().Decode(memory, 64, uint32(len(e.b)), goldenAsked())
	if err != nil {
		t.Fatal(err)
	}
	if got := frametest.Values(&a.Batches[0].Columns[0]); got[0] != 42 || got[1] != nil {
		t.Errorf("got %v", got)
	}
	if got := frametest.Values(&a.Batches[0].Columns[1]); got[0] != "a" || got[1] != "b" {
		t.Errorf("got %v", got)
	}
	for _, c := range []struct {
		address, length uint32
		want            string
	}{
		{4, 16, "not a multiple of 8"}, {1 << 30, 16, "end after the memory"}, {0xfffffff8, 16, "end after the memory"}, {8, 8, "the rows need 16"},
	} {
		memory, e := build(c.address, c.length)
		_, err := goldenDecoder().Decode(memory, 64, uint32(len(e.b)), goldenAsked())
		checkViolation(t, err, c.want)
	}
	if _, err := goldenDecoder().DecodeChanges(e.b, goldenAsked()); err == nil || !strings.Contains(err.Error(), "unknown flags") {
		t.Errorf("state_apply took absolute addresses: %v", err)
	}
}

// TestTolerated is what readers must put up with, so that the contract can grow.
func TestTolerated(t *testing.T) {
	for name, damage := range map[string]func(e *edit){
		"unknown section":    extra(frametest.Section{ID: 99, Index: 7, Data: []byte{1, 2, 3}}),
		"longer sections":    extra(frametest.Section{ID: consumed, Data: []byte{3, 0, 0, 0, 0, 0, 0, 0, 9, 9, 9, 9}}),
		"nulls when cleared": func(e *edit) { e.b = goldenAnswers()["answer-state"].Encode() },
		"several sections of a port": func(e *edit) {
			a := *goldenAnswers()["answer-rows"]
			a.Batches = append(a.Batches, a.Batches[0])
			e.b = a.Encode()
		},
		"no rows": func(e *edit) {
			a := *goldenAnswers()["answer-rows"]
			a.Batches = []frame.OutputRows{{Columns: []frame.Column{frametest.Column(abi.I64), frametest.Column(abi.UTF8)}}}
			e.b = a.Encode()
		},
	} {
		e := &edit{}
		damage(e)
		d := goldenDecoder()
		d.Binding.States[0].Fields = notNullable(d.Binding.States[0].Fields)
		if _, err := d.Decode(place(e.b, 16), 16, uint32(len(e.b)), goldenAsked()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestNoItems has answers to WATERMARK and END frames: rows are allowed, items are not.
func TestNoItems(t *testing.T) {
	asked := &frame.Asked{Kind: abi.KindEnd, Sequence: 9}
	rows := *goldenAnswers()["answer-rows"]
	rows.Kind = abi.KindEnd
	rows.Batches[0].ItemOf = []uint32{abi.ItemNone, abi.ItemNone}
	data := rows.Encode()
	a, err := goldenDecoder().Decode(place(data, 16), 16, uint32(len(data)), asked)
	if err != nil || a.Batches[0].Rows != 2 {
		t.Fatalf("%+v, %v", a, err)
	}
	rows.Consumed = 1
	data = rows.Encode()
	_, err = goldenDecoder().Decode(place(data, 16), 16, uint32(len(data)), asked)
	checkViolation(t, err, "1 items of 0")
}

// TestInvalidInputs has one case for each thing that can be wrong with an input frame, the reserved kinds among them.
func TestInvalidInputs(t *testing.T) {
	const context, keys = abi.SectionContext, abi.SectionKeys
	for _, c := range []struct {
		name, base string
		damage     func(*edit)
		want       string
	}{
		{"migrate", "input-end", func(e *edit) { e.put16(6, uint16(abi.KindMigrate)) }, "MIGRATE is specified but not supported"},
		{"aggregate", "input-end", func(e *edit) { e.put16(6, uint16(abi.KindAggregate)) }, "AGGREGATE is specified but not supported"},
		{"slot", "input-end", raw32(24, 1), "a slot above 0 is specified but not supported"},
		{"unknown kind", "input-end", func(e *edit) { e.put16(6, 7) }, "unknown kind 7"},
		{"unknown flags", "input-end", raw32(28, 1), "unknown flags"},
		{"no context", "input-end", func(e *edit) { e.put16(40, 99) }, "no CONTEXT"},
		{"context reserved", "input-end", set(context, 0, 28, 1), "reserved field"},
		{"context too short", "input-end", raw32(52, 24), "32 at least"},
		{"port of a callback", "input-end", set(context, 0, 24, 0), "input port 0 in kind END"},
		{"batch in a callback", "input-batch-cut", func(e *edit) { e.put16(6, uint16(abi.KindEnd)) }, "do not go together"},
		{"timers in a batch", "input-timers", func(e *edit) { e.put16(6, uint16(abi.KindBatch)) }, "do not go together"},
		{"a section that must be understood", "input-end", func(e *edit) { e.put16(40, 99).put32(44, 1) }, "must-understand"},
		{"index", "input-end", func(e *edit) { e.put16(42, 1) }, "index 1, not 0"},
		{"no rows", "input-batch-no-columns", set(batch, 0, 0, 0), "0 rows, 1 to 4096"},
		{"too many rows", "input-batch-no-columns", set(batch, 0, 0, 4097), "4097 rows"},
		{"identity in an input", "input-batch-no-columns", set(batch, 0, 12, 1), "flags 0x1"},
		{"item_of in an input", "input-batch-no-columns", set(batch, 0, 16, 96), "reserved field"},
		{"event times without flag", "input-batch-cut", set(batch, 0, 12, 4), "event times without"},
		{"kinds without flag", "input-batch-cut", set(batch, 0, 12, 2), "row kinds without"},
		{"row kind", "input-batch-cut", bits(batch, 0, 24, 0, 4), "row kind 4"},
		{"passed through", "input-batch-keyed", func(e *edit) {
			e.put16(e.section(batch, 0)+34, 1)
			for f := 8; f < 40; f += 4 {
				e.node(batch, 0, 0, f, 0)
			}
		}, "passes nothing through"},
		{"reserved type", "input-batch-keyed", node(batch, 0, 0, 0, uint32(abi.Time64)), "time64 is specified"},
		{"keys of other items", "input-batch-keyed", set(keys, 0, 0, 2), "2 items, the frame has 3"},
		{"more keys than items", "input-batch-keyed", set(keys, 0, 4, 4), "4 keys of 3 items"},
		{"keys without items", "input-batch-keyed", set(keys, 0, 4, 3), "3 keys of which 2 have items"},
		{"keys out of order", "input-batch-keyed", bits(keys, 0, 16, 0, 1), "first-appearance order"},
		{"keys reserved", "input-batch-keyed", set(keys, 0, 28, 1), "reserved field"},
		{"state out of order", "input-batch-keyed", func(e *edit) { e.put16(e.entry(states, 2)+2, 0) }, "ascending order"},
		{"state kind", "input-batch-keyed", set(states, 0, 4, 4), "unknown state kind"},
		{"state status", "input-batch-keyed", bits(states, 0, 16, 0, 3), "status 3"},
		{"state reserved", "input-batch-keyed", set(states, 0, 28, 1), "reserved field"},
		{"state of other keys", "input-batch-keyed", func(e *edit) {
			e.field(states, 0, 0, 1).field(states, 0, 24, 1).node(states, 0, 0, 4, 1).node(states, 0, 0, 8, 0)
		}, "1 cells, the frame has 2"},
		{"value with start", "input-batch-keyed", set(states, 0, 20, 96), "no start array"},
		{"start falls", "input-batch-keyed", bits(states, 2, 20, 8, 1), "start 1 of key 2"},
		{"start does not end", "input-batch-keyed", func(e *edit) { e.b[e.at(states, 2, 20)+4] = 1; e.b[e.at(states, 2, 20)+8] = 1 }, "ends at 1 of 2"},
		{"entries of an absent key", "input-batch-keyed", bits(states, 2, 16, 0, 0), "entries of key 0, which is not inline"},
		{"no timers", "input-timers", set(timers, 0, 0, 0), "0 timers"},
		{"timer key", "input-timers", bits(timers, 0, 8, 0, 1), "is not that of KEYS"},
		{"timer domain", "input-timers", bits(timers, 0, 16, 0, 2), "domain 2"},
		{"timer operations in an input", "input-timers", set(timers, 0, 20, 96), "reserved field"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := &edit{b: readHex(t, c.base)}
			c.damage(e)
			_, err := frame.DecodeInput(e.b)
			checkViolation(t, err, c.want)
		})
	}
}

func TestInvalidBlocks(t *testing.T) {
	fields := goldenBinding().States[2].Fields
	fields[1].Nullable = true
	for _, c := range []struct {
		name   string
		damage func(*edit)
		rows   int
		want   string
	}{
		{"short", func(e *edit) { e.b = e.b[:15] }, -1, "15 bytes"},
		{"total length", raw32(12, 1<<20), -1, "total length"},
		{"total length below its head", raw32(12, 15), -1, "total length 15"},
		{"columns", raw32(4, 1), -1, "1 columns, declared are 2"},
		{"nodes", raw32(8, 1), -1, "1 nodes for 2"},
		{"nodes do not fit", raw32(12, 40), -1, "do not fit"},
		{"rows", func(*edit) {}, 1, "2 rows where there must be 1"},
		{"rows that cannot be", raw32(0, 1<<31), -1, "2147483648 rows"},
		{"type", raw32(16, uint32(abi.Binary)), -1, "type binary, declared is utf8"},
		{"passed through", func(e *edit) {
			e.put16(18, 1)
			for f := 24; f < 56; f += 4 {
				e.put32(f, 0)
			}
		}, -1, "nothing can be passed through"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := &edit{b: readHex(t, "block-entries")}
			c.damage(e)
			_, _, err := frame.DecodeBlock(e.b, fields, c.rows, nil)
			checkViolation(t, err, c.want)
		})
	}
	fields[1].Nullable = false
	_, _, err := frame.DecodeBlock(readHex(t, "block-entries"), fields, -1, nil)
	checkViolation(t, err, "1 nulls in a column that is not nullable")
}
