package frametest

import (
	"encoding/binary"
	"strings"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/abi/frame"
)

// Edit is bytes of a frame, to be damaged.
type Edit struct {
	B        []byte
	sequence uint64
}

// Put16 and Put32 write a number.
func (e *Edit) Put16(at int, v uint16) *Edit { binary.LittleEndian.PutUint16(e.B[at:], v); return e }
func (e *Edit) Put32(at int, v uint32) *Edit { binary.LittleEndian.PutUint32(e.B[at:], v); return e }

// Entry is the place of a section's entry in the table.
func (e *Edit) Entry(id abi.SectionID, index int) int {
	for at := 40; ; at += 16 {
		if binary.LittleEndian.Uint16(e.B[at:]) == uint16(id) && binary.LittleEndian.Uint16(e.B[at+2:]) == uint16(index) {
			return at
		}
	}
}

// Section is the place of a section.
func (e *Edit) Section(id abi.SectionID, index int) int {
	return int(number(e.B, e.Entry(id, index)+8))
}

// Field writes a field of a section's head.
func (e *Edit) Field(id abi.SectionID, index, field int, v uint32) *Edit {
	return e.Put32(e.Section(id, index)+field, v)
}

// Node writes a field of a node that follows a head of 32 bytes.
func (e *Edit) Node(id abi.SectionID, index, column, field int, v uint32) *Edit {
	return e.Put32(e.Section(id, index)+32+40*column+field, v)
}

// At is where an array or buffer that a field names begins.
func (e *Edit) At(id abi.SectionID, index, field int) int {
	return int(number(e.B, e.Section(id, index)+field))
}

const (
	batch    = abi.SectionBatch
	states   = abi.SectionState
	timers   = abi.SectionTimers
	consumed = abi.SectionConsumed
	metrics  = abi.SectionMetrics
	failed   = abi.SectionError
)

// Invalid is one of Answers with one thing wrong.
type Invalid struct {
	Name   string
	Base   string                                 // name of the answer; empty: Damage builds its own
	Damage func(e *Edit)                          // nil: the bytes are well, Setup is not
	Setup  func(d *frame.Decoder, a *frame.Asked) // changes what the answer is judged against, where not nil
	Want   string                                 // part of the violation
}

// Data returns the bytes of the answer.
func (c *Invalid) Data(sequence uint64) []byte {
	e := &Edit{sequence: sequence}
	if c.Base != "" {
		e.B = e.answers()[c.Base].Encode()
	}
	if c.Damage != nil {
		c.Damage(e)
	}
	return e.B
}

func (e *Edit) answers() map[string]*Answer { return Answers(e.sequence) }

// InvalidAnswers has one case for each thing that can be wrong with an answer.
func InvalidAnswers() []Invalid {
	var all []Invalid
	for _, group := range [][]Invalid{headerCases, rowsCases, columnCases, listCases, stateCases, otherCases} {
		all = append(all, group...)
	}
	return all
}

func set(id abi.SectionID, index, field int, v uint32) func(*Edit) {
	return func(e *Edit) { e.Field(id, index, field, v) }
}

func node(id abi.SectionID, index, column, field int, v uint32) func(*Edit) {
	return func(e *Edit) { e.Node(id, index, column, field, v) }
}

func raw32(at int, v uint32) func(*Edit) { return func(e *Edit) { e.Put32(at, v) } }

func bits(id abi.SectionID, index, field, skip int, v byte) func(*Edit) {
	return func(e *Edit) { e.B[e.At(id, index, field)+skip] = v }
}

// extra adds a section to the golden answer with rows.
func extra(sections ...Section) func(*Edit) {
	return func(e *Edit) {
		a := *e.answers()["answer-rows"]
		a.Extra = sections
		e.B = a.Encode()
	}
}

func notKeyed(_ *frame.Decoder, a *frame.Asked) { a.Keys, a.KeyOf, a.Key = 0, nil, nil }

