// Command keyedcount measures the whole runtime (P4): datagen -> key -> a count in a value state and a timer every 1,000 records
// -> a sink that adds up, with a checkpoint every second to a real folder. What counts is CPU time a record, of the whole
// process, everything included. The counts are compared with those of a Go map. The operator is a guest, in Go or in Rust, and, in
// turn with it, the same written natively behind the same contract.
//
//	go run ./runtime/bench/keyedcount -keys 1000             prints
//	go run ./runtime/bench/keyedcount -keys 1000000 -write   also appends the raw pairs to runtime/bench/results/keyedcount.jsonl
//	go run ./runtime/bench/keyedcount -byhand                P3: the guest against the same job in plain Go with a map
//	go run ./runtime/bench/keyedcount -lang rust             the same with the Rust guest
//
// The guests are built again with: go run ./runtime/build/guests
package main

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/pprof"
	"time"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/connectors"
	_ "github.com/tidemill/tidemill/connectors/datagen"
	"github.com/tidemill/tidemill/connectors/spec"
	"github.com/tidemill/tidemill/internal/clock"
	"github.com/tidemill/tidemill/internal/vfs"
	"github.com/tidemill/tidemill/runtime/bench/measure"
	"github.com/tidemill/tidemill/runtime/engine"
	"github.com/tidemill/tidemill/runtime/engine/embedded"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/plan"
	"github.com/tidemill/tidemill/runtime/sandbox"
	"github.com/tidemill/tidemill/runtime/sandbox/modcache"
	"github.com/tidemill/tidemill/runtime/sandbox/profile"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
	"github.com/tidemill/tidemill/runtime/sandbox/wazerovm"
	"github.com/tidemill/tidemill/runtime/state"
	"github.com/tidemill/tidemill/runtime/state/memory"
)

type options struct {
	keys, records int64
	parallelism   int
	pairs         int
	write         bool
	profile       string
	guest         bool
	byHand        bool
	language      string
}

// guest is the keyed count in one language, and what is asked of it.
type guest struct {
	name, budget, budgetByHand string
	module                     []byte
}

//go:embed count.wasm
var countGo []byte

//go:embed count-rust.wasm
var countRust []byte

var guests = map[string]guest{
	"go":   {"Go guest", "Go guest <= 200 ns hot, <= 600 ns at 1 M uniform keys", "for information: B/A >= 0.15 with the Go guest", countGo},
	"rust": {"Rust guest", "Rust guest <= 100 ns hot, <= 450 ns at 1 M uniform keys", "B/A >= 0.40 with the Rust guest", countRust},
}

func main() {
	var o options
	flag.Int64Var(&o.keys, "keys", 1000, "distinct keys")
	flag.Int64Var(&o.records, "records", 20_000_000, "records a run")
	flag.IntVar(&o.parallelism, "parallelism", 1, "subtasks")
	flag.IntVar(&o.pairs, "pairs", 5, "pairs of runs")
	flag.BoolVar(&o.write, "write", false, "append the results")
	flag.StringVar(&o.profile, "profile", "", "write a CPU profile of one run there, and stop")
	flag.BoolVar(&o.guest, "guest", false, "with -profile: of the guest")
	flag.BoolVar(&o.byHand, "byhand", false, "P3: the guest against the same job written by hand with a Go map")
	flag.StringVar(&o.language, "lang", "go", "language of the guest: go or rust")
	flag.Parse()
	if err := run(o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "keyedcount:", err)
		os.Exit(1)
	}
}

func run(o options, out io.Writer) error {
	ctx := context.Background()
	in, known := guests[o.language]
	if !known {
		return fmt.Errorf("there is no guest in %q", o.language)
	}
	source, err := newSource(ctx, o)
	if err != nil {
		return err
	}
	want, err := expectedOf(ctx, source)
	if err != nil {
		return err
	}
	op, closeModule, err := loadGuest(ctx, in.module)
	if err != nil {
		return err
	}
	defer closeModule()
	side := func(name string, op plan.Operator) measure.Side {
		return measure.Side{Name: name, Want: want, Run: func() (int64, string, error) {
			output, err := once(ctx, newPlan(o, source, op))
			return o.records, output, err
		}}
	}
	native, sandboxed := side("native Go operator", plan.Operator{Native: newCounter}), side(in.name, *op)
	if o.byHand {
		return compareByHand(ctx, o, source, sandboxed, in.budgetByHand, out)
	}
	if o.profile != "" {
		one := native
		if o.guest {
			one = sandboxed
		}
		return profileOne(o, one, out)
	}
	r, err := measure.Compare("P4", fmt.Sprintf("keyed count, %d keys, parallelism %d, checkpoint every second", o.keys, o.parallelism),
		"record", o.pairs, native, sandboxed)
	if err != nil {
		return err
	}
	r.Budget = in.budget
	r.Print(out)
	if !o.write {
		return nil
	}
	root, err := measure.Root()
	if err != nil {
		return err
	}
	return r.Append(root, "keyedcount")
}

// compareByHand measures P3.
func compareByHand(ctx context.Context, o options, source connectors.Source, sandboxed measure.Side, budget string, out io.Writer) error {
	plain := measure.Side{Name: "by hand, a Go map, no checkpoints", Want: sandboxed.Want, Run: func() (int64, string, error) {
		splits, err := splitsOf(ctx, source)
		if err != nil {
			return 0, "", err
		}
		output, err := byHand(ctx, source, splits)
		return o.records, output, err
	}}
	r, err := measure.Compare("P3", fmt.Sprintf("keyed count, %d keys, checkpoint every second, against a Go program", o.keys), "record", o.pairs,
		sandboxed, plain)
	if err != nil {
		return err
	}
	r.Budget = budget
	r.Notes = fmt.Sprintf("B/A is %.3f; the records are datagen's on both sides, nothing is decoded", 1/r.RatioAB.Median)
	r.Print(out)
	if !o.write {
		return nil
	}
	root, err := measure.Root()
	if err != nil {
		return err
	}
	return r.Append(root, "keyedcount")
}

