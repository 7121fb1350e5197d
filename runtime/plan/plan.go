// Package plan turns what the user wrote (package job) into what will run: resolved schemas, bound modules, chains of nodes and
// the exchanges between them. A Plan is complete: an engine needs nothing else but it and a checkpoint.
package plan

import (
	"time"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/sandbox"
)

// Plan is a job ready to run.
type Plan struct {
	Job            string
	Digest         string // sha256 of what decides the meaning of a checkpoint: nodes, ports, keys, schemas, not paths or rates
	Parallelism    int
	MaxParallelism int
	Checkpoint     Checkpoint
	Nodes          []*Node // in topological order; an id is an index
	Edges          []Edge
	Tasks          []Task // in topological order
	Warnings       []string
}

// Checkpoint says when and where.
type Checkpoint struct {
	Interval time.Duration
	Store    string // folder
	Keep     int
}

// Node is a source, an operator or a sink. Exactly one of the three is set.
type Node struct {
	ID          int
	Name        string // unique in the job
	Place       string // job.yaml line and column, for errors
	Parallelism int
	Inputs      []operator.Input  // none for a source, one for a sink
	Outputs     []operator.Output // one ("out") for a source, none for a sink
	OnError     OnError
	Source      *Source
	Operator    *Operator
	Sink        *Sink
}

// OnError is what happens to a record that cannot be taken.
type OnError struct {
	Policy Policy
	To     int // node id of the dead-letter sink, where Policy is DeadLetter
}

// Policy for bad records.
type Policy int

// The policies.
const (
	Fail Policy = iota
	Skip
	DeadLetter
)

// Source is a source node.
type Source struct {
	Kind      string // the connector's name
	Connector connectors.Source
	Rate      float64 // records a second over all splits, 0 = unlimited
	EventTime *EventTime
	// BatchDelay is a minimum gathering time; WatermarkInterval the least time between two watermarks of a subtask.
	BatchDelay        time.Duration
	WatermarkInterval time.Duration
	DiscoveryInterval time.Duration
}

// EventTime says how event time and watermarks come from records.
type EventTime struct {
	Column         int   // of the source's schema: timestamp, timestamp_tz, date32 or i64
	Unit           int64 // us that an i64 column counts in; 0 is 1
	OutOfOrderness time.Duration
	Idleness       time.Duration // 0 = never idle
}

// Operator is an operator node: a guest module, or a native Go operator.
type Operator struct {
	Module     *Module
	Native     func() operator.Operator // set by programs and benchmarks that bring their own operator; nil for a module
	Params     map[string]any
	Key        []record.Field // empty where not keyed
	States     StateOptions
	Descriptor *abi.Descriptor
	Binding    *abi.Binding // the descriptor, resolved
	Limits     Limits
}

// Module is a validated, metered and compiled guest.
type Module struct {
	Path     string
	Digest   string // sha256 of the original, hex
	Guest    sandbox.Module
	Describe *abi.Description
	Entry    string
}

// StateOptions choose and limit the back-end of an operator's state.
type StateOptions struct {
	Backend       string // memory, badger
	HotBytesMax   int64
	StateBytesMax int64
}

// Limits of an operator.
type Limits struct {
	MemoryBytesMax  int64
	FuelBase        int64 // units a frame may use, plus
	FuelPerItem     int64 // so many for each item
	TrapsPerMinute  int
	RecycleInstance bool // open a new instance at every barrier
}

// Sink is a sink node.
type Sink struct {
	Kind      string // the connector's name
	Connector connectors.Sink
}

// Edge carries the output of a node's port to the input port of another.
type Edge struct {
	From, FromPort int
	To, ToPort     int
	Ship           Ship
	Keys           []int // columns, where Ship is Hash
}

// Ship says how rows choose a subtask of the receiving node.
type Ship int

// Ways to ship. Pin and Rebalance differ in the order that they keep: a split is read by one subtask, so batches that always go to
// the same receiver stay in the split's order (I5). Plans use Rebalance only where no key comes after.
const (
	Forward   Ship = iota // subtask i to subtask i, chained into one task
	Hash                  // by key group
	Rebalance             // round robin by batch
	Pin                   // subtask i to subtask i mod the receiver's parallelism
)

// String names the way in plans that people read.
func (s Ship) String() string { return [...]string{"forward", "hash", "rebalance", "pin"}[s] }

// Task is a chain of nodes that runs as one goroutine a subtask.
type Task struct {
	Nodes       []int // in order; the first is a source or has Hash or Rebalance inputs, the rest have Forward inputs from within
	Parallelism int
}
