// Package connectors is the contract of everything that brings records in or takes them out.
//
// A Source discovers splits with its enumerator, which runs once a job, and reads each split with a Reader, which runs in some
// source subtask. A position describes how far a reader is; a reader opened at a position delivers exactly the records after it,
// so that a checkpoint can name the point to go on from (I1).
//
// A Sink writes with one Writer a subtask. At a barrier the writer flushes and hands over committables; they become durable with
// the checkpoint, and the job's one Committer publishes them after that, idempotently, again after a restore (I2).
//
// A connector registers a factory under its name; its options are declared with package spec, from which the parser, the
// validation, the JSON schema and the reference page come. connectortest is the suite that every connector passes.
package connectors

import (
	"context"
	"errors"
	"io"
	"log/slog"

	"github.com/tidemill/tidemill/internal/clock"
	"github.com/tidemill/tidemill/internal/vfs"
	"github.com/tidemill/tidemill/runtime/record"
)

// ErrIdle is returned by Reader.Next when an unbounded split has nothing now; the caller asks again after a pause.
var ErrIdle = errors.New("nothing to read now")

// Env is what a connector may use of its surroundings.
type Env struct {
	Clock clock.Clock
	FS    vfs.FS
	Log   *slog.Logger
	// Name is the source's or sink's name in job.yaml.
	Name string
	// Dir is the folder of job.yaml: relative paths are relative to it.
	Dir string
	// Parallelism is the number of subtasks.
	Parallelism int
	// Stdout is where the stdout sink prints; nil where the process keeps its standard output for something else.
	Stdout io.Writer
}

// Split is a part of a source that one reader reads in order. Spec is the connector's own, JSON.
type Split struct {
	ID   string `json:"id"`
	Spec []byte `json:"spec,omitempty"`
}

// Source makes the parts of one source of a job. It is safe for concurrent use.
type Source interface {
	// Schema is the schema of the batches; it may look at the data once (a header).
	Schema(ctx context.Context) (*record.Schema, error)
	// Bounded says that the splits end and no more appear after the enumerator said that it is done.
	Bounded() bool
	// Enumerator starts discovery; state is what Snapshot returned at the checkpoint that is restored, else nil.
	Enumerator(ctx context.Context, state []byte) (Enumerator, error)
	// Open opens a split at a position; the zero Position is its beginning. The position after the split's last record may come
	// without Done: the reader then has nothing to give.
	Open(ctx context.Context, split Split, at record.Position) (Reader, error)
}

// Enumerator discovers splits. One goroutine uses it.
type Enumerator interface {
	// Discover returns splits not returned before, also not before the restored state. done says that there will be no more.
	// It is called at the start and then every so often while not done.
	Discover(ctx context.Context) (splits []Split, done bool, err error)
	// Snapshot describes everything returned so far.
	Snapshot() ([]byte, error)
	Close() error
}

// Reader reads one split. One goroutine uses it.
type Reader interface {
	// Next delivers up to max records: rows are appended to dst, an empty batch of the source's schema, with Pos filled; records that
	// cannot be decoded go to bad. It returns early rather than wait for more once it has a record. It returns io.EOF, and nothing
	// else, after the last record, ErrIdle where there is nothing now. Next may block on I/O until ctx ends; what it has delivered
	// by then it still returns.
	Next(ctx context.Context, dst *record.Batch, max int, bad *[]BadRecord) error
	// Position is the position after everything that Next returned.
	Position() record.Position
	Close() error
}

// BadRecord is a record that could not be decoded.
type BadRecord struct {
	At     int64  // its position in the split (Batch.Pos)
	Line   int64  // 1-based line where known, else 0
	Raw    []byte // its bytes, cut at 64 KiB
	Reason error  // coded
}

// Committable is what a writer hands over at a barrier: data is the connector's own, JSON.
type Committable struct {
	Sink       string `json:"sink"`
	Subtask    int    `json:"subtask"`
	Checkpoint uint64 `json:"checkpoint"`
	Data       []byte `json:"data"`
}

// Flushed is the outcome of a flush.
type Flushed struct {
	Committables [][]byte // published by the committer once the checkpoint is complete
	State        []byte   // what a writer needs to go on from this checkpoint; nil where nothing
}

// Sink makes the parts of one sink of a job. It is safe for concurrent use.
type Sink interface {
	// ExactlyOnce says that nothing is visible before the commit and each record is visible once after it. Where false (stdout),
	// records written after the last checkpoint may appear again after a restore.
	ExactlyOnce() bool
	// Writer makes the writer of a subtask for records of a schema; state is the writer's own at the checkpoint that is restored.
	// After a restore at another parallelism a subtask may be given several states, or none.
	Writer(ctx context.Context, subtask int, schema *record.Schema, states [][]byte) (Writer, error)
	// Committer publishes; nil where there is nothing to publish.
	Committer(ctx context.Context) (Committer, error)
}

// SchemaChecker is a sink that cannot write records of every schema.
type SchemaChecker interface {
	// CheckSchema says why records of a schema cannot be written, when the job is planned; nil where they can.
	CheckSchema(schema *record.Schema) error
}

// Writer writes the records of one subtask. One goroutine uses it.
type Writer interface {
	// Write takes the rows of a batch; it may buffer.
	Write(b *record.Batch) error
	// Flush makes everything written so far durable but not visible, for the given checkpoint. After a flush with last set nothing
	// is written any more: all pending output goes into committables.
	Flush(ctx context.Context, checkpoint uint64, last bool) (Flushed, error)
	// Close frees the writer; what was not flushed is dropped.
	Close() error
}

// Committer publishes committables. One goroutine uses it.
type Committer interface {
	// Recover runs before any writer opens: checkpoint is the restored one (0: none), pending its committables, which it publishes
	// where that has not happened, and states all writer states that go on. Everything else that the sink left behind,
	// unfinished output and output published by checkpoints after the restored one, is taken back.
	Recover(ctx context.Context, checkpoint uint64, pending []Committable, states [][]byte) error
	// Commit publishes the committables of a completed checkpoint. Doing it again does nothing.
	Commit(ctx context.Context, committables []Committable) error
	// Existing names one thing that this sink has published and that is still there, or "" where there is none: a job that starts
	// anew (--fresh) must not mix its output with an earlier one's. It may be called before Recover.
	Existing(ctx context.Context) (string, error)
	Close() error
}
