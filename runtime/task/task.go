package task

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/tidemill/tidemill/internal/clock"
	"github.com/tidemill/tidemill/runtime/exchange"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/sink"
	"github.com/tidemill/tidemill/runtime/source"
	"github.com/tidemill/tidemill/runtime/state"
)

// Task is one subtask of a chain.
type Task struct {
	cfg     Config
	links   []*link
	source  *source.Subtask // nil where the input is cfg.Gate
	outputs []*exchange.Output
	keyed   []state.Backend

	mu       sync.Mutex
	commands []exchange.Barrier

	ctx     context.Context // of Run
	now     int64           // processing time, us; never goes back
	statsAt int64           // when state was last measured
	idle    bool
	failure error // of a node that a call under way has fed
	current *link // whose code runs, for a panic's place
	timer   clock.Timer
	writing sync.WaitGroup
	last    bool // the last barrier has passed: there is nothing more to do
}

// New returns a task that is not yet running. The task owns what the config holds.
func New(cfg Config) *Task {
	t := &Task{cfg: cfg, now: cfg.ProcessingTime}
	t.links = newLinks(t)
	for _, l := range t.links {
		t.outputs = append(t.outputs, l.exits...)
		if o := l.node.Operator; o != nil && o.State != nil {
			t.keyed = append(t.keyed, o.State)
		}
	}
	return t
}

// Trigger asks the task, whose first node is a source, to send a barrier. Safe for concurrent use.
func (t *Task) Trigger(b exchange.Barrier) {
	t.mu.Lock()
	t.commands = append(t.commands, b)
	t.mu.Unlock()
	t.cfg.Signal.Wake()
}

// Run opens the nodes and works until ctx ends, then closes them. It returns nil at the end of ctx and else the error that ended it.
func (t *Task) Run(ctx context.Context) (err error) {
	defer func() {
		t.writing.Wait()
		if closing := t.Close(); err == nil {
			err = closing
		}
		if ctx.Err() != nil && errors.Is(err, context.Canceled) {
			err = nil
		}
	}()
	defer func() {
		if r := recover(); r != nil {
			err = t.panicked(r)
		}
	}()
	t.ctx = ctx
	t.refreshTime()
	for _, l := range t.links {
		t.current = l
		if err := l.open(ctx); err != nil {
			return err
		}
	}
	if s := t.links[0].node.Source; s != nil {
		t.source = s.Open(t.links[0].badRecord)
	}
	t.tellRestored()
	t.timer = t.cfg.Clock.NewTimer(time.Hour)
	t.timer.Stop()
	for ctx.Err() == nil {
		worked, err := t.step(ctx)
		if err != nil {
			return err
		}
		if !worked {
			t.sleep(ctx)
		}
	}
	return nil
}

// tellRestored tells receivers the restored watermarks, of which they know nothing.
func (t *Task) tellRestored() {
	for _, l := range t.links {
		if l.watermark != record.WatermarkNone {
			l.send(exchange.Item{Kind: exchange.Watermark, Watermark: l.watermark})
		}
	}
	if t.source != nil && t.links[0].watermark == record.WatermarkEnd {
		t.cfg.Host.EndOfInput()
	}
}

func (t *Task) panicked(r any) error {
	place := ""
	if t.current != nil {
		place = t.current.node.Name
	}
	t.cfg.Log.Error("a node panicked", "node", place, "panic", r, "stack", string(debug.Stack()))
	return ErrPanic.Errorf("%s panicked: %v", place, r).At("node %s, subtask %d", place, t.cfg.Subtask).
		Do("this is a defect of native code, not of the job: the log has the stack; report it")
}

// Close frees all nodes of a task that does not run; Run ends with it. The first error counts.
func (t *Task) Close() error {
	var first error
	note := func(err error) {
		if first == nil {
			first = err
		}
	}
	if t.source != nil {
		t.source.Close()
	}
	if t.timer != nil {
		t.timer.Stop()
	}
	for _, l := range t.links {
		if l.op != nil {
			note(l.op.Close())
		}
		if l.writer != nil {
			note(l.writer.Close())
		}
	}
	for _, s := range t.keyed {
		note(s.Close())
	}
	return first
}

