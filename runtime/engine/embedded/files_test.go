package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tidemill/tidemill/connectors"
	_ "github.com/tidemill/tidemill/connectors/all"
	"github.com/tidemill/tidemill/connectors/spec"
	"github.com/tidemill/tidemill/internal/clock"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/internal/failpoint"
	"github.com/tidemill/tidemill/internal/faultfs"
	"github.com/tidemill/tidemill/internal/vfs"
	"github.com/tidemill/tidemill/runtime/engine"
	"github.com/tidemill/tidemill/runtime/engine/enginetest"
	"github.com/tidemill/tidemill/runtime/plan"
	"github.com/tidemill/tidemill/runtime/record"
)

// fileJob is SumsPlan between real files, on any file system.
type fileJob struct {
	t       *testing.T
	numbers *enginetest.Numbers
	want    []string
	tap     *enginetest.Tap
}

// tapped is a source of files behind a tap.
type tapped struct {
	connectors.Source
	job *fileJob
}

func (s *tapped) Open(ctx context.Context, split connectors.Split, at record.Position) (connectors.Reader, error) {
	r, err := s.Source.Open(ctx, split, at)
	return &tappedReader{r, s.job}, err
}

type tappedReader struct {
	connectors.Reader
	job *fileJob
}

func (r *tappedReader) Next(ctx context.Context, dst *record.Batch, most int, bad *[]connectors.BadRecord) error {
	at := int(r.Position().Records)
	free, err := r.job.tap.Wait(ctx, at, r.job.numbers.Rows)
	if err != nil {
		return err
	}
	return r.Reader.Next(ctx, dst, max(min(most, free-at), 1), bad)
}

func newFileJob(t *testing.T, seed uint64) *fileJob {
	n := &enginetest.Numbers{Seed: seed, Splits: 4, Rows: 600, Keys: 6, Step: 20, Disorder: 300}
	return &fileJob{t: t, numbers: n, want: enginetest.SumsRows(n), tap: enginetest.NewTap(100)}
}

// write puts the numbers into CSV files, one a split, durably.
func (j *fileJob) write(files vfs.FS) {
	j.t.Helper()
	must := func(err error) {
		if err != nil {
			j.t.Fatal(err)
		}
	}
	must(files.MkdirAll("/job"))
	for split := range j.numbers.Splits {
		f, err := files.Create(fmt.Sprintf("/job/in-%d.csv", split))
		must(err)
		var text strings.Builder
		text.WriteString("key,value,at\n")
		for row := range j.numbers.Rows {
			v := j.numbers.At(split, row)
			fmt.Fprintf(&text, "%d,%d,%s\n", v.Key, v.Value, time.UnixMicro(v.At).UTC().Format("2006-01-02T15:04:05.000000"))
		}
		_, err = io.WriteString(f, text.String())
		must(err)
		must(f.Sync())
		must(f.Close())
	}
	must(files.SyncDir("/job"))
	must(files.SyncDir("/"))
}

// plan makes the job on a file system.
func (j *fileJob) plan(files vfs.FS, parallelism int) *plan.Plan {
	j.t.Helper()
	env := connectors.Env{Clock: clock.System, FS: files, Log: slog.New(slog.DiscardHandler), Dir: "/job", Parallelism: parallelism}
	option := func(o *spec.Object, text string) spec.Values {
		v, errs := spec.ParseText(text, o)
		if len(errs) > 0 {
			j.t.Fatal(errs)
		}
		return v
	}
	env.Name = "numbers"
	in := connectors.LookupSource("file")
	source, err := in.New(j.t.Context(), env, option(in.Options,
		`{path: "in-*.csv", format: {type: csv, header: true}, schema: {key: i64, value: i64, at: timestamp?}}`))
	if err != nil {
		j.t.Fatal(err)
	}
	if _, err := source.Schema(j.t.Context()); err != nil {
		j.t.Fatal(err)
	}
	env.Name = "out"
	to := connectors.LookupSink("file")
	sink, err := to.New(j.t.Context(), env, option(to.Options, `{path: out, format: json, roll_bytes: 1KiB, roll_checkpoints: 2}`))
	if err != nil {
		j.t.Fatal(err)
	}
	p := enginetest.SumsPlan(j.numbers, sink, parallelism)
	p.Nodes[0].Source.Connector = &tapped{source, j}
	p.Checkpoint.Interval, p.Checkpoint.Store = 2*time.Millisecond, "/job/store"
	return p
}

// dripped runs the job with something new in every checkpoint, to its end or failure; run lets everything through.
func (j *fileJob) dripped(files vfs.FS, parallelism int) error {
	return j.deploy(files, parallelism, j.tap.Drip(100))
}

func (j *fileJob) run(files vfs.FS, parallelism int) error {
	j.tap.Open(j.numbers.Rows)
	return j.deploy(files, parallelism, nil)
}

func (j *fileJob) deploy(files vfs.FS, parallelism int, notify func(engine.Event)) error {
	d, err := newEngine(files, clock.System).Deploy(j.t.Context(), j.plan(files, parallelism), engine.Options{Notify: notify})
	if err != nil {
		return err
	}
	_, err = d.Wait()
	return err
}

