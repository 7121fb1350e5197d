package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	lateflights "github.com/tidemill/tidemill/examples/late-flights"
	"github.com/tidemill/tidemill/runtime/checkpoint"
	"github.com/tidemill/tidemill/runtime/cmd/tidemill/demo"
	"github.com/tidemill/tidemill/runtime/cmd/tidemill/view"
	"github.com/tidemill/tidemill/runtime/engine"
	"github.com/tidemill/tidemill/runtime/telemetry"
)

func (a *app) demoCommand() *cobra.Command {
	var folder string
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run a stateful job on real flights, kill it with SIGKILL, and check that the result is exact",
		Long: "demo runs late-flights, an operator with keyed state and timers, on the flights of a month, slowed to about ten seconds. It kills\n" +
			"its own worker process with SIGKILL in the middle, resumes from the newest checkpoint, and compares all rows with the expected ones.\n" +
			"Then it runs once more at full speed. It needs nothing but this binary.",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.demo(folder) },
	}
	c.Flags().StringVar(&folder, "dir", "", "work in this empty or new folder and leave everything there to look at")
	worker := &cobra.Command{
		Use: "worker JOB RATE INTERVAL", Hidden: true, Args: cobra.ExactArgs(3),
		RunE: func(_ *cobra.Command, args []string) error { return a.demoWorker(args) },
	}
	c.AddCommand(worker)
	return c
}

func (a *app) demo(folder string) (err error) {
	folder, clean, err := a.demoFolder(folder)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, clean()) }()
	var last atomic.Pointer[telemetry.Snapshot]
	last.Store(&telemetry.Snapshot{Job: "late-flights"})
	shown := a.demoView(last.Load)
	closing := sync.OnceFunc(shown.Close)
	defer closing()
	d := &demo.Demo{
		Example: demo.Example{
			Files: lateflights.Files(), Flights: lateflights.Flights, Expected: lateflights.Expected(),
			Sinks: []string{"daily", "alerts", "late", "bad"}, Env: map[string]string{"FLIGHTS": ""}, // the job's own, whatever the user has
		},
		Dir: folder, Command: workerCommand, Stderr: shown, Snapshot: func(s *telemetry.Snapshot) { last.Store(s) },
		Say: func(format string, args ...any) {
			if !a.json {
				fmt.Fprintf(shown, "* "+format+"\n", args...)
			}
		},
	}
	r, err := d.Run(a.ctx)
	closing()
	a.result = r
	if err == nil && !a.json {
		fmt.Fprintf(a.Stdout, "The result is EXACT after a kill -9: %s flights, %s daily rows, %s alerts.\n", view.Count(r.Flights), view.Count(int64(r.Daily)),
			view.Count(int64(r.Alerts)))
		fmt.Fprintf(a.Stdout, "%s in the middle, gone on from checkpoint %d (%s flights read), %s flights read twice, %d checkpoints in all.\n",
			several(r.Kills, "kill"), r.RestoredCheckpoint, view.Count(r.RestoredRecords), view.Count(r.RecordsReplayed), r.Checkpoints)
		fmt.Fprintf(a.Stdout, "At full speed: %s flights/s.\n", view.Count(int64(r.RecordsPerSecond)))
	}
	return err
}

// demoFolder makes the folder to work in; clean removes it where nobody asked for it.
func (a *app) demoFolder(folder string) (string, func() error, error) {
	if folder == "" {
		folder, err := os.MkdirTemp("", "tidemill-demo-")
		if err != nil {
			return "", nil, errMachine.Errorf("there is no place for the demo's files").Because(err).Do("set TMPDIR, or choose a folder with --dir")
		}
		return folder, func() error { return os.RemoveAll(folder) }, nil
	}
	folder, err := filepath.Abs(folder) // the job's own paths start at its folder
	if err != nil {
		return "", nil, err
	}
	if entries, err := os.ReadDir(folder); err == nil && len(entries) > 0 {
		return "", nil, errUsage.Errorf("the folder is not empty").At("%s", folder).Do("give a new one")
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", nil, errMachine.Errorf("the folder cannot be made").At("%s", folder).Because(err)
	}
	return folder, func() error { return nil }, nil
}

func (a *app) demoView(snapshot func() *telemetry.Snapshot) view.View {
	switch {
	case a.json:
		return view.NewLines(io.Discard, a.Clock, 0, snapshot)
	case a.Terminal:
		return view.NewLive(a.Stderr, a.Clock, snapshot)
	}
	return view.NewLines(a.Stderr, a.Clock, time.Second, snapshot)
}

