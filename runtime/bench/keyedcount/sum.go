package main

import (
	"context"
	"fmt"
	"sync/atomic"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/runtime/record"
)

// sum is a blackhole that adds up what disappears in it, so that a run can be checked. Safe for concurrent use.
type sum struct{ rows, fired, counts atomic.Int64 }

func (s *sum) String() string {
	return fmt.Sprintf("%d records, %d timers, counts add up to %d", s.rows.Load()-s.fired.Load(), s.fired.Load(), s.counts.Load())
}

// expected is what a Go map makes of the same records.
func expected(ctx context.Context, source connectors.Source, splits []connectors.Split) (string, error) {
	counts := map[int64]int64{}
	var s sum
	for _, split := range splits {
		r, err := source.Open(ctx, split, record.Position{})
		if err != nil {
			return "", err
		}
		for more := true; more; {
			b := record.NewBatch(inSchema, record.RowsMax)
			more = r.Next(ctx, b, record.RowsMax, nil) == nil
			for i, key := range b.Columns[0].Int64s() {
				counts[key]++
				s.rows.Add(1)
				s.counts.Add(counts[key])
				if b.Columns[1].Int(i)%timerEvery == 0 {
					s.rows.Add(1)
					s.fired.Add(1)
				}
			}
		}
		if err := r.Close(); err != nil {
			return "", err
		}
	}
	return s.String(), nil
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
	total, fired := int64(0), int64(0)
	for _, n := range b.Columns[1].Int64s() {
		total += n
		if n == 0 {
			fired++
		}
	}
	w.rows.Add(int64(b.Rows))
	w.fired.Add(fired)
	w.counts.Add(total)
	return nil
}

func (w *sumWriter) Flush(context.Context, uint64, bool) (connectors.Flushed, error) {
	return connectors.Flushed{}, nil
}

func (w *sumWriter) Close() error { return nil }
