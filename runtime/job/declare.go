package job

import (
	"fmt"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/connectors/spec"
)

// Object is the declaration of job.yaml.
var Object = &spec.Object{
	Doc: "A job: sources, operators and sinks, and how they are connected.",
	Fields: []spec.Field{
		{Name: "name", Kind: spec.String, Required: true, Check: checkName, Doc: "The job's name: letters, digits, - and _."},
		{Name: "parallelism", Kind: spec.Int, Default: "1", Min: "1", Max: "1024",
			Doc: "How many subtasks each source, operator and sink has, where it does not say otherwise."},
		{Name: "max_parallelism", Kind: spec.Int, Default: "128", Min: "1", Max: "32768",
			Doc: "The number of key groups, and so the greatest parallelism the job can ever have. It is fixed for a job's life."},
		{Name: "checkpoint", Kind: spec.Nested, Object: checkpointObject, Default: "{}", Doc: "When checkpoints are taken and where they are kept."},
		{Name: "sources", Kind: spec.Map, Required: true, Doc: "Where records come from.",
			Elem: &spec.Field{Name: "source", Kind: spec.Nested, Object: SourceObject, Doc: "One source."}},
		{Name: "operators", Kind: spec.Map, Doc: "What is done with them.",
			Elem: &spec.Field{Name: "operator", Kind: spec.Nested, Object: operatorObject, Doc: "One operator."}},
		{Name: "sinks", Kind: spec.Map, Required: true, Doc: "Where records go.",
			Elem: &spec.Field{Name: "sink", Kind: spec.Nested, Object: SinkObject, Doc: "One sink."}},
	},
}

var checkpointObject = &spec.Object{
	Fields: []spec.Field{
		{Name: "interval", Kind: spec.Duration, Default: "10s", Min: "10ms", Max: "24h",
			Doc: "The time from the start of one checkpoint to the next. Output becomes visible with the checkpoint that contains it."},
		{Name: "store", Kind: spec.String, Default: "checkpoints",
			Doc: "The folder for checkpoints, relative to job.yaml. One job has one folder, and one process at a time uses it. A job goes on " +
				"from them while its nodes, ports, keys and columns stay: a sink that is added, renamed or removed needs --fresh, too; state or " +
				"timers that an operator no longer declares need --allow-undeclared."},
		{Name: "keep", Kind: spec.Int, Default: "5", Min: "1", Max: "1000",
			Doc: "How many complete checkpoints are kept; older ones are deleted."},
	},
}

// SourceObject is the declaration of an entry of sources; its choices are the registered connectors.
var SourceObject = &spec.Object{
	Selector: "connector", What: "source connector", Choices: connectors.SourceChoices,
	Fields: []spec.Field{
		{Name: "parallelism", Kind: spec.Int, Min: "1", Max: "1024", Doc: "Subtasks that read; without it, the job's."},
		{Name: "rate", Kind: spec.Float, Default: "0", Min: "0", Unit: "records a second",
			Doc: "The greatest rate over all splits; 0 is as fast as it goes."},
		{Name: "event_time", Kind: spec.Nested, Object: eventTimeObject,
			Doc: "Which column is a record's event time. Without it the stream has none: no watermarks, and event-time timers fire at the end."},
		{Name: "on_error", Kind: spec.Nested, Object: onErrorObject, Default: "fail", Doc: "What happens to a record that cannot be decoded."},
		{Name: "batch_delay", Kind: spec.Duration, Default: "0s", Min: "0s", Max: "10s",
			Doc: "The least time to gather records for a batch: more throughput for more latency."},
		{Name: "watermark_interval", Kind: spec.Duration, Default: "20ms", Min: "1ms", Max: "1m",
			Doc: "The least time between two watermarks."},
		{Name: "discovery_interval", Kind: spec.Duration, Default: "1s", Min: "10ms", Max: "24h",
			Doc: "How often an unbounded source looks for new splits (files)."},
	},
}

var eventTimeObject = &spec.Object{
	Fields: []spec.Field{
		{Name: "column", Kind: spec.String, Required: true, Doc: "A column of type timestamp, timestamp_tz, date32, or i64 with a unit."},
		{Name: "unit", Kind: spec.Enum, Enum: []string{"s", "ms", "us"},
			Doc: "What an i64 column counts since 1970: seconds, milliseconds or microseconds. An i64 column must have it, no other may."},
		{Name: "out_of_orderness", Kind: spec.Duration, Default: "0s", Min: "0s",
			Doc: "How far a record may be behind the latest one of its split and still be in time. Later ones are late: delivered, and counted."},
		{Name: "idleness", Kind: spec.Duration, Default: "30s", Min: "0s",
			Doc: "After so long without a record an unbounded split no longer holds the watermark back; 0 is never."},
	},
}