var headerCases = []Invalid{
	{Name: "bad magic", Base: "answer-rows", Damage: raw32(0, 0), Want: "magic"},
	{Name: "another version", Base: "answer-rows", Damage: func(e *Edit) { e.Put16(4, 2) }, Want: "version 2"},
	{Name: "another kind", Base: "answer-rows", Damage: func(e *Edit) { e.Put16(6, 2) }, Want: "kind TIMERS answers BATCH"},
	{Name: "total length", Base: "answer-rows", Damage: raw32(8, 41), Want: "total length 41"},
	{Name: "too many sections", Base: "answer-rows", Damage: raw32(12, 1<<20), Want: "at most 1024"},
	{Name: "sections do not fit", Base: "answer-rows", Damage: raw32(12, 1000), Want: "does not fit"},
	{Name: "another sequence", Base: "answer-rows", Damage: raw32(16, 8), Want: "sequence 8 answers 9"},
	{Name: "another slot", Base: "answer-rows", Damage: raw32(24, 1), Want: "slot 1"},
	{Name: "unknown flags", Base: "answer-rows", Damage: raw32(28, 2), Want: "unknown flags"},
	{Name: "reserved field", Base: "answer-rows", Damage: raw32(36, 1), Want: "reserved field"},
	{Name: "section flags", Base: "answer-rows", Damage: raw32(44, 2), Want: "unknown flags 0x2"},
	{Name: "section not aligned", Base: "answer-rows", Damage: raw32(48, 68), Want: "not a multiple of 8"},
	{Name: "section before its table ends", Base: "answer-rows", Damage: raw32(48, 48), Want: "lie outside"},
	{Name: "section behind the frame", Base: "answer-rows", Damage: raw32(48, 1<<20), Want: "lie outside"},
	{Name: "section length overflows", Base: "answer-rows", Damage: raw32(52, 0xfffffff8), Want: "lie outside"},
	{Name: "CONTEXT in an answer", Damage: extra(Section{ID: abi.SectionContext}), Want: "frames from the host"},
	{Name: "KEYS in an answer", Damage: extra(Section{ID: abi.SectionKeys}), Want: "frames from the host"},
	{Name: "own watermark", Damage: extra(Section{ID: abi.SectionWatermark}), Want: abi.FeatureWatermarks},
	{Name: "merge", Damage: extra(Section{ID: abi.SectionMerge}), Want: abi.FeatureMerge},
	{Name: "unknown section that must be understood", Damage: extra(Section{ID: 99, Flags: 1}), Want: "must-understand"},
	{Name: "index of a section without", Damage: extra(Section{ID: consumed, Index: 1, Data: []byte{3, 0, 0, 0, 0, 0, 0, 0}}),
		Want: "reserved field"},
}

