package frametest

import (
	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/abi/frame"
)

// Sequence is that of the golden answers.
const Sequence = 9

// Answers are one of each kind of answer to Asked, by the name of their golden file.
func Answers(sequence uint64) map[string]*Answer {
	decimal, texts := abi.DecimalOf(5, 2), abi.ListOf(abi.UTF8)
	own := []frame.Column{Column(abi.I64, 1, nil), Column(abi.UTF8, "a", "b")}
	answer := func(a Answer) *Answer {
		a.Kind, a.Sequence = abi.KindBatch, sequence
		return &a
	}
	return map[string]*Answer{
		"answer-rows": answer(Answer{Batches: []frame.OutputRows{
			{Port: 0, Rows: 2, ItemOf: []uint32{2, abi.ItemNone}, EventTime: []int64{1, 2}, Columns: own},
		}}),
		"answer-filter": answer(Answer{Batches: []frame.OutputRows{{Port: 1, Rows: 2, ItemOf: []uint32{0, 2}, Columns: []frame.Column{
			Pass(abi.I64, abi.NodeInput, 0, 2), Pass(abi.UTF8, abi.NodeKey, 0, 2)}}}}),
		"answer-identity": answer(Answer{Consumed: 2, Batches: []frame.OutputRows{{Port: 0, Rows: 2, Identity: true, Columns: own}}}),
		"answer-state": answer(Answer{States: []State{
			{Kind: abi.StateValue, StateChanges: frame.StateChanges{State: 0, Key: []uint32{0, 1}, Op: []byte{abi.OpSet, abi.OpClear},
				Columns: []frame.Column{Column(abi.I64, 5, nil)}}},
			{Kind: abi.StateList, StateChanges: frame.StateChanges{State: 1, Key: []uint32{1, 1}, Op: []byte{abi.OpClear, abi.OpAppend},
				Columns: []frame.Column{Column(abi.UTF8, "", "z")}}},
			{Kind: abi.StateMap, StateChanges: frame.StateChanges{State: 2, Key: []uint32{0, 0}, Op: []byte{abi.OpClearAll, abi.OpSet},
				Columns: []frame.Column{Column(abi.UTF8, "", "LAX"), Column(abi.I64, nil, 3)}}},
		}}),
		"answer-lists": answer(Answer{
			Batches: []frame.OutputRows{{Port: 2, Rows: 2, ItemOf: []uint32{1, 2}, Columns: []frame.Column{
				Column(texts, []any{"a", "é"}, nil), Column(decimal, "-1230", "99999"), Pass(texts, abi.NodeInput, 1, 2)}}},
			States: []State{{Kind: abi.StateValue, StateChanges: frame.StateChanges{State: 3, Key: []uint32{0}, Op: []byte{abi.OpSet},
				Columns: []frame.Column{Column(decimal, "1"), Column(abi.ListOf(abi.I64), []any{7, -8})}}}}}),
		"answer-timers": answer(Answer{Timers: &frame.TimerChanges{Key: []uint32{0, 1, 1, 0}, Name: []uint16{0, 1, 0, 0},
			Domain: []byte{0, 1, 0, 0}, Op: []byte{abi.TimerSet, abi.TimerDelete, abi.TimerDeleteTag, abi.TimerDeleteKey},
			Time: []int64{100, 200, 0, 0}, TagOffsets: []int32{0, 1, 1, 3, 3}, Tags: []byte("abc")}}),
		"answer-metrics": answer(Answer{Metrics: []frame.MetricUpdate{{Metric: 0, Value: 3}, {Metric: 1, Value: 0x3ff8000000000000}}}),
		"answer-error":   answer(Answer{Failure: &frame.Failure{Code: abi.ErrorCodeUser, Item: 1, Message: "bad row", Place: "delays.go:42"}}),
	}
}

// Binding is what Answers are decoded with.
func Binding() *abi.Binding {
	fields := []abi.FieldType{{Name: "n", Type: abi.I64, Nullable: true}, {Name: "s", Type: abi.UTF8, Nullable: true}}
	lists := []abi.FieldType{{Name: "l", Type: abi.ListOf(abi.UTF8), Nullable: true}, {Name: "d", Type: abi.DecimalOf(5, 2)},
		{Name: "p", Type: abi.ListOf(abi.UTF8), Nullable: true}}
	return &abi.Binding{
		Outputs: []abi.BoundOutput{{Name: "a", Fields: fields, EventTime: -1}, {Name: "b", Fields: fields, EventTime: -1},
			{Name: "c", Fields: lists, EventTime: -1}},
		States: []abi.BoundState{
			{Name: "value", Kind: abi.StateValue, Fields: fields[:1]}, {Name: "list", Kind: abi.StateList, Fields: fields[1:]},
			{Name: "map", Kind: abi.StateMap, Keys: 1, Fields: []abi.FieldType{{Name: "s", Type: abi.UTF8}, {Name: "n", Type: abi.I64}}},
			{Name: "lists", Kind: abi.StateValue, Fields: []abi.FieldType{lists[1], {Name: "i", Type: abi.ListOf(abi.I64)}}},
		},
		Timers:  make([]abi.BoundTimer, 2),
		Metrics: []abi.BindMetric{{Name: "c", Kind: abi.MetricCounter}, {Name: "g", Kind: abi.MetricGauge}},
	}
}

// Asked is what Answers answer: a BATCH frame of three items, of two keys.
func Asked(sequence uint64) *frame.Asked {
	return &frame.Asked{Kind: abi.KindBatch, Sequence: sequence, Items: 3, Keys: 2, KeyOf: []uint32{0, 1, 0},
		Columns: []frame.Column{Column(abi.I64, 1, 2, nil), Column(abi.ListOf(abi.UTF8), []any{"x"}, []any{}, []any{"yz", "", "x"})},
		Key:     []frame.Column{Column(abi.UTF8, "AA", "UA", "AA")}}
}
