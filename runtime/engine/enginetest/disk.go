package enginetest

import (
	"errors"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/internal/faultfs"
	"github.com/tidemill/tidemill/internal/vfs"
	"github.com/tidemill/tidemill/runtime/engine"
	"github.com/tidemill/tidemill/runtime/plan"
)

// testFullDisk fails each operation of a full disk once, while the job runs: it ends with an error of the environment, and goes
// on from its last checkpoint when there is room again.
func testFullDisk(t *testing.T, s suite) {
	for at := 1; ; at++ {
		n := &Numbers{Seed: 11, Splits: 2, Rows: 300, Keys: 5, Step: 20, Disorder: 100, Tap: NewTap(100)}
		out, faulty := NewLedger(), faultfs.Wrap(vfs.NewMem())
		faulty.FailAt(at, syscall.ENOSPC, faultfs.Writes...)
		err := deployAndWait(t, s.newEngine(faulty), slow(SumsPlan(n, out, 2)), n.Tap.Drip(100))
		if !faulty.Fired() {
			if at < 20 || err != nil {
				t.Errorf("%d operations, %v", at, err)
			}
			requireRows(t, out, SumsRows(n))
			return
		}
		if err != nil {
			e := errcode.Of(err)
			if e == nil || e.Code.Class != errcode.Environment || e.Hint == "" || !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("operation %d, %s: %v", at, faulty.Where(), err)
			}
		}
		requireSubset(t, uint64(at), out, SumsRows(n))
		n.Tap.Open(n.Rows)
		if _, err := run(t, s.newEngine(faulty), SumsPlan(n, out, 1), engine.Options{}); err != nil {
			t.Fatalf("after operation %d, %s: %v", at, faulty.Where(), err)
		}
		requireRows(t, out, SumsRows(n))
	}
}

// deployAndWait runs a job whose store may fail at any time.
func deployAndWait(t *testing.T, e engine.Engine, p *plan.Plan, notify func(engine.Event)) error {
	j, err := e.Deploy(t.Context(), p, engine.Options{Notify: notify})
	if err != nil {
		return err
	}
	_, err = j.Wait()
	return err
}

// testPowerLoss stops all files at each operation that changes something, loses a random part of what was not synced, and goes on.
func testPowerLoss(t *testing.T, s suite) {
	for at := 1; ; at++ {
		n := &Numbers{Seed: 12, Splits: 2, Rows: 300, Keys: 5, Step: 20, Disorder: 100, Tap: NewTap(100)}
		files := vfs.NewMem()
		out, faulty := NewLedger(), faultfs.Wrap(files)
		faulty.FailFrom(at, errors.New("no power"), faultfs.Changes...)
		err := deployAndWait(t, s.newEngine(faulty), slow(SumsPlan(n, out, 2)), n.Tap.Drip(100))
		if !faulty.Fired() {
			if at < 20 || err != nil {
				t.Errorf("%d operations, %v", at, err)
			}
			return
		}
		rng := rand.New(rand.NewPCG(uint64(at), 12))
		files.Crash(rng)
		requireSubset(t, uint64(at), out, SumsRows(n))
		n.Tap.Open(n.Rows)
		if _, err := run(t, s.newEngine(files), SumsPlan(n, out, 2), engine.Options{}); err != nil {
			t.Fatalf("after operation %d, %s: %v", at, faulty.Where(), err)
		}
		requireRows(t, out, SumsRows(n))
	}
}