// published are the lines of all files that a reader of the folder would see, sorted.
func (j *fileJob) published(files vfs.FS) []string {
	j.t.Helper()
	var lines []string
	list, err := files.ReadDir("/job/out")
	if err != nil {
		return lines
	}
	for _, f := range list {
		if strings.HasPrefix(f.Name(), ".") {
			continue
		}
		content, err := vfs.ReadFile(files, vfs.Join("/job/out", f.Name()))
		if err != nil {
			j.t.Fatal(err)
		}
		if len(content) > 0 && content[len(content)-1] != '\n' {
			j.t.Fatalf("%s ends amid a line", f.Name())
		}
		lines = append(lines, strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")...)
	}
	slices.Sort(lines)
	return lines
}

// check compares what is published with the model: all of it at the end, no line too many before (I2).
func (j *fileJob) check(files vfs.FS, end bool, what string) {
	j.t.Helper()
	got := j.published(files)
	if end && !slices.Equal(got, j.want) {
		j.t.Fatalf("%s: %d lines are published, want %d", what, len(got), len(j.want))
	}
	want := j.want
	for _, line := range got {
		i, found := slices.BinarySearch(want, line)
		if !found {
			j.t.Fatalf("%s: %s is published, and is wrong or there twice", what, line)
		}
		want = want[i+1:]
	}
}

// From files to files, at every window of a commit and of a checkpoint.
func TestFilesAtFailpoints(t *testing.T) {
	for i, name := range failpoint.Names() {
		for hit := 1; hit <= 3; hit++ {
			j, files := newFileJob(t, uint64(i)), vfs.NewMem()
			j.write(files)
			faulty := faultfs.Wrap(files)
			reached := false
			failpoint.Arm(name, hit, func() {
				reached = true
				faulty.FailFrom(1, errors.New("killed"), faultfs.Changes...) // nothing reaches a file any more
			})
			err := j.dripped(faulty, 4)
			failpoint.Arm("", 0, nil)
			what := fmt.Sprintf("%s, hit %d", name, hit)
			if !reached || err == nil {
				t.Fatalf("%s: reached %t, %v", what, reached, err)
			}
			j.check(files, false, what)
			if err := j.run(files, 1+i%3); err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			j.check(files, true, what)
		}
	}
}

// From files to files, with the power cut at random operations: part of what was not synced is gone.
func TestFilesAtPowerLoss(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	cuts := 0
	for at := 1; ; at += 1 + rng.IntN(24) {
		j, files := newFileJob(t, 77), vfs.NewMem()
		j.write(files)
		faulty := faultfs.Wrap(files)
		faulty.FailFrom(at, errors.New("no power"), faultfs.Changes...)
		err := j.dripped(faulty, 4)
		if !faulty.Fired() {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		cuts++
		what := fmt.Sprintf("operation %d, %s", at, faulty.Where())
		files.Crash(rng)
		j.check(files, false, what)
		if err := j.run(files, 1+at%3); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		j.check(files, true, what)
	}
	if cuts < 10 {
		t.Errorf("only %d cuts", cuts)
	}
}

// From files to files, with the disk full at random operations.
func TestFilesAtFullDisk(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for at := 1; ; at += 1 + rng.IntN(24) {
		j, files := newFileJob(t, 78), vfs.NewMem()
		j.write(files)
		faulty := faultfs.Wrap(files)
		faulty.FailAt(at, syscall.ENOSPC, faultfs.Writes...)
		err := j.dripped(faulty, 4)
		if !faulty.Fired() {
			if err != nil {
				t.Fatal(err)
			}
			return
		}
		what := fmt.Sprintf("operation %d, %s", at, faulty.Where())
		if err != nil {
			e := errcode.Of(err)
			if e == nil || e.Code.Class != errcode.Environment || e.Hint == "" || !errors.Is(err, syscall.ENOSPC) {
				t.Errorf("%s: %v", what, err)
			}
		}
		j.check(files, false, what)
		if err := j.run(faulty, 2); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		j.check(files, true, what)
	}
}

// A stop in the middle publishes what has been read so far; the next run goes on.
func TestFilesStopped(t *testing.T) {
	j, files := newFileJob(t, 79), vfs.NewMem()
	j.write(files)
	e := newEngine(files, clock.System)
	completed := make(chan struct{}, 10_000)
	d, err := e.Deploy(t.Context(), j.plan(files, 4), engine.Options{Notify: func(e engine.Event) {
		if c, ok := e.(engine.Completed); ok && len(c.Manifest.Splits) == 4 && c.Manifest.Splits[0].Position.Records == 100 {
			completed <- struct{}{}
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	<-completed
	d.Stop()
	r, err := d.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if published := j.published(files); r.Outcome != engine.Stopped || len(published) == len(j.want) {
		t.Errorf("%s, %d lines", r.Outcome, len(published))
	}
	j.check(files, false, "stopped")
	if err := j.run(files, 2); err != nil {
		t.Fatal(err)
	}
	j.check(files, true, "gone on")
}
