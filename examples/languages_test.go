package examples

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestEveryLanguageGivesTheSameRows runs the jobs of the applications with the module of another language than that of their pages,
// and compares what they publish with the same independent rows.
func TestEveryLanguageGivesTheSameRows(t *testing.T) {
	for _, c := range []struct {
		example, module, other string
		expected               map[string]string // by the files of a sink
	}{
		{"late-flights", "delays.wasm", "delays-rust.wasm", map[string]string{
			"daily": "expected-30-120/daily.jsonl", "alerts": "expected-30-120/alerts.jsonl", "late": "",
		}},
		{"wordcount", "wordcount.wasm", "wordcount-rust.wasm", map[string]string{"counts": "expected.jsonl"}},
		{"fraud-detection", "fraud-detection.wasm", "fraud-detection-rust.wasm", map[string]string{"alerts": "expected.jsonl", "late": ""}},
	} {
		t.Run(c.other, func(t *testing.T) {
			t.Parallel()
			e := &example{t: t, dir: filepath.Join(t.TempDir(), c.example)}
			for _, part := range []string{"testdata", c.other} {
				copyTree(t, filepath.Join(c.example, part), filepath.Join(e.dir, part))
			}
			job, err := os.ReadFile(filepath.Join(c.example, "job.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			with := strings.ReplaceAll(string(job), c.module, c.other)
			if with == string(job) {
				t.Fatalf("the job does not name %s", c.module)
			}
			if err := os.WriteFile(filepath.Join(e.dir, "job.yaml"), []byte(with), 0o644); err != nil {
				t.Fatal(err)
			}
			if out, err := e.shell("tidemill run job.yaml", nil).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			for sink, file := range c.expected {
				var want []string
				if file != "" {
					text, err := os.ReadFile(filepath.Join(e.dir, "testdata", file))
					if err != nil {
						t.Fatal(err)
					}
					want = canonical(t, strings.Split(strings.TrimSuffix(string(text), "\n"), "\n"))
				}
				if got := canonical(t, e.rows("out/"+sink+"-*.jsonl")); !slices.Equal(got, want) {
					t.Errorf("%s: %d rows, want %d, and they are not the same", sink, len(got), len(want))
				}
			}
		})
	}
}

// canonical are rows of JSON with their members and themselves in order, and numbers written one way.
func canonical(t *testing.T, rows []string) (list []string) {
	t.Helper()
	for _, row := range rows {
		text, err := json.Marshal(object(t, row))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, string(text))
	}
	slices.Sort(list)
	return list
}
