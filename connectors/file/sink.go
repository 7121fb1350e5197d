package file

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/connectors/format"
	"github.com/tidemill/tidemill/connectors/spec"
	"github.com/tidemill/tidemill/internal/vfs"
	"github.com/tidemill/tidemill/runtime/record"
)

// sink is a connectors.Sink.
type sink struct {
	env             connectors.Env
	dir             string
	format          *format.Type
	formatOptions   spec.Values
	rollBytes       int64
	rollCheckpoints int

	mu       sync.Mutex
	reserved map[int]int // by subtask, the least seq that no file of the restored checkpoint has
}

// openState is a file in progress in a writer's state: what is in it up to Bytes is durable and belongs to the checkpoint.
type openState struct {
	fileName
	Bytes       int64 `json:"bytes"`
	Checkpoints int   `json:"checkpoints"` // since it was begun
}

// writerState is connectors.Flushed.State.
type writerState struct {
	Open []openState `json:"open"`
}

// commitData is connectors.Committable.Data.
type commitData struct {
	File  fileName `json:"file"`
	Bytes int64    `json:"bytes"`
}

// ExactlyOnce implements connectors.Sink.
func (*sink) ExactlyOnce() bool { return true }

// CheckSchema implements connectors.SchemaChecker.
func (s *sink) CheckSchema(schema *record.Schema) error {
	_, err := s.format.Encoding(s.formatOptions, schema)
	return err
}