var rowsCases = []Invalid{
	{Name: "section too short", Base: "answer-rows", Damage: raw32(52, 16), Want: "32 at least"},
	{Name: "unknown port", Base: "answer-rows", Damage: func(e *Edit) { e.Put16(42, 3) }, Want: "output port 3 of 3"},
	{Name: "too few columns", Base: "answer-rows", Damage: set(batch, 0, 4, 1), Want: "1 columns, declared are 2"},
	{Name: "nodes of other number", Base: "answer-rows", Damage: set(batch, 0, 8, 5), Want: "5 nodes for 2 columns"},
	{Name: "fewer nodes than columns", Base: "answer-rows", Damage: set(batch, 0, 8, 1), Want: "1 nodes for 2 columns"},
	{Name: "a node more", Base: "answer-rows", Damage: set(batch, 0, 8, 3), Want: "1 nodes after those of the columns"},
	{Name: "rows that cannot be", Base: "answer-rows", Damage: set(batch, 0, 0, 1<<31), Want: "do not fit"},
	{Name: "unknown batch flags", Base: "answer-rows", Damage: set(batch, 0, 12, 64), Want: "unknown flags 0x40"},
	{Name: "reserved batch field", Base: "answer-rows", Damage: set(batch, 0, 28, 1), Want: "reserved field"},
	{Name: "item_of out of range", Base: "answer-rows", Damage: bits(batch, 0, 16, 0, 3), Want: "row 0 is of item 3, 3 were consumed"},
	{Name: "item_of not aligned", Base: "answer-rows", Damage: set(batch, 0, 16, 0x91), Want: "not a multiple of 4"},
	{Name: "item_of outside of its section", Base: "answer-rows", Damage: set(batch, 0, 16, 0), Want: "lie outside"},
	{Name: "item_of runs out of its section", Base: "answer-rows", Damage: set(batch, 0, 16, 0xfffffffc), Want: "lie outside"},
	{Name: "identity with item_of", Base: "answer-rows", Damage: set(batch, 0, 12, 3), Want: "item_of beside"},
	{Name: "identity of other length", Base: "answer-identity", Damage: func(e *Edit) { e.Field(consumed, 0, 0, 1) }, Want: "1 items were consumed"},
	{Name: "event times without flag", Base: "answer-rows", Damage: set(batch, 0, 12, 0), Want: "without their flag"},
	{Name: "event times not aligned", Base: "answer-rows", Damage: set(batch, 0, 20, 0xc4), Want: "not a multiple of 8"},
	{Name: "event times beside a column", Base: "answer-rows", Want: "beside the port's event time column",
		Setup: func(d *frame.Decoder, _ *frame.Asked) { d.Binding.Outputs[0].EventTime = 0 }},
	{Name: "row kinds without flag", Base: "answer-identity", Damage: set(batch, 0, 24, 96), Want: "row kinds without"},
	{Name: "row kinds given and inherited", Base: "answer-identity", Damage: set(batch, 0, 12, 13), Want: "both inherited and given"},
	{Name: "row kinds of an append port", Base: "answer-rows", Want: "append port", Damage: func(e *Edit) {
		e.Field(batch, 0, 12, 6).Field(batch, 0, 24, uint32(e.At(batch, 0, 16)))
		e.B[e.At(batch, 0, 16)] = 3
		copy(e.B[e.At(batch, 0, 16):], []byte{2, 0, 0, 0, 0, 0, 0, 0})
	}},
	{Name: "unknown row kind", Base: "answer-rows", Want: "row kind 4", Damage: func(e *Edit) {
		e.Field(batch, 0, 12, 6).Field(batch, 0, 24, uint32(e.At(batch, 0, 20)))
		e.B[e.At(batch, 0, 20)] = 4
	}},
}

