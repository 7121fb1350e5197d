package examples

import (
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

func TestWordcount(t *testing.T) {
	e := follow(t, "wordcount")
	e.run()
	e.run() // in the other languages
	for _, out := range []string{"out", "rust", "python"} {
		e.equal(out+"/counts-*.jsonl", "expected.jsonl")
	}
}

func TestFraudDetection(t *testing.T) {
	e := follow(t, "fraud-detection")
	e.run()
	e.run() // in the other languages
	for _, out := range []string{"out", "rust", "python"} {
		e.equal(out+"/alerts-*.jsonl", "expected.jsonl")
		if late := e.rows(out + "/late-*.jsonl"); len(late) > 0 {
			t.Errorf("%d transactions are late", len(late))
		}
	}
	if _, err := exec.LookPath("python3"); err != nil {
		e.next++ // the score; the step expected of the wider run has Python
		return
	}
	e.run()
}

// TestLateFlightsInOtherLanguages runs the job, whose Go module the demo and the kills run, with the modules of the others in its place.
func TestLateFlightsInOtherLanguages(t *testing.T) {
	for _, module := range []string{"delays-rust.wasm", "delays-python.wasm"} {
		t.Run(module, func(t *testing.T) {
			t.Parallel()
			e := &example{t: t, dir: t.TempDir()}
			for _, part := range []string{"job.yaml", "testdata"} {
				copyTree(t, filepath.Join("late-flights", part), filepath.Join(e.dir, part))
			}
			copyTree(t, filepath.Join("late-flights", module), filepath.Join(e.dir, "delays.wasm"))
			if out, err := e.shell("tidemill run job.yaml", nil).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			e.equal("out/daily-*.jsonl", "expected-30-120/daily.jsonl")
			e.equal("out/alerts-*.jsonl", "expected-30-120/alerts.jsonl")
		})
	}
}

// equal compares published rows with those of the example's independent script.
func (e *example) equal(pattern, expected string) {
	e.t.Helper()
	got, want := e.rows(pattern), e.rows(filepath.Join("testdata", expected))
	slices.Sort(got)
	slices.Sort(want)
	if len(want) == 0 || !slices.Equal(got, want) {
		e.t.Errorf("%s: %d rows, want %d, and they are not the same", pattern, len(got), len(want))
	}
}
