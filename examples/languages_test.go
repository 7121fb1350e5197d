package examples

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// inOtherLanguages are the examples whose operators are written in several languages, with the published rows of their jobs and
// the files of testdata that have the expected ones.
var inOtherLanguages = map[string]map[string]string{
	"wordcount":       {"out/counts-*.jsonl": "expected.jsonl"},
	"fraud-detection": {"out/alerts-*.jsonl": "expected.jsonl"},
	"late-flights":    {"out/daily-*.jsonl": "expected-30-120/daily.jsonl", "out/alerts-*.jsonl": "expected-30-120/alerts.jsonl"},
}

// TestOtherLanguages runs each of these jobs with NAME-LANGUAGE.wasm in the place of NAME.wasm: what comes out is the same.
func TestOtherLanguages(t *testing.T) {
	for name, published := range inOtherLanguages {
		modules, err := filepath.Glob(filepath.Join(name, "*-*.wasm"))
		modules = slices.DeleteFunc(modules, func(m string) bool { return filepath.Base(m) == name+".wasm" })
		if err != nil || len(modules) != 2 {
			t.Fatalf("%s: modules %q, %v; want those of Python and Rust", name, modules, err)
		}
		for _, module := range modules {
			t.Run(filepath.Base(module), func(t *testing.T) {
				t.Parallel()
				runInstead(t, name, module, published)
			})
		}
	}
}

// runInstead runs an example's job with another module.
func runInstead(t *testing.T, name, module string, published map[string]string) {
	e := &example{t: t, dir: filepath.Join(t.TempDir(), name)}
	for _, part := range []string{"job.yaml", "testdata"} {
		copyTree(t, filepath.Join(name, part), filepath.Join(e.dir, part))
	}
	base := filepath.Base(module)
	copyTree(t, module, filepath.Join(e.dir, base[:strings.LastIndexByte(base, '-')]+".wasm"))
	if out, err := e.shell("tidemill run job.yaml", nil).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for pattern, expected := range published {
		got, want := e.rows(pattern), e.rows(filepath.Join("testdata", expected))
		slices.Sort(got)
		slices.Sort(want)
		if len(want) == 0 || !slices.Equal(got, want) {
			t.Errorf("%s: %d rows, want %d, and they are not the same", pattern, len(got), len(want))
		}
	}
}
