package spec

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// plainValue is a YAML text as the JSON that an editor would check.
func plainValue(t *testing.T, text string) any {
	t.Helper()
	d, err := Load("x", []byte(text), nil)
	if err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(d.Root.Value())
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(string(asJSON)))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// The schema accepts and refuses what the parser does.
func TestJSONSchema(t *testing.T) {
	text, err := json.Marshal(sample.JSONSchema())
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	if err := c.AddResource("sample.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("sample.json")
	if err != nil {
		t.Fatal(err)
	}
	good, bad := 0, 0
	for field, values := range map[string][]string{
		"name":        {"x", "5", "true", "[a]", "{a: 1}", `"${N}"`},
		"parallelism": {"1", "128", "0", "129", "two", "1.5", `"${N}"`, "true"},
		"rate":        {"0", "2.5", "-1", "x"},
		"follow":      {"true", "false", "yes", "1", `"${N}"`},
		"every":       {"1s", "1h30m", "0.5s", "5", "x", "1x", "[1s]"},
		"roll":        {"1", "64KiB", "1GB", "5 apples", "-1"},
		"mode":        {"fail", "skip", "other"},
		"paths":       {"a", "[a, b]", "[[a]]", "{a: b}", "[1, 2]"},
		"key":         {"abcdef"},
		"format":      {"json", "csv", "other", "{type: csv, header: true}", "{type: csv, header: 5}", "{type: json, header: true}", "{header: true}", "{type: other}"},
		"schema":      {"{}", "{a: i32}", "{a: [x]}", "a"},
		"params":      {"1", "[1, {a: b}]", "{}"},
		"unknown":     {"1"},
	} {
		for _, value := range values {
			text := fmt.Sprintf("{name: x, %s: %s}", field, value)
			if field == "name" {
				text = fmt.Sprintf("{name: %s}", value)
			}
			d, err := Load("x", []byte(text), func(s string) (string, error) { return map[string]string{`${N}`: "7"}[s], nil })
			if err != nil {
				t.Fatal(err)
			}
			_, errs := d.Parse(sample)
			if field == "follow" && value == `"${N}"` {
				errs = nil // true or false is known only later
			}
			err = schema.Validate(plainValue(t, text))
			if (err == nil) != (len(errs) == 0) {
				t.Errorf("%s: the schema says %v, the parser %v", text, err, errs)
			}
			if err == nil {
				good++
			} else {
				bad++
			}
		}
	}
	if err := schema.Validate(plainValue(t, "{rate: 1}")); err == nil {
		t.Error("the schema takes an object without its required field")
	}
	if good < 25 || bad < 15 {
		t.Errorf("%d good and %d bad values", good, bad)
	}
}

func TestMarkdown(t *testing.T) {
	got := string(sample.AppendMarkdown(nil, 3, func(*Object) string { return "" }))
	for _, want := range []string{
		"| field | type | default | |\n|---|---|---|---|\n| `name` | text | required | The name. |\n",
		"| `parallelism` | whole number | `1` | Subtasks. 1 to 128 subtasks. |\n",
		"| `mode` | fail or skip | `fail` | Policy. |\n",
		"| `key` | secret text |  | The key. |\n",
		"| `schema` | mapping of type |  | Columns. |\n",
		"### `format`\n\nHow records are written.\n\n#### `type: csv`\n\nComma-separated.\n\n| field | type | default | |\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the reference lacks %q:\n%s", want, got)
		}
	}
	linked := string(sample.AppendMarkdown(nil, 3, func(o *Object) string {
		if o == formats {
			return "[format](#formats)"
		}
		return ""
	}))
	if !strings.Contains(linked, "| `format` | [format](#formats) | `json` |") || strings.Contains(linked, "### `format`") {
		t.Errorf("the link: %s", linked)
	}
}
