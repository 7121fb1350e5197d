package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"sync/atomic"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
)

var (
	inSchema  = &record.Schema{Fields: []record.Field{{Name: "number", Type: record.I64}}}
	outSchema = &record.Schema{Fields: []record.Field{{Name: "count", Type: record.I64}}}
)

// updater keeps eight numbers a key: number i of them is i+1 times the count of its records. It works the key out from the record's
// number, so that the source need not know of it.
type updater struct {
	workload
	ctx    *operator.Context
	keyed  *record.Batch
	keys   record.KeySet
	cells  state.Cells
	change state.Changes
	all    []uint32 // 0, 1, 2 ...
	sets   []uint8
}

func (u *updater) Open(ctx *operator.Context) error {
	u.ctx = ctx
	u.keyed = record.NewBatch(inSchema, record.RowsMax)
	var fields []record.Field
	for i := range numbers {
		fields = append(fields, record.Field{Name: fmt.Sprint("n", i), Type: record.I64})
		u.change.Columns = append(u.change.Columns, record.NewColumn(record.I64, record.RowsMax))
	}
	for i := range uint32(record.RowsMax) {
		u.all = append(u.all, i)
	}
	u.sets = slices.Repeat([]uint8{state.OpSet}, record.RowsMax)
	return ctx.State.Declare([]state.Decl{{Name: "numbers", Kind: state.Value, Value: fields}}, nil)
}

func (u *updater) Process(_ int, b *record.Batch) error {
	u.keyed.Columns[0].Reset()
	for _, number := range b.Columns[0].Int64s() {
		u.keyed.Columns[0].AppendInt(u.key(number))
	}
	u.keyed.Rows = b.Rows
	u.keys.Build(u.keyed, []int{0}, 0, b.Rows)
	if err := u.ctx.State.Load(0, &u.keys, math.MaxInt, &u.cells); err != nil {
		return err
	}
	out := record.Column{Type: record.I64, Len: b.Rows, Values: make([]byte, 8*b.Rows)}
	for i := range u.cells.Columns {
		if len(u.cells.Columns[i].Values) != 8*u.keys.N {
			return fmt.Errorf("%d bytes of numbers for %d keys", len(u.cells.Columns[i].Values), u.keys.N)
		}
	}
	for row, key := range u.keys.KeyOf {
		for i := range u.cells.Columns {
			at := u.cells.Columns[i].Values[8*key:]
			binary.LittleEndian.PutUint64(at, binary.LittleEndian.Uint64(at)+uint64(i)+1)
		}
		// The last number over its factor is the count, so that all of the cell must be right.
		last := binary.LittleEndian.Uint64(u.cells.Columns[numbers-1].Values[8*key:])
		binary.LittleEndian.PutUint64(out.Values[8*row:], last/numbers)
	}
	u.change.Key, u.change.Op = u.all[:u.keys.N], u.sets[:u.keys.N]
	for i := range u.change.Columns {
		c := &u.change.Columns[i]
		c.Reset()
		c.Values, c.Len = append(c.Values, u.cells.Columns[i].Values...), u.keys.N
	}
	if err := u.ctx.State.Apply(0, &u.keys, &u.change); err != nil {
		return err
	}
	u.ctx.Emit(0, &record.Batch{Schema: outSchema, Rows: b.Rows, Columns: []record.Column{out}, EventTime: b.EventTime, Pos: b.Pos, Runs: b.Runs})
	return nil
}

func (u *updater) Advance(int64) error { return nil }
func (u *updater) Tick(int64) error    { return nil }
func (u *updater) End() error          { return nil }
func (u *updater) Barrier() error      { return nil }
func (u *updater) Close() error        { return nil }

// sum is a blackhole that adds up what disappears in it. Safe for concurrent use.
type sum struct{ rows, counts atomic.Int64 }

func (s *sum) add(rows, counts int64) {
	s.rows.Add(rows)
	s.counts.Add(counts)
}

func (s *sum) String() string {
	return fmt.Sprintf("%d records, counts add up to %d", s.rows.Load(), s.counts.Load())
}

// ExactlyOnce implements connectors.Sink.
func (s *sum) ExactlyOnce() bool { return false }

// Writer implements connectors.Sink.
func (s *sum) Writer(context.Context, int, *record.Schema, [][]byte) (connectors.Writer, error) {
	return (*sumWriter)(s), nil
}

// Committer implements connectors.Sink.
func (s *sum) Committer(context.Context) (connectors.Committer, error) { return nil, nil }

type sumWriter sum

func (w *sumWriter) Write(b *record.Batch) error {
	total := int64(0)
	for _, n := range b.Columns[0].Int64s() {
		total += n
	}
	(*sum)(w).add(int64(b.Rows), total)
	return nil
}

func (w *sumWriter) Flush(context.Context, uint64, bool) (connectors.Flushed, error) {
	return connectors.Flushed{}, nil
}

func (w *sumWriter) Close() error { return nil }
