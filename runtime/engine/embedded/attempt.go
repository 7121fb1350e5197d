package embedded

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/internal/clock"
	"github.com/tidemill/tidemill/runtime/checkpoint"
	"github.com/tidemill/tidemill/runtime/engine"
	"github.com/tidemill/tidemill/runtime/exchange"
	"github.com/tidemill/tidemill/runtime/plan"
	"github.com/tidemill/tidemill/runtime/sink"
	"github.com/tidemill/tidemill/runtime/source"
	"github.com/tidemill/tidemill/runtime/task"
	"github.com/tidemill/tidemill/runtime/telemetry"
)

// attempt is one life of a job, from a restore to its end or failure.
type attempt struct {
	job        *job
	recovery   *checkpoint.Recovery
	publishers map[string]*sink.Publisher

	taskOf   []int // task of each node
	tasks    [][]*subtask
	subtasks []*subtask
	sources  []*origin

	ctx    context.Context // ends the attempt
	cancel context.CancelFunc
	group  sync.WaitGroup
	inputs chan any // of the loop: checkpoint.Input, acknowledged, failed

	barrier     atomic.Pointer[checkpoint.InjectBarrier] // of the checkpoint in flight
	coordinator *checkpoint.Coordinator
	work        chan checkpoint.Command
}

// input hands something to the loop, or drops it where the attempt has ended.
func (a *attempt) input(in any) {
	select {
	case a.inputs <- in:
	case <-a.ctx.Done():
	}
}

// goes runs f beside the loop; its error fails the attempt.
func (a *attempt) goes(f func() error) {
	a.group.Go(func() {
		defer func() {
			if r := recover(); r != nil {
				a.job.engine.Log.Error("a goroutine of the engine panicked", "panic", r, "stack", string(debug.Stack()))
				a.input(failed{task.ErrPanic.Errorf("the engine panicked: %v", r).Do("this is a defect: the log has the stack; report it")})
			}
		}()
		if err := f(); err != nil {
			a.input(failed{err})
		}
	})
}

// run runs the attempt to its end and frees it.
func (a *attempt) run(ctx context.Context) (engine.Outcome, error) {
	if a.finished() {
		return engine.AlreadyFinished, a.closePublishers()
	}
	a.ctx, a.cancel = context.WithCancel(ctx)
	a.work = make(chan checkpoint.Command, 16)
	a.coordinator = checkpoint.NewCoordinator(a.coordinatorOptions())
	a.start(a.ctx)
	a.goes(a.durableWork)
	outcome, err := a.loop()
	a.cancel()
	a.group.Wait()
	if closing := a.closePublishers(); err == nil && outcome != "" {
		err = closing
	}
	return outcome, err
}

// close frees an attempt that does not run, however far it was prepared.
func (a *attempt) close() error {
	errs := []error{a.closePublishers()}
	for _, s := range a.subtasks {
		if s.run != nil {
			errs = append(errs, s.run.Close())
		}
	}
	return errors.Join(errs...)
}

func (a *attempt) coordinatorOptions() checkpoint.Options {
	p := a.job.plan
	o := checkpoint.Options{
		Identity: a.identity(),
		Modules:  map[string]string{}, Parallelism: p.Parallelism, Interval: p.Checkpoint.Interval, Keep: p.Checkpoint.Keep,
	}
	for _, n := range p.Nodes {
		if n.Operator != nil && n.Operator.Module != nil {
			o.Modules[n.Name] = n.Operator.Module.Digest
		}
	}
	return o
}

// loop feeds the coordinator until the job ends. An empty outcome without an error: ctx has ended.
func (a *attempt) loop() (engine.Outcome, error) {
	c := a.job.engine.Clock
	if _, err := a.step(checkpoint.JobStarted{Now: c.Now(), Subtasks: a.participants(), Recovery: a.recovery}); err != nil {
		return "", err
	}
	timer := c.NewTimer(0)
	defer timer.Stop()
	stop := a.job.stop
	for {
		setTick(c, timer, a.coordinator)
		var in any
		select {
		case <-a.ctx.Done():
			return "", nil
		case <-stop:
			stop = nil
			in = checkpoint.StopRequested{}
		case <-timer.C():
			in = checkpoint.Tick{Now: c.Now()}
		case in = <-a.inputs:
		}
		var outcome engine.Outcome
		var err error
		switch in := in.(type) {
		case acknowledged:
			outcome, err = a.acknowledge(in)
		case failed:
			err = in.err
		case ended:
			outcome = in.outcome
		case checkpoint.Input:
			outcome, err = a.step(in)
		default:
			panic(fmt.Sprintf("embedded: input %T", in))
		}
		if outcome != "" || err != nil {
			return outcome, err
		}
	}
}

func setTick(c clock.Clock, timer clock.Timer, coordinator *checkpoint.Coordinator) {
	if at, wanted := coordinator.NextTick(); wanted {
		timer.Reset(max(at.Sub(c.Now()), 0))
	} else {
		timer.Stop()
	}
}

// participants are all subtasks, as the coordinator sees them.
func (a *attempt) participants() []checkpoint.Subtask {
	p := a.job.plan
	var list []checkpoint.Subtask
	for _, s := range a.subtasks {
		c := checkpoint.Subtask{ID: s.id, Source: s.gate == nil}
		for _, id := range s.task.Nodes {
			if n := p.Nodes[id]; n.Operator != nil && len(n.Operator.Key) > 0 {
				c.States = append(c.States, s.stateRange(n, p.MaxParallelism))
			}
		}
		list = append(list, c)
	}
	return list
}