var columnCases = []Invalid{
	{Name: "another type", Base: "answer-rows", Damage: node(batch, 0, 0, 0, uint32(abi.Timestamp)), Want: "type timestamp, declared is i64"},
	{Name: "reserved type", Base: "answer-rows", Damage: node(batch, 0, 0, 0, uint32(abi.Time64)), Want: "time64 is specified"},
	{Name: "unknown type", Base: "answer-rows", Damage: node(batch, 0, 0, 0, 99), Want: "unknown type 99"},
	{Name: "length", Base: "answer-rows", Damage: node(batch, 0, 0, 4, 3), Want: "length 3, not the 2 rows"},
	{Name: "children", Base: "answer-rows", Damage: node(batch, 0, 0, 12, 1), Want: "1 children"},
	{Name: "nulls without validity", Base: "answer-rows", Damage: node(batch, 0, 0, 20, 0), Want: "validity of 1 bytes are missing"},
	{Name: "null count", Base: "answer-rows", Damage: node(batch, 0, 0, 8, 2), Want: "null count 2, the validity has 1"},
	{Name: "validity without null count", Base: "answer-rows", Damage: node(batch, 0, 0, 8, 0), Want: "null count 0, the validity has 1"},
	{Name: "null in a column that is not nullable", Base: "answer-rows", Want: "not nullable",
		Setup: func(d *frame.Decoder, _ *frame.Asked) {
			d.Binding.Outputs[0].Fields = notNullable(d.Binding.Outputs[0].Fields)
		}},
	{Name: "values missing", Base: "answer-rows", Damage: node(batch, 0, 0, 36, 0), Want: "values of 16 bytes are missing"},
	{Name: "values too short", Base: "answer-rows", Damage: node(batch, 0, 0, 36, 15), Want: "have 15 bytes, the rows need 16"},
	{Name: "values not aligned", Base: "answer-rows", Damage: node(batch, 0, 0, 32, 200), Want: "not a multiple of 16"},
	{Name: "values before the section", Base: "answer-rows", Damage: node(batch, 0, 0, 32, 0), Want: "lie outside"},
	{Name: "values run out of the section", Base: "answer-rows", Damage: node(batch, 0, 0, 36, 0xffffff00), Want: "lie outside"},
	{Name: "offsets of a fixed column", Base: "answer-rows", Damage: node(batch, 0, 0, 28, 4), Want: "offsets in a column of type i64"},
	{Name: "offsets missing", Base: "answer-rows", Damage: node(batch, 0, 1, 28, 0), Want: "offsets of 12 bytes are missing"},
	{Name: "first offset", Base: "answer-rows", Damage: func(e *Edit) { e.B[e.At(batch, 0, 32+40+24)] = 1 }, Want: "the first offset is 1"},
	{Name: "offsets fall", Base: "answer-rows", Damage: func(e *Edit) { e.B[e.At(batch, 0, 32+40+24)+8] = 0 }, Want: "below the one before"},
	{Name: "negative offset", Base: "answer-rows", Damage: func(e *Edit) { e.B[e.At(batch, 0, 32+40+24)+7] = 0xff }, Want: "below the one before"},
	{Name: "offsets pass the values", Base: "answer-rows", Damage: func(e *Edit) { e.B[e.At(batch, 0, 32+40+24)+8] = 200 },
		Want: "have 2 bytes, the rows need 200"},
	{Name: "not UTF-8", Base: "answer-rows", Damage: func(e *Edit) { e.B[e.At(batch, 0, 32+40+32)+1] = 0xff }, Want: "row 1 is not valid UTF-8"},
	{Name: "a rune over two rows", Base: "answer-rows", Want: "row 0 is not valid UTF-8",
		Damage: func(e *Edit) { copy(e.B[e.At(batch, 0, 32+40+32):], "é") }},
	{Name: "unknown node flags", Base: "answer-filter", Damage: func(e *Edit) { e.Put16(e.Section(batch, 1)+32+2, 4) }, Want: "unknown node flags"},
	{Name: "passed through with buffers", Base: "answer-filter", Damage: node(batch, 1, 0, 36, 8), Want: "buffers of its own"},
	{Name: "passed through from nowhere", Base: "answer-filter", Damage: node(batch, 1, 0, 32, 2), Want: "input column 2 of 2"},
	{Name: "a key that is not there", Base: "answer-filter", Damage: node(batch, 1, 1, 32, 1), Want: "key column 1 of 1"},
	{Name: "passed through as another type", Base: "answer-filter", Want: "input column 0 of type f64 is passed through as i64",
		Setup: func(_ *frame.Decoder, a *frame.Asked) { a.Columns[0].Type = abi.F64 }},
	{Name: "passed through without an item", Base: "answer-filter", Want: "has no item",
		Damage: func(e *Edit) { e.Put32(e.At(batch, 1, 16), abi.ItemNone) }},
	{Name: "passes a null through", Base: "answer-filter", Want: "row 1 passes a null",
		Setup: func(d *frame.Decoder, _ *frame.Asked) {
			d.Binding.Outputs[1].Fields = notNullable(d.Binding.Outputs[1].Fields)
		}},
	{Name: "passes a null of a later frame through", Base: "answer-filter", Want: "row 1 passes a null",
		Setup: func(d *frame.Decoder, a *frame.Asked) {
			d.Binding.Outputs[1].Fields = notNullable(d.Binding.Outputs[1].Fields)
			a.First, a.Columns[0], a.Key[0] = 1, Column(abi.I64, 1, 2, 3, nil), Column(abi.UTF8, "x", "AA", "UA", "AA")
		}},
	{Name: "more than a frame once put together", Base: "answer-filter", Want: "what is passed through included",
		Setup: func(d *frame.Decoder, a *frame.Asked) {
			d.BytesMax = 4096
			big := strings.Repeat("x", 3000)
			a.Key = []frame.Column{Column(abi.UTF8, big, "b", big)}
		}},
}