// profileOne writes a CPU profile of one run.
func profileOne(o options, side measure.Side, out io.Writer) error {
	f, err := os.Create(o.profile)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	start, cpu := time.Now(), measure.CPU()
	_, output, err := side.Run()
	fmt.Fprintf(out, "%s: cpu %.1f ns, wall %.1f ns a record; %s\n", side.Name, float64(measure.CPU()-cpu)/float64(o.records),
		float64(time.Since(start))/float64(o.records), output)
	return err
}

// loadGuest compiles a guest.
func loadGuest(ctx context.Context, module []byte) (op *plan.Operator, closeModule func(), err error) {
	files := vfs.NewMem()
	f, err := files.Create("count.wasm")
	if err != nil {
		return nil, nil, err
	}
	if _, err := f.Write(module); err != nil {
		return nil, nil, err
	}
	cache := modcache.New(func(folder string) vm.Engine { return wazerovm.New(folder, nil) },
		modcache.Options{Limits: profile.Limits{MemoryBytesMax: abi.MemoryBytesMax}})
	guests := &plan.Guests{Files: files, Cache: cache}
	m, err := guests.Load(ctx, "count.wasm")
	if err != nil {
		return nil, nil, err
	}
	m.Entry = "count"
	request := sandbox.Request("count", "keyedcount", "count", 0, 1, []operator.Input{{Port: "in", Schema: inSchema, Keys: []int{0}}}, keyFields, nil)
	found, err := guests.Inspect(m, plan.Limits{}, request)
	if err != nil {
		return nil, nil, err
	}
	return &plan.Operator{Module: m, Params: found.Params, Descriptor: found.Descriptor, Binding: found.Binding},
		func() { _ = cache.Close(ctx) }, nil
}
func newSource(ctx context.Context, o options) (connectors.Source, error) {
	t := connectors.LookupSource("datagen")
	v, errs := spec.ParseText(fmt.Sprintf(`{rows: %d, columns: {key: {kind: uniform, max: %d}, at: {kind: time, every: 1us}}}`,
		o.records, o.keys-1), t.Options)
	if len(errs) > 0 {
		return nil, errs.Err()
	}
	return t.New(ctx, connectors.Env{Clock: clock.System, FS: vfs.Disk, Name: "numbers", Parallelism: o.parallelism}, v)
}

func expectedOf(ctx context.Context, source connectors.Source) (string, error) {
	splits, err := splitsOf(ctx, source)
	if err != nil {
		return "", err
	}
	return expected(ctx, source, splits)
}

func splitsOf(ctx context.Context, source connectors.Source) ([]connectors.Split, error) {
	e, err := source.Enumerator(ctx, nil)
	if err != nil {
		return nil, err
	}
	splits, _, err := e.Discover(ctx)
	return splits, err
}

// once runs the job to its end and returns what its sink says.
func once(ctx context.Context, p *plan.Plan) (output string, err error) {
	folder, err := os.MkdirTemp("", "keyedcount")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(folder)
	p.Checkpoint.Store = vfs.Join(folder, "store")
	e := &embedded.Engine{Clock: clock.System, FS: vfs.Disk, Log: slog.New(slog.DiscardHandler), WorkDir: vfs.Join(folder, "work"),
		Backends: map[string]state.Factory{"memory": memory.Factory{}}}
	s := &sum{}
	p.Nodes[2].Sink.Connector = s
	j, err := e.Deploy(ctx, p, engine.Options{})
	if err != nil {
		return "", err
	}
	if _, err := j.Wait(); err != nil {
		return "", err
	}
	return s.String(), nil
}

func newPlan(o options, source connectors.Source, op plan.Operator) *plan.Plan {
	p := o.parallelism
	op.Key, op.States = keyFields, plan.StateOptions{Backend: "memory"}
	made := &plan.Plan{
		Job: "keyedcount", Digest: "keyedcount", Parallelism: p, MaxParallelism: 128,
		Checkpoint: plan.Checkpoint{Interval: time.Second, Keep: 2},
		Nodes: []*plan.Node{
			{ID: 0, Name: "numbers", Parallelism: p, Outputs: []operator.Output{{Port: "out", Schema: inSchema}},
				Source: &plan.Source{Kind: "datagen", Connector: source, EventTime: &plan.EventTime{Column: 1, OutOfOrderness: time.Second},
					WatermarkInterval: 20 * time.Millisecond}},
			{ID: 1, Name: "count", Parallelism: p, Inputs: []operator.Input{{Port: "in", Schema: inSchema, Keys: []int{0}}},
				Outputs: []operator.Output{{Port: "out", Schema: outSchema}}, Operator: &op},
			{ID: 2, Name: "sum", Parallelism: p, Inputs: []operator.Input{{Port: "in", Schema: outSchema}}, Sink: &plan.Sink{Kind: "sum"}},
		},
		Edges: []plan.Edge{{From: 0, To: 1, Ship: plan.Forward}, {From: 1, To: 2, Ship: plan.Forward}},
		Tasks: []plan.Task{{Nodes: []int{0, 1, 2}, Parallelism: 1}},
	}
	if p > 1 {
		made.Edges[0] = plan.Edge{From: 0, To: 1, Ship: plan.Hash, Keys: []int{0}}
		made.Tasks = []plan.Task{{Nodes: []int{0}, Parallelism: p}, {Nodes: []int{1, 2}, Parallelism: p}}
	}
	return made
}
