package connectortest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/internal/clock"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/internal/faultfs"
	"github.com/tidemill/tidemill/internal/vfs"
	"github.com/tidemill/tidemill/runtime/record"
)

// Dir is Env.Dir of every sink under test, a folder that exists.
const Dir = "/job"

// SinkSchema is the schema of the records that the suite writes: a unique id and a text.
var SinkSchema = &record.Schema{Fields: []record.Field{
	{Name: "id", Type: record.I64}, {Name: "text", Type: record.UTF8, Nullable: true},
}}

// Sink describes a sink for TestSink.
type Sink struct {
	// New makes the sink, again and again as restarts do. What it has put out so far stays in env.FS, or where the sink keeps it;
	// a new case (fresh) begins with nothing.
	New func(t *testing.T, env connectors.Env, fresh bool) connectors.Sink
	// Visible is what a reader of the output sees now: lines of JSON with the members of SinkSchema. It fails the test where the
	// output breaks a promise of its own (a line that is not whole).
	Visible func(t *testing.T, fs vfs.FS) []string
	// Unfinished names output that is there and not visible; nil where there is no such thing. A job that has ended leaves none.
	Unfinished func(t *testing.T, fs vfs.FS) []string
	// Files says that all output goes through Env.FS, so that faults can be injected there.
	Files bool
}

// TestSink runs the suite on a sink.
func TestSink(t *testing.T, s Sink) {
	t.Run("kills", func(t *testing.T) {
		for seed := uint64(1); seed <= 25; seed++ {
			testKills(t, s, seed)
		}
	})
	if !s.Files {
		return
	}
	t.Run("crash at every operation", func(t *testing.T) { testCrashes(t, s) })
	t.Run("full disk at every write", func(t *testing.T) { testFullDisk(t, s) })
}

// checkpoint is what a job's coordinator knows of a completed checkpoint.
type checkpoint struct {
	id      uint64
	rows    int // all rows with smaller ids were written before it
	pending []connectors.Committable
	states  [][]byte
}

// job plays what runs around a sink. Its methods return the sink's errors and fail the test where a promise is broken.
type job struct {
	t      *testing.T
	s      Sink
	name   string // of the case, with the seed
	random *rand.Rand
	mem    *vfs.Mem
	faulty *faultfs.FS

	sink        connectors.Sink
	committer   connectors.Committer
	writers     []connectors.Writer
	parallelism int
	written     int
	next        uint64
	completed   []checkpoint // the first is the empty beginning
	exactly     bool
}

func newJob(t *testing.T, s Sink, name string, seed uint64) *job {
	j := &job{t: t, s: s, name: fmt.Sprintf("%s, seed %d", name, seed), random: rand.New(rand.NewPCG(seed, 0)), mem: vfs.NewMem(),
		parallelism: 2, next: 1, completed: []checkpoint{{}}}
	if err := j.mem.MkdirAll(Dir); err != nil {
		t.Fatal(err)
	}
	j.faulty = faultfs.Wrap(j.mem)
	j.sink = s.New(t, j.env(), true)
	j.exactly = j.sink.ExactlyOnce()
	return j
}

func (j *job) env() connectors.Env {
	return connectors.Env{Clock: clock.NewManual(time.Unix(0, 0)), FS: j.faulty, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Name: "out", Dir: Dir, Parallelism: j.parallelism}
}

func (j *job) latest() checkpoint { return j.completed[len(j.completed)-1] }

// start restores the latest completed checkpoint in a new process.
func (j *job) start() error {
	ctx := context.Background()
	j.sink = j.s.New(j.t, j.env(), false)
	var err error
	if j.committer, err = j.sink.Committer(ctx); err != nil {
		return err
	}
	at := j.latest()
	if j.committer != nil {
		if err := j.committer.Recover(ctx, at.id, at.pending, at.states); err != nil {
			return err
		}
	}
	j.check("after the restore")
	for i := range j.parallelism {
		var states [][]byte
		for k, state := range at.states {
			if k%j.parallelism == i {
				states = append(states, state)
			}
		}
		w, err := j.sink.Writer(ctx, i, SinkSchema, states)
		if err != nil {
			return err
		}
		j.writers = append(j.writers, w)
	}
	j.written = at.rows
	return nil
}

// write writes some rows, in batches to writers chosen at random.
func (j *job) write() error {
	for range 1 + j.random.IntN(3) {
		b := record.NewBatch(SinkSchema, 8)
		for range 1 + j.random.IntN(9) {
			b.Columns[0].AppendInt(int64(j.written))
			switch text := rowText(j.written); text {
			case "null":
				b.Columns[1].AppendNull()
			default:
				b.Columns[1].AppendString(text)
			}
			b.Rows++
			j.written++
		}
		if err := j.writers[j.random.IntN(len(j.writers))].Write(b); err != nil {
			return err
		}
	}
	return nil
}

