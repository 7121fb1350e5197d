package source

import (
	"log/slog"
	"time"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/internal/clock"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/telemetry"
)

// Config describes one source of a job. All its subtasks share it.
type Config struct {
	Name        string
	Connector   connectors.Source
	Schema      *record.Schema
	Parallelism int
	EventTime   *EventTime // nil where the records have none: the source then takes no part in watermarks until it ends
	Rate        *Rate      // nil = unlimited

	BatchDelay        time.Duration // least time to gather a batch in
	WatermarkInterval time.Duration // least time between two watermarks of a subtask
	DiscoveryInterval time.Duration // time between two discoveries of an unbounded source; 0: only at the start

	Clock   clock.Clock
	Log     *slog.Logger
	Metrics *telemetry.Node
}

// EventTime says where event time comes from and how far it may be out of order.
type EventTime struct {
	Column         int   // of type timestamp, timestamp_tz, date32, or i64
	Unit           int64 // us that an i64 column counts in; 0 is 1
	OutOfOrderness time.Duration
	Idleness       time.Duration // unbounded sources: a split without records for so long does not hold the watermark; 0: never
}

// Split is a split and how far it has been read; the form in which checkpoints keep it.
type Split struct {
	Split     connectors.Split
	Position  record.Position
	Watermark int64
	Subtask   int // that reads or has read it; -1: none yet
}

// State is what an Assigner knows; the form in which checkpoints keep it.
type State struct {
	Enumerator []byte
	Done       bool // nothing more will be discovered
	Splits     []Split
}
