// Package enginetest is the suite that defines an engine, with the sources, sinks and operators that it runs.
//
// Every test runs a job of native operators and compares what it published with a model that shares nothing with the engine.
package enginetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tidemill/tidemill/internal/clock"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/internal/failpoint"
	"github.com/tidemill/tidemill/internal/faultfs"
	"github.com/tidemill/tidemill/internal/vfs"
	"github.com/tidemill/tidemill/runtime/checkpoint"
	"github.com/tidemill/tidemill/runtime/engine"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/plan"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/sink"
	"github.com/tidemill/tidemill/runtime/source"
	"github.com/tidemill/tidemill/runtime/state"
	"github.com/tidemill/tidemill/runtime/task"
	"github.com/tidemill/tidemill/runtime/telemetry"
)

// Make makes an engine on a file system and a clock.
type Make func(files vfs.FS, c clock.Clock) engine.Engine

// Run runs the suite.
func Run(t *testing.T, newEngine Make) {
	s := suite{newEngine}
	for name, test := range map[string]func(*testing.T, suite){
		"Model": testModel, "Chained": testChained, "Kill": testKill, "Failpoints": testFailpoints, "Stop": testStop,
		"Finished": testFinished, "Fresh": testFresh, "Fallback": testFallback, "BadRecords": testBadRecords, "Rejections": testRejections,
		"ReadError": testReadError, "Restarts": testRestarts, "Panic": testPanic, "BackPressure": testBackPressure,
		"TwoSources": testTwoSources, "ProcessingTime": testProcessingTime, "OpenError": testOpenError,
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

func testModel(t *testing.T, s suite) {
	for seed := range uint64(6) {
		n := &Numbers{Seed: seed, Splits: 1 + int(seed), Rows: 2500, Keys: 1 + int(seed*seed)*20, Step: 3, Disorder: int64(seed) * 500}
		want := SumsRows(n)
		for _, parallelism := range []int{1, 2, 4} {
			out := NewLedger()
			r, err := run(t, s.newEngine(vfs.NewMem()), SumsPlan(n, out, parallelism), engine.Options{})
			if err != nil {
				t.Fatalf("seed %d, parallelism %d: %v", seed, parallelism, err)
			}
			requireRows(t, out, want)
			if r.Outcome != engine.Finished || r.Checkpoints < 1 || r.Restored != nil {
				t.Errorf("result %+v", r)
			}
			requireCounts(t, r.Counters, n, len(want))
		}
	}
}

// requireCounts compares the counters of a plain run of SumsPlan with the model.
func requireCounts(t *testing.T, c *telemetry.Snapshot, n *Numbers, published int) {
	t.Helper()
	records := int64(n.Splits * n.Rows)
	rows := int64(published)
	for i, want := range []telemetry.Counters{
		{RecordsIn: records, RecordsOut: records}, {RecordsIn: records, RecordsOut: records}, {RecordsIn: records, RecordsOut: rows},
		{RecordsIn: rows, RecordsOut: rows},
	} {
		got := c.Nodes[i]
		if got.Total.RecordsIn != want.RecordsIn || got.Total.RecordsOut != want.RecordsOut || got.Total.Late != 0 || got.Total.Bad != 0 {
			t.Errorf("%s counts %+v, want %+v", got.Name, got.Total, want)
		}
		if got.Watermark != record.WatermarkEnd {
			t.Errorf("%s has watermark %d at the end", got.Name, got.Watermark)
		}
	}
	if len(c.Nodes[0].Splits) != n.Splits {
		t.Errorf("%d splits counted", len(c.Nodes[0].Splits))
	}
	for _, sp := range c.Nodes[0].Splits {
		if sp.Records != int64(n.Rows) || !sp.Done {
			t.Errorf("split %+v", sp)
		}
	}
}

// testChained runs everything in one task.
func testChained(t *testing.T, s suite) {
	n := &Numbers{Seed: 9, Splits: 3, Rows: 5000, Keys: 50, Step: 2, Disorder: 70}
	out := NewLedger()
	p := SumsPlan(n, out, 1)
	p.Edges[1].Ship, p.Edges[1].Keys = plan.Forward, nil
	p.Tasks = []plan.Task{{Nodes: []int{0, 1, 2, 3}, Parallelism: 1}}
	if _, err := run(t, s.newEngine(vfs.NewMem()), p, engine.Options{}); err != nil {
		t.Fatal(err)
	}
	requireRows(t, out, SumsRows(n))
}

// slow makes a plan last long enough to be killed in the middle.
func slow(p *plan.Plan) *plan.Plan {
	p.Nodes[0].Source.Rate = 250_000
	p.Checkpoint.Interval = 2 * time.Millisecond
	return p
}

// testKill ends jobs abruptly at random moments and restores them at random parallelism, until they finish.
func testKill(t *testing.T, s suite) {
	for seed := range uint64(16) {
		rng := rand.New(rand.NewPCG(seed, 7))
		n := &Numbers{Seed: seed, Splits: 1 + rng.IntN(5), Rows: 3000, Keys: 1 + rng.IntN(100), Step: 3, Disorder: rng.Int64N(800)}
		n.Tap = NewTap(n.Rows - 1)
		want := SumsRows(n)
		out, files := NewLedger(), vfs.NewMem()
		for kills := 1 + rng.IntN(4); kills >= 0; kills-- {
			watch := &watermarks{seen: map[int]int64{}, restored: record.WatermarkNone}
			p := slow(SumsPlan(n, out, 1+rng.IntN(4)))
			p.Nodes[2].Operator.Native = func() operator.Operator { return &Sums{Went: watch.went} }
			k := newKiller(t.Context(), 1+rng.IntN(6), time.Duration(rng.IntN(2000))*time.Microsecond)
			if kills == 0 {
				n.Tap.Open(n.Rows)
				k.after = 1 << 30
			}
			j, err := s.newEngine(files).Deploy(k.ctx, p, engine.Options{Notify: func(e engine.Event) {
				if r, ok := e.(engine.Restored); ok {
					watch.restore(t, r.Manifest)
				}
				k.notify(e)
			}})
			if err != nil {
				t.Fatalf("seed %d: %v", seed, err)
			}
			_, err = j.Wait()
			k.cancel()
			if (kills == 0) != (err == nil) || kills > 0 && !errors.Is(err, context.Canceled) {
				t.Fatalf("seed %d: %v", seed, err)
			}
			watch.check(t, seed)
			requireSubset(t, seed, out, want)
		}
		requireRows(t, out, want)
	}
}

// killer ends a job some time after a number of checkpoints.
type killer struct {
	ctx    context.Context
	cancel context.CancelFunc
	after  int
	delay  time.Duration
}

func newKiller(ctx context.Context, after int, delay time.Duration) *killer {
	k := &killer{after: after, delay: delay}
	k.ctx, k.cancel = context.WithCancel(ctx)
	return k
}

func (k *killer) notify(e engine.Event) {
	if _, ok := e.(engine.Completed); !ok {
		return
	}
	if k.after--; k.after == 0 {
		time.AfterFunc(k.delay, k.cancel)
	}
}

// requireSubset checks that nothing is published that the whole run does not publish, and nothing twice (I2).
func requireSubset(t *testing.T, seed uint64, out *Ledger, want []string) {
	t.Helper()
	if extra := difference(out.Rows(), want); len(extra) > 0 {
		t.Fatalf("seed %d: published after a kill and wrong: %.5q", seed, first(extra))
	}
}

// watermarks watches that the event time of Sums goes forward in each subtask, from what was restored on (I6).
type watermarks struct {
	mu       sync.Mutex
	restored int64
	seen     map[int]int64
	backs    []string
}

// restore notes the watermark that all subtasks of Sums had at a checkpoint: behind an exchange they all have the same one.
func (w *watermarks) restore(t *testing.T, m *checkpoint.Manifest) {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	first := true
	for _, at := range m.Watermarks {
		if at.Node != "sums" {
			continue
		}
		if !first && at.Watermark != w.restored {
			t.Errorf("subtasks have watermarks %d and %d at one checkpoint", at.Watermark, w.restored)
		}
		w.restored, first = at.Watermark, false
	}
}

func (w *watermarks) went(subtask int, at int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	last, any := w.seen[subtask]
	if !any {
		last = w.restored
	}
	if at <= last {
		w.backs = append(w.backs, fmt.Sprintf("subtask %d went from %d to %d", subtask, last, at))
	}
	w.seen[subtask] = at
}

func (w *watermarks) check(t *testing.T, seed uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, b := range w.backs {
		t.Errorf("seed %d: %s", seed, b)
	}
}

// testFailpoints ends a job in each named window.
func testFailpoints(t *testing.T, s suite) {
	for i, name := range failpoint.Names() {
		if strings.HasPrefix(name, "commit.") {
			continue // windows of the file sink
		}
		for hit := 1; hit <= 4; hit++ {
			n := &Numbers{Seed: uint64(i), Splits: 2, Rows: 2000, Keys: 30, Step: 10, Disorder: 200, Tap: NewTap(100)}
			out, files := NewLedger(), vfs.NewMem()
			ctx, cancel := context.WithCancel(t.Context())
			reached := make(chan struct{})
			failpoint.Arm(name, hit, func() {
				cancel()
				close(reached)
			})
			j, err := s.newEngine(files).Deploy(ctx, slow(SumsPlan(n, out, 2)), engine.Options{Notify: n.Tap.Drip(100)})
			if err != nil {
				t.Fatal(err)
			}
			_, err = j.Wait()
			failpoint.Arm("", 0, nil)
			select {
			case <-reached:
			default:
				t.Fatalf("%s was not reached %d times", name, hit)
			}
			if err == nil {
				t.Fatalf("%s: the job ended well", name)
			}
			requireSubset(t, uint64(i), out, SumsRows(n))
			n.Tap.Open(n.Rows)
			if _, err := run(t, s.newEngine(files), SumsPlan(n, out, 1), engine.Options{}); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			requireRows(t, out, SumsRows(n))
			cancel()
		}
	}
}

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

// withDeadLetters adds a dead-letter sink to SumsPlan, fed by a node over an exchange.
func withDeadLetters(p *plan.Plan, from int, letters *Ledger) *plan.Plan {
	p.Nodes[from].OnError = plan.OnError{Policy: plan.DeadLetter, To: len(p.Nodes)}
	p.Edges = append(p.Edges, plan.Edge{From: from, FromPort: operator.DeadLetterPort, To: len(p.Nodes), Ship: plan.Rebalance})
	p.Tasks = append(p.Tasks, plan.Task{Nodes: []int{len(p.Nodes)}, Parallelism: 1})
	p.Nodes = append(p.Nodes, &plan.Node{ID: len(p.Nodes), Name: "letters", Parallelism: 1,
		Inputs: []operator.Input{{Port: "in", Schema: operator.DeadLetterSchema}}, Sink: &plan.Sink{Kind: "ledger", Connector: letters}})
	return p
}

func testBadRecords(t *testing.T, s suite) {
	n := &Numbers{Seed: 6, Splits: 3, Rows: 2000, Keys: 30, Step: 3, Disorder: 100,
		Bad:  func(split, row int) bool { return (split*7+row)%301 == 3 },
		Null: func(split, row int) bool { return (split+row)%777 == 5 && (split*7+row)%301 != 3 }}
	bad, null := 0, 0
	for split := range n.Splits {
		for row := range n.Rows {
			if n.Bad(split, row) {
				bad++
			} else if n.Null(split, row) {
				null++
			}
		}
	}
	_, err := run(t, s.newEngine(vfs.NewMem()), SumsPlan(n, NewLedger(), 2), engine.Options{})
	requireCode(t, err, task.ErrRejected)
	for _, want := range []string{"source numbers", "split ", "position "} {
		if e := errcode.Of(err); !strings.Contains(e.Place, want) {
			t.Errorf("place %q does not name %q", e.Place, want)
		}
	}

	out := NewLedger()
	p := SumsPlan(n, out, 2)
	p.Nodes[0].OnError.Policy = plan.Skip
	r, err := run(t, s.newEngine(vfs.NewMem()), p, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	requireRows(t, out, SumsRows(n))
	if c := r.Counters.Nodes[0].Total; c.Bad != int64(bad+null) {
		t.Errorf("%d counted as bad, want %d", c.Bad, bad+null)
	}

	out, letters := NewLedger(), NewLedger()
	if _, err = run(t, s.newEngine(vfs.NewMem()), withDeadLetters(SumsPlan(n, out, 2), 0, letters), engine.Options{}); err != nil {
		t.Fatal(err)
	}
	requireRows(t, out, SumsRows(n))
	requireLetters(t, n, letters, bad+null)
}

func requireLetters(t *testing.T, n *Numbers, letters *Ledger, want int) {
	t.Helper()
	rows := letters.Rows()
	if len(rows) != want {
		t.Fatalf("%d dead letters, want %d", len(rows), want)
	}
	for _, row := range rows {
		l, err := Letter(row)
		if err != nil {
			t.Fatal(err)
		}
		var split int
		if _, err := fmt.Sscan(l["split"].(string), &split); err != nil {
			t.Fatal(err)
		}
		at := int(l["position"].(float64))
		switch {
		case n.Bad(split, at):
			if l["record"] != fmt.Sprintf("bad %d/%d", split, at) || l["line"] != float64(at+1) || l["error"] != "it is bad" {
				t.Errorf("letter %v", l)
			}
		case n.Null(split, at):
			if l["code"] != source.ErrNoEventTime.ID || !strings.Contains(l["record"].(string), fmt.Sprintf(`"value":%d,"at":null`, n.At(split, at).Value)) {
				t.Errorf("letter %v", l)
			}
		default:
			t.Errorf("record %d of split %d is good: %v", at, split, l)
		}
	}
}

// picky rejects every value that is a multiple of 100, row by row.
type picky struct{ Mark }

func (p *picky) Process(port int, b *record.Batch) error {
	var keep []int32
	for i := range b.Rows {
		if b.Columns[1].Int(i)%100 != 0 {
			keep = append(keep, int32(i))
		} else if err := p.ctx.Reject(&operator.Rejection{Cause: errors.New("a round number"), Port: port, Row: b.Slice(i, i+1)}); err != nil {
			return err
		}
	}
	return p.Mark.Process(port, b.Take(keep))
}

func testRejections(t *testing.T, s suite) {
	n := &Numbers{Seed: 8, Splits: 2, Rows: 3000, Keys: 30, Step: 3, Disorder: 100}
	round := func(split, row int) bool { return n.At(split, row).Value%100 == 0 }
	model := &Numbers{Seed: n.Seed, Splits: n.Splits, Rows: n.Rows, Keys: n.Keys, Step: n.Step, Disorder: n.Disorder, Bad: round}
	want := 0
	for split := range n.Splits {
		for row := range n.Rows {
			if round(split, row) {
				want++
			}
		}
	}
	newPlan := func(out *Ledger) *plan.Plan {
		p := SumsPlan(n, out, 2)
		p.Nodes[1].Operator.Native = func() operator.Operator { return &picky{} }
		return p
	}
	_, err := run(t, s.newEngine(vfs.NewMem()), newPlan(NewLedger()), engine.Options{})
	requireCode(t, err, task.ErrRejected)

	out, letters := NewLedger(), NewLedger()
	r, err := run(t, s.newEngine(vfs.NewMem()), withDeadLetters(newPlan(out), 1, letters), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	requireRows(t, out, SumsRows(model))
	if got := len(letters.Rows()); got != want || r.Counters.Nodes[1].Total.Bad != int64(want) {
		t.Errorf("%d letters and %d counted, want %d", got, r.Counters.Nodes[1].Total.Bad, want)
	}
	for _, row := range letters.Rows() {
		l, err := Letter(row)
		if err != nil {
			t.Fatal(err)
		}
		var split int
		if _, err := fmt.Sscan(l["split"].(string), &split); err != nil {
			t.Fatal(err)
		}
		if l["node"] != "mark" || l["port"] != "in" || !round(split, int(l["position"].(float64))) {
			t.Errorf("letter %v", l)
		}
	}
}

func testReadError(t *testing.T, s suite) {
	n := &Numbers{Seed: 6, Splits: 3, Rows: 2000, Keys: 30, Step: 3}
	n.Fail.Store(5)
	out, files := NewLedger(), vfs.NewMem()
	r, err := run(t, s.newEngine(files), SumsPlan(n, out, 2), engine.Options{})
	requireCode(t, err, source.ErrRead)
	if r.Outcome != engine.Failed || !errors.Is(err, errRead) {
		t.Errorf("%v, %v", r.Outcome, err)
	}
	if _, err := run(t, s.newEngine(files), SumsPlan(n, out, 2), engine.Options{}); err != nil {
		t.Fatal(err)
	}
	requireRows(t, out, SumsRows(n))
}

func testRestarts(t *testing.T, s suite) {
	n := &Numbers{Seed: 6, Splits: 3, Rows: 2000, Keys: 30, Step: 3, Disorder: 50}
	n.Fail.Store(6)
	out := NewLedger()
	var restarts []int
	r, err := run(t, s.newEngine(vfs.NewMem()), slow(SumsPlan(n, out, 2)), engine.Options{Restarts: 2, Notify: func(e engine.Event) {
		if again, ok := e.(engine.Restarting); ok {
			restarts = append(restarts, again.Restart)
			if len(restarts) == 1 {
				n.Fail.Store(4)
			}
		}
	}})
	if err != nil || r.Restarts != 2 || !slices.Equal(restarts, []int{1, 2}) {
		t.Fatalf("%v, restarts %v, %+v", err, restarts, r)
	}
	requireRows(t, out, SumsRows(n))

	n.Fail.Store(3)
	r, err = run(t, s.newEngine(vfs.NewMem()), SumsPlan(n, NewLedger(), 1), engine.Options{Restarts: 1, Notify: func(e engine.Event) {
		if _, ok := e.(engine.Restarting); ok {
			n.Fail.Store(3)
		}
	}})
	requireCode(t, err, source.ErrRead)
	if r.Restarts != 1 {
		t.Errorf("%d restarts", r.Restarts)
	}
}

type panicking struct{ Mark }

func (p *panicking) Process(int, *record.Batch) error { panic("a bug") }

func testPanic(t *testing.T, s suite) {
	n := &Numbers{Seed: 6, Splits: 1, Rows: 2000, Keys: 30, Step: 3}
	p := SumsPlan(n, NewLedger(), 2)
	p.Nodes[1].Operator.Native = func() operator.Operator { return &panicking{} }
	_, err := run(t, s.newEngine(vfs.NewMem()), p, engine.Options{})
	requireCode(t, err, task.ErrPanic)
	if e := errcode.Of(err); !strings.Contains(e.Place, "mark") || !strings.Contains(e.Message, "a bug") {
		t.Errorf("%v", err)
	}
}

type refusing struct{ Mark }

func (r *refusing) Open(*operator.Context) error { return errors.New("no such parameter") }

func testOpenError(t *testing.T, s suite) {
	n := &Numbers{Seed: 6, Splits: 1, Rows: 2000, Keys: 30, Step: 3}
	p := SumsPlan(n, NewLedger(), 2)
	p.Nodes[1].Operator.Native = func() operator.Operator { return &refusing{} }
	_, err := run(t, s.newEngine(vfs.NewMem()), p, engine.Options{})
	if err == nil || !strings.Contains(err.Error(), "no such parameter") {
		t.Fatal(err)
	}
}

// gated waits with its first batch until it is let through.
type gated struct {
	Mark
	open <-chan struct{}
}

func (g *gated) Process(port int, b *record.Batch) error {
	<-g.open
	return g.Mark.Process(port, b)
}

// testBackPressure holds an operator behind an exchange: what its sources read ahead is bounded.
func testBackPressure(t *testing.T, s suite) {
	n := &Numbers{Seed: 6, Splits: 2, Rows: 40_000, Keys: 30, Step: 3}
	out := NewLedger()
	p := SumsPlan(n, out, 2)
	open := make(chan struct{})
	p.Nodes[1].Operator.Native = func() operator.Operator { return &gated{open: open} }
	p.Edges[0].Ship, p.Edges[1].Ship = plan.Rebalance, plan.Hash
	p.Tasks = []plan.Task{{Nodes: []int{0}, Parallelism: 2}, {Nodes: []int{1}, Parallelism: 2}, {Nodes: []int{2, 3}, Parallelism: 2}}
	counters := telemetry.NewJob("sums")
	j, err := s.newEngine(vfs.NewMem()).Deploy(t.Context(), p, engine.Options{Telemetry: counters})
	if err != nil {
		t.Fatal(err)
	}
	if !Eventually(func() bool {
		for _, sub := range counters.Snapshot().Nodes[0].Subtasks {
			if sub.Counters.Stalled == 0 {
				return false
			}
		}
		return true
	}) {
		t.Error("the sources were never stopped")
	}
	read := counters.Snapshot().Nodes[0].Total.RecordsIn
	if most := int64(4*(2*record.RowsMax+record.RowsMax) + 2*record.RowsMax); read > most {
		t.Errorf("%d records were taken in, at most %d fit into four queues and two tasks", read, most)
	}
	close(open)
	if _, err := j.Wait(); err != nil {
		t.Fatal(err)
	}
	requireRows(t, out, SumsRows(n))
}

// testTwoSources unites a short bounded source and a long one: the one that has ended does not hold the other back, also not
// after a restore.
func testTwoSources(t *testing.T, s suite) {
	short := &Numbers{Seed: 1, Splits: 1, Rows: 20, Keys: 5, FirstKey: 100, Step: 3}
	long := &Numbers{Seed: 2, Splits: 2, Rows: 6000, Keys: 5, Step: 3, Disorder: 30, Tap: NewTap(0)}
	all := append(SumsRows(short), SumsRows(long)...)
	slices.Sort(all)
	build := func(out *Ledger, parallelism int) *plan.Plan {
		p := SumsPlan(long, out, parallelism)
		source, other, mark := *p.Nodes[0].Source, *p.Nodes[0], *p.Nodes[1]
		source.Connector = short
		other.ID, other.Name, other.Source = 4, "short", &source
		mark.ID, mark.Name = 5, "mark-short"
		p.Nodes = append(p.Nodes, &other, &mark)
		p.Edges = append(p.Edges, plan.Edge{From: 4, To: 5, Ship: plan.Forward}, plan.Edge{From: 5, To: 2, Ship: plan.Hash, Keys: []int{0, 1}})
		p.Tasks = append(p.Tasks, plan.Task{Nodes: []int{4, 5}, Parallelism: parallelism})
		return p
	}
	out, files := NewLedger(), vfs.NewMem()
	for i, parallelism := range []int{2, 2, 3} {
		had := len(out.Rows())
		long.Tap.Open(1500 * (i + 1))
		ctx, cancel := context.WithCancel(t.Context())
		j, err := s.newEngine(files).Deploy(ctx, slow(build(out, parallelism)), engine.Options{Notify: func(engine.Event) {
			if len(out.Rows()) > had {
				cancel()
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		r, err := j.Wait()
		cancel()
		if !errors.Is(err, context.Canceled) || r.Counters.Nodes[0].Watermark == record.WatermarkEnd {
			t.Fatalf("run %d: nothing was published while one source went on: the other, which has ended, holds it back (%v)", i, err)
		}
	}
	long.Tap.Open(long.Rows)
	if _, err := run(t, s.newEngine(files), build(out, 2), engine.Options{}); err != nil {
		t.Fatal(err)
	}
	requireRows(t, out, all)
}

// alarm sets a processing-time timer a second after each key's first record and emits the key when it fires.
type alarm struct {
	Sums
	now  int64 // at least what was restored
	fail func(format string, args ...any)
}

func (a *alarm) Open(ctx *operator.Context) error {
	if ctx.Now() < a.now {
		a.fail("processing time went from %d back to %d over a restore", a.now, ctx.Now())
	}
	a.now = ctx.Now()
	return a.Sums.Open(ctx)
}

func (a *alarm) Process(_ int, b *record.Batch) error {
	a.keys.Build(b, []int{0, 1}, 0, b.Rows)
	if err := a.ctx.State.Load(0, &a.keys, 1<<20, &a.cells); err != nil {
		return err
	}
	a.begin()
	for k := range a.keys.N {
		if a.cells.Status[k] != state.Absent {
			continue
		}
		a.set(k, state.OpSet, 1, 1)
		a.timers.Key = append(a.timers.Key, uint32(k))
		a.timers.Name = append(a.timers.Name, 0)
		a.timers.Domain = append(a.timers.Domain, uint8(state.ProcessingTime))
		a.timers.Op = append(a.timers.Op, state.TimerSet)
		a.timers.Time = append(a.timers.Time, a.ctx.Now()+1_000_000)
		a.timers.TagOff = append(a.timers.TagOff, 0)
	}
	if err := a.ctx.State.Apply(0, &a.keys, &a.change); err != nil {
		return err
	}
	return a.ctx.State.ApplyTimers(&a.keys, &a.timers, [2]int64{a.at, a.now})
}

func (a *alarm) Advance(int64) error { return nil }

func (a *alarm) Tick(now int64) error {
	if now < a.now {
		a.fail("processing time went from %d back to %d", a.now, now)
	}
	a.now = now
	for {
		n, err := a.ctx.State.Due(state.ProcessingTime, now, 100, &a.round)
		if n == 0 || err != nil {
			return err
		}
		out := record.NewBatch(SumsSchema, n)
		for k := range n {
			if err := record.DecodeKey(a.round.Keys.Key(k), out.Columns[:2]); err != nil {
				return err
			}
			out.Columns[2].AppendInt(1)
			out.Columns[3].AppendInt(a.round.Time[k])
			out.Rows++
		}
		if err := a.ctx.State.Fired(state.ProcessingTime, &a.round, 0, n); err != nil {
			return err
		}
		a.ctx.Emit(0, out)
	}
}

// testProcessingTime fires timers by a clock that the test moves, kills the job with timers pending, and goes on with a clock that
// has been set back: processing time does not go back, and every timer fires once.
func testProcessingTime(t *testing.T, s suite) {
	n := &Numbers{Seed: 1, Splits: 2, Rows: 300, Keys: 4, Step: 10, Unbound: true}
	out, files := NewLedger(), vfs.NewMem()
	newPlan := func(parallelism int, now time.Time) *plan.Plan {
		p := SumsPlan(n, out, parallelism)
		p.Checkpoint.Interval = 100 * time.Millisecond
		p.Nodes[2].Operator.Native = func() operator.Operator { return &alarm{now: now.UnixMicro(), fail: t.Errorf} }
		return p
	}
	start := time.Unix(1000, 0)
	c := clock.NewManual(start)
	counters := telemetry.NewJob("alarms")
	completed := make(chan uint64, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	notify := func(e engine.Event) {
		if e, ok := e.(engine.Completed); ok {
			completed <- e.Manifest.Checkpoint
		}
	}
	j, err := s.make(files, c).Deploy(ctx, newPlan(2, start), engine.Options{Telemetry: counters, Notify: notify})
	if err != nil {
		t.Fatal(err)
	}
	all := int64(n.Splits * n.Rows)
	if !Eventually(func() bool { return counters.Snapshot().Nodes[2].Total.RecordsIn == all }) {
		t.Fatalf("not everything was read: %+v", counters.Snapshot().Nodes)
	}
	keys := len(SumsRows(n))
	c.Advance(500 * time.Millisecond)
	<-completed
	c.Advance(499 * time.Millisecond)
	<-completed
	if rows := out.Rows(); len(rows) > 0 {
		t.Fatalf("%d timers fired before their time", len(rows))
	}
	cancel()
	if _, err := j.Wait(); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}

	c = clock.NewManual(start) // set back by almost a second
	j, err = s.make(files, c).Deploy(t.Context(), newPlan(3, start.Add(999*time.Millisecond)), engine.Options{Notify: notify})
	if err != nil {
		t.Fatal(err)
	}
	if !Eventually(func() bool {
		c.Advance(50 * time.Millisecond)
		return len(out.Rows()) == keys
	}) {
		t.Fatalf("%d timers fired, want %d", len(out.Rows()), keys)
	}
	for range 20 {
		c.Advance(100 * time.Millisecond)
	}
	if moved := c.Now().Sub(start); moved < time.Second {
		t.Errorf("timers fired after %v", moved)
	}
	j.Stop()
	if r, err := j.Wait(); err != nil || r.Outcome != engine.Stopped {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, row := range out.Rows() {
		if !strings.HasSuffix(row, fmt.Sprintf(`"sum":%d}`, start.Add(time.Second).UnixMicro())) {
			t.Errorf("timer %s", row)
		}
	}
	if len(out.Rows()) != keys {
		t.Errorf("%d timers fired in the end, want %d", len(out.Rows()), keys)
	}
}

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