// Nodes of port 2 of answer-lists: a list, its elements, a decimal, and a list that is passed through.
const (
	listNode = iota
	elementsNode
	decimalNode
	passedNode
)

// buffer is where a buffer of port 2 begins, whose offset a field of a node gives.
func buffer(e *Edit, node, field int) int { return e.At(batch, 2, 32+40*node+field) }

var listCases = []Invalid{
	{Name: "a list without elements", Base: "answer-lists", Damage: node(batch, 2, listNode, 12, 0), Want: "0 children, a list has 1"},
	{Name: "a list with two children", Base: "answer-lists", Damage: node(batch, 2, listNode, 12, 2), Want: "2 children, a list has 1"},
	{Name: "a list with values", Base: "answer-lists", Damage: node(batch, 2, listNode, 36, 8), Want: "values in a column of type list<utf8>"},
	{Name: "fewer elements than offsets", Base: "answer-lists", Damage: node(batch, 2, elementsNode, 4, 1), Want: "1 elements, the last offset is 2"},
	{Name: "more elements than offsets", Base: "answer-lists", Damage: node(batch, 2, elementsNode, 4, 3), Want: "3 elements, the last offset is 2"},
	{Name: "the first offset of a list", Base: "answer-lists", Damage: func(e *Edit) { e.B[buffer(e, listNode, 24)] = 1 }, Want: "the first offset is 1"},
	{Name: "offsets of a list fall", Base: "answer-lists", Damage: func(e *Edit) { e.B[buffer(e, listNode, 24)+4] = 3 }, Want: "below the one before"},
	{Name: "offsets of a list pass its elements", Base: "answer-lists", Damage: func(e *Edit) { e.B[buffer(e, listNode, 24)+8] = 200 },
		Want: "2 elements, the last offset is 200"},
	{Name: "more elements than memory", Base: "answer-lists", Want: "offsets have 12 bytes, the rows need 8388612", Damage: func(e *Edit) {
		e.Put32(buffer(e, listNode, 24)+8, 1<<21).Node(batch, 2, elementsNode, 4, 1<<21)
	}},
	{Name: "nulls among elements", Base: "answer-lists", Want: "1 nulls among the elements", Damage: func(e *Edit) {
		items := uint32(e.At(batch, 2, 16)) // whose first byte is 1: the second element is null
		e.Node(batch, 2, elementsNode, 8, 1).Node(batch, 2, elementsNode, 16, items).Node(batch, 2, elementsNode, 20, 1)
	}},
	{Name: "elements pass through", Base: "answer-lists", Want: "elements cannot be passed through", Damage: func(e *Edit) {
		e.Put16(e.Section(batch, 2)+32+40*elementsNode+2, abi.NodeInput)
		for f := 8; f < 40; f += 4 {
			e.Node(batch, 2, elementsNode, f, 0)
		}
	}},
	{Name: "elements of another type", Base: "answer-lists", Damage: node(batch, 2, elementsNode, 0, uint32(abi.Binary)),
		Want: `column "l" elements: type binary, declared is utf8`},
	{Name: "lists of lists", Base: "answer-lists", Damage: node(batch, 2, elementsNode, 0, uint32(abi.List)), Want: "a list of lists is specified"},
	{Name: "reserved elements", Base: "answer-lists", Damage: node(batch, 2, elementsNode, 0, uint32(abi.Struct)), Want: "struct is specified"},
	{Name: "elements that are not UTF-8", Base: "answer-lists", Damage: func(e *Edit) { e.B[buffer(e, elementsNode, 32)+2] = 'x' },
		Want: "row 1 is not valid UTF-8"},
	{Name: "a node less", Base: "answer-lists", Damage: set(batch, 2, 8, 3), Want: `column "p": its node is missing`},
	{Name: "a list as a plain column", Base: "answer-rows", Damage: node(batch, 0, 1, 0, uint32(abi.List)), Want: "type list, declared is utf8"},
	{Name: "a plain column as a list", Base: "answer-lists", Damage: node(batch, 2, listNode, 0, uint32(abi.UTF8)), Want: "type utf8, declared is list<utf8>"},
	{Name: "children of what is passed through", Base: "answer-lists", Damage: node(batch, 2, passedNode, 12, 1), Want: "1 children"},
	{Name: "another list passed through", Base: "answer-lists", Want: "input column 1 of type list<binary> is passed through as list<utf8>",
		Setup: func(_ *frame.Decoder, a *frame.Asked) { a.Columns[1].Type = abi.ListOf(abi.Binary) }},
	{Name: "another decimal passed through", Base: "answer-filter", Want: "of type decimal128(6,2) is passed through as decimal128(5,2)",
		Damage: func(e *Edit) { e.Put16(e.Section(batch, 1)+32, uint16(abi.Decimal128)) }, Setup: func(d *frame.Decoder, a *frame.Asked) {
			a.Columns[0] = Column(abi.DecimalOf(6, 2), "1", "2", "3")
			d.Binding.Outputs[1].Fields = append([]abi.FieldType{{Name: "n", Type: abi.DecimalOf(5, 2)}}, d.Binding.Outputs[1].Fields[1:]...)
		}},
	{Name: "more digits", Base: "answer-lists", Damage: func(e *Edit) { e.B[buffer(e, decimalNode, 32)+16] = 0xa0 }, Want: "row 1 has more than 5 digits"},
	{Name: "more digits below zero", Base: "answer-lists", Damage: func(e *Edit) { e.B[buffer(e, decimalNode, 32)+8] = 0 }, Want: "row 0 has more than 5 digits"},
	{Name: "the least number of 128 bits", Base: "answer-lists", Want: "row 0 has more than 38 digits",
		Damage: func(e *Edit) {
			copy(e.B[buffer(e, decimalNode, 32):], "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x80")
		},
		Setup: func(d *frame.Decoder, _ *frame.Asked) {
			d.Binding.Outputs[2].Fields[1].Type = abi.DecimalOf(38, 38)
		}},
	{Name: "a decimal of fewer bytes", Base: "answer-lists", Damage: node(batch, 2, decimalNode, 36, 31), Want: "values have 31 bytes, the rows need 32"},
	{Name: "elements over the limit of an output", Want: "the output has more than 4096 bytes",
		Damage: func(e *Edit) {
			bools := make([]any, 4096)
			for i := range bools {
				bools[i] = true
			}
			e.B = (&Answer{Kind: abi.KindBatch, Sequence: e.sequence, Batches: []frame.OutputRows{
				{Port: 0, Rows: 1, ItemOf: []uint32{0}, Columns: []frame.Column{Column(abi.ListOf(abi.Bool), bools)}}}}).Encode()
		},
		Setup: func(d *frame.Decoder, _ *frame.Asked) {
			d.BytesMax = 4096
			d.Binding.Outputs[0].Fields = []abi.FieldType{{Name: "l", Type: abi.ListOf(abi.Bool)}}
		}},
	{Name: "a passed list over the limit of an output", Base: "answer-lists", Want: "what is passed through included",
		Setup: func(d *frame.Decoder, a *frame.Asked) {
			d.BytesMax = 4096
			big := make([]any, 1100) // 4 bytes each, though no letter is in them
			for i := range big {
				big[i] = ""
			}
			a.Columns[1] = Column(abi.ListOf(abi.UTF8), []any{}, []any{}, big)
		}},
	{Name: "elements over the limit of a cell", Base: "answer-lists", Want: "the cell of change 0 has 32 bytes, at most 31",
		Setup: func(d *frame.Decoder, _ *frame.Asked) { d.CellBytesMax = 31 }},
}

