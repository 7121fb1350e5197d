package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strconv"
	"sync"

	"github.com/tidemill/tidemill/internal/vfs"
	"github.com/tidemill/tidemill/runtime/checkpoint"
	"github.com/tidemill/tidemill/runtime/exchange"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/plan"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/sandbox"
	"github.com/tidemill/tidemill/runtime/source"
	"github.com/tidemill/tidemill/runtime/state"
	"github.com/tidemill/tidemill/runtime/task"
	"github.com/tidemill/tidemill/runtime/telemetry"
)

// subtask is one subtask of a task of the plan.
type subtask struct {
	id     checkpoint.SubtaskID
	task   *plan.Task
	signal *exchange.Signal
	gate   *exchange.Gate // nil where the first node is a source
	host   *host
	run    *task.Task
}

// origin is a source of the plan.
type origin struct {
	node     *plan.Node
	config   *source.Config
	assigner *source.Assigner
	subtasks int

	// Of the checkpoint in flight, used by the loop.
	state    source.State
	reported []source.Split
	acks     int
}

// build makes all tasks, restored and wired, and does not start them.
func (a *attempt) build() error {
	p := a.job.plan
	for _, n := range p.Nodes {
		a.metrics(n) // in the order of the plan
	}
	a.taskOf = make([]int, len(p.Nodes))
	a.tasks = make([][]*subtask, len(p.Tasks))
	for t := range p.Tasks {
		for _, node := range p.Tasks[t].Nodes {
			a.taskOf[node] = t
		}
		for i := range p.Tasks[t].Parallelism {
			s := &subtask{id: checkpoint.SubtaskID{Task: t, Index: i}, task: &p.Tasks[t], signal: exchange.NewSignal()}
			s.host = &host{attempt: a, subtask: s}
			if p.Nodes[p.Tasks[t].Nodes[0]].Source == nil {
				s.gate = exchange.NewGate(s.signal)
			}
			a.tasks[t] = append(a.tasks[t], s)
			a.subtasks = append(a.subtasks, s)
		}
	}
	for _, n := range p.Nodes {
		if n.Source != nil {
			a.sources = append(a.sources, a.origin(n))
		}
	}
	routes, err := a.wire()
	if err != nil {
		return err
	}
	return a.makeTasks(routes)
}

// origin makes the job-wide part of a source.
func (a *attempt) origin(n *plan.Node) *origin {
	e := a.job.engine
	c := &source.Config{
		Name: n.Name, Connector: n.Source.Connector, Schema: n.Outputs[0].Schema, Parallelism: n.Parallelism,
		BatchDelay: n.Source.BatchDelay, WatermarkInterval: n.Source.WatermarkInterval, DiscoveryInterval: n.Source.DiscoveryInterval,
		Clock: e.Clock, Log: e.Log, Metrics: a.metrics(n),
	}
	if et := n.Source.EventTime; et != nil {
		c.EventTime = &source.EventTime{Column: et.Column, Unit: et.Unit, OutOfOrderness: et.OutOfOrderness, Idleness: et.Idleness}
	}
	if n.Source.Rate > 0 {
		c.Rate = source.NewRate(e.Clock, n.Source.Rate)
	}
	signals := make([]*exchange.Signal, n.Parallelism)
	for i, s := range a.tasks[a.taskOf[n.ID]] {
		signals[i] = s.signal
	}
	restored, parallelism := a.restoredSource(n.Name)
	return &origin{node: n, config: c, subtasks: n.Parallelism,
		assigner: source.NewAssigner(c, signals, restored, parallelism)}
}

// wire connects nodes: routes[node][subtask].
func (a *attempt) wire() ([][][]task.Route, error) {
	p := a.job.plan
	routes := make([][][]task.Route, len(p.Nodes))
	for i, n := range p.Nodes {
		routes[i] = make([][]task.Route, n.Parallelism)
	}
	for _, e := range p.Edges {
		from, to := a.taskOf[e.From], a.taskOf[e.To]
		for i, sender := range a.tasks[from] {
			r := task.Route{Port: e.FromPort, ToPort: e.ToPort}
			switch {
			case from == to:
				r.To = place(p.Tasks[to].Nodes, e.To)
			case p.Tasks[to].Nodes[0] != e.To || a.tasks[to][0].gate == nil:
				return nil, fmt.Errorf("edge from %s leads into the middle of a task, to %s", p.Nodes[e.From].Name, p.Nodes[e.To].Name)
			default:
				queues := make([]*exchange.Queue, len(a.tasks[to]))
				for k, receiver := range a.tasks[to] {
					queues[k] = receiver.gate.Add(e.ToPort, sender.signal)
				}
				switch e.Ship {
				case plan.Hash:
					r.Output = exchange.NewHash(queues, e.Keys, p.MaxParallelism)
				case plan.Rebalance:
					r.Output = exchange.NewRebalance(queues, i)
				case plan.Pin:
					r.Output = exchange.NewPin(queues, i%len(queues))
				default:
					return nil, fmt.Errorf("edge from %s to %s ships %v between two tasks", p.Nodes[e.From].Name, p.Nodes[e.To].Name, e.Ship)
				}
			}
			routes[e.From][i] = append(routes[e.From][i], r)
		}
	}
	return routes, nil
}

func place(nodes []int, id int) int {
	for i, n := range nodes {
		if n == id {
			return i
		}
	}
	return -1
}

