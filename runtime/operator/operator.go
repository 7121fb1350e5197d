// Package operator is the contract between a task and what runs in it: a guest module (package sandbox) or a native Go operator.
//
// A task owns the order of calls; an operator owns what one call does, its keyed state included. All methods of one operator
// are called from one goroutine, one at a time. The calls of a life are Open, then any order of Process, Advance, Tick and
// Barrier, then at the end of input Advance(record.WatermarkEnd) and End, and at last Close. Close may come at any time.
//
// What a call emits through the Context belongs to that call: the task forwards a watermark only after Advance has returned, so
// the output of a timer is not late downstream.
package operator

import (
	"log/slog"

	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
)

// Operator transforms batches. An error from any method but Open fails the job: errors of single records go to Context.Reject.
type Operator interface {
	Open(ctx *Context) error
	// Process takes all rows of a batch that arrived at an input port. The batch is shared: it is not changed.
	Process(port int, b *record.Batch) error
	// Advance moves event time to w, which is greater than before: fires due event timers in rounds, then runs the operator's
	// own callback.
	Advance(w int64) error
	// Tick moves processing time to now (us), which is not less than before, and fires due processing-time timers.
	Tick(now int64) error
	// End runs after Advance(record.WatermarkEnd). Pending processing-time timers never fire.
	End() error
	// Barrier is called at each checkpoint, before state is frozen: nothing may be held back after it.
	Barrier() error
	Close() error
}

// Input is a port as the plan resolved it.
type Input struct {
	Port      string
	Schema    *record.Schema
	Keys      []int  // key columns, in key order; empty where the port has no key
	EventTime string // the column the event time came from, where there still is one
}

// Output is a port as the operator's descriptor declared it.
type Output struct {
	Port   string
	Schema *record.Schema
}

// Context is an operator's view of the task. It is valid from Open to Close.
type Context struct {
	Job            string
	Operator       string // name in job.yaml
	Subtask        int
	Parallelism    int
	MaxParallelism int
	Inputs         []Input
	Key            []record.Field // the key columns, alike on every keyed port
	Outputs        []Output
	Params         map[string]any

	// State is the keyed state of the subtask, not yet declared; nil where no port has a key.
	State state.Backend
	// Watermark is the one in force at Open: record.WatermarkNone, or what a checkpoint restored.
	Watermark int64
	// Now is the current processing time in us; it never goes back.
	Now func() int64
	// Emit hands rows to an output port. It takes ownership and never blocks.
	Emit func(port int, b *record.Batch)
	// Room returns when those who receive what was emitted have room for more, or with an error when the task is to end; nil where
	// they always have.
	Room func() error
	// Reject treats one bad item by the job's policy: nil means that it was skipped or dead-lettered and the operator goes on
	// with the rest; an error fails the job and is returned as it is.
	Reject func(*Rejection) error
	Log    *slog.Logger
	Meter  *Meter
}

// WaitForRoom is for an operator that may emit much in one call, between its rounds of timers or parts of a batch, so that what
// queues before its receivers stays bounded (I8). Nothing else happens to the operator meanwhile.
func (c *Context) WaitForRoom() error {
	if c.Room == nil {
		return nil
	}
	return c.Room()
}

// Rejection is one item that an operator could not take.
type Rejection struct {
	Cause error         // coded, with the place
	Port  int           // input port of the row
	Row   *record.Batch // the host's full row, one row; nil for a timer
	Timer *Timer        // the timer; nil for a row
}

// Timer is a fired timer for people.
type Timer struct {
	Key    string // the key columns' values, formatted
	Name   string
	Domain state.Domain
	Time   int64 // us
	Tag    string
}
