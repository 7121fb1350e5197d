package cli

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/runtime/checkpoint"
	"github.com/tidemill/tidemill/runtime/cmd/tidemill/metrics"
	"github.com/tidemill/tidemill/runtime/cmd/tidemill/view"
	"github.com/tidemill/tidemill/runtime/engine"
	"github.com/tidemill/tidemill/runtime/job"
	"github.com/tidemill/tidemill/runtime/plan"
	"github.com/tidemill/tidemill/runtime/telemetry"
)

// runOptions are the flags of run.
type runOptions struct {
	jobOptions
	fresh           bool
	allowUndeclared bool
	restarts        int
	metrics         string
	pprof           string
	every           time.Duration
}

// runResult is the result of run as JSON.
type runResult struct {
	Job                string              `json:"job"`
	Outcome            engine.Outcome      `json:"outcome"`
	RestoredCheckpoint uint64              `json:"restored_checkpoint"` // 0: from the beginning
	RestoredRecords    int64               `json:"restored_records"`
	RestoredSplits     []restoredSplit     `json:"restored_splits,omitempty"`
	Skipped            []skipped           `json:"skipped_checkpoints,omitempty"`
	Checkpoints        int                 `json:"checkpoints"`
	LastCheckpoint     uint64              `json:"last_checkpoint"`
	Restarts           int                 `json:"restarts"`
	ElapsedMs          int64               `json:"elapsed_ms"`
	RecordsIn          int64               `json:"records_in"`
	RecordsOut         int64               `json:"records_out"`
	RecordsPerSecond   float64             `json:"records_per_second"`
	Late               int64               `json:"late"`
	Bad                int64               `json:"bad"`
	Counters           *telemetry.Snapshot `json:"counters,omitempty"`
}

type restoredSplit struct {
	Source  string `json:"source"`
	Split   string `json:"split"`
	Offset  int64  `json:"offset"`
	Records int64  `json:"records"`
	Done    bool   `json:"done"`
}

type skipped struct {
	Checkpoint uint64   `json:"checkpoint"`
	Damage     []string `json:"damage"`
}

func (a *app) runCommand() *cobra.Command {
	var o runOptions
	c := &cobra.Command{
		Use:   "run JOB.yaml",
		Short: "Run a job until its input ends or it is stopped",
		Long: "run goes on from the newest valid checkpoint of the job's store and says from where; a finished job says so and exits 0.\n" +
			"SIGTERM or Ctrl-C stops the sources, takes a last checkpoint and publishes it; a second signal ends the process at once.",
		Example: "  tidemill run job.yaml\n  tidemill run --metrics 127.0.0.1:9090 --restarts 5 job.yaml",
		Args:    cobra.ExactArgs(1),
		RunE:    func(_ *cobra.Command, args []string) error { return a.run(args[0], o) },
	}
	f := c.Flags()
	o.flags(c)
	f.BoolVar(&o.allowUndeclared, "allow-undeclared", false, "go on although the checkpoint has state that the operators no longer declare; it is kept, unused")
	f.BoolVar(&o.fresh, "fresh", false, "set the checkpoints aside and begin at the beginning; needs an empty output")
	f.IntVar(&o.restarts, "restarts", 0, "restart a failed job so many times from its newest checkpoint, after a growing pause")
	f.StringVar(&o.metrics, "metrics", "", "serve Prometheus metrics on this address, as in 127.0.0.1:9090 or :9090 (loopback)")
	f.StringVar(&o.pprof, "pprof", "", "serve Go profiles on this address")
	f.DurationVar(&o.every, "progress", time.Second, "time between lines of progress where there is no terminal; 0 for none")
	return c
}

// flags adds those of all verbs that read a job.yaml.
func (o *jobOptions) flags(c *cobra.Command) {
	c.Flags().StringVar(&o.secrets, "secrets", "", "a YAML file of name: text for ${secret:name}; TIDEMILL_SECRET_<NAME> counts before it")
	c.Flags().IntVar(&o.parallelism, "parallelism", 0, "subtasks of each node that sets none itself, in place of the job's")
}

func (a *app) run(file string, o runOptions) (err error) {
	if o.restarts < 0 {
		return errUsage.Errorf("--restarts cannot be negative").At("tidemill run")
	}
	j, err := a.job(file, o.jobOptions)
	if err != nil {
		return err
	}
	counters := telemetry.NewJob(j.Name)
	usesStdout := slices.ContainsFunc(j.Sinks, func(s *job.Sink) bool { return s.Options.Choice() == "stdout" })
	shown := a.view(counters, o.every, !usesStdout)
	closeView := func() {
		if shown != nil {
			shown.Close()
			shown = nil
		}
	}
	defer closeView()
	p := a.parts(a.log(shown))
	defer func() { err = errors.Join(err, p.close()) }()
	if !a.json {
		p.stdout = a.Stdout
	}
	made, err := p.plan(j)
	if err != nil {
		return err
	}
	for _, w := range made.Warnings {
		p.log.Warn(w)
	}
	if !a.json {
		for _, n := range made.Nodes {
			if n.Operator != nil {
				fmt.Fprintf(shown, "operator %s: %s, sha256:%.12s\n", n.Name, n.Operator.Module.Path, n.Operator.Module.Digest)
			}
		}
	}
	servers, err := a.serve(counters, o)
	if err != nil {
		return err
	}
	defer servers.Close()
	for _, s := range servers {
		p.log.Info("serving "+s.What, "address", s.Address)
	}
	result, err := a.deploy(p, made, o, counters, shown)
	closeView()
	if result != nil {
		r := resultOf(made, result)
		a.result = r
		if err == nil && !a.json {
			r.print(a.Stderr)
		}
	}
	return err
}

