package job

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/connectors/spec"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/internal/vfs"
)

func init() {
	options := &spec.Object{Fields: []spec.Field{
		{Name: "path", Kind: spec.String, Doc: "A path."},
		{Name: "password", Kind: spec.String, Secret: true, Doc: "A secret."},
	}}
	connectors.RegisterSource(connectors.SourceType{Name: "fake", Doc: "A test's.", Options: options,
		New: func(context.Context, connectors.Env, spec.Values) (connectors.Source, error) { return nil, nil }})
	connectors.RegisterSink(connectors.SinkType{Name: "fake", Doc: "A test's.", Options: options,
		New: func(context.Context, connectors.Env, spec.Values) (connectors.Sink, error) { return nil, nil }})
}

// environment has HOME_DIR, EMPTY and two secrets, one of them in both places.
func environment() Environment {
	vars := map[string]string{"HOME_DIR": "/data", "EMPTY": "", "N": "3", "TIDEMILL_SECRET_DB_PASS": "from-env"}
	return Environment{
		Lookup:  func(name string) (string, bool) { v, ok := vars[name]; return v, ok },
		Secrets: map[string]string{"db-pass": "from-file", "other": "hunter2"},
	}
}

const whole = `
name: late-flights
parallelism: "${N:-2}"
max_parallelism: 64
checkpoint: {interval: 1s, store: "${STORE:-./ck}", keep: 7}
sources:
  flights:
    connector: fake
    path: ${HOME_DIR}/flights.csv
    password: ${secret:db-pass}
    rate: 12.5
    event_time: {column: time_hour, out_of_orderness: 24h}
    on_error: {policy: dead_letter, to: bad}
    batch_delay: 5ms
  more: {connector: fake, parallelism: 1}
operators:
  second:
    module: sub/b.wasm
    entry: join
    input: {left: first.daily, right: [flights, more]}
    key_by: {left: id, right: [user, "n m"]}
    params: {threshold: 30, names: [a, 1.5, true], text: "12"}
    state: badger
    on_error: skip
    limits: {fuel_base: 1_000, recycle: barrier, memory_bytes_max: 128MiB}
  first:
    module: /abs/a.wasm
    input: flights
    key_by: carrier
    parallelism: 2
sinks:
  out: {connector: fake, input: [second.x, first], password: "${secret:other}"}
  bad: {connector: fake}
`

func TestParse(t *testing.T) {
	j, err := Parse("dir/job.yaml", []byte(whole), environment())
	if err != nil {
		t.Fatal(err)
	}
	if j.Name != "late-flights" || j.Dir != "dir" || j.Parallelism != 3 || j.MaxParallelism != 64 {
		t.Errorf("job: %+v", j)
	}
	if want := (Checkpoint{time.Second, "dir/ck", 7}); j.Checkpoint != want {
		t.Errorf("checkpoint: %+v, want %+v", j.Checkpoint, want)
	}
	s := j.Sources[0]
	if s.Name != "flights" || s.Place != "dir/job.yaml:7:3" || s.Rate != 12.5 || s.BatchDelay != 5*time.Millisecond ||
		s.WatermarkInterval != 20*time.Millisecond || s.Options.Choice() != "fake" || s.Options.String("path") != "/data/flights.csv" {
		t.Errorf("source: %+v", s)
	}
	if got := s.Options.Secret("password").Reveal(); got != "from-env" {
		t.Errorf("secret: %q: the environment counts before the file", got)
	}
	if got := j.Sinks[0].Options.Secret("password").Reveal(); got != "hunter2" {
		t.Errorf("secret of the file: %q", got)
	}
	if want := (EventTime{Name{"time_hour", "dir/job.yaml:12:26"}, "", 24 * time.Hour, 30 * time.Second}); *s.EventTime != want {
		t.Errorf("event time: %+v, want %+v", *s.EventTime, want)
	}
	if want := (OnError{DeadLetter, Name{"bad", "dir/job.yaml:13:41"}}); s.OnError != want {
		t.Errorf("on_error: %+v, want %+v", s.OnError, want)
	}
	if len(j.Operators) != 2 || j.Operators[0].Name != "first" {
		t.Fatalf("operators are not ordered by their inputs: %+v", j.Operators)
	}
	checkFirst(t, j.Operators[0])
	checkSecond(t, j.Operators[1])
	if in := j.Sinks[0].Inputs; len(in) != 2 || in[0].Output() != "second.x" || in[1].Output() != "first" || len(j.Sinks[1].Inputs) != 0 {
		t.Errorf("sinks: %+v", j.Sinks)
	}
}