// step gives the coordinator an input and carries out its commands.
func (a *attempt) step(in checkpoint.Input) (engine.Outcome, error) {
	for _, c := range a.coordinator.Step(in) {
		switch c := c.(type) {
		case checkpoint.InjectBarrier:
			a.inject(&c)
		case checkpoint.FailJob:
			a.job.options.Telemetry.Aborted()
			return "", c.Err
		default:
			select {
			case a.work <- c:
			case <-a.ctx.Done():
			}
		}
	}
	return "", nil
}

// inject sends a barrier into all sources. What assigners know is taken before any task passes it.
func (a *attempt) inject(b *checkpoint.InjectBarrier) {
	a.barrier.Store(b)
	for _, o := range a.sources {
		o.state, o.reported, o.acks = o.assigner.Snapshot(), nil, 0
	}
	barrier := exchange.Barrier{Checkpoint: b.Checkpoint, Last: b.Kind != checkpoint.Periodic}
	for _, s := range a.subtasks {
		if s.gate == nil {
			s.run.Trigger(barrier)
		}
	}
}

// acknowledge turns a task's snapshot into the coordinator's words.
func (a *attempt) acknowledge(in acknowledged) (engine.Outcome, error) {
	s := checkpoint.Snapshot{ProcessingTime: in.snapshot.ProcessingTime, States: in.states}
	for i, id := range in.from.task.Nodes {
		n := a.job.plan.Nodes[id]
		s.Watermarks = append(s.Watermarks, checkpoint.Watermark{Node: n.Name, Subtask: in.from.id.Index, Watermark: in.snapshot.Watermarks[i]})
		h := in.snapshot.Handovers[i]
		s.Committables = append(s.Committables, h.Committables...)
		if h.State != nil {
			s.Writers = append(s.Writers, checkpoint.Writer{Sink: n.Name, Subtask: in.from.id.Index, State: h.State})
		}
		if n.Source != nil {
			if err := a.addSplits(&s, n, in.snapshot.Splits); err != nil {
				return "", err
			}
		}
	}
	return a.step(checkpoint.Acknowledged{Checkpoint: in.snapshot.Checkpoint, Subtask: in.from.id, Snapshot: s})
}

// addSplits adds the splits of a source to the snapshot of the last of its subtasks to acknowledge.
func (a *attempt) addSplits(s *checkpoint.Snapshot, n *plan.Node, reported []source.Split) error {
	for _, o := range a.sources {
		if o.node != n {
			continue
		}
		o.reported = append(o.reported, reported...)
		if o.acks++; o.acks < o.subtasks {
			return nil
		}
		if err := o.state.Merge(o.reported); err != nil {
			return fmt.Errorf("source %s: %w", n.Name, err)
		}
		s.Enumerators = []checkpoint.Enumerator{{Source: n.Name, State: o.state.Enumerator, Done: o.state.Done}}
		for _, sp := range o.state.Splits {
			s.Splits = append(s.Splits, checkpoint.Split{Source: n.Name, Split: sp.Split, Position: sp.Position, Watermark: sp.Watermark,
				Subtask: sp.Subtask})
		}
	}
	return nil
}

// ended is the loop's input that ends it, from the worker: everything before it has been done.
type ended struct{ outcome engine.Outcome }

// durableWork carries out the commands that wait for a disk or a service, in their order.
func (a *attempt) durableWork() error {
	for {
		select {
		case <-a.ctx.Done():
			return nil
		case c := <-a.work:
			if err := a.do(c); err != nil {
				return err
			}
		}
	}
}

func (a *attempt) do(c checkpoint.Command) error {
	switch c := c.(type) {
	case checkpoint.WriteCheckpoint:
		digest, err := checkpoint.WriteManifest(a.job.store, c.Manifest)
		if err != nil {
			a.input(checkpoint.CheckpointFailed{Checkpoint: c.Manifest.Checkpoint, Err: err})
			return nil //nolint:nilerr // the coordinator fails the job with it
		}
		a.input(checkpoint.ManifestDurable{Checkpoint: c.Manifest.Checkpoint, Digest: digest})
	case checkpoint.Commit:
		if err := a.publish(c.Committables); err != nil {
			a.input(checkpoint.CheckpointFailed{Checkpoint: c.Checkpoint, Err: err})
			return nil //nolint:nilerr // the coordinator fails the job with it
		}
		a.input(checkpoint.CommitDone{Checkpoint: c.Checkpoint})
	case checkpoint.CheckpointComplete:
		a.completed(c)
	case checkpoint.Expire:
		if err := a.job.store.Delete(c.Manifests, c.Others); err != nil {
			a.job.engine.Log.Warn("old checkpoints could not be deleted; the next start tries again", "error", err)
		}
	case checkpoint.JobFinished:
		a.input(ended{engine.Finished})
	case checkpoint.JobStopped:
		a.input(ended{engine.Stopped})
	default:
		return fmt.Errorf("embedded: command %T", c)
	}
	return nil
}

// publish commits by sink, in the order of the committables.
func (a *attempt) publish(list []connectors.Committable) error {
	for len(list) > 0 {
		n := 1
		for n < len(list) && list[n].Sink == list[0].Sink {
			n++
		}
		p := a.publishers[list[0].Sink]
		if p == nil {
			return fmt.Errorf("committable of sink %q, which the plan does not have", list[0].Sink)
		}
		if err := p.Publish(a.ctx, list[:n]); err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

func (a *attempt) completed(c checkpoint.CheckpointComplete) {
	now := a.job.engine.Clock.Now()
	_, bytes := c.Manifest.Bytes()
	a.job.options.Telemetry.Completed(telemetry.Checkpoint{ID: c.Manifest.Checkpoint, At: now, Duration: now.Sub(c.Started), Bytes: bytes})
	a.job.result.Checkpoints++
	a.job.result.Last = c.Manifest.Checkpoint
	a.job.tell(engine.Completed{Manifest: c.Manifest, Duration: now.Sub(c.Started)})
}