func notNullable(fields []abi.FieldType) []abi.FieldType {
	out := append([]abi.FieldType(nil), fields...)
	for i := range out {
		out[i].Nullable = false
	}
	return out
}

var stateCases = []Invalid{
	{Name: "state without keys", Base: "answer-state", Setup: notKeyed, Want: "the frame has no keys"},
	{Name: "unknown state", Base: "answer-state", Damage: func(e *Edit) { e.Put16(e.Entry(states, 2)+2, 4) }, Want: "state 4 of 4"},
	{Name: "the same state twice", Base: "answer-state", Damage: func(e *Edit) { e.Put16(e.Entry(states, 2)+2, 0) }, Want: "STATE(0): appears twice"},
	{Name: "another state kind", Base: "answer-state", Damage: set(states, 0, 4, 2), Want: "list, declared is value"},
	{Name: "reserved state field", Base: "answer-state", Damage: set(states, 0, 24, 1), Want: "reserved field"},
	{Name: "changes that cannot be", Base: "answer-state", Damage: set(states, 0, 0, 1<<30), Want: "do not fit"},
	{Name: "columns of a state", Base: "answer-state", Damage: set(states, 0, 8, 2), Want: "2 columns, declared are 1"},
	{Name: "unknown key", Base: "answer-state", Damage: bits(states, 0, 16, 0, 2), Want: "change 0 is to key 2"},
	{Name: "key of an item that was not consumed", Want: "change 1 is to key 1, the consumed items have 1", Damage: func(e *Edit) {
		a := *e.answers()["answer-state"]
		a.Consumed = 1
		e.B = a.Encode()
	}},
	{Name: "append to a value", Base: "answer-state", Damage: bits(states, 0, 20, 0, abi.OpAppend), Want: "operation 3 of change 0 to a value"},
	{Name: "clear all of a value", Base: "answer-state", Damage: bits(states, 0, 20, 0, abi.OpClearAll), Want: "operation 4 of change 0 to a value"},
	{Name: "set a list", Base: "answer-state", Damage: bits(states, 1, 20, 0, abi.OpSet), Want: "operation 1 of change 0 to a list"},
	{Name: "clear all of a list", Base: "answer-state", Damage: bits(states, 1, 20, 0, abi.OpClearAll), Want: "operation 4 of change 0 to a list"},
	{Name: "append to a map", Base: "answer-state", Damage: bits(states, 2, 20, 1, abi.OpAppend), Want: "operation 3 of change 1 to a map"},
	{Name: "unknown operation", Base: "answer-state", Damage: bits(states, 0, 20, 0, 9), Want: "operation 9"},
	{Name: "sets a cell to null", Base: "answer-state", Damage: bits(states, 0, 20, 1, abi.OpSet), Want: "change 1 writes null",
		Setup: func(d *frame.Decoder, _ *frame.Asked) {
			d.Binding.States[0].Fields = notNullable(d.Binding.States[0].Fields)
		}},
	{Name: "clears the entry of a null map key", Want: "change 0 writes null to column \"s\"", Damage: func(e *Edit) {
		a := *e.answers()["answer-state"]
		m := &a.States[2]
		m.Op = []byte{abi.OpClear, abi.OpSet}
		m.Columns = []frame.Column{Column(abi.UTF8, nil, "LAX"), Column(abi.I64, nil, 3)}
		e.B = a.Encode()
	}},
	{Name: "cell over the limit", Base: "answer-state", Want: "the cell of change 0 has 8 bytes, at most 7",
		Setup: func(d *frame.Decoder, _ *frame.Asked) { d.CellBytesMax = 7 }},
	{Name: "map key over the limit", Base: "answer-state", Want: "the map key of change 1 has 3 bytes, at most 2",
		Setup: func(d *frame.Decoder, _ *frame.Asked) { d.KeyBytesMax = 2 }},
	{Name: "state passes through", Base: "answer-state", Want: "nothing can be passed through", Damage: func(e *Edit) {
		e.Put16(e.Section(states, 0)+34, 1)
		for f := 8; f < 40; f += 4 {
			e.Node(states, 0, 0, f, 0)
		}
	}},
}

