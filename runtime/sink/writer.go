package sink

import (
	"context"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/internal/failpoint"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/telemetry"
)

// Writer is the writer of one subtask of a sink. Its task's goroutine uses it.
type Writer struct {
	name    string
	subtask int
	writer  connectors.Writer
	metrics *telemetry.Subtask
}

// Handover is what a writer leaves at a barrier.
type Handover struct {
	Committables []connectors.Committable
	State        []byte // nil where the writer needs none
}

// OpenWriter opens the writer of a subtask; states are those that the restored checkpoint has for it.
func OpenWriter(ctx context.Context, name string, subtask int, s connectors.Sink, schema *record.Schema, states [][]byte,
	metrics *telemetry.Subtask) (*Writer, error) {
	w, err := s.Writer(ctx, subtask, schema, states)
	if err != nil {
		return nil, coded(ErrWrite, name, "opening a writer", err)
	}
	return &Writer{name: name, subtask: subtask, writer: w, metrics: metrics}, nil
}

// Write takes the rows of a batch.
func (w *Writer) Write(b *record.Batch) error {
	if err := w.writer.Write(b); err != nil {
		return coded(ErrWrite, w.name, "writing", err)
	}
	w.metrics.RecordsIn.Add(int64(b.Rows))
	w.metrics.RecordsOut.Add(int64(b.Rows))
	w.metrics.BatchesIn.Add(1)
	return nil
}

// Flush makes everything written so far durable but not visible. It waits for the disk or the service.
func (w *Writer) Flush(ctx context.Context, checkpoint uint64, last bool) (Handover, error) {
	f, err := w.writer.Flush(ctx, checkpoint, last)
	if err != nil {
		return Handover{}, coded(ErrWrite, w.name, "flushing", err)
	}
	failpoint.Hit(failpoint.SinkFlushed)
	h := Handover{State: f.State}
	for _, data := range f.Committables {
		h.Committables = append(h.Committables, connectors.Committable{Sink: w.name, Subtask: w.subtask, Checkpoint: checkpoint, Data: data})
	}
	return h, nil
}

// Close frees the writer; what was not flushed is dropped.
func (w *Writer) Close() error { return coded(ErrWrite, w.name, "closing a writer", w.writer.Close()) }