// rowText is a function of the id, so that a record replayed after a restore is the same.
func rowText(id int) string {
	switch id % 5 {
	case 0:
		return "null"
	case 1:
		return "a \"quoted\", longer text: " + strings.Repeat("x", id%37)
	}
	return fmt.Sprintf("row %d", id)
}

// wantRows are the first n records as lines, from a cache: the suite compares them thousands of times.
func wantRows(n int) []string {
	rows.Lock()
	defer rows.Unlock()
	if n > len(rows.lines) {
		rows.lines = makeRows(2 * n)
	}
	return rows.lines[:n]
}

var rows struct {
	sync.Mutex
	lines []string
}

func makeRows(n int) []string {
	b := record.NewBatch(SinkSchema, n)
	for id := range n {
		b.Columns[0].AppendInt(int64(id))
		if text := rowText(id); text == "null" {
			b.Columns[1].AppendNull()
		} else {
			b.Columns[1].AppendString(text)
		}
	}
	b.Rows = n
	return Lines(b)
}

// flush is the first half of a checkpoint. Nothing new may become visible by it.
func (j *job) flush(last bool) (checkpoint, error) {
	cp := checkpoint{id: j.next, rows: j.written}
	j.next++
	for i, w := range j.writers {
		f, err := w.Flush(context.Background(), cp.id, last)
		if err != nil {
			return cp, err
		}
		for _, data := range f.Committables {
			cp.pending = append(cp.pending, connectors.Committable{Sink: "out", Subtask: i, Checkpoint: cp.id, Data: data})
		}
		if f.State != nil {
			if last {
				j.t.Fatalf("%s: the last flush leaves a state: %s", j.name, f.State)
			}
			cp.states = append(cp.states, f.State)
		}
	}
	j.check("after a flush")
	return cp, nil
}

// complete makes a checkpoint the one that a restore goes to, and publishes.
func (j *job) complete(cp checkpoint) error {
	j.completed = append(j.completed, cp)
	if err := j.commit(cp); err != nil {
		return err
	}
	if j.random.IntN(3) == 0 {
		return j.commit(cp)
	}
	return nil
}

func (j *job) commit(cp checkpoint) error {
	if j.committer == nil {
		return nil
	}
	err := j.committer.Commit(context.Background(), cp.pending)
	if err == nil {
		j.check("after a commit")
	}
	return err
}

// check compares what is visible with what may be: I2.
func (j *job) check(when string) {
	j.t.Helper()
	if !j.exactly {
		return
	}
	at := j.latest()
	visible := j.s.Visible(j.t, j.mem)
	seen := make(map[string]int, len(visible))
	for _, line := range visible {
		seen[line]++
	}
	for _, line := range wantRows(at.rows) {
		if seen[line] > 1 {
			j.t.Fatalf("%s: %s: record %s is visible %d times", j.name, when, line, seen[line])
		}
		delete(seen, line)
	}
	for line := range seen {
		j.t.Fatalf("%s: %s: record %s is visible, and checkpoint %d does not contain it", j.name, when, line, at.id)
	}
}

// kill ends the process: what it wrote and did not sync stays, for the operating system has it. lose also loses power.
func (j *job) kill(lose bool) {
	for _, w := range j.writers {
		_ = w.Close() // frees its descriptors, as the end of a process does
	}
	j.writers, j.committer = nil, nil
	if lose && j.s.Files {
		j.mem.Crash(j.random)
	}
	j.faulty.Heal()
}

// end takes the last checkpoint and compares the whole output.
func (j *job) end() error {
	cp, err := j.flush(true)
	if err != nil {
		return err
	}
	if err := j.complete(cp); err != nil {
		return err
	}
	j.checkEnd()
	return nil
}

func (j *job) checkEnd() {
	j.t.Helper()
	got, want := j.s.Visible(j.t, j.mem), wantRows(j.latest().rows)
	if !j.exactly {
		got = distinct(got, want)
	}
	if diff := Difference(got, want); diff != "" {
		j.t.Fatalf("%s: at the end: %s", j.name, diff)
	}
	if j.s.Unfinished != nil {
		if left := j.s.Unfinished(j.t, j.mem); len(left) > 0 {
			j.t.Fatalf("%s: the ended job leaves %q", j.name, left)
		}
	}
}

// distinct is what at least once comes to: the wanted records that are there, once each. What a killed job had written beyond them
// would have come again.
func distinct(got, want []string) []string {
	there := map[string]bool{}
	for _, l := range got {
		there[l] = true
	}
	var out []string
	for _, l := range want {
		if there[l] {
			out = append(out, l)
		}
	}
	return out
}

