package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/runtime/cmd/tidemill/trial"
	"github.com/tidemill/tidemill/runtime/cmd/tidemill/view"
	"github.com/tidemill/tidemill/runtime/job"
	"github.com/tidemill/tidemill/runtime/plan"
	"github.com/tidemill/tidemill/runtime/state/memory"
)

// testOptions are the flags of test.
type testOptions struct {
	jobOptions
	inputs  []string
	format  string
	schema  string
	key     []string
	entry   string
	time    string
	behind  time.Duration
	params  []string
	step    time.Duration
	start   string
	records int64
	limit   int
}

func (a *app) testCommand() *cobra.Command {
	var o testOptions
	c := &cobra.Command{
		Use:   "test MODULE.wasm|JOB.yaml [OPERATOR]",
		Short: "Run one operator on a file and show all that it does",
		Long: "test runs one operator alone, a record at a time, and shows what it emits, which state it changes, which timers it sets and which\n" +
			"fire. With a job.yaml, columns, key, parameters and event time come from there, and --input takes other data; with a module\n" +
			"alone, the flags give them. Nothing is published.",
		Example: "  tidemill test job.yaml delays --input sample.csv\n" +
			"  tidemill test delays.wasm --input sample.csv --schema 'carrier: utf8, dep_delay: i32?, at: timestamp' --key carrier --event-time at",
		Args: cobra.RangeArgs(1, 2),
		RunE: func(_ *cobra.Command, args []string) error { return a.test(args, o) },
	}
	o.flags(c)
	f := c.Flags()
	f.StringArrayVar(&o.inputs, "input", nil, "a file of records, or PORT=FILE, with a job.yaml SOURCE=FILE; may be repeated")
	f.StringVar(&o.format, "format", "", "format of the files, as in job.yaml: csv, json, '{type: csv, null: NA}'; without it, by the file's name")
	f.StringVar(&o.schema, "schema", "", "columns and their types, as in job.yaml: 'carrier: utf8, delay: i32?'")
	f.StringSliceVar(&o.key, "key", nil, "key columns")
	f.StringVar(&o.entry, "entry", "", "the operator in the module, where it has several")
	f.StringVar(&o.time, "event-time", "", "the column of the event time")
	f.DurationVar(&o.behind, "out-of-orderness", 0, "how far a record may be behind the latest one")
	f.StringArrayVar(&o.params, "param", nil, "NAME=VALUE; may be repeated")
	f.DurationVar(&o.step, "step", 0, "move processing time by so much after each record")
	f.StringVar(&o.start, "start", "2026-01-01T00:00:00Z", "the processing time at the first record")
	f.Int64Var(&o.records, "records", 0, "stop after so many records; 0 for all")
	f.IntVar(&o.limit, "limit", 10_000, "keep at most so many steps for --json")
	return c
}

// testResult is the result of test as JSON.
type testResult struct {
	*trial.Summary
	Steps []trial.Step `json:"steps"`
	Cut   bool         `json:"cut"` // there were more steps than --limit
}

func (a *app) test(args []string, o testOptions) (err error) {
	start, err := time.Parse(time.RFC3339, o.start)
	if err != nil {
		return errUsage.Errorf("--start %s is no time", o.start).Do("write it as 2026-01-01T00:00:00Z")
	}
	j, name, err := a.trialJob(args, o)
	if err != nil {
		return err
	}
	p := a.parts(a.log(a.Stderr))
	defer func() { err = errors.Join(err, p.close()) }()
	made, err := plan.MakeOperator(a.ctx, j, name, &plan.Guests{Files: a.Files, Cache: p.cache},
		connectors.Env{Clock: a.Clock, FS: a.Files, Log: p.log})
	if err != nil {
		return err
	}
	r := &testResult{Steps: []trial.Step{}}
	t := &trial.Trial{Plan: made, Backend: memory.Factory{}, Log: p.log, Start: start, Step: o.step, RecordsMax: o.records}
	t.Note = func(s trial.Step) {
		switch {
		case !a.json:
			s.Print(a.Stdout)
		case len(r.Steps) < o.limit:
			r.Steps = append(r.Steps, s)
		default:
			r.Cut = true
		}
	}
	if r.Summary, err = t.Run(a.ctx); err != nil {
		return err
	}
	a.result = r
	if !a.json {
		fmt.Fprintf(a.Stderr, "%s: %s (%d late, %d bad, %d rejected); emitted %s; %s fuel a record\n", r.Operator,
			several(int(r.Records), "record"), r.Late, r.Bad, r.Rejected, emitted(r.Emitted), view.Short(float64(r.Fuel)/float64(max(r.Records, 1))))
	}
	return nil
}

func emitted(ports map[string]int64) string {
	if len(ports) == 0 {
		return "nothing"
	}
	var parts []string
	for _, port := range sortedKeys(ports) {
		parts = append(parts, fmt.Sprintf("%s to %s", view.Count(ports[port]), port))
	}
	return strings.Join(parts, ", ")
}

