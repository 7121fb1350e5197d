package enginetest

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/tidemill/tidemill/internal/vfs"
	"github.com/tidemill/tidemill/runtime/checkpoint"
	"github.com/tidemill/tidemill/runtime/engine"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/sink"
	"github.com/tidemill/tidemill/runtime/state"
	"github.com/tidemill/tidemill/runtime/telemetry"
)

func testStop(t *testing.T, s suite) {
	n := &Numbers{Seed: 3, Splits: 4, Rows: 3000, Keys: 30, Step: 3, Disorder: 200, Tap: NewTap(0)}
	out, files := NewLedger(), vfs.NewMem()
	for i, parallelism := range []int{2, 3, 1, 4, 2, 2} {
		p := slow(SumsPlan(n, out, parallelism))
		if i == 1 {
			p.Checkpoint.Interval = time.Hour // the one of the stop is the only one
		}
		n.Tap.Open(400 * (i + 1))
		counters := telemetry.NewJob("sums")
		j, err := s.newEngine(files).Deploy(t.Context(), p, engine.Options{Telemetry: counters})
		if err != nil {
			t.Fatal(err)
		}
		if !Eventually(func() bool { return counters.Snapshot().Nodes[0].Total.RecordsIn > 300 }) {
			t.Fatal("nothing is read")
		}
		j.Stop()
		r, err := j.Wait()
		if err != nil || r.Outcome != engine.Stopped {
			t.Fatalf("%+v, %v", r, err)
		}
		if (i > 0) != (r.Restored != nil) || i == 1 && r.Checkpoints != 1 {
			t.Errorf("run %d: %d checkpoints, restored %+v", i, r.Checkpoints, r.Restored)
		}
		if r.Counters.Nodes[2].Watermark == record.WatermarkEnd {
			t.Error("a stop is no end of input")
		}
		requireSubset(t, 3, out, SumsRows(n))
	}
	n.Tap.Open(n.Rows)
	if _, err := run(t, s.newEngine(files), SumsPlan(n, out, 2), engine.Options{}); err != nil {
		t.Fatal(err)
	}
	requireRows(t, out, SumsRows(n))
}

// testRenamed goes on with an operator whose state has another name: that is refused, and loses nothing; where it is allowed, the
// state stays in the checkpoints, for the operator that has the name again.
func testRenamed(t *testing.T, s suite) {
	n := &Numbers{Seed: 6, Splits: 2, Rows: 3000, Keys: 30, Step: 3, Disorder: 200, Tap: NewTap(1000)}
	out, files := NewLedger(), vfs.NewMem()
	stopAt(t, s, n, files, out, "", engine.Options{})

	renamed := SumsPlan(n, out, 1)
	renamed.Nodes[2].Operator.Native = func() operator.Operator { return &Sums{Name: "sums"} }
	_, err := run(t, s.newEngine(files), renamed, engine.Options{})
	requireCode(t, err, state.CodeUndeclared)

	n.Tap.Open(1001)
	stopAt(t, s, n, files, out, "sums", engine.Options{AllowUndeclared: true})
	_, err = run(t, s.newEngine(files), SumsPlan(n, out, 1), engine.Options{})
	requireCode(t, err, state.CodeUndeclared) // both names are in the checkpoint by now
	n.Tap.Open(n.Rows)
	if _, err = run(t, s.newEngine(files), SumsPlan(n, out, 2), engine.Options{AllowUndeclared: true}); err != nil {
		t.Fatal(err)
	}
}

// stopAt runs the job, with another name for its state, until it has read what the tap lets through, and stops it.
func stopAt(t *testing.T, s suite, n *Numbers, files vfs.FS, out *Ledger, name string, o engine.Options) {
	t.Helper()
	p := slow(SumsPlan(n, out, 2))
	p.Nodes[2].Operator.Native = func() operator.Operator { return &Sums{Name: name} }
	o.Telemetry = telemetry.NewJob("sums")
	j, err := s.newEngine(files).Deploy(t.Context(), p, o)
	if err != nil {
		t.Fatal(err)
	}
	if !Eventually(func() bool { return o.Telemetry.Snapshot().Nodes[0].Total.RecordsIn > 0 }) {
		t.Fatal("nothing is read")
	}
	j.Stop()
	if r, err := j.Wait(); err != nil || r.Outcome != engine.Stopped {
		t.Fatalf("%+v, %v", r, err)
	}
}

