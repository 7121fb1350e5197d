package job

import (
	"time"

	"github.com/tidemill/tidemill/connectors/spec"
)

// Job is a job.yaml, read and checked on its own. Places are file:line:column.
type Job struct {
	File string // as given
	Dir  string // folder of the file: relative paths in it start there
	Name string

	Parallelism    int
	MaxParallelism int
	Checkpoint     Checkpoint

	Sources   []*Source   // in the order of the file
	Operators []*Operator // inputs before those that read them, else in the order of the file
	Sinks     []*Sink     // in the order of the file
}

// Checkpoint says when and where.
type Checkpoint struct {
	Interval time.Duration
	Store    string // folder, absolute or relative to the process
	Keep     int
}

// Source is an entry of sources. Options holds the connector's own fields; Options.Choice is its name.
type Source struct {
	Name        string
	Place       string
	Options     spec.Values
	Parallelism int
	Rate        float64 // records a second, 0 = unlimited
	EventTime   *EventTime
	OnError     OnError

	BatchDelay        time.Duration
	WatermarkInterval time.Duration
	DiscoveryInterval time.Duration
}

// EventTime says how event time and watermarks come from records.
type EventTime struct {
	Column         Name
	Unit           string // of an i64 column: s, ms or us; empty where it is not said
	OutOfOrderness time.Duration
	Idleness       time.Duration
}

// Operator is an entry of operators.
type Operator struct {
	Name        string
	Place       string
	Module      Name // path, absolute or relative to the process
	Entry       Name // empty: the module's only one
	Inputs      []Input
	Keys        []Key
	Params      map[string]any // as YAML has them: bool, int64, float64, string; lists and mappings of these
	ParamPlaces map[string]string
	Parallelism int
	OnError     OnError
	State       State
	Limits      Limits
}

// Sink is an entry of sinks. Options holds the connector's own fields; Options.Choice is its name.
type Sink struct {
	Name        string
	Place       string
	Options     spec.Values
	Inputs      []Input // empty for a sink of dead letters
	Parallelism int
}

// Name is a text with its place.
type Name struct {
	Text  string
	Place string
}

// Input binds an output to an input port.
type Input struct {
	To    string // input port; empty: the only one
	From  string // source or operator
	Port  string // its output port; empty: the only one
	Place string
}

// Output is the output as it is written: "delays.daily".
func (i Input) Output() string {
	if i.Port == "" {
		return i.From
	}
	return i.From + "." + i.Port
}

// Key is the key columns of an input port; an empty port means all of them.
type Key struct {
	Port    string
	Place   string
	Columns []Name
}

// OnError is what happens to a record that cannot be taken.
type OnError struct {
	Policy Policy
	To     Name // the dead-letter sink
}

// Policy for bad records.
type Policy string

// The policies.
const (
	Fail       Policy = "fail"
	Skip       Policy = "skip"
	DeadLetter Policy = "dead_letter"
)

// State chooses and limits an operator's state.
type State struct {
	Backend       string // memory, badger
	HotBytesMax   int64  // badger only
	StateBytesMax int64
}

// Limits of an operator.
type Limits struct {
	MemoryBytesMax int64
	FuelBase       int64
	FuelPerItem    int64
	TrapsPerMinute int
	RecycleBarrier bool // a fresh instance after every checkpoint
}
