package enginetest

import (
	"cmp"
	"math"

	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
)

// Window is the length of the windows of Sums, us.
const Window = 1000

// MarkedSchema is the schema of what Mark emits.
var MarkedSchema = &record.Schema{Fields: []record.Field{
	{Name: "key", Type: record.I64}, {Name: "window", Type: record.I64}, {Name: "value", Type: record.I64},
}}

// Mark is an operator without state that gives each number its window.
type Mark struct{ ctx *operator.Context }

// NewMark makes a Mark.
func NewMark() operator.Operator { return &Mark{} }

// Open implements operator.Operator.
func (m *Mark) Open(ctx *operator.Context) error {
	m.ctx = ctx
	return nil
}

// Process implements operator.Operator.
func (m *Mark) Process(_ int, b *record.Batch) error {
	window := record.NewColumn(record.I64, b.Rows)
	for i := range b.Rows {
		window.AppendInt(int64(math.Floor(float64(b.EventTime[i]) / Window)))
	}
	m.ctx.Emit(0, &record.Batch{Schema: MarkedSchema, Rows: b.Rows, Columns: []record.Column{b.Columns[0], window, b.Columns[1]},
		EventTime: b.EventTime, Pos: b.Pos, Runs: b.Runs})
	return nil
}

// Advance implements operator.Operator.
func (m *Mark) Advance(int64) error { return nil }

// Tick implements operator.Operator.
func (m *Mark) Tick(int64) error { return nil }

// End implements operator.Operator.
func (m *Mark) End() error { return nil }

// Barrier implements operator.Operator.
func (m *Mark) Barrier() error { return nil }

// Close implements operator.Operator.
func (m *Mark) Close() error { return nil }

// SumsSchema is the schema of what Sums emits.
var SumsSchema = &record.Schema{Fields: []record.Field{
	{Name: "key", Type: record.I64}, {Name: "window", Type: record.I64}, {Name: "count", Type: record.I64}, {Name: "sum", Type: record.I64},
}}

// SumsKey is the key of Sums: columns 0 and 1 of MarkedSchema.
var SumsKey = MarkedSchema.Fields[:2]

// Sums counts and adds up the values of each key and window, in a value state, and emits them at the end of the window by an
// event-time timer. It watches that event time never goes back.
type Sums struct {
	Mark
	keys   record.KeySet
	cells  state.Cells
	change state.Changes
	timers state.TimerChanges
	round  state.Round
	at     int64
	Went   func(subtask int, watermark int64) // told of each Advance; nil: nobody
	Name   string                             // of the value state; totals where it is empty
}

// Open implements operator.Operator.
func (s *Sums) Open(ctx *operator.Context) error {
	s.ctx, s.at = ctx, ctx.Watermark
	return ctx.State.Declare([]state.Decl{{Name: cmp.Or(s.Name, "totals"), Kind: state.Value, Value: SumsSchema.Fields[2:]}}, []state.TimerDecl{{Name: "end"}})
}

// Process implements operator.Operator.
func (s *Sums) Process(_ int, b *record.Batch) error {
	s.keys.Build(b, []int{0, 1}, 0, b.Rows)
	if err := s.ctx.State.Load(0, &s.keys, math.MaxInt, &s.cells); err != nil {
		return err
	}
	counts, sums := make([]int64, s.keys.N), make([]int64, s.keys.N)
	for k := range s.keys.N {
		if s.cells.Status[k] == state.Inline {
			counts[k], sums[k] = s.cells.Columns[0].Int(k), s.cells.Columns[1].Int(k)
		}
	}
	for i := range b.Rows {
		counts[s.keys.KeyOf[i]]++
		sums[s.keys.KeyOf[i]] += b.Columns[2].Int(i)
	}
	s.begin()
	for k := range s.keys.N {
		s.set(k, state.OpSet, counts[k], sums[k])
		window := b.Columns[1].Int(int(s.keys.First[k]))
		s.timers.Key = append(s.timers.Key, uint32(k))
		s.timers.Name = append(s.timers.Name, 0)
		s.timers.Domain = append(s.timers.Domain, uint8(state.EventTime))
		s.timers.Op = append(s.timers.Op, state.TimerSet)
		s.timers.Time = append(s.timers.Time, (window+1)*Window-1)
		s.timers.TagOff = append(s.timers.TagOff, 0)
	}
	if err := s.ctx.State.Apply(0, &s.keys, &s.change); err != nil {
		return err
	}
	return s.ctx.State.ApplyTimers(&s.keys, &s.timers, [2]int64{s.at, math.MinInt64})
}

func (s *Sums) begin() {
	s.change = state.Changes{Columns: []record.Column{record.NewColumn(record.I64, s.keys.N), record.NewColumn(record.I64, s.keys.N)}}
	s.timers = state.TimerChanges{TagOff: []int32{0}}
}

func (s *Sums) set(key int, op uint8, count, sum int64) {
	s.change.Key = append(s.change.Key, uint32(key))
	s.change.Op = append(s.change.Op, op)
	s.change.Columns[0].AppendInt(count)
	s.change.Columns[1].AppendInt(sum)
}

// Advance implements operator.Operator.
func (s *Sums) Advance(w int64) error {
	if w <= s.at {
		panic("event time went back") // I6
	}
	if s.Went != nil {
		s.Went(s.ctx.Subtask, w)
	}
	s.at = w
	for {
		n, err := s.ctx.State.Due(state.EventTime, w, 100, &s.round)
		if n == 0 || err != nil {
			return err
		}
		keys := &s.round.Keys
		if err := s.ctx.State.Load(0, keys, math.MaxInt, &s.cells); err != nil {
			return err
		}
		out := record.NewBatch(SumsSchema, n)
		s.begin()
		for k := range n {
			if err := record.DecodeKey(keys.Key(k), out.Columns[:2]); err != nil {
				return err
			}
			out.Columns[2].AppendRow(&s.cells.Columns[0], k)
			out.Columns[3].AppendRow(&s.cells.Columns[1], k)
			out.Rows++
			s.set(k, state.OpClear, 0, 0)
		}
		if err := s.ctx.State.Apply(0, keys, &s.change); err != nil {
			return err
		}
		if err := s.ctx.State.Fired(state.EventTime, &s.round, 0, n); err != nil {
			return err
		}
		s.ctx.Emit(0, out)
		if err := s.ctx.WaitForRoom(); err != nil {
			return err
		}
	}
}