func testFinished(t *testing.T, s suite) {
	n := &Numbers{Seed: 4, Splits: 2, Rows: 500, Keys: 3, Step: 30}
	out, files := NewLedger(), vfs.NewMem()
	for i, want := range []engine.Outcome{engine.Finished, engine.AlreadyFinished, engine.AlreadyFinished} {
		r, err := run(t, s.newEngine(files), SumsPlan(n, out, 1+i), engine.Options{})
		if err != nil || r.Outcome != want {
			t.Fatalf("run %d: %v, %v", i, r.Outcome, err)
		}
		requireRows(t, out, SumsRows(n))
	}
}

func testFresh(t *testing.T, s suite) {
	n := &Numbers{Seed: 4, Splits: 2, Rows: 500, Keys: 3, Step: 30}
	out, files := NewLedger(), vfs.NewMem()
	e := s.newEngine(files)
	if _, err := run(t, e, SumsPlan(n, out, 1), engine.Options{}); err != nil {
		t.Fatal(err)
	}
	_, err := e.Deploy(t.Context(), SumsPlan(n, out, 1), engine.Options{Fresh: true})
	requireCode(t, err, sink.ErrOutput)
	if r, err := run(t, e, SumsPlan(n, out, 1), engine.Options{}); err != nil || r.Outcome != engine.AlreadyFinished {
		t.Fatalf("a refused fresh start changed the store: %+v, %v", r, err)
	}
	again := NewLedger()
	if r, err := run(t, e, SumsPlan(n, again, 1), engine.Options{Fresh: true}); err != nil || r.Restored != nil {
		t.Fatalf("%+v, %v", r, err)
	}
	requireRows(t, again, SumsRows(n))
}

// testFallback damages the newest checkpoint: the one before it is restored, and output published after it taken back.
func testFallback(t *testing.T, s suite) {
	n := &Numbers{Seed: 5, Splits: 3, Rows: 3000, Keys: 30, Step: 3, Disorder: 100, Tap: NewTap(2999)}
	out, files := NewLedger(), vfs.NewMem()
	k := newKiller(t.Context(), 5, 0)
	j, err := s.newEngine(files).Deploy(k.ctx, slow(SumsPlan(n, out, 2)), engine.Options{Notify: k.notify})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Wait(); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	n.Tap.Open(n.Rows)
	newest := damageNewest(t, files)
	var told []uint64
	r, err := run(t, s.newEngine(files), SumsPlan(n, out, 3), engine.Options{Notify: func(e engine.Event) {
		if skipped, ok := e.(engine.Skipped); ok {
			told = append(told, skipped.Checkpoint)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(told, []uint64{newest}) || len(r.Skipped) != 1 || r.Restored == nil || r.Restored.Checkpoint >= newest {
		t.Errorf("told of %v, restored %+v, skipped %v", told, r.Restored, r.Skipped)
	}
	requireRows(t, out, SumsRows(n))
}

// damageNewest flips a bit in the middle of the newest manifest and returns its checkpoint.
func damageNewest(t *testing.T, files vfs.FS) uint64 {
	t.Helper()
	list, err := files.ReadDir("store")
	if err != nil {
		t.Fatal(err)
	}
	newest := ""
	var id uint64
	for _, f := range list {
		if name, ok := checkpoint.ParseName(f.Name()); ok && name.Kind == checkpoint.FileManifest && name.Checkpoint > id {
			newest, id = vfs.Join("store", f.Name()), name.Checkpoint
		}
	}
	content, err := vfs.ReadFile(files, newest)
	if err != nil {
		t.Fatal(err)
	}
	content[len(content)/2] ^= 4
	f, err := files.Create(newest)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return id
}
