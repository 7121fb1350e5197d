package examples

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestWordcount(t *testing.T) {
	e := follow(t, "wordcount")
	e.run()
	e.equal("out/counts-*.jsonl")
}

func TestFraudDetection(t *testing.T) {
	e := follow(t, "fraud-detection")
	e.run()
	e.equal("out/alerts-*.jsonl")
	if late := e.rows("out/late-*.jsonl"); len(late) > 0 {
		t.Errorf("%d transactions are late", len(late))
	}
	if _, err := exec.LookPath("python3"); err != nil {
		e.next++ // the score; the step expected of the wider run has Python
		return
	}
	e.run()
}

// equal compares published rows with those of the example's independent script.
func (e *example) equal(pattern string) {
	e.t.Helper()
	text, err := os.ReadFile(filepath.Join(e.dir, "testdata", "expected.jsonl"))
	if err != nil {
		e.t.Fatal(err)
	}
	want := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	got := e.rows(pattern)
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		e.t.Errorf("%s: %d rows, want %d, and they are not the same", pattern, len(got), len(want))
	}
}
