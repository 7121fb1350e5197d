package plan

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/connectors/spec"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/job"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/sandbox"
)

var rewrite = flag.Bool("rewrite", false, "write what plans look like now into testdata")

// fakeSource has the schema that its option gives: "a i64, b utf8?".
type fakeSource struct {
	connectors.Source
	schema *record.Schema
}

func (s fakeSource) Schema(context.Context) (*record.Schema, error) {
	if s.schema == nil {
		return nil, errors.New("the header cannot be read")
	}
	return s.schema, nil
}

type fakeSink struct{ connectors.Sink }

// CheckSchema refuses a column of the name refused.
func (fakeSink) CheckSchema(s *record.Schema) error {
	if s.Index("refused") >= 0 {
		return errRefused.Errorf("a column cannot be written")
	}
	return nil
}

func init() {
	connectors.RegisterSource(connectors.SourceType{
		Name: "fake", Doc: "A test's.",
		Options: &spec.Object{Fields: []spec.Field{{Name: "columns", Kind: spec.String, Doc: "Columns."}}},
		New: func(_ context.Context, _ connectors.Env, v spec.Values) (connectors.Source, error) {
			if v.String("columns") == "" {
				return fakeSource{}, nil
			}
			return fakeSource{schema: &record.Schema{Fields: recordFields(v.String("columns"))}}, nil
		},
	})
	connectors.RegisterSink(connectors.SinkType{Name: "fake", Doc: "A test's.", Options: &spec.Object{},
		New: func(context.Context, connectors.Env, spec.Values) (connectors.Sink, error) { return fakeSink{}, nil }})
}

// recordFields reads "a i64, b utf8?".
func recordFields(text string) []record.Field {
	var list []record.Field
	for _, f := range abiFields(text) {
		t, ok := record.ParseType(f.Type)
		if !ok {
			panic("no type " + f.Type)
		}
		list = append(list, record.Field{Name: f.Name, Type: t, Nullable: f.Nullable})
	}
	return list
}

func abiFields(text string) []abi.Field {
	var list []abi.Field
	for _, f := range strings.Split(text, ", ") {
		name, typ, _ := strings.Cut(strings.TrimSpace(f), " ")
		list = append(list, abi.Field{Name: name, Type: strings.TrimSuffix(typ, "?"), Nullable: strings.HasSuffix(typ, "?")})
	}
	return list
}

// fakeModules knows modules by file name. An operator's outputs are fixed; those of copy have the columns of its input.
type fakeModules struct{ requests []abi.OpenRequest }

var fakeEntries = map[string][]abi.Entry{
	"copy.wasm":  {{Name: "copy", Kind: "operator", Inputs: []abi.InputPort{{Name: "in"}}}},
	"count.wasm": {{Name: "count", Kind: "operator", Inputs: []abi.InputPort{{Name: "in", Keyed: true}}}},
	"join.wasm": {{Name: "join", Kind: "operator", Inputs: []abi.InputPort{{Name: "left", Keyed: true}, {Name: "right", Keyed: true},
		{Name: "control"}}}},
	"two.wasm": {{Name: "first", Kind: "operator", Inputs: []abi.InputPort{{Name: "in"}}},
		{Name: "second", Kind: "operator", Inputs: []abi.InputPort{{Name: "in"}}}},
	"params.wasm": {{Name: "params", Kind: "operator", Inputs: []abi.InputPort{{Name: "in"}}, Params: []abi.Param{
		{Name: "threshold", Type: "int", Default: 30.0}, {Name: "ratio", Type: "float", Required: true}, {Name: "wait", Type: "duration_ms"},
		{Name: "label", Type: "string"}, {Name: "strict", Type: "bool"},
	}}},
	"timed.wasm": {{Name: "timed", Kind: "operator", Inputs: []abi.InputPort{{Name: "in"}}}},
	"none.wasm":  {},
}

func (f *fakeModules) Load(_ context.Context, path string) (*Module, error) {
	entries, known := fakeEntries[filepath.Base(path)]
	if !known {
		return nil, errModule.Errorf("%s cannot be read", path).At("%s", path).Do("build it")
	}
	return &Module{Path: path, Digest: strings.Repeat("ab", 32), Describe: &abi.Description{Entries: entries}}, nil
}

var errRefused = errcode.New("TM-TEST-001", errcode.Invalid, "a test's")