func (j *job) must(err error) {
	j.t.Helper()
	if err != nil {
		j.t.Fatalf("%s: %v", j.name, err)
	}
}

// testKills runs a random program: writes, checkpoints, and kills between any two steps, with restores of older checkpoints and at
// another parallelism.
func testKills(t *testing.T, s Sink, seed uint64) {
	j := newJob(t, s, "kills", seed)
	j.must(j.start())
	j.existing("")
	for range 25 {
		switch j.random.IntN(8) {
		case 0, 1, 2:
			j.must(j.write())
		case 3, 4:
			cp, err := j.flush(false)
			j.must(err)
			j.must(j.complete(cp))
		case 5: // flushed, and killed before the checkpoint is complete
			_, err := j.flush(false)
			j.must(err)
			j.restart()
		case 6: // complete, and killed before the commit
			cp, err := j.flush(false)
			j.must(err)
			j.completed = append(j.completed, cp)
			j.restart()
		case 7:
			if back := j.random.IntN(3); j.exactly && back < len(j.completed) {
				j.completed = j.completed[:len(j.completed)-back]
			}
			j.parallelism = 1 + j.random.IntN(3)
			j.restart()
		}
	}
	j.must(j.end())
	j.kill(false)
	j.must(j.start()) // a finished job that is started again publishes nothing twice
	j.checkEnd()
	if j.latest().rows > 0 {
		j.existing("something")
	}
	j.kill(false)
}

// restart kills the process, at times with a power failure, and starts it again. Numbers of checkpoints that did not complete may
// come again or not.
func (j *job) restart() {
	j.t.Helper()
	j.kill(j.random.IntN(2) == 0)
	if j.random.IntN(2) == 0 {
		j.next = j.latest().id + 1
	}
	j.must(j.start())
}

// existing checks Committer.Existing against what is visible.
func (j *job) existing(want string) {
	j.t.Helper()
	if j.committer == nil {
		return
	}
	got, err := j.committer.Existing(context.Background())
	if err != nil || (got == "") != (want == "") {
		j.t.Errorf("%s: existing output is %q, %v, want %s", j.name, got, err, want)
	}
}

// steady runs a job without kills of its own: some checkpoints, the third at another parallelism. It returns the first error.
func (j *job) steady() error {
	if err := j.start(); err != nil {
		return err
	}
	for range 4 {
		if err := j.write(); err != nil {
			return err
		}
		cp, err := j.flush(false)
		if err != nil {
			return err
		}
		if err := j.complete(cp); err != nil {
			return err
		}
	}
	if err := j.write(); err != nil {
		return err
	}
	return j.end()
}

// testCrashes stops the process at the n-th operation on a file, for every n, with and without a power failure, restarts it, and
// stops it again during the restore.
func testCrashes(t *testing.T, s Sink) {
	n := 1
	for ; ; n++ {
		for mode := range 3 {
			j := newJob(t, s, fmt.Sprintf("crash %d at operation %d", mode, n), uint64(n))
			j.faulty.FailFrom(n, vfs.ErrCrashed, faultfs.Changes...)
			err := j.steady()
			if !j.faulty.Fired() {
				j.must(err)
				if n < 20 {
					t.Errorf("only %d operations", n)
				}
				return
			}
			if err == nil {
				t.Fatalf("%s: %s failed, and no error came", j.name, j.faulty.Where())
			}
			j.name += " (" + j.faulty.Where() + ")"
			j.kill(mode == 1)
			if mode == 2 {
				j.faulty.FailFrom(1+j.random.IntN(6), vfs.ErrCrashed, faultfs.Changes...)
				_ = j.start()
				j.kill(true)
			}
			j.must(j.steady())
			j.kill(false)
		}
	}
}

// testFullDisk fails the n-th write, for every n, once or from then on.
func testFullDisk(t *testing.T, s Sink) {
	for n := 1; ; n++ {
		for _, forGood := range []bool{false, true} {
			j := newJob(t, s, fmt.Sprintf("full disk at write %d, for good %v", n, forGood), uint64(n))
			fail := j.faulty.FailAt
			if forGood {
				fail = j.faulty.FailFrom
			}
			fail(n, syscall.ENOSPC, faultfs.Writes...)
			err := j.steady()
			if !j.faulty.Fired() {
				j.must(err)
				return
			}
			where := j.faulty.Where()
			_, path, _ := strings.Cut(where, " ")
			e := errcode.Of(err)
			if e == nil || e.Code.Class != errcode.Environment || e.Hint == "" || !strings.Contains(e.Place, path) ||
				!errors.Is(err, syscall.ENOSPC) {
				t.Fatalf("%s: %s failed: the error has no code, class, place or hint: %v", j.name, where, err)
			}
			j.check("after the failure")
			j.kill(false)
			j.must(j.steady())
			j.kill(false)
		}
	}
}