func checkFirst(t *testing.T, o *Operator) {
	t.Helper()
	if o.Module.Text != "/abs/a.wasm" || o.Entry.Text != "" || o.Parallelism != 2 || o.OnError.Policy != Fail || o.Params != nil {
		t.Errorf("first: %+v", o)
	}
	if want := []Key{{"", "dir/job.yaml:29:13", []Name{{"carrier", "dir/job.yaml:29:13"}}}}; !reflect.DeepEqual(o.Keys, want) {
		t.Errorf("key: %+v, want %+v", o.Keys, want)
	}
	if want := (State{"memory", 0, 64 << 30}); o.State != want {
		t.Errorf("state: %+v, want %+v", o.State, want)
	}
	if want := (Limits{0, 100_000_000, 5_000_000, 60, false}); o.Limits != want {
		t.Errorf("limits: %+v, want %+v", o.Limits, want)
	}
}

func checkSecond(t *testing.T, o *Operator) {
	t.Helper()
	if o.Module.Text != "dir/sub/b.wasm" || o.Entry.Text != "join" || o.OnError.Policy != Skip || o.Parallelism != 0 {
		t.Errorf("second: %+v", o)
	}
	var inputs []string
	for _, in := range o.Inputs {
		inputs = append(inputs, in.To+"="+in.Output())
	}
	if got := strings.Join(inputs, " "); got != "left=first.daily right=flights right=more" {
		t.Errorf("inputs: %s", got)
	}
	if len(o.Keys) != 2 || o.Keys[1].Port != "right" || len(o.Keys[1].Columns) != 2 || o.Keys[1].Columns[1].Text != "n m" {
		t.Errorf("keys: %+v", o.Keys)
	}
	if want := map[string]any{"threshold": int64(30), "names": []any{"a", 1.5, true}, "text": "12"}; !reflect.DeepEqual(o.Params, want) {
		t.Errorf("params: %#v, want %#v", o.Params, want)
	}
	if o.ParamPlaces["text"] != "dir/job.yaml:22:58" {
		t.Errorf("place of a parameter: %s", o.ParamPlaces["text"])
	}
	if want := (State{"badger", 64 << 20, 64 << 30}); o.State != want {
		t.Errorf("state: %+v, want %+v", o.State, want)
	}
	if want := (Limits{128 << 20, 1000, 5_000_000, 60, true}); o.Limits != want {
		t.Errorf("limits: %+v, want %+v", o.Limits, want)
	}
}

// minimal is a job whose parts a case replaces.
const (
	someSources   = "sources:\n  s: {connector: fake}\n"
	someOperators = "operators:\n  o: {module: m.wasm, input: s}\n"
	someSinks     = "sinks:\n  k: {connector: fake, input: o}\n"
)