func (f *fakeModules) Inspect(_ *Module, _ Limits, r abi.OpenRequest) (*sandbox.Inspection, error) {
	f.requests = append(f.requests, r)
	d := &abi.Descriptor{}
	switch r.Entry {
	case "copy", "first", "second":
		d.Outputs = []abi.BindOutput{{Name: "out", Schema: r.Inputs[0].Schema, EventTime: r.Inputs[0].EventTime}}
	case "count":
		d.Outputs = []abi.BindOutput{{Name: "counts", Schema: append(r.Key, abiFields("n i64")...)}, {Name: "late", Schema: r.Inputs[0].Schema}}
		d.States = []abi.BindState{{Name: "total", Kind: "value", Value: abiFields("n i64")},
			{Name: "by_day", Kind: "map", Key: abiFields("day date32"), Value: abiFields("n i64, last utf8?")}}
		d.Timers = []abi.BindTimer{{Name: "midnight", Mode: "replace"}}
	case "timed":
		d.Inputs = []abi.BindInput{{EventTime: true}}
		d.Outputs = []abi.BindOutput{{Name: "out", Schema: abiFields("a i64")}}
	case "join":
		d.Outputs = []abi.BindOutput{{Name: "pairs", Schema: r.Key}}
	case "params":
		if r.Params["threshold"] == int64(13) {
			return nil, errRefused.Errorf("not 13").At("params.threshold")
		}
		d.Outputs = []abi.BindOutput{{Name: "out", Schema: abiFields("a i64")}}
	}
	return &sandbox.Inspection{Descriptor: d, Params: r.Params}, nil
}

func parseJob(t *testing.T, text string) *job.Job {
	t.Helper()
	j, err := job.Parse("job.yaml", []byte(text), job.Environment{Lookup: os.LookupEnv})
	if err != nil {
		t.Fatalf("job: %v\n%s", err, text)
	}
	return j
}

// TestPlans compares printed plans with testdata/*.txt: a job.yaml and the plan or the errors that come of it.
func TestPlans(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(err, len(files))
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			p, err := Make(t.Context(), parseJob(t, string(archive.Files[0].Data)), &fakeModules{}, connectors.Env{})
			var got bytes.Buffer
			if err != nil {
				fmt.Fprintln(&got, err)
			} else {
				p.Print(&got)
			}
			if *rewrite {
				archive.Files = append(archive.Files[:1], txtar.File{Name: "plan", Data: got.Bytes()})
				if err := os.WriteFile(file, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if want := string(archive.Files[1].Data); got.String() != want {
				t.Errorf("got\n%s\nwant\n%s", got.String(), want)
			}
		})
	}
}

