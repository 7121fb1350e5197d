package embedded

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/tidemill/tidemill/internal/clock"
	"github.com/tidemill/tidemill/internal/vfs"
	"github.com/tidemill/tidemill/runtime/checkpoint"
	"github.com/tidemill/tidemill/runtime/checkpoint/store/dir"
	"github.com/tidemill/tidemill/runtime/engine"
	"github.com/tidemill/tidemill/runtime/plan"
	"github.com/tidemill/tidemill/runtime/sink"
	"github.com/tidemill/tidemill/runtime/state"
	"github.com/tidemill/tidemill/runtime/telemetry"
)

// Engine runs jobs in this process. It is safe for concurrent use.
type Engine struct {
	Clock clock.Clock
	FS    vfs.FS
	Log   *slog.Logger
	// Backends are the state back-ends by name (plan.StateOptions).
	Backends map[string]state.Factory
	// WorkDir is a folder for what back-ends keep on disk; its content is disposable. Each job uses a folder of its own in it.
	WorkDir string
}

var _ engine.Engine = (*Engine)(nil)

// The pause before a restart doubles from the first to the greatest.
const (
	restartPauseFirst = 100 * time.Millisecond
	restartPauseMax   = 10 * time.Second
)

// job is a deployed job.
type job struct {
	engine  *Engine
	plan    *plan.Plan
	options engine.Options
	store   checkpoint.Store
	started time.Time
	stop    chan struct{} // closed by Stop
	stopped sync.Once
	done    chan struct{}
	notify  sync.Mutex

	result engine.Result
	err    error
}

// Deploy implements engine.Engine.
func (e *Engine) Deploy(ctx context.Context, p *plan.Plan, o engine.Options) (engine.Job, error) {
	if o.Telemetry == nil {
		o.Telemetry = telemetry.NewJob(p.Job)
	}
	store, err := dir.Open(e.FS, p.Checkpoint.Store)
	if err != nil {
		return nil, err
	}
	j := &job{engine: e, plan: p, options: o, store: store, started: e.Clock.Now(), stop: make(chan struct{}), done: make(chan struct{})}
	a, err := j.prepare(ctx, o.Fresh)
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	j.result.Restored, j.result.Skipped = a.recovery.Restored, a.recovery.Skipped
	go j.run(ctx, a)
	return j, nil
}

// Stop implements engine.Job.
func (j *job) Stop() { j.stopped.Do(func() { close(j.stop) }) }

// Wait implements engine.Job.
func (j *job) Wait() (*engine.Result, error) {
	<-j.done
	return &j.result, j.err
}

func (j *job) tell(e engine.Event) {
	if j.options.Notify == nil {
		return
	}
	j.notify.Lock()
	defer j.notify.Unlock()
	j.options.Notify(e)
}

// run makes attempts until the job ends.
func (j *job) run(ctx context.Context, a *attempt) {
	defer close(j.done)
	outcome, err := a.run(ctx)
	for pause := restartPauseFirst; err != nil && ctx.Err() == nil && j.result.Restarts < j.options.Restarts; {
		j.result.Restarts++
		j.options.Telemetry.Restarts.Add(1)
		j.tell(engine.Restarting{Err: err, Restart: j.result.Restarts, Pause: pause})
		if !j.pause(ctx, pause) {
			break
		}
		pause = min(2*pause, restartPauseMax)
		if a, err = j.prepare(ctx, false); err == nil {
			outcome, err = a.run(ctx)
		}
	}
	if err == nil && outcome == "" || ctx.Err() != nil && err != nil {
		err = ctx.Err()
	}
	if err != nil {
		outcome = engine.Failed
	}
	if closing := j.store.Close(); err == nil && closing != nil {
		err = closing
	}
	j.result.Outcome, j.err = outcome, err
	j.result.Elapsed = j.engine.Clock.Now().Sub(j.started)
	j.result.Counters = j.options.Telemetry.Snapshot()
}

// pause waits before a restart; a request to stop or the end of ctx ends the job instead.
func (j *job) pause(ctx context.Context, d time.Duration) bool {
	timer := j.engine.Clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C():
		return true
	case <-j.stop:
	case <-ctx.Done():
	}
	return false
}

// prepare restores and builds an attempt.
func (j *job) prepare(ctx context.Context, fresh bool) (*attempt, error) {
	a := &attempt{job: j, inputs: make(chan any, 64), publishers: map[string]*sink.Publisher{}}
	err := a.openPublishers(ctx)
	if err == nil {
		err = a.recover(ctx, fresh)
	}
	if err == nil && !a.finished() {
		err = a.build()
	}
	if err != nil {
		return nil, errors.Join(err, a.close())
	}
	return a, nil
}
