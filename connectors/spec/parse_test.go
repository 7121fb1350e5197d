package spec

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/internal/errcode"
)

var formats = &Object{Doc: "How records are written.", Selector: "type", What: "format", Choices: func() []Choice {
	return []Choice{
		{Name: "json", Doc: "JSON lines.", Object: &Object{}},
		{Name: "csv", Doc: "Comma-separated.", Object: &Object{Fields: []Field{
			{Name: "header", Kind: Bool, Default: "false", Doc: "The first line names the columns."},
			{Name: "null", Kind: String, Doc: "What stands for null."},
		}}},
	}
}}

var sample = &Object{Fields: []Field{
	{Name: "name", Kind: String, Required: true, Doc: "The name."},
	{Name: "parallelism", Kind: Int, Default: "1", Min: "1", Max: "128", Unit: "subtasks", Doc: "Subtasks."},
	{Name: "rate", Kind: Float, Default: "0", Min: "0", Doc: "Rate."},
	{Name: "follow", Kind: Bool, Default: "false", Doc: "Go on."},
	{Name: "every", Kind: Duration, Default: "1s", Min: "10ms", Doc: "Interval."},
	{Name: "roll", Kind: Size, Default: "128MiB", Doc: "Size."},
	{Name: "mode", Kind: Enum, Enum: []string{"fail", "skip"}, Default: "fail", Doc: "Policy."},
	{Name: "paths", Kind: List, Doc: "Files."},
	{Name: "key", Kind: String, Secret: true, Doc: "The key.", Check: func(s string) error {
		if len(s) < 4 {
			return errors.New("short: " + s)
		}
		return nil
	}},
	{Name: "format", Kind: Nested, Object: formats, Default: "json", Doc: "The format."},
	{Name: "schema", Kind: Map, Elem: &Field{Name: "type", Kind: String}, Doc: "Columns."},
	{Name: "params", Kind: Tree, Doc: "Anything."},
}}

