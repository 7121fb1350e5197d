package main

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
)

// The job's columns: numbers in, running counts out.
var (
	inSchema = &record.Schema{Fields: []record.Field{{Name: "key", Type: record.I64}, {Name: "at", Type: record.Timestamp}}}
	// A count of 0 is a timer that has fired.
	outSchema = &record.Schema{Fields: []record.Field{{Name: "key", Type: record.I64}, {Name: "count", Type: record.I64}}}
	keyFields = inSchema.Fields[:1]
)

// Every timerEvery-th record, by its time, sets an event-time timer for its key, timerDelay us later.
const (
	timerEvery = 1000
	timerDelay = 1000
)

// counter is the keyed count as a native operator: a count a key in a value state, and the timers.
type counter struct {
	ctx    *operator.Context
	keys   record.KeySet
	cells  state.Cells
	change state.Changes
	timers state.TimerChanges
	round  state.Round
	all    []uint32 // 0, 1, 2 ...
	sets   []uint8
	at     int64
}

func newCounter() operator.Operator { return &counter{} }

func (c *counter) Open(ctx *operator.Context) error {
	c.ctx, c.at = ctx, ctx.Watermark
	c.change.Columns = []record.Column{record.NewColumn(record.I64, record.RowsMax)}
	for i := range uint32(record.RowsMax) {
		c.all = append(c.all, i)
	}
	c.sets = slices.Repeat([]uint8{state.OpSet}, record.RowsMax)
	return ctx.State.Declare([]state.Decl{{Name: "count", Kind: state.Value, Value: outSchema.Fields[1:]}},
		[]state.TimerDecl{{Name: "due", Many: true}})
}

func (c *counter) Process(_ int, b *record.Batch) error {
	c.keys.Build(b, []int{0}, 0, b.Rows)
	if err := c.ctx.State.Load(0, &c.keys, math.MaxInt, &c.cells); err != nil {
		return err
	}
	out := record.Column{Type: record.I64, Len: b.Rows, Values: make([]byte, 8*b.Rows)}
	counts := c.cells.Columns[0].Values // of absent keys: zero
	if len(counts) != 8*c.keys.N {
		return fmt.Errorf("%d bytes of counts for %d keys", len(counts), c.keys.N)
	}
	for row, key := range c.keys.KeyOf {
		n := binary.LittleEndian.Uint64(counts[8*key:]) + 1
		binary.LittleEndian.PutUint64(counts[8*key:], n)
		binary.LittleEndian.PutUint64(out.Values[8*row:], n)
	}
	c.change.Key, c.change.Op = c.all[:c.keys.N], c.sets[:c.keys.N]
	c.change.Columns[0].Reset()
	c.change.Columns[0].Values = append(c.change.Columns[0].Values, counts...)
	c.change.Columns[0].Len = c.keys.N
	if err := c.ctx.State.Apply(0, &c.keys, &c.change); err != nil {
		return err
	}
	if err := c.setTimers(b); err != nil {
		return err
	}
	c.ctx.Emit(0, &record.Batch{Schema: outSchema, Rows: b.Rows, Columns: []record.Column{b.Columns[0], out}, EventTime: b.EventTime,
		Pos: b.Pos, Runs: b.Runs})
	return nil
}

func (c *counter) setTimers(b *record.Batch) error {
	t := &c.timers
	t.Key, t.Name, t.Domain, t.Op, t.Time, t.TagOff = t.Key[:0], t.Name[:0], t.Domain[:0], t.Op[:0], t.Time[:0], append(t.TagOff[:0], 0)
	for row, at := range b.Columns[1].Int64s() {
		if at%timerEvery != 0 {
			continue
		}
		t.Key = append(t.Key, c.keys.KeyOf[row])
		t.Name = append(t.Name, 0)
		t.Domain = append(t.Domain, uint8(state.EventTime))
		t.Op = append(t.Op, state.TimerSet)
		t.Time = append(t.Time, at+timerDelay)
		t.TagOff = append(t.TagOff, 0)
	}
	if len(t.Key) == 0 {
		return nil
	}
	return c.ctx.State.ApplyTimers(&c.keys, t, [2]int64{c.at, math.MinInt64})
}

func (c *counter) Advance(w int64) error {
	c.at = w
	for {
		n, err := c.ctx.State.Due(state.EventTime, w, record.RowsMax, &c.round)
		if n == 0 || err != nil {
			return err
		}
		out := record.NewBatch(outSchema, n)
		for k := range n {
			if err := record.DecodeKey(c.round.Keys.Key(k), out.Columns[:1]); err != nil {
				return err
			}
			out.Columns[1].AppendInt(0)
		}
		out.Rows = n
		if err := c.ctx.State.Fired(state.EventTime, &c.round, 0, n); err != nil {
			return err
		}
		c.ctx.Emit(0, out)
	}
}

func (c *counter) Tick(int64) error { return nil }
func (c *counter) End() error       { return nil }
func (c *counter) Barrier() error   { return nil }
func (c *counter) Close() error     { return nil }
