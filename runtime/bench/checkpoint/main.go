// Command checkpoint measures what checkpoints cost (P5): a keyed job with 100 MiB of state of which about a tenth changes from one
// checkpoint to the next, with a checkpoint every second to a real folder and without any. The operator is native, so that what
// checkpoints cost is not hidden behind a guest. The sums that come out, and how much state changed between two checkpoints, are
// computed again from the record numbers alone.
//
//	go run ./runtime/bench/checkpoint          prints
//	go run ./runtime/bench/checkpoint -write   also appends the raw pairs to runtime/bench/results/checkpoint.jsonl
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/pprof"
	"time"

	"github.com/tidemill/tidemill/connectors"
	_ "github.com/tidemill/tidemill/connectors/datagen"
	"github.com/tidemill/tidemill/connectors/spec"
	"github.com/tidemill/tidemill/internal/clock"
	"github.com/tidemill/tidemill/internal/vfs"
	"github.com/tidemill/tidemill/runtime/bench/measure"
	"github.com/tidemill/tidemill/runtime/checkpoint"
	"github.com/tidemill/tidemill/runtime/engine"
	"github.com/tidemill/tidemill/runtime/engine/embedded"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/plan"
	"github.com/tidemill/tidemill/runtime/state"
	"github.com/tidemill/tidemill/runtime/state/memory"
)

type options struct {
	records int64
	pairs   int
	write   bool
	notes   string
	profile string
}

func main() {
	var o options
	flag.Int64Var(&o.records, "records", 60_000_000, "records a run")
	flag.IntVar(&o.pairs, "pairs", 5, "pairs of runs")
	flag.BoolVar(&o.write, "write", false, "append the results")
	flag.StringVar(&o.notes, "notes", "", "what to say about the machine in the results")
	flag.StringVar(&o.profile, "profile", "", "write a CPU profile of one run with checkpoints there, and stop")
	flag.Parse()
	if err := run(o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "checkpoint:", err)
		os.Exit(1)
	}
}

func run(o options, out io.Writer) error {
	ctx := context.Background()
	// A run without checkpoints says how far records come in a second.
	start := time.Now()
	if _, err := once(ctx, workload{o.records, o.records}, 0, nil); err != nil {
		return err
	}
	w := workload{o.records, max(int64(float64(o.records)/time.Since(start).Seconds()), 1)}
	want := w.expected()
	var taken []*checkpoint.Manifest // of all runs, in their order
	side := func(name string, interval time.Duration) measure.Side {
		return measure.Side{Name: name, Want: want, Run: func() (int64, string, error) {
			output, err := once(ctx, w, interval, &taken)
			return o.records, output, err
		}}
	}
	every, none := side("a checkpoint every second", time.Second), side("no checkpoints", 0)
	if o.profile != "" {
		return profileOne(o.profile, every)
	}
	r, err := measure.Compare("P5", fmt.Sprintf("%d keys of %d bytes (100 MiB), a tenth changed from checkpoint to checkpoint", keys, rowBytes),
		"record", o.pairs, every, none)
	if err != nil {
		return err
	}
	size := sizesOf(w, taken)
	r.Budget = "throughput without / with <= 1.05; bytes <= 1.3 of the changed bytes"
	r.Notes = fmt.Sprintf("wall A/B %s, A/A %s; %d checkpoints in %d runs; %s. %s", wall(r.Pairs, nil), wall(r.Pairs, r.AA),
		len(taken), 2*(o.pairs+1), size, o.notes)
	r.Print(out)
	fmt.Fprintf(out, "  %s\n", r.Notes)
	if !o.write {
		return nil
	}
	root, err := measure.Root()
	if err != nil {
		return err
	}
	return r.Append(root, "checkpoint")
}

// wall is the ratio of wall times, to B or, where it is given, to the second run of A.
func wall(pairs []measure.Pair, again []measure.Sample) string {
	var ratios []float64
	for i, p := range pairs {
		other := p.B
		if again != nil {
			other = again[i]
		}
		ratios = append(ratios, p.A.WallNs/other.WallNs)
	}
	s := measure.SpreadOf(ratios)
	return fmt.Sprintf("%.3f (%.3f to %.3f)", s.Median, s.Min, s.Max)
}

func profileOne(file string, side measure.Side) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	_, _, err = side.Run()
	return err
}

// once runs the job to its end and returns what its sink says.
func once(ctx context.Context, w workload, interval time.Duration, taken *[]*checkpoint.Manifest) (output string, err error) {
	folder, err := os.MkdirTemp("", "checkpoint")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(folder)
	source, err := newSource(ctx, w.records)
	if err != nil {
		return "", err
	}
	s := &sum{}
	e := &embedded.Engine{Clock: clock.System, FS: vfs.Disk, Log: slog.New(slog.DiscardHandler), WorkDir: vfs.Join(folder, "work"),
		Backends: map[string]state.Factory{"memory": memory.Factory{}}}
	j, err := e.Deploy(ctx, newPlan(w, source, s, interval, vfs.Join(folder, "store")), engine.Options{Notify: func(event engine.Event) {
		if c, is := event.(engine.Completed); is && interval > 0 {
			*taken = append(*taken, c.Manifest)
		}
	}})
	if err != nil {
		return "", err
	}
	if _, err := j.Wait(); err != nil {
		return "", err
	}
	return s.String(), nil
}

func newSource(ctx context.Context, records int64) (connectors.Source, error) {
	t := connectors.LookupSource("datagen")
	v, errs := spec.ParseText(fmt.Sprintf(`{rows: %d, columns: {number: {kind: sequence}}}`, records), t.Options)
	if len(errs) > 0 {
		return nil, errs.Err()
	}
	return t.New(ctx, connectors.Env{Clock: clock.System, FS: vfs.Disk, Name: "numbers", Parallelism: 1}, v)
}

func newPlan(w workload, source connectors.Source, sink connectors.Sink, interval time.Duration, store string) *plan.Plan {
	return &plan.Plan{
		Job: "checkpoint", Digest: "checkpoint", Parallelism: 1, MaxParallelism: 128,
		Checkpoint: plan.Checkpoint{Interval: interval, Keep: 2, Store: store},
		Nodes: []*plan.Node{
			{ID: 0, Name: "numbers", Parallelism: 1, Outputs: []operator.Output{{Port: "out", Schema: inSchema}},
				Source: &plan.Source{Kind: "datagen", Connector: source}},
			{ID: 1, Name: "update", Parallelism: 1, Inputs: []operator.Input{{Port: "in", Schema: inSchema, Keys: []int{0}}},
				Outputs: []operator.Output{{Port: "out", Schema: outSchema}}, Operator: &plan.Operator{Key: inSchema.Fields,
					Native: func() operator.Operator { return &updater{workload: w} }, States: plan.StateOptions{Backend: "memory"}}},
			{ID: 2, Name: "sum", Parallelism: 1, Inputs: []operator.Input{{Port: "in", Schema: outSchema}}, Sink: &plan.Sink{Kind: "sum", Connector: sink}},
		},
		Edges: []plan.Edge{{From: 0, To: 1, Ship: plan.Forward}, {From: 1, To: 2, Ship: plan.Forward}},
		Tasks: []plan.Task{{Nodes: []int{0, 1, 2}, Parallelism: 1}},
	}
}
