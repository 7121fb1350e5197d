package task

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/exchange"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/sink"
	"github.com/tidemill/tidemill/runtime/telemetry"
)

// link is a node in its place in the chain. The task's goroutine uses it.
type link struct {
	task     *Task
	node     *Node
	metrics  *telemetry.Subtask
	op       operator.Operator
	writer   *sink.Writer
	ports    [][]Route // routes by output port + 1: the first are those of dead letters
	before   []*link   // nodes of the chain that feed it; none for the first
	exits    []*exchange.Output
	rejected int // records rejected so far, for the log

	watermark int64
}

// newLinks builds the chain.
func newLinks(t *Task) []*link {
	links := make([]*link, len(t.cfg.Nodes))
	for i := range t.cfg.Nodes {
		n := &t.cfg.Nodes[i]
		links[i] = &link{task: t, node: n, metrics: n.Metrics, watermark: n.Watermark}
		n.Metrics.Watermark.Store(n.Watermark)
	}
	for i, l := range links {
		for _, r := range l.node.Routes {
			for len(l.ports) < r.Port+2 {
				l.ports = append(l.ports, nil)
			}
			l.ports[r.Port+1] = append(l.ports[r.Port+1], r)
			if r.Output != nil {
				l.exits = append(l.exits, r.Output)
			} else {
				links[r.To].before = append(links[r.To].before, links[i])
			}
		}
	}
	return links
}

// open starts what the node runs.
func (l *link) open(ctx context.Context) error {
	switch n := l.node; {
	case n.Sink != nil:
		w, err := sink.OpenWriter(ctx, n.Name, l.task.cfg.Subtask, n.Sink.Connector, n.Sink.Schema, n.Sink.States, n.Metrics)
		l.writer = w
		return err
	case n.Operator != nil:
		l.op = n.Operator.New()
		return l.op.Open(l.context())
	}
	return nil
}

func (l *link) context() *operator.Context {
	o, cfg := l.node.Operator, &l.task.cfg
	return &operator.Context{
		Job: cfg.Job, Operator: l.node.Name, Subtask: cfg.Subtask, Parallelism: cfg.Parallelism, MaxParallelism: cfg.MaxParallelism,
		Inputs: o.Inputs, Key: o.Key, Outputs: o.Outputs, Params: o.Params, State: o.State, Watermark: l.watermark,
		Now:  func() int64 { return l.task.now },
		Emit: l.emit, Room: l.task.waitForRoom, Reject: l.reject,
		Log:   cfg.Log.With(slog.String("operator", l.node.Name), slog.Int("subtask", cfg.Subtask)),
		Meter: &l.metrics.Meter,
	}
}

// process takes a batch that arrived at an input port.
func (l *link) process(port int, b *record.Batch) error {
	if l.writer != nil {
		return l.writer.Write(b)
	}
	l.metrics.BatchesIn.Add(1)
	l.metrics.RecordsIn.Add(int64(b.Rows))
	l.countLate(b)
	l.task.current = l
	if err := l.op.Process(port, b); err != nil {
		return err
	}
	return l.task.failure
}

// countLate counts the rows that are late here; they are delivered like all others.
func (l *link) countLate(b *record.Batch) {
	if b.EventTime == nil || l.watermark == record.WatermarkNone {
		return
	}
	late := 0
	for _, t := range b.EventTime {
		if t <= l.watermark {
			late++
		}
	}
	if late > 0 {
		l.metrics.Late.Add(int64(late))
	}
}

// advance moves the node to a watermark, and to its end where that is the last one, and tells the exchanges that it feeds.
func (l *link) advance(w int64) error {
	if w <= l.watermark {
		return nil
	}
	if l.op != nil {
		l.task.current = l
		if err := l.op.Advance(w); err != nil {
			return err
		}
		if w == record.WatermarkEnd && l.task.failure == nil {
			if err := l.op.End(); err != nil {
				return err
			}
		}
		if l.task.failure != nil {
			return l.task.failure
		}
	}
	l.watermark = w
	l.metrics.Watermark.Store(w)
	return nil
}