func TestParseErrors(t *testing.T) {
	operators := func(text string) string { return "name: j\n" + someSources + "operators:\n" + text + someSinks }
	for _, c := range []struct {
		name, in string
		want     []string // each error must contain its line, in order
	}{
		{"empty", "", []string{"TM-SPEC-003: name is missing", "sources is missing", "sinks is missing"}},
		{"not YAML", "name: [", []string{"TM-SPEC-001"}},
		{"a list", "- a", []string{"TM-SPEC-004"}},
		{"unknown field", "name: j\nparalelism: 2\n" + someSources + someOperators + someSinks,
			[]string{`TM-SPEC-002: unknown field "paralelism"; did you mean "parallelism"? (at j.yaml:2:1)`}},
		{"wrong type", "name: j\nparallelism: two\n" + someSources + someOperators + someSinks,
			[]string{`TM-SPEC-004: parallelism is "two" (at j.yaml:2:14): want a whole number`}},
		{"out of range", "name: j\nparallelism: 0\n" + someSources + someOperators + someSinks, []string{"want 1 to 1024"}},
		{"more than max", "name: j\nparallelism: 9\nmax_parallelism: 8\n" + someSources + someOperators + someSinks,
			[]string{"TM-JOB-010: the job has parallelism 9, and max_parallelism is 8 (at j.yaml:2:14)"}},
		{"bad name", "name: a b\n" + someSources + someOperators + someSinks, []string{`name is "a b" (at j.yaml:1:7): want letters`}},
		{"bad name of an operator", operators("  o: {module: m, input: s}\n  1x: {module: m, input: s}\n"), []string{`TM-JOB-002: "1x" cannot be a name (at j.yaml:6:3)`}},
		{"a name twice", operators("  o: {module: m, input: s}\n  s: {module: m, input: o}\n"),
			[]string{"TM-JOB-002: s is the name of something at j.yaml:3:3 already (at j.yaml:6:3)"}},
		{"unknown input", operators("  o: {module: m, input: delay}\n  delays: {module: m, input: s}\n"),
			[]string{`TM-JOB-004: there is no source or operator "delay"; did you mean "delays"? (at j.yaml:5:25); known: delays, o, s`}},
		{"a sink as input", operators("  o: {module: m, input: k}\n"), []string{"TM-JOB-004: k is a sink, and a sink has no output (at j.yaml:5:25)"}},
		{"a port of a source", operators("  o: {module: m, input: s.out}\n"), []string{"TM-JOB-004: s is a source and has no ports (at j.yaml:5:25); write s"}},
		{"no input", operators("  o: {module: m}\n"), []string{"TM-SPEC-003: input is missing (at j.yaml:5:6)"}},
		{"an empty input", operators("  o: {module: m, input: []}\n"), []string{"TM-JOB-003: there is no input here (at j.yaml:5:25)"}},
		{"two dots", operators("  o: {module: m, input: a.b.c}\n"), []string{`TM-JOB-003: "a.b.c" is no input (at j.yaml:5:25)`}},
		{"an input twice", operators("  o: {module: m, input: [s, s]}\n"), []string{"TM-JOB-003: input s is given twice (at j.yaml:5:29)"}},
		{"a cycle", operators("  o: {module: m, input: [s, c.x]}\n  b: {module: m, input: o}\n  c: {module: m, input: b.y}\n"),
			[]string{"TM-JOB-005: operators feed each other in a circle: o -> b -> c -> o (at j.yaml:6:25)"}},
		{"a cycle of one", operators("  o: {module: m, input: [s, o]}\n"), []string{"TM-JOB-005: operators feed each other in a circle: o -> o (at j.yaml:5:29)"}},
		{"an unread source", "name: j\nsources:\n  s: {connector: fake}\n  t: {connector: fake}\n" + someOperators + someSinks,
			[]string{"TM-JOB-006: nothing reads source t (at j.yaml:4:3)"}},
		{"a sink without input", "name: j\n" + someSources + someOperators + someSinks + "  z: {connector: fake}\n",
			[]string{"TM-JOB-006: sink z has no input and takes nobody's dead letters (at j.yaml:8:3)"}},
		{"an unknown dead-letter sink", operators("  o: {module: m, input: s, on_error: {policy: dead_letter, to: kk}}\n"),
			[]string{`TM-JOB-004: there is no sink "kk" (at j.yaml:5:64); known: k`}},
		{"a dead-letter sink with input", operators("  o: {module: m, input: s, on_error: {policy: dead_letter, to: k}}\n"),
			[]string{"TM-JOB-007: sink k takes o and so cannot take dead letters (at j.yaml:5:64)"}},
		{"dead letters to nowhere", operators("  o: {module: m, input: s, on_error: dead_letter}\n"), []string{"TM-SPEC-003: to is missing"}},
		{"an unknown policy", operators("  o: {module: m, input: s, on_error: skp}\n"), []string{`there is no error policy "skp"; did you mean "skip"? (at j.yaml:5:38)`}},
		{"a key of nothing", operators("  o: {module: m, input: s, key_by: []}\n"), []string{"TM-JOB-009: key_by names no column (at j.yaml:5:36)"}},
		{"a key of mappings", operators("  o: {module: m, input: s, key_by: [{a: b}]}\n"), []string{"TM-JOB-009: a key column must be a name (at j.yaml:5:37)"}},
		{"a key column twice", operators("  o: {module: m, input: s, key_by: [a, a]}\n"), []string{"TM-JOB-009: key column a is given twice (at j.yaml:5:40)"}},
		{"a secret in params", operators("  o: {module: m, input: s, params: {a: [\"${secret:other}\"]}}\n"), []string{"TM-SPEC-006: params may not hold a secret", "j.yaml:5:41"}},
		{"a secret in a plain option", "name: j\nsources:\n  s: {connector: fake, path: \"${secret:other}\"}\n" + someOperators + someSinks, []string{"TM-SPEC-006: path may not hold a secret"}},
		{"an unknown secret", "name: j\nsources:\n  s: {connector: fake, password: \"${secret:db}\"}\n" + someOperators + someSinks,
			[]string{`TM-SPEC-007: password cannot be resolved (at j.yaml:3:34): there is no secret "db"; set TIDEMILL_SECRET_DB`}},
		{"an unset variable", "name: ${NOPE}\n" + someSources + someOperators + someSinks, []string{"TM-SPEC-007: name cannot be resolved (at j.yaml:1:7): variable NOPE is not set"}},
		{"an open reference", "name: \"${N\"\n" + someSources + someOperators + someSinks, []string{"has no }"}},
		{"several at once", "name: j\nx: 1\nsources:\n  s: {connector: fke}\noperators:\n  o: {module: m, input: q}\nsinks:\n  k: {connector: fake, input: o, y: 1}\n",
			[]string{`unknown field "x"`, `no source connector "fke"`, `no source or operator "q"`, `unknown field "y"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("j.yaml", []byte(c.in), environment())
			all := errcode.Each(err)
			if len(all) == 0 {
				t.Fatalf("no error: %v", err)
			}
			for i, want := range c.want {
				if len(c.want) == len(all) && !strings.Contains(all[i].Error(), want) || !strings.Contains(err.Error(), want) {
					t.Errorf("error %d lacks %q:\n%v", i, want, err)
				}
			}
			if len(all) > max(len(c.want), 1) {
				t.Errorf("%d errors where %d are expected:\n%v", len(all), len(c.want), err)
			}
			for _, e := range all {
				if !strings.HasPrefix(e.Place, "j.yaml") || e.Code.Class != errcode.Invalid {
					t.Errorf("place %q, class %d", e.Place, e.Code.Class)
				}
			}
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "from-") {
				t.Errorf("the error shows a secret: %v", err)
			}
		})
	}
}

func TestManyErrorsAreCut(t *testing.T) {
	var b strings.Builder
	b.WriteString("name: j\n" + someSources + someOperators + someSinks)
	for i := range 25 {
		fmt.Fprintf(&b, "zzzz%d: 1\n", i)
	}
	_, err := Parse("j.yaml", []byte(b.String()), environment())
	all := errcode.Each(err)
	if len(all) != ErrorsMax+1 || all[ErrorsMax].Message != "5 more errors are not shown" {
		t.Errorf("%d errors, the last %v", len(all), all[len(all)-1])
	}
}

func TestLimits(t *testing.T) {
	many := "name: j\n" + someSources + "operators:\n"
	for i := range nodesMax {
		many += fmt.Sprintf("  o%d: {module: m, input: s}\n", i)
	}
	for name, in := range map[string]string{
		"nodes":  many + "sinks:\n  k: {connector: fake, input: o1}\n",
		"inputs": "name: j\n" + someSources + "operators:\n  o: {module: m, input: [" + strings.Repeat("s.a, ", inputsMax) + "s]}\n" + someSinks,
		"key":    "name: j\n" + someSources + "operators:\n  o: {module: m, input: s, key_by: [a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q]}\n" + someSinks,
	} {
		if _, err := Parse("j.yaml", []byte(in), environment()); !errcode.Is(err, errLimit) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestResolve(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "${N}": "3", "a${N}b${N}c": "a3b3c", "${X:-d}": "d", "${EMPTY:-d}": "d", "${EMPTY}": "", "$${N}": "${N}",
		"$N": "$N", "${X:-}": "", "${secret:other}!": "hunter2!", "cost: $5": "cost: $5", "${X:-a:-b}": "a:-b",
	} {
		got, err := environment().resolve(in)
		if err != nil || got != want {
			t.Errorf("%s: %q, %v; want %q", in, got, err, want)
		}
	}
	for _, in := range []string{"${", "${}", "${1}", "${a b}", "${X}", "${secret:}", "${secret:a.b}", "${N"} {
		if got, err := environment().resolve(in); err == nil {
			t.Errorf("%s: %q, and no error", in, got)
		}
	}
	long := Environment{Lookup: func(string) (string, bool) { return strings.Repeat("x", 1<<18), true }}
	if _, err := long.resolve(strings.Repeat("${A}", 64)); err == nil {
		t.Error("a value of 16 MiB was made")
	}
}

func TestSecretsFile(t *testing.T) {
	got, err := Secrets("s.yaml", []byte("a: hunter2\nb: 'x y'\n"))
	if err != nil || !reflect.DeepEqual(got, map[string]string{"a": "hunter2", "b": "x y"}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, in := range []string{"hunter2", "a: [hunter2]", "a: {b: hunter2}", "a: 'hunter2", "- hunter2", ""} {
		if _, err := Secrets("s.yaml", []byte(in)); !errcode.Is(err, errSecrets) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "job.yaml")
	if _, err := Read(vfs.Disk, name, environment()); !errcode.Is(err, errRead) || errcode.Of(err).Hint == "" {
		t.Errorf("missing file: %v", err)
	}
	if err := os.WriteFile(name, []byte("name: j\n"+someSources+someOperators+someSinks), 0o600); err != nil {
		t.Fatal(err)
	}
	j, err := Read(vfs.Disk, name, environment())
	if err != nil || j.Checkpoint.Store != filepath.Join(dir, "checkpoints") || j.Checkpoint.Interval != 10*time.Second {
		t.Errorf("%+v, %v", j, err)
	}
}

func TestDeclaration(t *testing.T) {
	if err := Object.Validate(); err != nil {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(whole))
	f.Add([]byte("name: j\n" + someSources + someOperators + someSinks))
	f.Add([]byte("a: &a [*a, {? x : !!y z}]\n--- |2-\n %"))
	f.Fuzz(func(t *testing.T, text []byte) {
		j, err := Parse("j.yaml", text, environment())
		if (j == nil) == (err == nil) {
			t.Fatalf("job %v and error %v", j, err)
		}
		if err != nil && len(errcode.Each(err)) == 0 {
			t.Fatalf("an error without a code: %v", err)
		}
		if err != nil && (strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "from-env")) {
			t.Fatalf("the error shows a secret: %v", err)
		}
	})
}

func TestReferencesThatAreRefused(t *testing.T) {
	env := Environment{Lookup: func(string) (string, bool) { return "", false }}
	for _, text := range []string{"${A:-${B}}", "${A", "${}", "${A B}"} {
		if got, err := env.resolve(text); err == nil {
			t.Errorf("%s is %q", text, got)
		}
	}
}

func TestTextsThatAreRefused(t *testing.T) {
	const rest = "\nsources: {s: {connector: file, path: a, format: raw}}\nsinks: {o: {connector: file, path: o, format: raw, input: s}}\n"
	for text, want := range map[string]string{
		`{store: ""}`:     "the store is empty",
		`{store: "a\0b"}`: "store holds a NUL",
	} {
		_, err := Parse("job.yaml", []byte("\ufeffname: j\ncheckpoint: "+text+rest), Environment{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