func (t *Task) refreshTime() {
	t.now = max(t.now, t.cfg.Clock.Now().UnixMicro())
}

// step does one piece of work; false where there is none now.
func (t *Task) step(ctx context.Context) (bool, error) {
	t.refreshTime()
	if b, ok := t.command(); ok {
		return true, t.barrier(ctx, b)
	}
	if t.last {
		return false, nil
	}
	if t.stalled() {
		t.links[len(t.links)-1].metrics.Stalled.Add(1)
		return false, nil
	}
	if fired, err := t.tick(); fired || err != nil {
		return true, err
	}
	it, ok, err := t.next()
	if !ok || err != nil {
		return false, err
	}
	return true, t.take(ctx, it)
}

// stalled says that a receiver has no credit; the signal is woken when it has.
func (t *Task) stalled() bool {
	for _, o := range t.outputs {
		if o.Full() {
			return true
		}
	}
	return false
}

// waitForRoom sleeps, in the middle of a call of an operator, until all receivers have credit.
func (t *Task) waitForRoom() error {
	for t.stalled() {
		t.links[len(t.links)-1].metrics.Stalled.Add(1)
		select {
		case <-t.cfg.Signal.C():
		case <-t.ctx.Done():
			return t.ctx.Err()
		}
	}
	return nil
}

func (t *Task) command() (exchange.Barrier, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.commands) == 0 {
		return exchange.Barrier{}, false
	}
	b := t.commands[0]
	t.commands = t.commands[1:]
	return b, true
}

func (t *Task) next() (exchange.Item, bool, error) {
	if t.source != nil {
		return t.source.Next()
	}
	it, ok := t.cfg.Gate.Next()
	t.links[0].metrics.QueueRows.Store(t.cfg.Gate.Rows())
	return it, ok, nil
}

// take does what an item asks for.
func (t *Task) take(ctx context.Context, it exchange.Item) error {
	first := t.links[0]
	switch it.Kind {
	case exchange.Batch:
		if t.source != nil {
			first.countLate(it.Batch)
			first.emit(0, it.Batch)
			return t.failure
		}
		return first.process(it.Port, it.Batch)
	case exchange.Watermark:
		return t.advance(it.Watermark)
	case exchange.Idle:
		t.idle = true
		for _, o := range t.outputs {
			o.Broadcast(it)
		}
		return nil
	case exchange.BarrierKind:
		return t.barrier(ctx, it.Barrier)
	}
	panic(fmt.Sprintf("task: item of kind %d", it.Kind))
}

// advance moves the chain to a watermark, node by node.
func (t *Task) advance(w int64) error {
	woke := t.idle
	t.idle = false
	for i, l := range t.links {
		at := w
		if i > 0 {
			at = record.WatermarkEnd
			for _, b := range l.before {
				at = min(at, b.watermark)
			}
		}
		before := l.watermark
		if err := l.advance(at); err != nil {
			return err
		}
		if l.watermark > before || woke || i == 0 {
			l.send(exchange.Item{Kind: exchange.Watermark, Watermark: l.watermark})
		}
	}
	if w == record.WatermarkEnd && t.source != nil {
		t.cfg.Host.EndOfInput()
	}
	t.measure()
	return nil
}

// stateMeasureInterval is the time between two looks at the size of state, us.
const stateMeasureInterval = 200_000

func (t *Task) measure() {
	if len(t.keyed) == 0 || t.now < t.statsAt {
		return
	}
	t.statsAt = t.now + stateMeasureInterval
	for _, l := range t.links {
		o := l.node.Operator
		if o == nil || o.State == nil {
			continue
		}
		s := o.State.Stats()
		l.metrics.Cells.Store(s.Cells)
		l.metrics.Timers.Store(s.Timers)
		l.metrics.StateBytes.Store(s.HotBytes)
		l.metrics.StoreBytes.Store(s.StoreBytes)
		l.metrics.StoreReads.Store(s.StoreReads)
		l.metrics.Expired.Store(s.Expired)
	}
}