func load(t *testing.T, text string) *Document {
	t.Helper()
	d, err := Load("job.yaml", []byte(text), func(s string) (string, error) {
		if strings.Contains(s, "${MISSING}") {
			return "", errors.New("MISSING is not set")
		}
		return strings.NewReplacer("${N:-7}", "7", "${secret:k}", "hunter2-value", "${secret:s}", "hu", "${OUT}", "out").Replace(s), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestParse(t *testing.T) {
	v, errs := load(t, `
name: late-flights
parallelism: ${N:-7}
rate: 2.5
follow: true
every: 250ms
roll: 64KiB
mode: skip
paths: [a, "${OUT}/b"]
key: ${secret:k}
format: {type: csv, header: true, null: NA}
schema: {carrier: utf8, dep_delay: i32?}
params: {threshold: 30, ratio: 0.5, names: [x, "5"], on: true, n: "${N:-7}", m: "a${N:-7}", none: null, deep: {a: inf}}
`).Parse(sample)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	f := v.Object("format")
	got := fmt.Sprint(v.String("name"), v.Int("parallelism"), v.Float("rate"), v.Bool("follow"), v.Duration("every"), v.Int("roll"),
		v.String("mode"), v.Strings("paths"), v.Secret("key").Reveal(), f.Choice(), f.Bool("header"), f.String("null"))
	if want := fmt.Sprint("late-flights", 7, 2.5, true, 250*time.Millisecond, 65536, "skip", []string{"a", "out/b"}, "hunter2-value",
		"csv", true, "NA"); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	var columns []string
	for _, e := range v.Map("schema") {
		columns = append(columns, e.Name+" "+e.Value.String("type")+" "+e.Value.Place("type"))
	}
	if got := strings.Join(columns, ", "); got != "carrier utf8 job.yaml:12:19, dep_delay i32? job.yaml:12:36" {
		t.Error(got)
	}
	want := map[string]any{"threshold": int64(30), "ratio": 0.5, "names": []any{"x", "5"}, "on": true, "n": int64(7), "m": "a7",
		"none": nil, "deep": map[string]any{"a": "inf"}}
	if got := v.Tree("params").Value(); !reflect.DeepEqual(got, want) {
		t.Errorf("params: got %#v", got)
	}
}

func TestDefaults(t *testing.T) {
	v, errs := load(t, "name: x").Parse(sample)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if v.Int("parallelism") != 1 || v.Duration("every") != time.Second || v.Int("roll") != 128<<20 || v.Object("format").Choice() != "json" {
		t.Errorf("wrong defaults: %+v", v)
	}
	if v.Set("paths") || v.Set("key") || !v.Set("mode") {
		t.Error("Set is true for what has neither value nor default, or false for a default")
	}
}

func TestErrors(t *testing.T) {
	cases := []struct {
		name, text, want string
		code             *errcode.Code
	}{
		{"unknown", "name: x\nparalelism: 2", `job.yaml:2:1: unknown field "paralelism"; did you mean "parallelism"?`, ErrUnknown},
		{"unknown, none near", "name: x\nzzz: 2", `job.yaml:2:1: unknown field "zzz"`, ErrUnknown},
		{"missing", "rate: 1", `job.yaml:1:1: name is missing`, ErrMissing},
		{"empty", "", `job.yaml:1:1: name is missing`, ErrMissing},
		{"no value", "name:", `job.yaml:1:7: name has no value`, ErrMissing},
		{"int", "name: x\nparallelism: two", `job.yaml:2:14: parallelism is "two": want a whole number`, ErrType},
		{"range", "name: x\nparallelism: 0", `job.yaml:2:14: parallelism is "0": want 1 to 128 subtasks`, ErrType},
		{"low", "name: x\nevery: 1ms", `job.yaml:2:8: every is "1ms": want at least 10ms`, ErrType},
		{"size", "name: x\nroll: 5 apples", `job.yaml:2:7: roll is "5 apples": want a number of bytes like 65536, 64KiB or 128MiB`, ErrType},
		{"size overflow", "name: x\nroll: 9000000000TiB", `roll is "9000000000TiB"`, ErrType},
		{"enum", "name: x\nmode: skipp", `mode is "skipp": want fail or skip; did you mean "skip"?`, ErrType},
		{"shape", "name: [x]", `job.yaml:1:7: found a list where name wants a value`, ErrType},
		{"not a mapping", "- a", `found a list where a mapping of fields is expected`, ErrType},
		{"nested", "name: x\nformat: {type: csv, headr: true}", `job.yaml:2:21: unknown field "headr" of format csv; did you mean "header"?`, ErrUnknown},
		{"of the other choice", "name: x\nformat: {type: json, header: true}", `unknown field "header" of format json`, ErrUnknown},
		{"choice", "name: x\nformat: jsn", `job.yaml:2:9: there is no format "jsn"; did you mean "json"?`, ErrChoice},
		{"no choice", "name: x\nformat: {header: true}", `type is missing`, ErrMissing},
		{"secret in plain field", "name: ${secret:k}", `job.yaml:1:7: name may not hold a secret`, ErrSecret},
		{"secret in a tree", "name: x\nparams: {a: [\"${secret:k}\"]}", `job.yaml:2:14: params may not hold a secret`, ErrSecret},
		{"reference", "name: ${MISSING}", `job.yaml:1:7: name cannot be resolved: MISSING is not set`, ErrReference},
		{"map", "name: x\nschema: [a]", `found a list where schema wants a mapping`, ErrType},
		{"map value", "name: x\nschema: {a: }", `type a has no value`, ErrMissing},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, errs := load(t, c.text).Parse(sample)
			if len(errs) != 1 {
				t.Fatalf("%d errors: %v", len(errs), errs)
			}
			e := errs[0]
			got := e.Place + ": " + e.Message
			if e.Cause != nil {
				got += ": " + e.Cause.Error()
			}
			if !strings.Contains(got, c.want) || e.Code != c.code {
				t.Errorf("got  %s (%s)\nwant %s (%s)", got, e.Code.ID, c.want, c.code.ID)
			}
		})
	}
}

func TestAllErrorsAtOnce(t *testing.T) {
	_, errs := load(t, "nam: x\nrate: fast\nformat: {type: csv, header: maybe}\n").Parse(sample)
	if len(errs) != 4 { // nam, rate, header, and name is missing
		t.Errorf("%d errors: %v", len(errs), errs)
	}
}

func TestSyntax(t *testing.T) {
	for text, want := range map[string]string{
		"a: [1":           "job.yaml:1:4",
		"a: 1\na: 2":      "job.yaml:2:1",
		"a: 1\n---\nb: 1": "2 YAML documents",
		"a: *x":           "no anchor &x",
		"a: !!str 5":      "tags",
		"a: {<<: {b: 1}}": "merge key",
		"a: &a [*a]":      "nested more than 32 deep",
		"? [a]\n: 1":      "job.yaml:2:1",
		strings.Repeat("[", 1000) + strings.Repeat("]", 1000): "nested more than 32 deep",
	} {
		_, err := Load("job.yaml", []byte(text), nil)
		if err == nil || !strings.Contains(err.Error(), want) || !errcode.Is(err, ErrSyntax) {
			t.Errorf("%.20q: got %v, want %s", text, err, want)
		}
	}
	var bomb strings.Builder
	bomb.WriteString("a0: &a0 [x, x]\n")
	for i := 1; i < 40; i++ {
		fmt.Fprintf(&bomb, "a%d: &a%d [*a%d, *a%d]\n", i, i, i-1, i-1)
	}
	if _, err := Load("job.yaml", []byte(bomb.String()), nil); !errcode.Is(err, ErrSyntax) {
		t.Errorf("a bomb of aliases: %v", err)
	}
}

func TestAlias(t *testing.T) {
	d := load(t, "name: x\nschema: &s {a: i32}\nparams: *s")
	v, errs := d.Parse(sample)
	if len(errs) > 0 || !reflect.DeepEqual(v.Tree("params").Value(), map[string]any{"a": "i32"}) {
		t.Errorf("%v %v", v, errs)
	}
}

// I12: whatever is done with values or errors, the resolved secret does not show.
func TestSecretsNeverShow(t *testing.T) {
	v, errs := load(t, "name: x\nkey: ${secret:k}").Parse(sample)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	dump, err := json.Marshal(map[string]any{"s": v.Secret("key")})
	if err != nil {
		t.Fatal(err)
	}
	s := v.Secret("key")
	shown := string(dump)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
		shown += fmt.Sprintf(verb, s) + fmt.Sprintf(verb, v) + fmt.Sprintf(verb, &s) + fmt.Sprintf(verb, []Secret{s})
	}
	_, errs = load(t, "name: x\nkey: ${secret:s}").Parse(sample)
	if len(errs) != 1 {
		t.Fatalf("the check of a secret did not run: %v", errs)
	}
	shown += errs.Error()
	if strings.Contains(shown, "hu") || strings.Contains(shown, "68756e") {
		t.Errorf("the secret shows in %s", shown)
	}
}

func TestValidate(t *testing.T) {
	if err := sample.Validate(); err != nil {
		t.Error(err)
	}
	for name, o := range map[string]*Object{
		"twice":       {Fields: []Field{{Name: "a", Doc: "A."}, {Name: "a", Doc: "A."}}},
		"no doc":      {Fields: []Field{{Name: "a"}}},
		"bad default": {Fields: []Field{{Name: "a", Doc: "A.", Kind: Int, Default: "x"}}},
		"range":       {Fields: []Field{{Name: "a", Doc: "A.", Kind: Int, Default: "5", Max: "4"}}},
		"enum":        {Fields: []Field{{Name: "a", Doc: "A.", Kind: Enum}}},
		"secret":      {Fields: []Field{{Name: "a", Doc: "A.", Kind: Int, Secret: true}}},
		"selector":    {Selector: "a"},
		"shadow":      {Selector: "type", What: "x", Fields: []Field{{Name: "a", Doc: "A."}}, Choices: func() []Choice { return []Choice{{"c", "", &Object{Fields: []Field{{Name: "a", Doc: "A."}}}}} }},
	} {
		if o.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
