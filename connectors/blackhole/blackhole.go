// Package blackhole is the sink blackhole: it counts records and drops them, to measure what comes before a sink.
package blackhole

import (
	"context"
	"sync/atomic"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/connectors/spec"
	"github.com/tidemill/tidemill/runtime/record"
)

func init() {
	connectors.RegisterSink(connectors.SinkType{
		Name:    "blackhole",
		Doc:     "Counts records and drops them: for measurements.",
		Example: "connector: blackhole\n",
		Options: &spec.Object{},
		New:     func(context.Context, connectors.Env, spec.Values) (connectors.Sink, error) { return &Sink{}, nil },
	})
}

// Sink counts over all of its writers. The zero Sink is ready; it is safe for concurrent use.
type Sink struct{ rows, bytes atomic.Int64 }

// Rows is the number of rows written.
func (s *Sink) Rows() int64 { return s.rows.Load() }

// Bytes is the number of bytes in the columns of the rows written.
func (s *Sink) Bytes() int64 { return s.bytes.Load() }

// ExactlyOnce implements connectors.Sink.
func (*Sink) ExactlyOnce() bool { return false }

// Committer implements connectors.Sink.
func (*Sink) Committer(context.Context) (connectors.Committer, error) { return nil, nil }

// Writer implements connectors.Sink.
func (s *Sink) Writer(context.Context, int, *record.Schema, [][]byte) (connectors.Writer, error) {
	return (*writer)(s), nil
}

type writer Sink

func (w *writer) Write(b *record.Batch) error {
	w.rows.Add(int64(b.Rows))
	w.bytes.Add(int64(b.Size()))
	return nil
}

func (*writer) Flush(context.Context, uint64, bool) (connectors.Flushed, error) {
	return connectors.Flushed{}, nil
}

func (*writer) Close() error { return nil }