// workerCommand runs this program again.
func workerCommand(ctx context.Context, w demo.Worker) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, append([]string{"demo", "worker"}, w.Args()...)...)
	cmd.Args[0] = os.Args[0]
	return cmd, nil
}

// The pace of a worker's messages.
const (
	progressEvery = 5 * time.Millisecond
	snapshotEvery = 100 * time.Millisecond
)

// demoWorker runs the job of a demo and tells of it on standard output.
func (a *app) demoWorker(args []string) (err error) {
	w, err := demo.ParseArgs(args)
	if err != nil {
		return errUsage.Errorf("%v", err)
	}
	t := &teller{sender: demo.NewSender(a.Stdout), counters: telemetry.NewJob("late-flights")}
	if err := a.workerRun(w, t); err != nil {
		return t.send(demo.Message{Error: err.Error()})
	}
	return nil
}

func (a *app) workerRun(w demo.Worker, t *teller) (err error) {
	j, err := a.job(w.Job, jobOptions{})
	if err != nil {
		return err
	}
	j.Sources[0].Rate, j.Checkpoint.Interval = w.Rate, w.Interval
	p := a.parts(a.log(a.Stderr))
	defer func() { err = errors.Join(err, p.close()) }()
	if err := t.send(demo.Message{Text: "preparing the module: checked, metered, compiled (kept in a cache where there is one)"}); err != nil {
		return err
	}
	made, err := p.plan(j)
	if err != nil {
		return err
	}
	running, err := p.engine(made).Deploy(a.ctx, made, engine.Options{Telemetry: t.counters, Notify: t.event})
	if err != nil {
		return err
	}
	done := make(chan struct{})
	var telling sync.WaitGroup
	telling.Go(func() { t.tell(done) })
	r, err := running.Wait()
	close(done)
	telling.Wait()
	if err != nil {
		return err
	}
	return t.send(demo.Message{Result: demoResult(r)})
}

func demoResult(r *engine.Result) *demo.Result {
	out := &demo.Result{Outcome: string(r.Outcome), Checkpoints: r.Checkpoints, ElapsedMs: r.Elapsed.Milliseconds()}
	board := view.NewBoard(time.Time{})
	board.Update(time.Time{}, r.Counters)
	t := board.Totals()
	out.Records, out.Late, out.Bad = t.In, t.Late, t.Bad
	if m := r.Restored; m != nil {
		out.Restored = m.Checkpoint
		for _, s := range m.Splits {
			out.Positions = append(out.Positions, demo.Position{Split: s.Split.ID, Offset: s.Position.Offset, Records: s.Position.Records,
				Done: s.Position.Done})
		}
	}
	return out
}

// teller sends messages about a running job. It is safe for concurrent use.
type teller struct {
	counters *telemetry.Job

	mu       sync.Mutex
	sender   *demo.Sender
	progress demo.Progress
}

func (t *teller) send(m demo.Message) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sender.Send(m)
}

// event is the engine's Notify. A pipe that is closed means that the demo is gone, which ends this process, too.
func (t *teller) event(e engine.Event) {
	switch e := e.(type) {
	case engine.Completed:
		t.at(e.Manifest)
		t.mu.Lock()
		t.progress.Completed++
		t.mu.Unlock()
	case engine.Restored:
		t.at(e.Manifest)
	}
	if text := view.Text(e); text != "" {
		_ = t.send(demo.Message{Text: text})
	}
}

func (t *teller) at(m *checkpoint.Manifest) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.progress.Checkpoint, t.progress.CheckpointRecords = m.Checkpoint, 0
	for _, s := range m.Splits {
		t.progress.CheckpointRecords += s.Position.Records
	}
}

func (t *teller) tell(done <-chan struct{}) {
	ticks := time.NewTicker(progressEvery)
	defer ticks.Stop()
	for n := 0; ; n++ {
		s := t.counters.Snapshot()
		records := int64(0)
		for _, node := range s.Nodes {
			for _, split := range node.Splits {
				records += split.Records
			}
		}
		t.mu.Lock()
		t.progress.Records = records
		p := t.progress
		t.mu.Unlock()
		_ = t.send(demo.Message{Progress: &p})
		if n%int(snapshotEvery/progressEvery) == 0 {
			_ = t.send(demo.Message{Snapshot: s})
		}
		select {
		case <-done:
			_ = t.send(demo.Message{Snapshot: t.counters.Snapshot()})
			return
		case <-ticks.C:
		}
	}
}
