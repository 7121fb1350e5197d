package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/tidemill/tidemill/internal/vfs"
	"github.com/tidemill/tidemill/runtime/checkpoint"
	"github.com/tidemill/tidemill/runtime/checkpoint/store/dir"
	"github.com/tidemill/tidemill/runtime/telemetry"
)

// The pace of the slow run.
const (
	slowSeconds  = 10
	SlowInterval = 200 * time.Millisecond // between checkpoints
	FastInterval = time.Second
)

// Conditions for a kill.
const (
	killCheckpointsMin = 2   // complete ones
	killRecordsMin     = 100 // read since the newest of them: about 40 ms of the slow run, so they will be read again
	killsMax           = 3   // a kill that leaves nothing to read again is followed by another
)

// Example is what is run: its files, and what must come out.
type Example struct {
	Files    fs.FS             // job.yaml and all that it names
	Flights  int64             // records of the input
	Expected fs.FS             // NAME.jsonl of each sink; a sink without a file must stay empty
	Sinks    []string          // names
	Env      map[string]string // of the job, beside OUT and CHECKPOINTS
}

// Worker says what a worker process is to do. The process itself is made by Demo.Command.
type Worker struct {
	Job         string // path of job.yaml
	Out         string
	Checkpoints string
	Rate        float64 // records a second, 0 = as fast as it goes
	Interval    time.Duration
}

// Demo is one demonstration.
type Demo struct {
	Example Example
	Dir     string // an empty folder to work in
	// Command makes the process of a worker; its standard output is for messages.
	Command func(ctx context.Context, w Worker) (*exec.Cmd, error)
	// Say tells people what happens, a sentence a call. Snapshot is told how a job is doing.
	Say      func(format string, args ...any)
	Snapshot func(*telemetry.Snapshot)
	Stderr   io.Writer // of workers
}

// Report is what a demonstration found.
type Report struct {
	Flights            int64      `json:"flights"`
	Daily              int        `json:"daily"`
	Alerts             int        `json:"alerts"`
	Exact              bool       `json:"exact"`       // all rows of both runs are the expected ones
	Kills              int        `json:"kills"`       // SIGKILLs
	Restarts           int        `json:"restarts"`    // workers started after one
	Checkpoints        int        `json:"checkpoints"` // completed in the slow run, by all workers
	RestoredCheckpoint uint64     `json:"restored_checkpoint"`
	RestoredPositions  []Position `json:"restored_positions"`
	RestoredRecords    int64      `json:"restored_records"`
	RecordsReplayed    int64      `json:"records_replayed"` // read by a killed worker, and again by the next
	Late               int64      `json:"late"`
	Bad                int64      `json:"bad"`
	SlowSeconds        float64    `json:"slow_seconds"`
	FastSeconds        float64    `json:"fast_seconds"`
	RecordsPerSecond   float64    `json:"records_per_second"` // of the run at full speed
}

// Run runs the demonstration. The report is filled as far as it went; the error says which claim does not hold.
func (d *Demo) Run(ctx context.Context) (*Report, error) {
	r := &Report{Flights: d.Example.Flights}
	if err := d.unpack(); err != nil {
		return r, err
	}
	if err := d.slow(ctx, r); err != nil {
		return r, err
	}
	if err := d.fast(ctx, r); err != nil {
		return r, err
	}
	return r, r.check()
}

// check holds every claim.
func (r *Report) check() error {
	inside := false
	for _, p := range r.RestoredPositions {
		inside = inside || p.Offset > 0 && !p.Done
	}
	for _, claim := range []struct {
		holds bool
		what  string
	}{
		{r.Kills > 0, "a worker was killed"},
		{r.Restarts == r.Kills, "each killed worker was followed by another"},
		{r.RestoredCheckpoint >= killCheckpointsMin, "the worker went on from checkpoint 2 or a later one"},
		{inside, "a split went on from its middle"},
		{r.RestoredRecords > 0 && r.RestoredRecords < r.Flights, "the positions restored are after the beginning and before the end"},
		{r.RecordsReplayed > 0, "records were read again"},
		{r.Checkpoints > int(r.RestoredCheckpoint), "checkpoints went on after the kill"},
		{r.Alerts > 0 && r.Daily > 0, "rows were published"},
		{r.Late == 0 && r.Bad == 0, "no record is late or bad"},
		{r.RecordsPerSecond > 0, "the job ran at full speed"},
		{r.Exact, "the result is exact"},
	} {
		if !claim.holds {
			return errClaim.Errorf("this does not hold: %s", claim.what)
		}
	}
	return nil
}

