package enginetest

import (
	"context"
	"encoding/json"
	"fmt"
	"sort"
	"sync"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
)

// Ledger is a transactional sink in memory that outlives the jobs that write to it: what is flushed is prepared, what is
// committed is published, and it watches that its protocol is kept. Safe for concurrent use.
type Ledger struct {
	mu        sync.Mutex
	prepared  map[string][]string // committable -> rows as JSON
	published map[string][]string
	order     map[string]uint64 // committable -> checkpoint
	writers   int
	flushed   map[int]uint64 // by subtask: the last checkpoint
	last      bool
	faults    []string
}

var _ connectors.Sink = (*Ledger)(nil)

// NewLedger returns an empty ledger.
func NewLedger() *Ledger {
	return &Ledger{prepared: map[string][]string{}, published: map[string][]string{}, order: map[string]uint64{}, flushed: map[int]uint64{}}
}

// Rows are all published rows, sorted.
func (l *Ledger) Rows() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	rows := []string{}
	for _, part := range l.published {
		rows = append(rows, part...)
	}
	sort.Strings(rows)
	return rows
}

// Faults are breaches of the protocol, and writers that were not closed.
func (l *Ledger) Faults() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	faults := append([]string{}, l.faults...)
	if l.writers != 0 {
		faults = append(faults, fmt.Sprintf("%d writers are open", l.writers))
	}
	return faults
}

func (l *Ledger) fault(format string, args ...any) {
	l.faults = append(l.faults, fmt.Sprintf(format, args...))
}

// ExactlyOnce implements connectors.Sink.
func (l *Ledger) ExactlyOnce() bool { return true }

// Writer implements connectors.Sink.
func (l *Ledger) Writer(_ context.Context, subtask int, _ *record.Schema, _ [][]byte) (connectors.Writer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.writers++
	l.last = false
	return &ledgerWriter{ledger: l, subtask: subtask}, nil
}

// Committer implements connectors.Sink.
func (l *Ledger) Committer(context.Context) (connectors.Committer, error) {
	return ledgerCommitter{l}, nil
}

type ledgerWriter struct {
	ledger  *Ledger
	subtask int
	rows    []string
	last    bool
}

func (w *ledgerWriter) Write(b *record.Batch) error {
	if w.last {
		w.ledger.mu.Lock()
		defer w.ledger.mu.Unlock()
		w.ledger.fault("subtask %d writes after its last flush", w.subtask)
	}
	for i := range b.Rows {
		w.rows = append(w.rows, string(operator.AppendRowJSON(nil, b, i)))
	}
	return nil
}

func (w *ledgerWriter) Flush(_ context.Context, checkpoint uint64, last bool) (connectors.Flushed, error) {
	l := w.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	w.last = last
	if len(w.rows) == 0 {
		return connectors.Flushed{}, nil
	}
	id := fmt.Sprintf("%d-%d", checkpoint, w.subtask)
	if _, twice := l.prepared[id]; twice {
		l.fault("%s is flushed twice", id)
	}
	l.prepared[id], w.rows = w.rows, nil
	l.order[id] = checkpoint
	data, err := json.Marshal(id)
	return connectors.Flushed{Committables: [][]byte{data}}, err
}

func (w *ledgerWriter) Close() error {
	w.ledger.mu.Lock()
	defer w.ledger.mu.Unlock()
	w.ledger.writers--
	return nil
}

type ledgerCommitter struct{ ledger *Ledger }

func (c ledgerCommitter) Recover(_ context.Context, checkpoint uint64, pending []connectors.Committable, _ [][]byte) error {
	l := c.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.writers != 0 {
		l.fault("recovery while %d writers are open", l.writers)
	}
	if err := l.publish(pending); err != nil {
		return err
	}
	for id := range l.prepared {
		delete(l.prepared, id)
	}
	for id := range l.published {
		if l.order[id] > checkpoint {
			delete(l.published, id)
		}
	}
	return nil
}

func (c ledgerCommitter) Commit(_ context.Context, list []connectors.Committable) error {
	c.ledger.mu.Lock()
	defer c.ledger.mu.Unlock()
	return c.ledger.publish(list)
}

func (l *Ledger) publish(list []connectors.Committable) error {
	for _, c := range list {
		var id string
		if err := json.Unmarshal(c.Data, &id); err != nil {
			return err
		}
		if _, done := l.published[id]; done {
			continue
		}
		rows, ok := l.prepared[id]
		if !ok {
			l.fault("%s is committed and was never prepared, or is lost", id)
			continue
		}
		l.published[id] = rows
		delete(l.prepared, id)
	}
	return nil
}

func (c ledgerCommitter) Existing(context.Context) (string, error) {
	c.ledger.mu.Lock()
	defer c.ledger.mu.Unlock()
	for id := range c.ledger.published {
		return id, nil
	}
	return "", nil
}

func (c ledgerCommitter) Close() error { return nil }