// trialJob is the job of a trial and the operator to run: read from a file, or made of flags around a module.
func (a *app) trialJob(args []string, o testOptions) (*job.Job, string, error) {
	if filepath.Ext(args[0]) == ".wasm" {
		if len(args) > 1 {
			return nil, "", errUsage.Errorf("with a module, --entry chooses the operator").At("tidemill test")
		}
		text, err := o.jobText(args[0])
		if err != nil {
			return nil, "", err
		}
		j, err := job.Parse("flags", []byte(text), job.Environment{Lookup: a.Env})
		return j, "operator", err
	}
	for flag, given := range map[string]bool{"--format": o.format != "", "--schema": o.schema != "", "--key": o.key != nil, "--entry": o.entry != "",
		"--event-time": o.time != "", "--param": o.params != nil, "--out-of-orderness": o.behind != 0} {
		if given {
			return nil, "", errUsage.Errorf("%s is for a module alone: the job says it", flag).At("tidemill test")
		}
	}
	paths := map[string]string{}
	for _, in := range o.inputs {
		source, file, named := strings.Cut(in, "=")
		if !named {
			source, file = "", in
		}
		abs, err := filepath.Abs(file)
		if err != nil {
			return nil, "", err
		}
		if _, err := a.Files.Stat(abs); errors.Is(err, fs.ErrNotExist) && !strings.ContainsAny(file, "*?[") {
			return nil, "", errNotFound.Errorf("there is no file %s", file).At("--input %s", in)
		}
		paths[source] = abs
	}
	j, err := a.jobAt(args[0], o.jobOptions, nil)
	if err != nil {
		return nil, "", err
	}
	var name string
	switch {
	case len(args) > 1:
		name = args[1]
	case len(j.Operators) == 1:
		name = j.Operators[0].Name
	default:
		return nil, "", errUsage.Errorf("the job has %s: name one", several(len(j.Operators), "operator")).At("tidemill test")
	}
	if file, unnamed := paths[""]; unnamed {
		only, err := onlyInput(j, name)
		if err != nil {
			return nil, "", err
		}
		delete(paths, "")
		paths[only] = file
	}
	if len(paths) > 0 {
		j, err = a.jobAt(args[0], o.jobOptions, paths)
	}
	return j, name, err
}

// onlyInput is the one stream that an operator reads.
func onlyInput(j *job.Job, name string) (string, error) {
	for _, o := range j.Operators {
		if o.Name == name && len(o.Inputs) == 1 {
			return o.Inputs[0].From, nil
		}
	}
	return "", errUsage.Errorf("operator %s does not read one source", name).At("tidemill test").Do("write --input SOURCE=FILE")
}

// simple is a scalar that means itself in YAML and has no type but its own.
var simple = regexp.MustCompile(`^[A-Za-z0-9_+][A-Za-z0-9_.+-]*$|^-[0-9.]+$`)

func quote(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic("cli: a string that is no JSON: " + err.Error()) // Marshal replaces what is not UTF-8
	}
	return string(quoted)
}

// jobText is a job of one operator made of flags. Its lines are what errors name: "flags:4:5".
func (o *testOptions) jobText(module string) (string, error) {
	if len(o.inputs) == 0 || o.schema == "" {
		return "", errUsage.Errorf("a module alone needs --input and --schema").At("tidemill test").Do("or give the job.yaml that uses it")
	}
	var b strings.Builder
	abs, err := filepath.Abs(module)
	if err != nil {
		return "", err
	}
	fmt.Fprintf(&b, "name: test\nsources:\n")
	var inputs []string
	for i, in := range o.inputs {
		port, file, named := strings.Cut(in, "=")
		if !named {
			port, file = "", in
		}
		if named != strings.Contains(o.inputs[0], "=") || !named && i > 0 {
			return "", errUsage.Errorf("several inputs need ports").At("tidemill test").Do("write --input PORT=FILE for each")
		}
		path, err := filepath.Abs(file)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "  input_%d: {connector: file, path: %s, format: %s, schema: {%s}%s}\n", i, quote(path), o.formatOf(file), o.schema, o.eventTime())
		inputs = append(inputs, fmt.Sprintf("%s: input_%d", port, i))
	}
	input := "input_0"
	if strings.Contains(o.inputs[0], "=") {
		input = "{" + strings.Join(inputs, ", ") + "}"
	}
	fmt.Fprintf(&b, "operators:\n  operator:\n    module: %s\n    input: %s\n", quote(abs), input)
	if o.entry != "" {
		fmt.Fprintf(&b, "    entry: %s\n", quote(o.entry))
	}
	if len(o.key) > 0 {
		fmt.Fprintf(&b, "    key_by: [%s]\n", strings.Join(o.key, ", "))
	}
	if len(o.params) > 0 {
		b.WriteString("    params:\n")
	}
	for _, p := range o.params {
		name, value, ok := strings.Cut(p, "=")
		if !ok {
			return "", errUsage.Errorf("--param %s has no value", p).At("tidemill test").Do("write NAME=VALUE")
		}
		if !simple.MatchString(value) {
			value = quote(value)
		}
		fmt.Fprintf(&b, "      %s: %s\n", quote(name), value)
	}
	b.WriteString("sinks:\n  none: {connector: blackhole, input: operator}\n")
	return b.String(), nil
}

func (o *testOptions) formatOf(file string) string {
	switch ext := filepath.Ext(file); {
	case o.format != "":
		return o.format
	case ext == ".csv":
		return "{type: csv, header: true}"
	}
	return "json"
}

func (o *testOptions) eventTime() string {
	if o.time == "" {
		return ""
	}
	return fmt.Sprintf(", event_time: {column: %s, out_of_orderness: %s}", quote(o.time), o.behind)
}