func (d *Demo) unpack() error {
	if err := os.CopyFS(d.Dir, d.Example.Files); err != nil {
		return errFolder.Errorf("the example cannot be unpacked").At("%s", d.Dir).Because(err).Do("choose another folder with --dir")
	}
	return nil
}

// slow runs the job slowly, kills its worker in the middle, and compares what comes out.
func (d *Demo) slow(ctx context.Context, r *Report) error {
	w := Worker{
		Job: filepath.Join(d.Dir, "job.yaml"), Out: filepath.Join(d.Dir, "out"), Checkpoints: filepath.Join(d.Dir, "checkpoints"),
		Rate: float64(d.Example.Flights) / slowSeconds, Interval: SlowInterval,
	}
	d.Say("running late-flights on %d flights, slowed to about %d seconds, a checkpoint every %v", d.Example.Flights, slowSeconds, SlowInterval)
	began := time.Now()
	read := int64(0) // by the killed worker
	for {
		run, err := d.start(ctx, w, r.Kills < killsMax && r.RecordsReplayed == 0)
		if err != nil {
			return err
		}
		if run.result == nil { // killed
			r.Kills++
			r.Checkpoints += run.last.Completed
			read = run.last.Records
			restore, err := newest(w.Checkpoints)
			if err != nil {
				return err
			}
			d.Say("KILLED the worker (SIGKILL) after %d records; its newest checkpoint is %d, taken after %d records", read, restore.Checkpoint,
				recordsOf(restore))
			r.RecordsReplayed = max(read-recordsOf(restore), 0)
			r.Restarts++
			continue
		}
		r.Checkpoints += run.result.Checkpoints
		r.Late, r.Bad = run.result.Late, run.result.Bad
		r.RestoredCheckpoint, r.RestoredPositions = run.result.Restored, run.result.Positions
		for _, p := range run.result.Positions {
			r.RestoredRecords += p.Records
		}
		r.RecordsReplayed = max(read-r.RestoredRecords, 0)
		break
	}
	r.SlowSeconds = time.Since(began).Seconds()
	if err := d.compare(w.Out, r); err != nil {
		return err
	}
	d.Say("EXACT after the kill: %d daily rows and %d alerts are the expected ones, row by row; %d records were read twice", r.Daily, r.Alerts,
		r.RecordsReplayed)
	return nil
}

// fast runs the job at full speed from the beginning, into other folders.
func (d *Demo) fast(ctx context.Context, r *Report) error {
	d.Say("once more at full speed")
	w := Worker{
		Job: filepath.Join(d.Dir, "job.yaml"), Out: filepath.Join(d.Dir, "out-fast"), Checkpoints: filepath.Join(d.Dir, "checkpoints-fast"),
		Interval: FastInterval,
	}
	run, err := d.start(ctx, w, false)
	if err != nil {
		return err
	}
	r.FastSeconds = float64(run.result.ElapsedMs) / 1000
	if run.result.ElapsedMs > 0 {
		r.RecordsPerSecond = float64(run.result.Records) / r.FastSeconds
	}
	if err := d.compare(w.Out, r); err != nil {
		return err
	}
	r.Exact = true
	return nil
}

