package main

import (
	"context"
	"errors"
	"io"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/runtime/record"
)

// byHand is the same job as one writes it without a runtime (P3): the source's batches, a Go map, and a queue of timers, which are
// set in the order of their times. Nothing of it survives a failure. It returns what its sink says.
func byHand(ctx context.Context, source connectors.Source, splits []connectors.Split) (output string, err error) {
	counts := map[int64]int64{}
	var due []int64
	s := &sum{}
	in, out := record.NewBatch(inSchema, record.RowsMax), record.NewBatch(outSchema, record.RowsMax)
	in.Pos = make([]int64, 0, record.RowsMax)
	for _, split := range splits {
		r, err := source.Open(ctx, split, record.Position{})
		if err != nil {
			return "", err
		}
		for {
			in.Rows, in.Pos, in.EventTime, out.Rows = 0, in.Pos[:0], nil, 0
			reset(in)
			reset(out)
			if err := r.Next(ctx, in, record.RowsMax, nil); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return "", err
			}
			at := in.Columns[1].Int64s()
			for i, key := range in.Columns[0].Int64s() {
				counts[key]++
				out.Columns[0].AppendInt(key)
				out.Columns[1].AppendInt(counts[key])
				if at[i]%timerEvery == 0 {
					due = append(due, at[i]+timerDelay)
				}
				for len(due) > 0 && due[0] <= at[i] {
					out.Columns[0].AppendInt(key)
					out.Columns[1].AppendInt(0)
					due = due[1:]
				}
			}
			out.Rows = out.Columns[0].Len
			if err := (*sumWriter)(s).Write(out); err != nil {
				return "", err
			}
		}
		if err := r.Close(); err != nil {
			return "", err
		}
	}
	s.rows.Add(int64(len(due))) // those still due fire at the end of the input
	s.fired.Add(int64(len(due)))
	return s.String(), nil
}

func reset(b *record.Batch) {
	for i := range b.Columns {
		b.Columns[i].Reset()
	}
}
