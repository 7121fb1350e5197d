// Package collect is the sink collect: it keeps rows in memory for the program around it, exactly once: a row is visible when the
// checkpoint that contains it is complete (I2). It is for tests and for programs that embed a job; what it keeps ends with the
// process.
package collect

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/tidemill/tidemill/connectors"
	jsonformat "github.com/tidemill/tidemill/connectors/format/json"
	"github.com/tidemill/tidemill/connectors/spec"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/record"
)

// ErrLost is the code of a restore that needs rows which another process kept.
var ErrLost = errcode.New("TM-CONN-131", errcode.Failed, "Rows that a checkpoint names were kept in the memory of another process")

func init() {
	connectors.RegisterSink(connectors.SinkType{
		Name: "collect",
		Doc: "Keeps rows in memory for the program that runs the job, exactly once. Rows end with the process, so " +
			"a job cannot go on from a checkpoint of another process.",
		Example: "connector: collect\ninto: results\n",
		Options: &spec.Object{Fields: []spec.Field{
			{Name: "into", Kind: spec.String, Required: true, Doc: "The name under which the program finds the rows " +
				"(collect.Named)."},
		}},
		New: func(_ context.Context, _ connectors.Env, v spec.Values) (connectors.Sink, error) {
			return Named(v.String("into")), nil
		},
	})
}

var named struct {
	sync.Mutex
	sinks map[string]*Sink
}

// Named returns the sink of that name, the same one for the program and for the job's option `into`.
func Named(name string) *Sink {
	named.Lock()
	defer named.Unlock()
	if named.sinks == nil {
		named.sinks = map[string]*Sink{}
	}
	if named.sinks[name] == nil {
		named.sinks[name] = &Sink{}
	}
	return named.sinks[name]
}

// Forget drops the sink of that name and its rows.
func Forget(name string) {
	named.Lock()
	defer named.Unlock()
	delete(named.sinks, name)
}

// part is what one writer handed over at one checkpoint.
type part struct {
	id         int
	checkpoint uint64
	rows       []*record.Batch
}

// Sink keeps rows. The zero Sink is ready; it is safe for concurrent use, and outlives the runs of a job that use it.
type Sink struct {
	mu      sync.Mutex
	next    int
	pending map[int]part
	visible []part // in the order of their commits
}

// Batches returns the visible rows, in the order in which they were published.
func (s *Sink) Batches() []*record.Batch {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*record.Batch
	for _, p := range s.visible {
		all = append(all, p.rows...)
	}
	return all
}

// Lines returns the visible rows as lines of JSON, without line ends.
func (s *Sink) Lines() []string {
	var lines []string
	for _, b := range s.Batches() {
		e := jsonformat.NewEncoder(b.Schema)
		for row := range b.Rows {
			line := e.Append(nil, b, row, row+1)
			lines = append(lines, string(line[:len(line)-1]))
		}
	}
	return lines
}

// ExactlyOnce implements connectors.Sink.
func (*Sink) ExactlyOnce() bool { return true }

// Writer implements connectors.Sink.
func (s *Sink) Writer(context.Context, int, *record.Schema, [][]byte) (connectors.Writer, error) {
	return &writer{sink: s}, nil
}

// Committer implements connectors.Sink.
func (s *Sink) Committer(context.Context) (connectors.Committer, error) { return (*committer)(s), nil }

type writer struct {
	sink *Sink
	rows []*record.Batch
}

func (w *writer) Write(b *record.Batch) error {
	if b.Rows > 0 {
		w.rows = append(w.rows, b)
	}
	return nil
}

func (w *writer) Flush(_ context.Context, checkpoint uint64, _ bool) (connectors.Flushed, error) {
	if len(w.rows) == 0 {
		return connectors.Flushed{}, nil
	}
	s := w.sink
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	if s.pending == nil {
		s.pending = map[int]part{}
	}
	s.pending[s.next] = part{s.next, checkpoint, w.rows}
	w.rows = nil
	data, err := json.Marshal(s.next)
	return connectors.Flushed{Committables: [][]byte{data}}, err
}

func (w *writer) Close() error { return nil }

type committer Sink

// Commit implements connectors.Committer.
func (c *committer) Commit(_ context.Context, committables []connectors.Committable) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.publish(committables)
}

func (c *committer) publish(committables []connectors.Committable) error {
	for _, committable := range committables {
		var id int
		if err := json.Unmarshal(committable.Data, &id); err != nil {
			return fmt.Errorf("reading what %s is to publish: %w", committable.Sink, err)
		}
		p, ok := c.pending[id]
		if ok {
			delete(c.pending, id)
			c.visible = append(c.visible, p)
			continue
		}
		if id > c.next {
			return ErrLost.Errorf("sink %s: rows of checkpoint %d were kept by another process", committable.Sink, committable.Checkpoint).
				Do("start anew with --fresh, or use connector file")
		}
	}
	return nil
}

// Recover implements connectors.Committer.
func (c *committer) Recover(_ context.Context, checkpoint uint64, pending []connectors.Committable, _ [][]byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.publish(pending); err != nil {
		return err
	}
	clear(c.pending)
	kept := c.visible[:0]
	for _, p := range c.visible {
		if p.checkpoint <= checkpoint {
			kept = append(kept, p)
		}
	}
	clear(c.visible[len(kept):])
	c.visible = kept
	return nil
}

// Existing implements connectors.Committer.
func (c *committer) Existing(context.Context) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.visible) == 0 {
		return "", nil
	}
	return fmt.Sprintf("%d parts kept in memory", len(c.visible)), nil
}

func (*committer) Close() error { return nil }