// compare compares all rows of an output folder.
func (d *Demo) compare(out string, r *Report) error {
	for _, sink := range d.Example.Sinks {
		got, err := readRows(os.DirFS(out), sink+"-*.jsonl")
		if err != nil {
			return errDiffers.Errorf("the output of sink %s cannot be read", sink).At("%s", out).Because(err)
		}
		want, err := readRows(d.Example.Expected, sink+".jsonl")
		if err != nil {
			return err
		}
		if err := compare(sink, got, want); err != nil {
			return err
		}
		switch sink {
		case "daily":
			r.Daily = len(got)
		case "alerts":
			r.Alerts = len(got)
		}
	}
	return nil
}

// newest is the checkpoint that the next worker will go on from.
func newest(store string) (*checkpoint.Manifest, error) {
	v, err := dir.NewView(vfs.Disk, store)
	if err != nil {
		return nil, err
	}
	return checkpoint.Find(v, 0)
}

func recordsOf(m *checkpoint.Manifest) int64 {
	n := int64(0)
	for _, s := range m.Splits {
		n += s.Position.Records
	}
	return n
}

// ran is what became of a worker.
type ran struct {
	last   Progress
	result *Result // nil where it was killed
}

// start runs a worker to its end, or kills it in the middle.
func (d *Demo) start(ctx context.Context, w Worker, kill bool) (*ran, error) {
	cmd, err := d.Command(ctx, w)
	if err != nil {
		return nil, errWorker.Errorf("a worker cannot be made").Because(err)
	}
	cmd.Env = append(os.Environ(), "OUT="+w.Out, "CHECKPOINTS="+w.Checkpoints)
	for name, value := range d.Example.Env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.Stderr = d.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the demo, which ends its worker itself
	messages, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, errWorker.Errorf("a worker cannot be started").Because(err)
	}
	run := &ran{}
	killed, failed := false, ""
	receiving := receive(messages, func(m Message) error {
		switch {
		case m.Progress != nil:
			run.last = *m.Progress
			if kill && !killed && d.middle(m.Progress) {
				killed = true
				return cmd.Process.Signal(syscall.SIGKILL)
			}
		case m.Snapshot != nil:
			d.Snapshot(m.Snapshot)
		case m.Text != "":
			d.Say("%s", m.Text)
		case m.Result != nil:
			run.result = m.Result
		case m.Error != "":
			failed = m.Error
		}
		return nil
	})
	if receiving != nil {
		_ = cmd.Process.Kill() // it may wait for its output to be read
	}
	waiting := cmd.Wait()
	return run, d.judge(ctx, run, killed, failed, errors.Join(receiving, waiting))
}

// middle says that it is time to kill.
func (d *Demo) middle(p *Progress) bool {
	return p.Checkpoint >= killCheckpointsMin && p.Records >= d.Example.Flights/2 && p.Records-p.CheckpointRecords >= killRecordsMin &&
		p.Records < d.Example.Flights
}

// judge says whether a worker ended as it should.
func (d *Demo) judge(ctx context.Context, run *ran, killed bool, failed string, err error) error {
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case failed != "":
		return errWorker.Errorf("the worker failed: %s", failed)
	case killed && errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL:
		run.result = nil
		return nil
	case killed:
		return errWorker.Errorf("the worker was sent SIGKILL and ended otherwise: %v", err)
	case err != nil:
		return errWorker.Errorf("the worker ended by itself").Because(err)
	case run.result == nil:
		return errWorker.Errorf("the worker ended without a result")
	case run.result.Outcome != "finished":
		return errWorker.Errorf("the worker's job %s", run.result.Outcome)
	}
	return nil
}

// Args are a worker's arguments as strings, for a command line; ParseArgs reads them.
func (w Worker) Args() []string {
	return []string{w.Job, strconv.FormatFloat(w.Rate, 'g', -1, 64), w.Interval.String()}
}

// ParseArgs reads what Args wrote. Out and Checkpoints travel in the environment, as the job reads them.
func ParseArgs(args []string) (w Worker, err error) {
	if len(args) != 3 {
		return w, fmt.Errorf("a worker has three arguments")
	}
	w.Job = args[0]
	if w.Rate, err = strconv.ParseFloat(args[1], 64); err != nil {
		return w, err
	}
	w.Interval, err = time.ParseDuration(args[2])
	return w, err
}
