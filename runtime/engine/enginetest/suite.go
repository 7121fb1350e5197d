// Package enginetest is the suite that defines an engine, with the sources, sinks and operators that it runs.
//
// Every test runs a job of native operators and compares what it published with a model that shares nothing with the engine.
package enginetest

import (
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/tidemill/tidemill/internal/clock"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/internal/vfs"
	"github.com/tidemill/tidemill/runtime/engine"
	"github.com/tidemill/tidemill/runtime/plan"
)

// Make makes an engine on a file system and a clock.
type Make func(files vfs.FS, c clock.Clock) engine.Engine

// Run runs the suite.
func Run(t *testing.T, newEngine Make) {
	s := suite{newEngine}
	for name, test := range map[string]func(*testing.T, suite){
		"Model": testModel, "Chained": testChained, "Kill": testKill, "Failpoints": testFailpoints, "Stop": testStop,
		"Finished": testFinished, "Fresh": testFresh, "Renamed": testRenamed, "Fallback": testFallback, "BadRecords": testBadRecords, "Rejections": testRejections,
		"ReadError": testReadError, "Restarts": testRestarts, "Panic": testPanic, "BackPressure": testBackPressure,
		"TwoSources": testTwoSources, "ProcessingTime": testProcessingTime, "TimeToLive": testTimeToLive, "OpenError": testOpenError,
		"FullDisk": testFullDisk, "PowerLoss": testPowerLoss,
	} {
		t.Run(name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			test(t, s)
			if !Eventually(func() bool { return runtime.NumGoroutine() <= before }) {
				buf := make([]byte, 1<<20)
				t.Errorf("%d goroutines before, %d after:\n%s", before, runtime.NumGoroutine(), buf[:runtime.Stack(buf, true)])
			}
		})
	}
}

type suite struct{ make Make }

func (s suite) newEngine(files vfs.FS) engine.Engine { return s.make(files, clock.System) }

// Eventually polls a condition for ten seconds.
func Eventually(holds func() bool) bool {
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); {
		if holds() {
			return true
		}
		time.Sleep(time.Millisecond)
	}
	return holds()
}

func run(t *testing.T, e engine.Engine, p *plan.Plan, o engine.Options) (*engine.Result, error) {
	t.Helper()
	j, err := e.Deploy(t.Context(), p, o)
	if err != nil {
		t.Fatal(err)
	}
	return j.Wait()
}

func requireRows(t *testing.T, out *Ledger, want []string) {
	t.Helper()
	for _, f := range out.Faults() {
		t.Error(f)
	}
	got := out.Rows()
	if slices.Equal(got, want) {
		return
	}
	missing, extra := difference(want, got), difference(got, want)
	t.Fatalf("%d rows instead of %d; missing %d: %.5q; extra %d: %.5q", len(got), len(want), len(missing), first(missing), len(extra), first(extra))
}

func first(list []string) []string { return list[:min(5, len(list))] }

// difference is what sorted a has more than sorted b, duplicates counted.
func difference(a, b []string) []string {
	var more []string
	for _, x := range a {
		for len(b) > 0 && b[0] < x {
			b = b[1:]
		}
		if len(b) > 0 && b[0] == x {
			b = b[1:]
			continue
		}
		more = append(more, x)
	}
	return more
}

func requireCode(t *testing.T, err error, code *errcode.Code) {
	t.Helper()
	if err == nil || !errcode.Is(err, code) {
		t.Fatalf("got error %v, want %s", err, code.ID)
	}
}

// slow makes a plan last long enough to be killed in the middle.
func slow(p *plan.Plan) *plan.Plan {
	p.Nodes[0].Source.Rate = 250_000
	p.Checkpoint.Interval = 2 * time.Millisecond
	return p
}

// requireSubset checks that nothing is published that the whole run does not publish, and nothing twice (I2).
func requireSubset(t *testing.T, seed uint64, out *Ledger, want []string) {
	t.Helper()
	if extra := difference(out.Rows(), want); len(extra) > 0 {
		t.Fatalf("seed %d: published after a kill and wrong: %.5q", seed, first(extra))
	}
}