// tick fires processing-time timers that are due.
func (t *Task) tick() (fired bool, err error) {
	if len(t.keyed) == 0 {
		return false, nil
	}
	for _, l := range t.links {
		o := l.node.Operator
		if o == nil || o.State == nil {
			continue
		}
		if at, any := o.State.NextTimer(state.ProcessingTime); any && at <= t.now && l.watermark != record.WatermarkEnd {
			fired = true
			t.current = l
			if err := l.op.Tick(t.now); err != nil {
				return true, err
			}
			if t.failure != nil {
				return true, t.failure
			}
		}
	}
	return fired, nil
}

// sleep waits for the signal, the end of ctx, or the next thing that is due by the clock.
func (t *Task) sleep(ctx context.Context) {
	at, any := t.due()
	if any {
		t.timer.Reset(max(at.Sub(t.cfg.Clock.Now()), 0))
	}
	select {
	case <-t.cfg.Signal.C():
	case <-ctx.Done():
	case <-t.timer.C():
	}
	if any {
		t.timer.Stop()
	}
}

// due is when the task has work without being woken. While it is stalled that is late: a receiver's credit wakes it.
func (t *Task) due() (at time.Time, any bool) {
	if t.last {
		return time.Time{}, false
	}
	if t.stalled() {
		return time.Time{}, false
	}
	if t.source != nil {
		at, any = t.source.Due()
	}
	for _, l := range t.links {
		o := l.node.Operator
		if o == nil || o.State == nil || l.watermark == record.WatermarkEnd {
			continue
		}
		if us, timers := o.State.NextTimer(state.ProcessingTime); timers {
			if when := time.UnixMicro(us); !any || when.Before(at) {
				at, any = when, true
			}
		}
	}
	return at, any
}

// barrier passes a barrier: everything before it is in the checkpoint and nothing after it.
func (t *Task) barrier(ctx context.Context, b exchange.Barrier) error {
	s := &Snapshot{Checkpoint: b.Checkpoint, ProcessingTime: t.now, Watermarks: make([]int64, len(t.links)),
		Handovers: make([]sink.Handover, len(t.links))}
	if t.source != nil {
		s.Splits = t.source.Snapshot()
		if b.Last {
			t.source.Stop()
		}
	}
	t.last = b.Last
	for _, l := range t.links {
		if l.op == nil {
			continue
		}
		t.current = l
		if err := l.op.Barrier(); err != nil {
			return err
		}
		if t.failure != nil {
			return t.failure
		}
	}
	for _, o := range t.outputs {
		o.Broadcast(exchange.Item{Kind: exchange.BarrierKind, Barrier: b})
	}
	frozen, err := t.freeze(b.Checkpoint)
	if err != nil {
		return err
	}
	for i, l := range t.links {
		s.Watermarks[i] = l.watermark
		if l.writer == nil {
			continue
		}
		t.current = l
		if s.Handovers[i], err = l.writer.Flush(ctx, b.Checkpoint, b.Last); err != nil {
			release(frozen)
			return err
		}
	}
	t.measure()
	t.writing.Go(func() {
		if err := write(b.Checkpoint, frozen); err != nil {
			t.cfg.Host.Refuse(b.Checkpoint, err)
			return
		}
		t.cfg.Host.Acknowledge(s)
	})
	return nil
}

// part is the frozen state of one operator.
type part struct {
	base   bool
	frozen state.Frozen
	writer StateWriter
}

func (t *Task) freeze(checkpoint uint64) ([]part, error) {
	var parts []part
	for _, l := range t.links {
		o := l.node.Operator
		if o == nil || o.State == nil {
			continue
		}
		base := o.StateWriter.WantsBase(checkpoint)
		f, err := o.State.Freeze(base)
		if err != nil {
			release(parts)
			return nil, err
		}
		parts = append(parts, part{base, f, o.StateWriter})
	}
	return parts, nil
}

func release(parts []part) {
	for _, p := range parts {
		_ = p.frozen.Close() // the task is failing for a reason of its own
	}
}

// write makes frozen state durable and closes it.
func write(checkpoint uint64, parts []part) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = ErrPanic.Errorf("writing state panicked: %v", r).Do("this is a defect: report it with this stack\n%s", debug.Stack())
		}
	}()
	for _, p := range parts {
		err = errors.Join(err, p.writer.Write(checkpoint, p.base, p.frozen), p.frozen.Close())
	}
	return err
}
