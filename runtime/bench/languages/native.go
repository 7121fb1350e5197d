package main

import (
	"encoding/json"
	"math"

	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
)

// rest are the methods that the three operators have no use of.
type rest struct{ ctx *operator.Context }

func (r *rest) Open(ctx *operator.Context) error { //nolint:unparam // the contract's signature
	r.ctx = ctx
	return nil
}
func (*rest) Advance(int64) error { return nil }
func (*rest) Tick(int64) error    { return nil }
func (*rest) End() error          { return nil }
func (*rest) Barrier() error      { return nil }
func (*rest) Close() error        { return nil }

// emit hands on columns with what belongs to the rows of a batch.
func (r *rest) emit(b *record.Batch, columns ...record.Column) {
	r.ctx.Emit(0, &record.Batch{Schema: r.ctx.Outputs[0].Schema, Rows: b.Rows, Columns: columns, EventTime: b.EventTime, Pos: b.Pos, Runs: b.Runs})
}

// price is the stateless operator.
type price struct{ rest }

func (p *price) Process(_ int, b *record.Batch) error {
	users, quantities, prices := &b.Columns[0], b.Columns[1].Int64s(), b.Columns[2].Float64s()
	out := record.NewColumn(record.F64, b.Rows)
	for i := range b.Rows {
		// The conversion keeps the compiler from fusing the two operations, which WebAssembly does not do.
		out.AppendFloat(float64(float64(quantities[i])*prices[i]) + float64(len(users.Bytes(i))))
	}
	p.emit(b, out)
	return nil
}

// spend is the keyed operator, written against the state back-end.
type spend struct {
	rest
	keys   record.KeySet
	cells  state.Cells
	change state.Changes
}

func (s *spend) Open(ctx *operator.Context) error {
	s.ctx = ctx
	s.change.Columns = []record.Column{record.NewColumn(record.F64, record.RowsMax)}
	return ctx.State.Declare([]state.Decl{{Name: "spent", Kind: state.Value, Value: []record.Field{{Name: "value", Type: record.F64}}}}, nil)
}

func (s *spend) Process(_ int, b *record.Batch) error {
	s.keys.Build(b, []int{0}, 0, b.Rows)
	if err := s.ctx.State.Load(0, &s.keys, math.MaxInt, &s.cells); err != nil {
		return err
	}
	sums, prices := s.cells.Columns[0].Float64s(), b.Columns[1].Float64s() // of absent keys: zero
	out := record.NewColumn(record.F64, b.Rows)
	for i, key := range s.keys.KeyOf {
		sums[key] += prices[i]
		out.AppendFloat(sums[key])
	}
	s.change.Key, s.change.Op = s.change.Key[:0], s.change.Op[:0]
	s.change.Columns[0].Reset()
	for key := range uint32(s.keys.N) {
		s.change.Key, s.change.Op = append(s.change.Key, key), append(s.change.Op, state.OpSet)
		s.change.Columns[0].AppendFloat(sums[key])
	}
	if err := s.ctx.State.Apply(0, &s.keys, &s.change); err != nil {
		return err
	}
	s.emit(b, b.Columns[0], out)
	return nil
}

// parse reads JSON with the standard library.
type parse struct{ rest }

type document struct {
	ID    int64 `json:"id"`
	Items []struct {
		Quantity int64   `json:"quantity"`
		Price    float64 `json:"price"`
	} `json:"items"`
}

func (p *parse) Process(_ int, b *record.Batch) error {
	ids, items, totals := record.NewColumn(record.I64, b.Rows), record.NewColumn(record.I64, b.Rows), record.NewColumn(record.F64, b.Rows)
	for i := range b.Rows {
		var d document
		if err := json.Unmarshal(b.Columns[0].Bytes(i), &d); err != nil {
			return err
		}
		total := 0.0
		for _, item := range d.Items {
			total += float64(float64(item.Quantity) * item.Price)
		}
		ids.AppendInt(d.ID)
		items.AppendInt(int64(len(d.Items)))
		totals.AppendFloat(total)
	}
	p.emit(b, ids, items, totals)
	return nil
}
