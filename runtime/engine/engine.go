// Package engine is the seam between whoever runs jobs and what runs them.
//
// An Engine takes a plan, brings it up from the newest whole checkpoint of its store, and runs it until its input ends, it is
// stopped, or it fails. engine/embedded runs it in this process; enginetest is the suite that defines an engine.
package engine

import (
	"context"
	"time"

	"github.com/tidemill/tidemill/runtime/checkpoint"
	"github.com/tidemill/tidemill/runtime/plan"
	"github.com/tidemill/tidemill/runtime/telemetry"
)

// Engine runs plans.
type Engine interface {
	// Deploy starts a job and returns when it has been restored, or with a coded error. The job ends abruptly with ctx, as if the
	// process were killed: nothing is flushed, and the last checkpoint is what remains. A plan runs once at a time.
	Deploy(ctx context.Context, p *plan.Plan, o Options) (Job, error)
}

// Job is a deployed job. Its methods are safe for concurrent use.
type Job interface {
	// Stop asks the sources to stop, then takes a last checkpoint and publishes it, without an end of input. It does not wait.
	Stop()
	// Wait returns when the job has ended and all of it has been freed. The error is coded, or that of ctx; the result is never nil.
	Wait() (*Result, error)
}

// Options of one deployment.
type Options struct {
	// Fresh sets the checkpoints of the store aside and begins at the beginning.
	Fresh bool
	// AllowUndeclared goes on from a checkpoint that has state or timers which the operators no longer declare: they are kept in
	// the checkpoints and otherwise unused.
	AllowUndeclared bool
	// Restarts is how often a failed job is restored from its newest checkpoint, after a growing pause.
	Restarts int
	// Telemetry counts; nil where nobody looks.
	Telemetry *telemetry.Job
	// Notify is told of what happens, one call at a time; it returns soon. nil where nobody listens.
	Notify func(Event)
}

// Event is something worth a line.
type Event interface{ event() }

// Skipped says that a checkpoint newer than the one restored is not whole (I4).
type Skipped struct{ checkpoint.Skipped }

// Restored says that the job goes on from a checkpoint.
type Restored struct{ Manifest *checkpoint.Manifest }

// Completed says that a checkpoint is durable and published.
type Completed struct {
	Manifest *checkpoint.Manifest
	Duration time.Duration // from its barrier to the end of the commit
}

// Restarting says that the job failed and will be restored after a pause.
type Restarting struct {
	Err     error
	Restart int // from 1
	Pause   time.Duration
}

func (Skipped) event()    {}
func (Restored) event()   {}
func (Completed) event()  {}
func (Restarting) event() {}

// Outcome is how a job ended.
type Outcome string

// The outcomes.
const (
	Finished        Outcome = "finished"         // the input ended and everything is published
	Stopped         Outcome = "stopped"          // on request; the store has everything to go on with
	AlreadyFinished Outcome = "already finished" // the store says so; nothing ran
	Failed          Outcome = "failed"
)

// Result says what a job did.
type Result struct {
	Outcome     Outcome
	Restored    *checkpoint.Manifest // what the deployment went on from at first; nil: from the beginning
	Skipped     []checkpoint.Skipped // newer ones that are not whole
	Checkpoints int                  // completed
	Last        uint64               // the last one completed or restored; 0: none
	Restarts    int
	Elapsed     time.Duration
	Counters    *telemetry.Snapshot
}
