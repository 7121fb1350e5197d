package spec

import (
	"strings"
	"testing"

	"github.com/tidemill/tidemill/internal/errcode"
)

// FuzzParse: whatever the text, parsing ends with values or with errors that have a code and a place, and a resolved secret shows in
// none of them.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"name: x", "name: ${secret:k}\nkey: ${secret:k}", "{name: x, format: {type: csv, null: '${secret:k}'}}", "key: [${secret:k}]",
		"name: &a {b: *a}", "schema: {${secret:k}: 1}", "format: ${secret:k}", "paths: [a, '${secret:k}', {}]", "params: {a: '${secret:k}'}"} {
		f.Add(s)
	}
	const secret = "hunter2"
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, secret) {
			return
		}
		d, err := Load("job.yaml", []byte(text), func(s string) (string, error) { return strings.ReplaceAll(s, "${secret:k}", secret), nil })
		if err != nil {
			if e := errcode.Of(err); e == nil || !strings.HasPrefix(e.Place, "job.yaml") {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		_, errs := d.Parse(sample)
		for _, e := range errs {
			if e.Code == nil || !strings.HasPrefix(e.Place, "job.yaml:") || strings.Contains(e.Error(), secret) {
				t.Fatalf("%q: %v", text, e)
			}
		}
	})
}
