// Package stdout is the sink stdout: it prints each record as a line of JSON on the standard output, at least once. A record is
// printed when it arrives, so after a restore those behind the last checkpoint are printed again.
package stdout

import (
	"context"
	"errors"
	"io"
	"sync"
	"syscall"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/connectors/format/json"
	"github.com/tidemill/tidemill/connectors/spec"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/record"
)

// Codes of the connector.
var (
	ErrTaken = errcode.New("TM-CONN-121", errcode.Invalid, "The standard output is used for something else")
	ErrPrint = errcode.New("TM-CONN-122", errcode.Environment, "The standard output cannot be written")
)

func init() {
	connectors.RegisterSink(connectors.SinkType{
		Name: "stdout",
		Doc: "Prints each record as a line of JSON on the standard output, at least once: records behind the last " +
			"checkpoint are printed again after a restore.",
		Example: "connector: stdout\n",
		Options: &spec.Object{},
		New: func(_ context.Context, env connectors.Env, _ spec.Values) (connectors.Sink, error) {
			if env.Stdout == nil {
				return nil, ErrTaken.Errorf("sink %s cannot print: the standard output is used for something else", env.Name).
					Do("run without --json and without the live view, or use connector file")
			}
			return &sink{out: env.Stdout}, nil
		},
	})
}

// printing keeps lines whole, whatever the number of sinks and subtasks.
var printing sync.Mutex

type sink struct{ out io.Writer }

func (*sink) ExactlyOnce() bool { return false }

func (*sink) Committer(context.Context) (connectors.Committer, error) { return nil, nil }

func (s *sink) Writer(_ context.Context, _ int, schema *record.Schema, _ [][]byte) (connectors.Writer, error) {
	return &writer{out: s.out, encoder: json.NewEncoder(schema)}, nil
}

const (
	encodeRows = 64 // encoded at once: the buffer stays within a few large records
	writeBytes = 64 << 10
)

type writer struct {
	out     io.Writer
	encoder *json.Encoder
	buf     []byte
}

func (w *writer) Write(b *record.Batch) error {
	for from := 0; from < b.Rows; from += encodeRows {
		w.buf = w.encoder.Append(w.buf, b, from, min(from+encodeRows, b.Rows))
		if len(w.buf) >= writeBytes {
			if err := w.print(); err != nil {
				return err
			}
		}
	}
	return w.print()
}

func (w *writer) print() error {
	printing.Lock()
	defer printing.Unlock()
	_, err := w.out.Write(w.buf)
	w.buf = w.buf[:0]
	if err == nil {
		return nil
	}
	e := ErrPrint.Errorf("printing failed").Because(err)
	if errors.Is(err, syscall.EPIPE) {
		return e.Do("the program that reads the output has ended")
	}
	return e
}

func (w *writer) Flush(context.Context, uint64, bool) (connectors.Flushed, error) {
	return connectors.Flushed{}, nil
}

func (w *writer) Close() error { return nil }
