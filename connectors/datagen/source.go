package datagen

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/runtime/record"
)

// source is a connectors.Source.
type source struct {
	schema  *record.Schema
	fill    []fillFunc
	rows    int64 // over all splits
	bounded bool
	splits  int64
	// rowBytes is the greatest size of a row.
	rowBytes int
}

// splitSpec is connectors.Split.Spec: the split makes the records with the numbers Index, Index+Of, Index+2*Of and so on.
type splitSpec struct {
	Index int64 `json:"index"`
	Of    int64 `json:"of"`
}

// Schema implements connectors.Source.
func (s *source) Schema(context.Context) (*record.Schema, error) { return s.schema, nil }

// Bounded implements connectors.Source.
func (s *source) Bounded() bool { return s.bounded }

// Enumerator implements connectors.Source.
func (s *source) Enumerator(_ context.Context, state []byte) (connectors.Enumerator, error) {
	return &enumerator{source: s, done: state != nil}, nil
}

// enumerator returns all splits at once. Its state says only that it has.
type enumerator struct {
	source *source
	done   bool
}

func (e *enumerator) Discover(context.Context) ([]connectors.Split, bool, error) {
	if e.done {
		return nil, true, nil
	}
	e.done = true
	var splits []connectors.Split
	for i := range e.source.splits {
		data, err := json.Marshal(splitSpec{i, e.source.splits})
		if err != nil {
			return nil, false, err
		}
		splits = append(splits, connectors.Split{ID: strconv.FormatInt(i, 10), Spec: data})
	}
	return splits, true, nil
}

func (e *enumerator) Snapshot() ([]byte, error) {
	if !e.done {
		return nil, nil
	}
	return []byte("{}"), nil
}

func (*enumerator) Close() error { return nil }

// Open implements connectors.Source.
func (s *source) Open(_ context.Context, split connectors.Split, at record.Position) (connectors.Reader, error) {
	r := &reader{source: s, at: at.Offset}
	if err := json.Unmarshal(split.Spec, &r.spec); err != nil {
		return nil, fmt.Errorf("reading split %s: %w", split.ID, err)
	}
	if r.rows = (s.rows-r.spec.Index-1)/r.spec.Of + 1; s.rows <= r.spec.Index {
		r.rows = 0
	}
	return r, nil
}

// reader is a connectors.Reader.
type reader struct {
	source *source
	spec   splitSpec
	at     int64 // ordinal of the next record in the split
	rows   int64 // of the split
}

// Next implements connectors.Reader.
func (r *reader) Next(ctx context.Context, dst *record.Batch, max int, _ *[]connectors.BadRecord) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	n := int(min(int64(max), r.rows-r.at))
	if n == 0 {
		return io.EOF
	}
	n = r.withinSize(n)
	first := r.at*r.spec.Of + r.spec.Index
	for i := range dst.Columns {
		c := &dst.Columns[i]
		r.source.fill[i](c, n, uint64(first), uint64(r.spec.Of))
		c.Len += n
	}
	have := len(dst.Pos)
	dst.Pos = slices.Grow(dst.Pos, n)[:have+n]
	for i, pos := 0, dst.Pos[have:]; i < n; i++ {
		pos[i] = r.at + int64(i)
	}
	dst.Rows += n
	r.at += int64(n)
	return nil
}

// batchBytesMax bounds what long texts make of a batch: frames aim at 4 MiB.
const batchBytesMax = 1 << 20

func (r *reader) withinSize(n int) int { return max(1, min(n, batchBytesMax/r.source.rowBytes)) }

// Position implements connectors.Reader.
func (r *reader) Position() record.Position {
	return record.Position{Offset: r.at, Records: r.at, Done: r.source.bounded && r.at == r.rows}
}

// Close implements connectors.Reader.
func (*reader) Close() error { return nil }