// Writer implements connectors.Sink.
func (s *sink) Writer(_ context.Context, subtask int, schema *record.Schema, states [][]byte) (connectors.Writer, error) {
	encoder, err := s.format.Encoding(s.formatOptions, schema)
	if err != nil {
		return nil, err
	}
	if strings.ContainsAny(s.env.Name, `/\`) || s.env.Name == "" {
		return nil, fmt.Errorf("%q cannot be the name of a sink: it is part of file names", s.env.Name)
	}
	if err := s.makeDir(); err != nil {
		return nil, err
	}
	w := &writer{sink: s, subtask: subtask, encoder: encoder}
	if w.next, err = s.nextSeq(subtask); err != nil {
		return nil, err
	}
	for _, text := range states {
		var st writerState
		if err := json.Unmarshal(text, &st); err != nil {
			return nil, fmt.Errorf("reading the state of a writer of %s: %w", s.env.Name, err)
		}
		for _, o := range st.Open {
			if err := w.resume(o); err != nil {
				w.Close()
				return nil, err
			}
		}
	}
	return w, nil
}

// Committer implements connectors.Sink.
func (s *sink) Committer(context.Context) (connectors.Committer, error) { return &committer{s}, nil }

func (s *sink) path(name string) string { return filepath.Join(s.dir, name) }

func (s *sink) makeDir() error {
	if err := s.env.FS.MkdirAll(s.dir); err != nil {
		return writeError(err, "making the folder failed", s.dir)
	}
	return nil
}

// list returns the sink's files by name. A folder that does not exist is empty.
func (s *sink) list() (map[string]found, error) {
	entries, err := s.env.FS.ReadDir(s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, readError(err, "listing the output folder failed", s.dir)
	}
	files := map[string]found{}
	for _, e := range entries {
		if f := parseName(s.env.Name, e.Name()); f.state != foreign {
			files[e.Name()] = f
		}
	}
	return files, nil
}

// reserve keeps an identity from being given to another file, also where the file itself is gone.
func (s *sink) reserve(n fileName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reserved == nil {
		s.reserved = map[int]int{}
	}
	s.reserved[n.Subtask] = max(s.reserved[n.Subtask], n.Seq+1)
}

// nextSeq is a seq that no file of the subtask has.
func (s *sink) nextSeq(subtask int) (int, error) {
	files, err := s.list()
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	next := s.reserved[subtask]
	s.mu.Unlock()
	for _, f := range files {
		if f.Subtask == subtask {
			next = max(next, f.Seq+1)
		}
	}
	return next, nil
}

const (
	// writeBytes is how much a writer gathers before it writes.
	writeBytes = 256 << 10
	// encodeRows is how many rows are encoded before the writer looks at the size: the buffer stays within a few large records.
	encodeRows = 64
)

// writer is a connectors.Writer.
type writer struct {
	sink     *sink
	subtask  int
	encoder  format.Encoder
	next     int // seq of the next file
	buf      []byte
	current  *output
	finished []commitData // closed and durable but for their names, since the last flush
	newNames bool         // names were made since the folder was synced
	err      error        // the first failure: what was written after it would be in doubt
}

// output is the file that a writer writes to.
type output struct {
	fileName
	file        vfs.File
	bytes       int64 // written to the file; the writer's buffer comes after them
	checkpoints int   // since it was begun
}

// resume goes on with a file in progress. Of several, which a smaller parallelism brings, the last goes on and the others are
// published with the next checkpoint.
func (w *writer) resume(o openState) error {
	path := w.sink.path(o.open(w.sink.env.Name))
	f, err := w.sink.env.FS.OpenAppend(path)
	if err != nil {
		return readError(err, "opening unfinished output failed", path)
	}
	info, err := f.Stat()
	if err != nil || info.Size() != o.Bytes {
		f.Close()
		if err != nil {
			return readError(err, "looking at unfinished output failed", path)
		}
		return ErrOutput.Errorf("unfinished output has %d bytes and not %d", info.Size(), o.Bytes).At("%s", path).Do(outputHint)
	}
	if err := w.finish(); err != nil {
		f.Close()
		return err
	}
	w.current = &output{fileName: o.fileName, file: f, bytes: o.Bytes, checkpoints: o.Checkpoints}
	if o.Ext != w.sink.format.Extension { // the format has changed since
		return w.finish()
	}
	return nil
}

// Write implements connectors.Writer.
func (w *writer) Write(b *record.Batch) error {
	for from := 0; from < b.Rows && w.err == nil; from += encodeRows {
		w.err = w.write(b, from, min(from+encodeRows, b.Rows))
	}
	return w.err
}

func (w *writer) write(b *record.Batch, from, to int) error {
	if w.current == nil {
		if err := w.begin(); err != nil {
			return err
		}
	}
	w.buf = w.encoder.Append(w.buf, b, from, to)
	if len(w.buf) >= writeBytes {
		if err := w.drain(); err != nil {
			return err
		}
	}
	if w.current.bytes+int64(len(w.buf)) >= w.sink.rollBytes {
		return w.finish()
	}
	return nil
}

// begin makes a new file.
func (w *writer) begin() error {
	name := fileName{Subtask: w.subtask, Seq: w.next, Ext: w.sink.format.Extension}
	path := w.sink.path(name.open(w.sink.env.Name))
	f, err := w.sink.env.FS.Create(path)
	if err != nil {
		return writeError(err, "making a file failed", path)
	}
	w.next++
	w.newNames = true
	w.current = &output{fileName: name, file: f}
	w.buf = append(w.buf, w.encoder.Header()...)
	return nil
}

// drain writes the buffer to the file.
func (w *writer) drain() error {
	if len(w.buf) == 0 {
		return nil
	}
	n, err := w.current.file.Write(w.buf)
	w.current.bytes += int64(n)
	if err != nil {
		return writeError(err, "writing failed", w.current.file.Name())
	}
	w.buf = w.buf[:0]
	return nil
}

// finish makes the current file durable and closes it: nothing is added to it any more.
func (w *writer) finish() error {
	o := w.current
	if o == nil {
		return nil
	}
	if err := w.drain(); err != nil {
		return err
	}
	if err := o.file.Sync(); err != nil {
		return writeError(err, "syncing failed", o.file.Name())
	}
	w.current = nil
	if err := o.file.Close(); err != nil {
		return writeError(err, "closing failed", o.file.Name())
	}
	w.finished = append(w.finished, commitData{File: o.fileName, Bytes: o.bytes})
	return nil
}

// Flush implements connectors.Writer.
func (w *writer) Flush(_ context.Context, _ uint64, last bool) (connectors.Flushed, error) {
	if w.err != nil {
		return connectors.Flushed{}, w.err
	}
	var out connectors.Flushed
	out, w.err = w.flush(last)
	return out, w.err
}

func (w *writer) flush(last bool) (connectors.Flushed, error) {
	var out connectors.Flushed
	if o := w.current; o != nil {
		o.checkpoints++
		if last || o.checkpoints >= w.sink.rollCheckpoints {
			if err := w.finish(); err != nil {
				return out, err
			}
		} else if err := w.keep(&out); err != nil {
			return out, err
		}
	}
	if w.newNames {
		if err := w.sink.env.FS.SyncDir(w.sink.dir); err != nil {
			return out, writeError(err, "syncing the folder failed", w.sink.dir)
		}
		w.newNames = false
	}
	for _, c := range w.finished {
		data, err := json.Marshal(c)
		if err != nil {
			return out, err
		}
		out.Committables = append(out.Committables, data)
	}
	w.finished = nil
	return out, nil
}

// keep makes the file that goes on durable up to here and puts it into the state.
func (w *writer) keep(out *connectors.Flushed) error {
	o := w.current
	if err := w.drain(); err != nil {
		return err
	}
	if err := o.file.Sync(); err != nil {
		return writeError(err, "syncing failed", o.file.Name())
	}
	var err error
	out.State, err = json.Marshal(writerState{Open: []openState{{o.fileName, o.bytes, o.checkpoints}}})
	return err
}

// Close implements connectors.Writer. An unfinished file stays, under its dot name: a checkpoint may need it.
func (w *writer) Close() error {
	if w.current == nil {
		return nil
	}
	err := w.current.file.Close()
	w.current = nil
	return err
}