// makeTasks restores the state of all subtasks, several at a time, and makes their tasks.
func (a *attempt) makeTasks(routes [][][]task.Route) error {
	errs := make([]error, len(a.subtasks))
	free := make(chan struct{}, runtime.GOMAXPROCS(0))
	var group sync.WaitGroup
	for i, s := range a.subtasks {
		group.Go(func() {
			free <- struct{}{}
			defer func() { <-free }()
			errs[i] = a.makeTask(s, routes)
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

func (a *attempt) metrics(n *plan.Node) *telemetry.Node {
	kind := telemetry.Operator
	switch {
	case n.Source != nil:
		kind = telemetry.Source
	case n.Sink != nil:
		kind = telemetry.Sink
	}
	return a.job.options.Telemetry.Node(n.Name, kind, n.Parallelism)
}

func (a *attempt) makeTask(s *subtask, routes [][][]task.Route) error {
	p, e := a.job.plan, a.job.engine
	config := task.Config{
		Job: p.Job, Subtask: s.id.Index, Parallelism: s.task.Parallelism, MaxParallelism: p.MaxParallelism, Signal: s.signal,
		Gate: s.gate, Host: s.host, Clock: e.Clock, Log: e.Log.With(slog.String("job", p.Job)),
	}
	if m := a.recovery.Restored; m != nil {
		config.ProcessingTime = m.ProcessingTime
	}
	var made []state.Backend
	for _, id := range s.task.Nodes {
		n := p.Nodes[id]
		t := task.Node{Name: n.Name, Place: n.Place, OnError: task.Policy(n.OnError.Policy), Routes: routes[id][s.id.Index],
			Watermark: a.restoredWatermark(n.Name, s.id.Index, n.Parallelism), Metrics: a.metrics(n).Subtasks[s.id.Index]}
		switch {
		case n.Source != nil:
			t.Source = a.sourceNode(n, s, t.Watermark)
		case n.Sink != nil:
			t.Sink = &task.Sink{Connector: n.Sink.Connector, Schema: n.Inputs[0].Schema, States: a.restoredWriters(n.Name, s.id.Index, n.Parallelism)}
		default:
			o, err := a.operatorNode(n, s)
			if err != nil {
				for _, b := range made {
					err = errors.Join(err, b.Close())
				}
				return err
			}
			if o.State != nil {
				made = append(made, o.State)
			}
			t.Operator = o
		}
		config.Nodes = append(config.Nodes, t)
	}
	s.run = task.New(config)
	return nil
}

func (a *attempt) sourceNode(n *plan.Node, s *subtask, watermark int64) *task.Source {
	var o *origin
	for _, known := range a.sources {
		if known.node == n {
			o = known
		}
	}
	return &task.Source{Open: func(reject source.Reject) *source.Subtask {
		return source.NewSubtask(a.ctx, o.config, s.id.Index, o.assigner, s.signal, watermark, reject)
	}}
}

func (a *attempt) operatorNode(n *plan.Node, s *subtask) (*task.Operator, error) {
	o := &task.Operator{New: n.Operator.Native, Inputs: n.Inputs, Outputs: n.Outputs, Key: n.Operator.Key, Params: n.Operator.Params}
	if o.New == nil {
		guest := n.Operator.Guest()
		o.New = func() operator.Operator { return sandbox.New(guest) }
	}
	if len(n.Operator.Key) == 0 {
		return o, nil
	}
	b, err := a.backend(n, s)
	if err != nil {
		return nil, err
	}
	o.State = b
	o.StateWriter = &stateWriter{host: s.host, of: s.stateRange(n, a.job.plan.MaxParallelism)}
	return o, nil
}

func (s *subtask) stateRange(n *plan.Node, maxParallelism int) checkpoint.StateRange {
	first, end := record.GroupRange(s.id.Index, n.Parallelism, maxParallelism)
	return checkpoint.StateRange{Node: n.Name, Groups: [2]int{first, end}}
}

// backend makes the state of a subtask of an operator and restores it.
func (a *attempt) backend(n *plan.Node, s *subtask) (state.Backend, error) {
	e, so := a.job.engine, n.Operator.States
	factory, known := e.Backends[so.Backend]
	if !known {
		return nil, fmt.Errorf("operator %s: no state back-end %q", n.Name, so.Backend)
	}
	b, err := factory.New(state.Options{
		Dir:         vfs.Join(e.WorkDir, a.job.plan.Job, n.Name+"-"+strconv.Itoa(s.id.Index)),
		HotBytesMax: so.HotBytesMax, StateBytesMax: so.StateBytesMax, KeyFields: n.Operator.Key,
		AllowUndeclared: a.job.options.AllowUndeclared,
	})
	if err != nil {
		return nil, fmt.Errorf("opening the state of %s: %w", n.Name, err)
	}
	if m := a.recovery.Restored; m != nil {
		if err := checkpoint.RestoreState(a.job.store, m, n.Name, s.stateRange(n, m.MaxParallelism).Groups, b); err != nil {
			return nil, errors.Join(err, b.Close())
		}
	}
	return b, nil
}

// start runs everything that has been built.
func (a *attempt) start(ctx context.Context) {
	for _, o := range a.sources {
		a.goes(func() error { return o.assigner.Run(ctx) })
	}
	for _, s := range a.subtasks {
		a.goes(func() error { return s.run.Run(ctx) })
	}
}
