package trial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/plan"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/sandbox"
	"github.com/tidemill/tidemill/runtime/state"
)

// Trial is an operator and what it is to be run on.
type Trial struct {
	Plan    *plan.Plan // sources and one operator, which is the last node
	Backend state.Factory
	Log     *slog.Logger
	// Step is how far processing time moves after each record; it begins at Start.
	Start time.Time
	Step  time.Duration
	// RecordsMax ends the input early; 0 = never.
	RecordsMax int64
	// Note is told of each step.
	Note func(Step)
}

// Summary counts what happened.
type Summary struct {
	Operator string           `json:"operator"`
	Records  int64            `json:"records"`
	Bad      int64            `json:"bad"`
	Late     int64            `json:"late"`
	Rejected int64            `json:"rejected"`
	Emitted  map[string]int64 `json:"emitted"` // by port
	Fuel     int64            `json:"fuel"`
}

// Run runs a trial. What the operator rejects is noted, and it goes on with the next record; the error is one that no policy
// could take.
func (t *Trial) Run(ctx context.Context) (s *Summary, err error) {
	r, err := t.prepare(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.operator.Open(&r.context); err != nil {
		return nil, err
	}
	if err := r.records(ctx); err != nil {
		return nil, err
	}
	if err := r.end(); err != nil {
		return nil, err
	}
	r.summary.Fuel = r.context.Meter.Fuel.Load()
	return &r.summary, nil
}

// run is a trial under way.
type run struct {
	*Trial
	node     *plan.Node
	operator operator.Operator
	backend  state.Backend
	context  operator.Context
	inputs   []*input
	summary  Summary

	watermark int64
	now       int64 // us
}

func (t *Trial) prepare(ctx context.Context) (*run, error) {
	node := t.Plan.Nodes[len(t.Plan.Nodes)-1]
	r := &run{Trial: t, node: node, watermark: record.WatermarkNone, now: t.Start.UnixMicro(),
		summary: Summary{Operator: node.Name, Emitted: map[string]int64{}}}
	r.operator = sandbox.New(node.Operator.Guest())
	r.context = operator.Context{
		Job: t.Plan.Job, Operator: node.Name, Parallelism: 1, MaxParallelism: t.Plan.MaxParallelism, Inputs: node.Inputs, Key: node.Operator.Key,
		Outputs: node.Outputs, Params: node.Operator.Params, Watermark: r.watermark, Now: func() int64 { return r.now },
		Emit: r.emit, Reject: r.reject, Log: t.Log, Meter: &operator.Meter{},
	}
	if len(node.Operator.Key) > 0 {
		b, err := t.Backend.New(state.Options{KeyFields: node.Operator.Key, StateBytesMax: node.Operator.States.StateBytesMax})
		if err != nil {
			return nil, err
		}
		r.backend = &traced{Backend: b, key: node.Operator.Key, note: t.Note}
		r.context.State = r.backend
	}
	for _, e := range t.Plan.Edges {
		if e.To != node.ID {
			continue
		}
		in, err := openInput(ctx, t.Plan.Nodes[e.From], e.ToPort)
		if err != nil {
			return nil, errors.Join(err, r.close())
		}
		r.inputs = append(r.inputs, in)
	}
	return r, nil
}

func (r *run) close() error {
	errs := []error{r.operator.Close()}
	for _, in := range r.inputs {
		errs = append(errs, in.close())
	}
	if r.backend != nil {
		errs = append(errs, r.backend.Close())
	}
	return errors.Join(errs...)
}

func (r *run) emit(port int, b *record.Batch) {
	name := r.node.Outputs[port].Port
	for i := range b.Rows {
		r.summary.Emitted[name]++
		r.Note(Step{Kind: "emit", Port: name, Value: operator.AppendRowJSON(nil, b, i)})
	}
}

func (r *run) reject(rejection *operator.Rejection) error {
	r.summary.Rejected++
	r.Note(Step{Kind: "reject", Text: rejection.Cause.Error()})
	return nil
}

// records takes one record of each input in turn until all have ended.
func (r *run) records(ctx context.Context) error {
	for left := len(r.inputs); left > 0; {
		left = 0
		for _, in := range r.inputs {
			if r.RecordsMax > 0 && r.summary.Records >= r.RecordsMax {
				return nil
			}
			b, bad, err := in.next(ctx)
			if err == io.EOF {
				continue
			}
			if err != nil {
				return err
			}
			left++
			for i := range bad {
				r.summary.Bad++
				r.Note(Step{Kind: "bad", Port: r.node.Inputs[in.port].Port, At: &bad[i].At, Text: bad[i].Reason.Error()})
			}
			if b.Rows == 0 {
				continue
			}
			if err := r.record(in, b); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *run) record(in *input, b *record.Batch) error {
	r.summary.Records++
	step := Step{Kind: "record", Port: r.node.Inputs[in.port].Port, Split: in.splits[in.at].ID, At: &b.Pos[0], Value: operator.AppendRowJSON(nil, b, 0)}
	if b.EventTime != nil && b.EventTime[0] <= r.watermark {
		step.Late = true
		r.summary.Late++
	}
	r.Note(step)
	if err := r.operator.Process(in.port, b); err != nil {
		return err
	}
	if r.Step > 0 {
		r.now += r.Step.Microseconds()
		r.Note(Step{Kind: "tick", Time: instant(r.now)})
		if err := r.operator.Tick(r.now); err != nil {
			return err
		}
	}
	w := record.WatermarkEnd
	for _, other := range r.inputs {
		w = min(w, other.watermark)
	}
	return r.advance(w)
}

func (r *run) advance(w int64) error {
	if w <= r.watermark {
		return nil
	}
	r.watermark = w
	r.Note(Step{Kind: "watermark", Time: instant(w)})
	return r.operator.Advance(w)
}

func (r *run) end() error {
	if err := r.advance(record.WatermarkEnd); err != nil {
		return err
	}
	r.Note(Step{Kind: "end"})
	return r.operator.End()
}

// input reads the splits of one source, one after the other.
type input struct {
	source    *plan.Source
	schema    *record.Schema
	name      string
	port      int
	splits    []connectors.Split
	at        int // split under way
	reader    connectors.Reader
	origin    *record.Origin
	watermark int64
}

func openInput(ctx context.Context, n *plan.Node, port int) (*input, error) {
	if n.Source == nil {
		return nil, fmt.Errorf("%s is not a source", n.Name)
	}
	in := &input{source: n.Source, schema: n.Outputs[0].Schema, name: n.Name, port: port, watermark: record.WatermarkNone}
	enumerator, err := n.Source.Connector.Enumerator(ctx, nil)
	if err != nil {
		return nil, err
	}
	in.splits, _, err = enumerator.Discover(ctx) // what is there now: a trial does not wait for more
	return in, errors.Join(err, enumerator.Close())
}

func (in *input) close() error {
	if in.reader == nil {
		return nil
	}
	return in.reader.Close()
}

// next returns a batch of one record, or of none where there were only bad ones; io.EOF ends the input.
func (in *input) next(ctx context.Context) (*record.Batch, []connectors.BadRecord, error) {
	for in.at < len(in.splits) {
		if in.reader == nil {
			reader, err := in.source.Connector.Open(ctx, in.splits[in.at], record.Position{})
			if err != nil {
				return nil, nil, err
			}
			in.reader, in.origin = reader, &record.Origin{Source: in.name, Split: in.splits[in.at].ID}
		}
		b := record.NewBatch(in.schema, 1)
		var bad []connectors.BadRecord
		err := in.reader.Next(ctx, b, 1, &bad)
		if b.Rows > 0 || len(bad) > 0 {
			return in.timed(b, bad)
		}
		if err != nil && err != io.EOF && !errors.Is(err, connectors.ErrIdle) {
			return nil, nil, err
		}
		if err != nil {
			closing := in.reader.Close()
			in.reader, in.at = nil, in.at+1
			if closing != nil {
				return nil, nil, closing
			}
		}
	}
	in.watermark = record.WatermarkEnd
	return nil, nil, io.EOF
}

const dayUs = 24 * 60 * 60 * 1_000_000

// timed gives the record its event time, as a source does, and moves the input's watermark.
func (in *input) timed(b *record.Batch, bad []connectors.BadRecord) (*record.Batch, []connectors.BadRecord, error) {
	et := in.source.EventTime
	if b.Rows == 0 || et == nil {
		return b, bad, nil
	}
	b.Runs = []record.Run{{Row: 0, Origin: in.origin}}
	c := &b.Columns[et.Column]
	if c.Null(0) {
		bad = append(bad, connectors.BadRecord{At: b.Pos[0], Reason: fmt.Errorf("column %s, its event time, is null", in.schema.Fields[et.Column].Name)})
		return record.NewBatch(in.schema, 0), bad, nil
	}
	us := c.Int(0)
	if c.Type == record.Date32 {
		us *= dayUs
	}
	b.EventTime = []int64{us}
	if back := et.OutOfOrderness.Microseconds() + 1; us > record.WatermarkNone+back {
		in.watermark = max(in.watermark, min(us-back, record.WatermarkEnd-1))
	}
	return b, bad, nil
}
