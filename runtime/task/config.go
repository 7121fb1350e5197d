package task

import (
	"log/slog"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/internal/clock"
	"github.com/tidemill/tidemill/runtime/exchange"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/sink"
	"github.com/tidemill/tidemill/runtime/source"
	"github.com/tidemill/tidemill/runtime/state"
	"github.com/tidemill/tidemill/runtime/telemetry"
)

// Config is what a task runs.
type Config struct {
	Job            string
	Subtask        int
	Parallelism    int
	MaxParallelism int

	// Signal wakes the task; Gate and the outputs of its nodes share it.
	Signal *exchange.Signal
	// Gate is the input; nil where the first node is a source.
	Gate *exchange.Gate
	// Nodes in topological order.
	Nodes []Node
	// ProcessingTime restored, us; 0 where there is none.
	ProcessingTime int64

	Host  Host
	Clock clock.Clock
	Log   *slog.Logger
}

// Node is a node of the chain. One of Source, Operator and Sink is set; a source is the first.
type Node struct {
	Name     string
	Place    string // for errors: line and column of job.yaml
	OnError  Policy
	Source   *Source
	Operator *Operator
	Sink     *Sink
	Routes   []Route
	// Watermark restored, or record.WatermarkNone.
	Watermark int64
	Metrics   *telemetry.Subtask
}

// Policy for rejected records.
type Policy int

// The policies. Dead letters go to the routes of operator.DeadLetterPort.
const (
	Fail Policy = iota
	Skip
	DeadLetter
)

// Source is a source node. Open is called once, on the task's goroutine.
type Source struct {
	Open func(reject source.Reject) *source.Subtask
}

// Operator is an operator node.
type Operator struct {
	New     func() operator.Operator
	Inputs  []operator.Input
	Outputs []operator.Output
	Key     []record.Field
	Params  map[string]any
	// State is restored and not yet declared; nil where the operator has no key. The task closes it.
	State state.Backend
	// StateWriter is set where State is.
	StateWriter StateWriter
}

// Sink is a sink node.
type Sink struct {
	Connector connectors.Sink
	Schema    *record.Schema
	States    [][]byte // of the writer, restored
}

// Route takes what leaves a port to another node of the chain, or into an exchange.
type Route struct {
	Port   int
	Output *exchange.Output // nil: chained
	To     int              // index in Nodes
	ToPort int
}

// Host takes a task's reports. Its methods are called from any goroutine and do not wait for the task.
type Host interface {
	// Acknowledge says that the task has passed a barrier and all of the snapshot is durable.
	Acknowledge(s *Snapshot)
	// Refuse says that what belongs to a checkpoint could not be made durable.
	Refuse(checkpoint uint64, err error)
	// EndOfInput says that the task's source has ended.
	EndOfInput()
}

// StateWriter makes the state of one operator durable.
type StateWriter interface {
	// WantsBase says whether all state belongs into this checkpoint, not only what changed.
	WantsBase(checkpoint uint64) bool
	// Write writes frozen state and returns when it is durable. It is called beside the task's goroutine.
	Write(checkpoint uint64, base bool, frozen state.Frozen) error
}

// Snapshot is a task's part of a checkpoint; its state has gone to the StateWriters.
type Snapshot struct {
	Checkpoint     uint64
	Splits         []source.Split // of its source
	Watermarks     []int64        // by node
	ProcessingTime int64
	Handovers      []sink.Handover // by node; empty where it is no sink
}