// view is live on a terminal, lines elsewhere, and nothing but logs beside --json.
func (a *app) view(counters *telemetry.Job, every time.Duration, mayDraw bool) view.View {
	switch {
	case a.json:
		return view.NewLines(a.Stderr, a.Clock, 0, counters.Snapshot)
	case a.Terminal && mayDraw:
		return view.NewLive(a.Stderr, a.Clock, counters.Snapshot)
	}
	return view.NewLines(a.Stderr, a.Clock, every, counters.Snapshot)
}

func (a *app) serve(counters *telemetry.Job, o runOptions) (metrics.Servers, error) {
	var servers metrics.Servers
	for _, want := range []struct {
		address, what string
		start         func(string) (*metrics.Server, error)
	}{
		{o.metrics, "metrics", func(address string) (*metrics.Server, error) { return metrics.Serve(address, counters.Snapshot) }},
		{o.pprof, "pprof", metrics.ServeProfiles},
	} {
		if want.address == "" {
			continue
		}
		_, port, err := net.SplitHostPort(want.address)
		if err == nil {
			_, err = net.DefaultResolver.LookupPort(a.ctx, "tcp", port)
		}
		if err != nil {
			servers.Close()
			return nil, errUsage.Errorf("--%s %s is no address", want.what, want.address).At("tidemill run").Because(err).
				Do("write HOST:PORT or :PORT, as in 127.0.0.1:9090")
		}
		s, err := want.start(want.address)
		if err != nil {
			servers.Close()
			return nil, errListen.Errorf("--%s %s cannot be served", want.what, want.address).At("%s", want.address).Because(err).
				Do("choose another port, or 0 for any")
		}
		servers = append(servers, s)
	}
	return servers, nil
}

// deploy runs a plan; the first signal stops it.
func (a *app) deploy(p *parts, made *plan.Plan, o runOptions, counters *telemetry.Job, shown view.View) (*engine.Result, error) {
	a.orderly.Store(true)
	running, err := p.engine(made).Deploy(a.ctx, made, engine.Options{
		Fresh: o.fresh, AllowUndeclared: o.allowUndeclared, Restarts: o.restarts, Telemetry: counters, Notify: shown.Event,
	})
	if err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-a.stop:
			shown.Stopping()
			running.Stop()
		case <-ended:
		}
	}()
	return running.Wait()
}

func resultOf(made *plan.Plan, r *engine.Result) *runResult {
	out := &runResult{
		Job: made.Job, Outcome: r.Outcome, Checkpoints: r.Checkpoints, LastCheckpoint: r.Last, Restarts: r.Restarts,
		ElapsedMs: r.Elapsed.Milliseconds(), Counters: r.Counters,
	}
	if m := r.Restored; m != nil {
		out.RestoredCheckpoint = m.Checkpoint
		for _, s := range m.Splits {
			out.RestoredRecords += s.Position.Records
			out.RestoredSplits = append(out.RestoredSplits,
				restoredSplit{s.Source, s.Split.ID, s.Position.Offset, s.Position.Records, s.Position.Done})
		}
	}
	for _, s := range r.Skipped {
		out.Skipped = append(out.Skipped, skipped{s.Checkpoint, damageText(s.Damage)})
	}
	if r.Counters != nil {
		b := view.NewBoard(time.Time{})
		b.Update(time.Time{}, r.Counters)
		t := b.Totals()
		out.RecordsIn, out.RecordsOut, out.Late, out.Bad = t.In, t.Out, t.Late, t.Bad
		if s := r.Elapsed.Seconds(); s > 0 {
			out.RecordsPerSecond = float64(t.In) / s
		}
	}
	return out
}

func damageText(damage []checkpoint.Damage) []string {
	var list []string
	for i := range damage {
		list = append(list, damage[i].Error())
	}
	return list
}

// print says how a job ended.
func (r *runResult) print(w io.Writer) {
	switch r.Outcome {
	case engine.AlreadyFinished:
		fmt.Fprintf(w, "%s has finished already: checkpoint %d says so. To run it again, use --fresh and an empty output.\n", r.Job, r.RestoredCheckpoint)
		return
	case engine.Stopped:
		fmt.Fprintf(w, "%s stopped; run it again to go on from checkpoint %d", r.Job, r.LastCheckpoint)
	default:
		fmt.Fprintf(w, "%s finished", r.Job)
	}
	since := ""
	if r.RestoredCheckpoint > 0 {
		since = fmt.Sprintf(" since checkpoint %d", r.RestoredCheckpoint)
	}
	fmt.Fprintf(w, ": %s records in, %s out%s, %s in %s (%s records/s)\n", view.Count(r.RecordsIn), view.Count(r.RecordsOut), since,
		several(r.Checkpoints, "checkpoint"), view.Elapsed(time.Duration(r.ElapsedMs)*time.Millisecond), view.Count(int64(r.RecordsPerSecond)))
	if r.Late+r.Bad > 0 {
		fmt.Fprintf(w, "%s late, %s bad\n", view.Count(r.Late), view.Count(r.Bad))
	}
}