var otherCases = []Invalid{
	{Name: "timers without keys", Base: "answer-timers", Setup: notKeyed, Want: "the frame has no keys"},
	{Name: "timer of an unknown key", Base: "answer-timers", Damage: bits(timers, 0, 8, 0, 2), Want: "change 0 is to key 2"},
	{Name: "timer operation 0", Base: "answer-timers", Damage: bits(timers, 0, 20, 0, 0), Want: "operation 0 of change 0"},
	{Name: "timer operation 5", Base: "answer-timers", Damage: bits(timers, 0, 20, 0, 5), Want: "operation 5 of change 0"},
	{Name: "unknown timer name", Base: "answer-timers", Damage: bits(timers, 0, 12, 0, 2), Want: "timer name 2 of 2"},
	{Name: "unknown domain", Base: "answer-timers", Damage: bits(timers, 0, 16, 0, 2), Want: "domain 2"},
	{Name: "tag offsets fall", Base: "answer-timers", Damage: bits(timers, 0, 28, 8, 0), Want: "tag offset 0 of entry 2"},
	{Name: "tags too short", Base: "answer-timers", Damage: set(timers, 0, 36, 2), Want: "the tags end at 3 of 2"},
	{Name: "tag over the limit", Want: "has 257 bytes, at most 256", Damage: func(e *Edit) {
		a := *e.answers()["answer-timers"]
		t := *a.Timers
		t.TagOffsets, t.Tags = []int32{0, 257, 257, 257, 257}, make([]byte, 257)
		a.Timers = &t
		e.B = a.Encode()
	}},
	{Name: "reserved timer field", Base: "answer-timers", Damage: set(timers, 0, 40, 1), Want: "reserved field"},
	{Name: "timers that cannot be", Base: "answer-timers", Damage: set(timers, 0, 0, 1<<30), Want: "do not fit"},
	{Name: "TIMERS twice", Damage: func(e *Edit) {
		a := *e.answers()["answer-timers"]
		a.Extra = []Section{{ID: timers, Data: make([]byte, 48)}}
		e.B = a.Encode()
	}, Want: "TIMERS(0): appears twice"},
	{Name: "consumes nothing", Base: "answer-identity", Damage: set(consumed, 0, 0, 0), Want: "0 items of 3"},
	{Name: "consumes more than there is", Base: "answer-identity", Damage: set(consumed, 0, 0, 4), Want: "4 items of 3"},
	{Name: "consumed reserved", Base: "answer-identity", Damage: set(consumed, 0, 4, 1), Want: "reserved field"},
	{Name: "CONSUMED twice", Damage: extra(Section{ID: consumed, Data: []byte{3, 0, 0, 0, 0, 0, 0, 0}},
		Section{ID: consumed, Data: []byte{3, 0, 0, 0, 0, 0, 0, 0}}), Want: "appears twice"},
	{Name: "unknown metric", Base: "answer-metrics", Damage: set(metrics, 0, 8, 2), Want: "metric 2 of 2"},
	{Name: "metrics do not fit", Base: "answer-metrics", Damage: set(metrics, 0, 0, 9), Want: "9 entries do not fit"},
	{Name: "metric reserved", Base: "answer-metrics", Damage: set(metrics, 0, 12, 1), Want: "reserved field"},
	{Name: "error code 0", Base: "answer-error", Damage: set(failed, 0, 0, 0), Want: "unknown code 0"},
	{Name: "error code 4", Base: "answer-error", Damage: set(failed, 0, 0, 4), Want: "unknown code 4"},
	{Name: "error of an unknown item", Base: "answer-error", Damage: set(failed, 0, 4, 3), Want: "item 3 of 3"},
	{Name: "error of item -2", Base: "answer-error", Damage: set(failed, 0, 4, 0xfffffffe), Want: "item -2"},
	{Name: "error message too long", Base: "answer-error", Damage: set(failed, 0, 8, 4097), Want: "at most 4096"},
	{Name: "error message does not fit", Base: "answer-error", Damage: set(failed, 0, 8, 4096), Want: "do not fit"},
	{Name: "error message not UTF-8", Base: "answer-error", Damage: func(e *Edit) { e.B[e.Section(failed, 0)+16] = 0xff }, Want: "not valid UTF-8"},
}

func number(b []byte, at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
