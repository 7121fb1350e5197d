package operator

import "github.com/tidemill/tidemill/runtime/record"

// DeadLetterPort is the output port of any node, a source among them, that carries its rejected records to a dead-letter sink.
// It has an edge of the plan like every other port.
const DeadLetterPort = -1

// DeadLetterSchema is the schema of what a dead-letter sink receives, one row a rejected record or timer.
//
// Rejected by a source: source, split, position, line where known, and the record's bytes in record, or in raw where they are not
// valid utf8. Rejected by an operator: the row as a JSON object in record with the place it came from where that is known, or
// key, timer and time of a timer. Rows have no event time.
var DeadLetterSchema = &record.Schema{Fields: []record.Field{
	{Name: "node", Type: record.UTF8},                 // the source or operator that rejected it
	{Name: "code", Type: record.UTF8, Nullable: true}, // of the cause, where it has one
	{Name: "error", Type: record.UTF8},                // the cause
	{Name: "source", Type: record.UTF8, Nullable: true},
	{Name: "split", Type: record.UTF8, Nullable: true},
	{Name: "position", Type: record.I64, Nullable: true}, // in the split: a byte offset, a log offset or an ordinal
	{Name: "line", Type: record.I64, Nullable: true},
	{Name: "port", Type: record.UTF8, Nullable: true}, // input port of an operator's row
	{Name: "record", Type: record.UTF8, Nullable: true},
	{Name: "raw", Type: record.Binary, Nullable: true},
	{Name: "key", Type: record.UTF8, Nullable: true},
	{Name: "timer", Type: record.UTF8, Nullable: true},
	{Name: "time", Type: record.TimestampTZ, Nullable: true},
}}