// build makes a plan that must succeed.
func build(t *testing.T, text string) *Plan {
	t.Helper()
	p, err := Make(t.Context(), parseJob(t, text), &fakeModules{}, connectors.Env{})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const countJob = `
name: counts
parallelism: %d
sources:
  s: {connector: fake, columns: "k utf8, v i64, at timestamp", event_time: {column: at}, rate: %d}
operators:
  o: {module: count.wasm, input: s, key_by: [%s], state: %s}
sinks:
  k: {connector: fake, input: o.counts}
`

func TestDigest(t *testing.T) {
	base := build(t, fmt.Sprintf(countJob, 2, 0, "k", "memory")).Digest
	same := map[string]string{
		"parallelism": fmt.Sprintf(countJob, 4, 0, "k", "memory"), "rate": fmt.Sprintf(countJob, 2, 5, "k", "memory"),
		"state back-end": fmt.Sprintf(countJob, 2, 0, "k", "badger"),
	}
	other := map[string]string{
		"key": fmt.Sprintf(countJob, 2, 0, "v", "memory"), "two keys": fmt.Sprintf(countJob, 2, 0, "k, v", "memory"),
		"key groups":    strings.Replace(fmt.Sprintf(countJob, 2, 0, "k", "memory"), "parallelism: 2", "max_parallelism: 64", 1),
		"column type":   strings.Replace(fmt.Sprintf(countJob, 2, 0, "k", "memory"), "v i64", "v i32", 1),
		"nullable":      strings.Replace(fmt.Sprintf(countJob, 2, 0, "k", "memory"), "v i64", "v i64?", 1),
		"name":          strings.Replace(fmt.Sprintf(countJob, 2, 0, "k", "memory"), "\n  o:", "\n  p:", 1),
		"no event time": strings.Replace(fmt.Sprintf(countJob, 2, 0, "k", "memory"), "event_time: {column: at}, ", "", 1),
	}
	other["name"] = strings.Replace(other["name"], "o.counts", "p.counts", 1)
	for name, text := range same {
		if got := build(t, text).Digest; got != base {
			t.Errorf("%s changes the digest", name)
		}
	}
	seen := map[string]string{base: "the job itself"}
	for name, text := range other {
		got := build(t, text).Digest
		if was, twice := seen[got]; twice {
			t.Errorf("%s has the digest of %s", name, was)
		}
		seen[got] = name
	}
	if len(base) != 64 {
		t.Errorf("digest %q", base)
	}
}

func TestOpenRequest(t *testing.T) {
	modules := &fakeModules{}
	j := parseJob(t, `
name: j
parallelism: 3
sources:
  s: {connector: fake, columns: "id i32, at timestamp", event_time: {column: at}}
  u: {connector: fake, columns: "user i64?, x f64"}
  c: {connector: fake, columns: "y bool"}
operators:
  o:
    module: join.wasm
    input: {control: c, right: u, left: s}
    key_by: {left: id, right: user}
  p: {module: params.wasm, input: s, params: {ratio: 2, wait: 1m30s, label: 12, strict: true}}
sinks:
  k: {connector: fake, input: o}
  l: {connector: fake, input: p}
`)
	p, err := Make(t.Context(), j, modules, connectors.Env{})
	if err != nil {
		t.Fatal(err)
	}
	got, _ := json.Marshal(modules.requests)
	want := `[{"slot":0,"entry":"join","job":"j","operator":"o","subtask":0,"parallelism":3,"inputs":[` +
		`{"port":"left","schema":[{"name":"id","type":"i32"},{"name":"at","type":"timestamp"}],"event_time":"at","keyed":true},` +
		`{"port":"right","schema":[{"name":"user","type":"i64","nullable":true},{"name":"x","type":"f64"}],"keyed":true},` +
		`{"port":"control","schema":[{"name":"y","type":"bool"}],"keyed":false}],` +
		`"key":[{"name":"id","type":"i64","nullable":true}],"limits":{"frame_bytes":0,"rows":0,"cell_bytes":0,"key_bytes":0}},` +
		`{"slot":0,"entry":"params","job":"j","operator":"p","subtask":0,"parallelism":3,` +
		`"params":{"label":"12","ratio":2,"strict":true,"threshold":30,"wait":90000},` +
		`"inputs":[{"port":"in","schema":[{"name":"id","type":"i32"},{"name":"at","type":"timestamp"}],"event_time":"at","keyed":false}],` +
		`"limits":{"frame_bytes":0,"rows":0,"cell_bytes":0,"key_bytes":0}}]`
	if string(got) != want {
		t.Errorf("requests\n%s\nwant\n%s", got, want)
	}
	for _, n := range p.Nodes {
		if n.Name == "o" && (fmt.Sprint(n.Inputs[0].Keys, n.Inputs[1].Keys, n.Inputs[2].Keys) != "[0] [0] []") {
			t.Errorf("key columns: %+v", n.Inputs)
		}
	}
}

// TestInvariantsOfPlans checks what engines rely on, for every plan of testdata.
func TestInvariantsOfPlans(t *testing.T) {
	files, _ := filepath.Glob("testdata/*.txt")
	plans := 0
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		p, err := Make(t.Context(), parseJob(t, string(archive.Files[0].Data)), &fakeModules{}, connectors.Env{})
		if err != nil {
			continue
		}
		plans++
		taskOf := map[int]int{}
		for i, task := range p.Tasks {
			for k, id := range task.Nodes {
				if _, twice := taskOf[id]; twice {
					t.Errorf("%s: node %d is in two tasks", file, id)
				}
				taskOf[id] = i
				if p.Nodes[id].Parallelism != task.Parallelism {
					t.Errorf("%s: node %d runs %d times in a task that runs %d times", file, id, p.Nodes[id].Parallelism, task.Parallelism)
				}
				if k > 0 && p.Nodes[id].Source != nil {
					t.Errorf("%s: a source in the middle of a task", file)
				}
			}
		}
		if len(taskOf) != len(p.Nodes) {
			t.Errorf("%s: %d of %d nodes are in tasks", file, len(taskOf), len(p.Nodes))
		}
		inputs := map[int]int{}
		for _, e := range p.Edges {
			inputs[e.To]++
			if e.From >= e.To {
				t.Errorf("%s: edge %d -> %d goes back", file, e.From, e.To)
			}
			if (taskOf[e.From] == taskOf[e.To]) != (e.Ship == Forward) {
				t.Errorf("%s: edge %d -> %d ships %v between tasks %d and %d", file, e.From, e.To, e.Ship, taskOf[e.From], taskOf[e.To])
			}
			if taskOf[e.From] != taskOf[e.To] && p.Tasks[taskOf[e.To]].Nodes[0] != e.To {
				t.Errorf("%s: edge %d -> %d leads into the middle of a task", file, e.From, e.To)
			}
			if (e.Ship == Hash) != (len(e.Keys) > 0) {
				t.Errorf("%s: edge %d -> %d ships %v by %v", file, e.From, e.To, e.Ship, e.Keys)
			}
		}
		for _, n := range p.Nodes {
			if (n.Source == nil) != (inputs[n.ID] > 0) {
				t.Errorf("%s: node %s has %d inputs", file, n.Name, inputs[n.ID])
			}
		}
	}
	if plans < 3 {
		t.Errorf("only %d plans were checked", plans)
	}
}