// onErrorObject is used by sources and operators.
var onErrorObject = &spec.Object{
	Selector: "policy", What: "error policy",
	Choices: func() []spec.Choice {
		return []spec.Choice{
			{Name: string(Fail), Doc: "The job stops. This is the default.", Object: &spec.Object{}},
			{Name: string(Skip), Doc: "The record is left out and counted.", Object: &spec.Object{}},
			{Name: string(DeadLetter), Doc: "The record goes to a sink, with the cause and its position.", Object: &spec.Object{Fields: []spec.Field{
				{Name: "to", Kind: spec.String, Required: true, Doc: "The sink. It has no input of its own."},
			}}},
		}
	},
}

var operatorObject = &spec.Object{
	Fields: []spec.Field{
		{Name: "module", Kind: spec.String, Required: true, Doc: "The .wasm file, relative to job.yaml."},
		{Name: "entry", Kind: spec.String, Doc: "The operator in the module, where it has several."},
		{Name: "input", Kind: spec.Tree, Required: true,
			Doc: "What it reads: a source, or operator.port (operator alone where it has one port). A list takes several streams with the same columns. " +
				"For an operator with several input ports, a mapping of port to one of these."},
		{Name: "key_by", Kind: spec.Tree,
			Doc: "The columns of the key: one, a list, or a mapping of input port to either where they differ."},
		{Name: "params", Kind: spec.Tree, Doc: "The operator's parameters, as its module declares them. Secrets are refused here."},
		{Name: "parallelism", Kind: spec.Int, Min: "1", Max: "1024", Doc: "Subtasks; without it, the job's."},
		{Name: "on_error", Kind: spec.Nested, Object: onErrorObject, Default: "fail",
			Doc: "What happens to a record or timer that the operator fails on, by an error, a trap or too much fuel."},
		{Name: "state", Kind: spec.Nested, Object: stateObject, Default: "memory", Doc: "Where keyed state lives."},
		{Name: "limits", Kind: spec.Nested, Object: limitsObject, Default: "{}", Doc: "What the operator may use."},
	},
}

var stateObject = &spec.Object{
	Selector: "backend", What: "state back-end",
	Fields: []spec.Field{
		{Name: "state_bytes_max", Kind: spec.Size, Default: "64GiB", Min: "1MiB",
			Doc: "All state of a subtask; the job fails where it would pass it. With backend memory, what has expired does not count."},
	},
	Choices: func() []spec.Choice {
		return []spec.Choice{
			{Name: "memory", Doc: "All state is in memory. This is the default.", Object: &spec.Object{}},
			{Name: "badger", Doc: "What does not fit in memory lies in a store on disk.", Object: &spec.Object{Fields: []spec.Field{
				{Name: "hot_bytes_max", Kind: spec.Size, Default: "64MiB", Min: "64KiB", Doc: "Memory for state, a subtask."},
			}}},
		}
	},
}

var limitsObject = &spec.Object{
	Fields: []spec.Field{
		{Name: "memory_bytes_max", Kind: spec.Size, Min: "1MiB", Max: "1GiB", Doc: "Memory of an instance; 64MiB by default, 256MiB for Python."},
		{Name: "fuel_base", Kind: spec.Int, Default: "100000000", Min: "1", Max: "1000000000000000",
			Doc: "Fuel of one call, about one unit an executed instruction; fuel_per_item is added for each record or timer."},
		{Name: "fuel_per_item", Kind: spec.Int, Default: "5000000", Min: "1", Max: "1000000000000", Doc: "Fuel for each record or timer of a call."},
		{Name: "traps_per_minute", Kind: spec.Int, Default: "60", Min: "1", Doc: "More traps than this fail the job, whatever on_error says."},
		{Name: "recycle", Kind: spec.Enum, Enum: []string{"never", "barrier"}, Default: "never",
			Doc: "barrier gives a fresh instance after every checkpoint, so that replay from one is exact even for a guest that keeps hidden state."},
	},
}

// SinkObject is the declaration of an entry of sinks; its choices are the registered connectors.
var SinkObject = &spec.Object{
	Selector: "connector", What: "sink connector", Choices: connectors.SinkChoices,
	Fields: []spec.Field{
		{Name: "input", Kind: spec.Tree, Doc: "What it takes, as for an operator, or a list of these. A sink without input takes dead letters."},
		{Name: "parallelism", Kind: spec.Int, Min: "1", Max: "1024", Doc: "Subtasks; without it the job's, and 1 for dead letters."},
	},
}

const nameBytesMax = 64

// checkName says whether a text may name a job, source, operator or sink: names become parts of file names and metrics.
func checkName(text string) error {
	if text == "" || len(text) > nameBytesMax {
		return fmt.Errorf("want 1 to %d characters", nameBytesMax)
	}
	for i, r := range text {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_'
		if !letter && (i == 0 || (r < '0' || r > '9') && r != '-') {
			return fmt.Errorf("want letters, digits, - and _, a letter first")
		}
	}
	return nil
}
