package file

import (
	"context"
	"path/filepath"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/connectors/format"
	"github.com/tidemill/tidemill/connectors/spec"
)

// splitBytesMin is the least split: below it, opening a split costs more than reading it.
const splitBytesMin = 64 << 10

var sourceOptions = &spec.Object{Fields: []spec.Field{
	{Name: "path", Kind: spec.List, Required: true,
		Doc: "The file to read, or a list of files. *, ? and [a-z] match within a name, but no leading dot, so that " +
			"unfinished output of a sink is never read. Relative paths start at the folder of job.yaml."},
	{Name: "format", Kind: spec.Nested, Object: format.Options, Required: true, Doc: "The format of the records: a " +
		"name, or a mapping with type and the options of the format."},
	format.SchemaField,
	{Name: "tail", Kind: spec.Bool, Default: "false",
		Doc: "Never end: follow the files as they grow and take up new files that match. A last line without a line " +
			"end waits for its end. A file that shrinks, is replaced or removed fails the job."},
	{Name: "split_bytes", Kind: spec.Size, Min: "64KiB",
		Doc: "Length of the byte ranges in which a file is read. Without it all files together give as many splits as " +
			"the source has subtasks, each of 64KiB at least. A file is one split with tail and in formats that " +
			"cannot be cut at any line."},
	{Name: "record_bytes_max", Kind: spec.Size, Default: "1MiB", Min: "1KiB", Max: "16MiB",
		Doc: "The longest record, without its line feed. A longer one is a bad record."},
}}

var sinkOptions = &spec.Object{Fields: []spec.Field{
	{Name: "path", Kind: spec.String, Required: true,
		Doc: "The folder for the files, made where missing. Several sinks may share one, but not two jobs with sinks " +
			"of one name. Published files are <sink>-<checkpoint>-<subtask>-<number>.<extension>; names that begin " +
			"with a dot are unfinished, or were taken back by a restore that went behind them."},
	{Name: "format", Kind: spec.Nested, Object: format.Options, Default: "json", Doc: "The format of the records: a " +
		"name, or a mapping with type and the options of the format."},
	{Name: "roll_bytes", Kind: spec.Size, Default: "128MiB", Min: "1KiB",
		Doc: "A file that has reached this size is closed; it is published with the next checkpoint."},
	{Name: "roll_checkpoints", Kind: spec.Int, Default: "1", Min: "1", Max: "1000000", Unit: "checkpoints",
		Doc: "A file is published with this checkpoint after it was begun. 1 shows records soonest; more makes fewer, " +
			"larger files."},
}}

func init() {
	connectors.RegisterSource(connectors.SourceType{
		Name: "file", Doc: "Reads files, once (bounded) or as they grow (tail: true). Records of one split keep their order.",
		Example: `connector: file
path: logs/*.csv
tail: true
format: {type: csv, header: true, null: NA}
schema: {carrier: utf8, dep_delay: i32?, time_hour: timestamp}
`,
		Options: sourceOptions, New: newSource,
	})
	connectors.RegisterSink(connectors.SinkType{
		Name: "file", Doc: "Writes files into a folder, exactly once: a file appears under its name when the " +
			"checkpoint that contains its records is complete.",
		Example: `connector: file
path: out
format: json
roll_bytes: 64MiB
roll_checkpoints: 10
`,
		Options: sinkOptions, New: newSink,
	})
}

func newSource(_ context.Context, env connectors.Env, v spec.Values) (connectors.Source, error) {
	t := format.Lookup(v.Object("format").Choice())
	schema, err := format.Schema(v, t)
	if err != nil {
		return nil, err
	}
	decoding, err := t.Decoding(v.Object("format"), schema)
	if err != nil {
		return nil, err
	}
	s := &source{env: env, patterns: v.Strings("path"), place: v.Place("path"), schema: schema, decoding: decoding, tail: v.Bool("tail"),
		splitBytes: v.Int("split_bytes"), recordBytesMax: int(v.Int("record_bytes_max"))}
	for _, p := range s.patterns {
		if _, err := filepath.Match(p, ""); err != nil || p == "" {
			return nil, v.Errorf(ErrOptions, "path", "%q is no path pattern", p)
		}
	}
	if len(s.patterns) == 0 {
		return nil, v.Errorf(ErrOptions, "path", "the list of paths is empty")
	}
	return s, nil
}

func newSink(_ context.Context, env connectors.Env, v spec.Values) (connectors.Sink, error) {
	if v.String("path") == "" {
		return nil, v.Errorf(ErrOptions, "path", "the path is empty").Do("name a folder for the output; . is that of job.yaml")
	}
	t := format.Lookup(v.Object("format").Choice())
	return &sink{env: env, dir: absolute(env, v.String("path")), format: t, formatOptions: v.Object("format"),
		rollBytes: v.Int("roll_bytes"), rollCheckpoints: int(v.Int("roll_checkpoints"))}, nil
}

// absolute is a path as given by the user, from the folder of job.yaml.
func absolute(env connectors.Env, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(env.Dir, path)
}