// send broadcasts to the exchanges that the node feeds.
func (l *link) send(it exchange.Item) {
	for _, o := range l.exits {
		o.Broadcast(it)
	}
}

// emit takes rows out of an output port. An error of a node further down is kept for the end of the call under way.
func (l *link) emit(port int, b *record.Batch) {
	for b.Rows > record.RowsMax {
		l.emit(port, b.Slice(0, record.RowsMax))
		b = b.Slice(record.RowsMax, b.Rows)
	}
	if b.Rows == 0 || l.task.failure != nil {
		return
	}
	if port >= 0 {
		l.metrics.RecordsOut.Add(int64(b.Rows))
	}
	if port+1 >= len(l.ports) {
		return // nothing reads the port
	}
	for i := range l.ports[port+1] {
		r := &l.ports[port+1][i]
		if r.Output != nil {
			r.Output.Send(b)
			continue
		}
		if err := l.task.links[r.To].process(r.ToPort, b); err != nil && l.task.failure == nil {
			l.task.failure = err
		}
	}
	l.task.current = l
}

// rejectionsLogged is the number of rejected records that each subtask of a node logs; all are counted.
const rejectionsLogged = 10

// reject treats what an operator rejected by the node's policy.
func (l *link) reject(r *operator.Rejection) error {
	if l.node.OnError == Fail {
		return l.failed(r)
	}
	l.noteRejected(r.Cause)
	if l.node.OnError == DeadLetter {
		l.emit(operator.DeadLetterPort, rejectionLetter(l.node, r))
	}
	return nil
}

func (l *link) noteRejected(cause error) {
	if e := errcode.Of(cause); e != nil {
		short := *e
		short.Message, _, _ = strings.Cut(e.Message, "\n") // without a traceback, which the dead letter has
		cause = &short
	}
	l.metrics.Bad.Add(1)
	l.rejected++
	switch {
	case l.rejected < rejectionsLogged:
		l.task.cfg.Log.Warn("rejected a record", "node", l.node.Name, "cause", cause)
	case l.rejected == rejectionsLogged:
		l.task.cfg.Log.Warn("rejected a record; more will only be counted", "node", l.node.Name, "cause", cause)
	}
}

// recordTextMax cuts the record that an error shows.
const recordTextMax = 300

// failed is the error with which a rejection ends the job: it shows the record.
func (l *link) failed(r *operator.Rejection) error {
	shown := ""
	if r.Row != nil {
		text := operator.AppendRowJSON(nil, r.Row, 0)
		if len(text) > recordTextMax {
			text = append(bytes.ToValidUTF8(text[:recordTextMax], nil), "..."...)
		}
		shown = ", of the record " + string(text)
	}
	hint := "mend the record or the operator, or set on_error of the operator to skip or dead_letter"
	if e := errcode.Of(r.Cause); e != nil {
		if e.Hint != "" {
			hint = e.Hint + "; or " + hint
		}
		line, _, _ := strings.Cut(e.Message, "\n") // the others are a traceback
		return &errcode.Error{Code: e.Code, Message: line + shown + e.Message[len(line):], Place: e.Place, Hint: hint, Cause: e.Cause}
	}
	place := "operator " + l.node.Name
	if r.Row != nil {
		if o := r.Row.Origin(0); o != nil && r.Row.Pos != nil {
			place += fmt.Sprintf(", source %s, split %s, position %d", o.Source, o.Split, r.Row.Pos[0])
		}
	} else if r.Timer != nil {
		place += fmt.Sprintf(", timer %s of key %s", r.Timer.Name, r.Timer.Key)
	}
	return ErrRejected.Errorf("a record was rejected%s", shown).At("%s", place).Because(r.Cause).Do("%s", hint)
}
