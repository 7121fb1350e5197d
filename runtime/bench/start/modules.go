package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/pprof"
	"time"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/runtime/bench/measure"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/sandbox"
	"github.com/tidemill/tidemill/runtime/sandbox/modcache"
	"github.com/tidemill/tidemill/runtime/sandbox/profile"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
	"github.com/tidemill/tidemill/runtime/sandbox/wazerovm"
	"github.com/tidemill/tidemill/runtime/state"
	"github.com/tidemill/tidemill/runtime/state/memory"
)

// alert is what the first record makes: a flight that left more than two hours late.
const alert = "1 alert, of UA on 2013-01-01, 135 minutes"

var (
	flightSchema = &record.Schema{Fields: []record.Field{{Name: "carrier", Type: record.UTF8}, {Name: "flight", Type: record.I32},
		{Name: "origin", Type: record.UTF8}, {Name: "dest", Type: record.UTF8}, {Name: "dep_time", Type: record.I32, Nullable: true},
		{Name: "dep_delay", Type: record.I32, Nullable: true}, {Name: "time_hour", Type: record.Timestamp}}}
	inputs = []operator.Input{{Port: "in", Schema: flightSchema, Keys: []int{0}}}
	params = map[string]any{"threshold_minutes": 30, "alert_minutes": 120}
)

// modules measures P8.
func modules(root string, pairs int) ([]*measure.Result, error) {
	ctx := context.Background()
	binary, err := os.ReadFile(filepath.Join(root, "examples", "late-flights", "delays.wasm"))
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "start")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	warm := newCache(folder)
	defer warm.Close(ctx)
	inProcess := measure.Side{Name: "already compiled in the process", Want: alert, Run: func() (int64, string, error) { return first(ctx, warm, binary) }}
	ofCache := func(name, folder string) measure.Side {
		return measure.Side{Name: name, Want: alert, Run: func() (int64, string, error) {
			cache := newCache(folder)
			defer cache.Close(ctx)
			return first(ctx, cache, binary)
		}}
	}
	disk := ofCache("from the cache on disk", folder)
	what := fmt.Sprintf("a Go module of %.1f MB: load, describe, open, first record", float64(len(binary))/1e6)
	cached, err := measure.Compare("P8", what, "start", pairs, disk, inProcess)
	if err != nil {
		return nil, err
	}
	cached.Budget = "A <= 60 ms, B <= 10 ms, wall"
	fresh, err := measure.Compare("P8-new", what, "start", min(pairs, 3), ofCache("new, nothing cached", ""), disk)
	if err != nil {
		return nil, err
	}
	fresh.Budget = "A <= 1 s, wall, for a module of 1 MB"
	fresh.Notes = fmt.Sprintf("the module is larger than the budget's: %.0f ms of wall time and %.0f ms of CPU for each MB",
		fresh.WallNsA.Median/float64(len(binary)), fresh.CPUNsA.Median/float64(len(binary)))
	parts, err := phases(ctx, folder, binary)
	if err != nil {
		return nil, err
	}
	cached.Notes = parts
	return []*measure.Result{cached, fresh}, nil
}

func newCache(folder string) *modcache.Cache {
	return modcache.New(func(folder string) vm.Engine { return wazerovm.New(folder, nil) },
		modcache.Options{Folder: folder, Limits: profile.Limits{MemoryBytesMax: abi.MemoryBytesMax}})
}

// start is a module on its way to its first record.
type start struct {
	module sandbox.Module
	found  *sandbox.Inspection
	op     *sandbox.Operator
	output string
}

func (s *start) load(ctx context.Context, cache *modcache.Cache, binary []byte) error {
	m, err := cache.Load(ctx, binary)
	if err == nil {
		s.module = sandbox.FromCache(m)
	}
	return err
}

func (s *start) inspect() (err error) {
	s.found, err = sandbox.Inspect(s.module, sandbox.Limits{},
		sandbox.Request("delays", "bench", "delays", 0, 1, inputs, flightSchema.Fields[:1], params))
	return err
}

func (s *start) open() error {
	outputs, err := s.outputs()
	if err != nil {
		return err
	}
	backend, err := memory.Factory{}.New(state.Options{KeyFields: flightSchema.Fields[:1]})
	if err != nil {
		return err
	}
	s.op = sandbox.New(sandbox.Config{Module: s.module, Entry: "delays", Binding: s.found.Binding})
	return s.op.Open(&operator.Context{
		Job: "bench", Operator: "delays", Parallelism: 1, MaxParallelism: 128, Inputs: inputs, Key: flightSchema.Fields[:1],
		Outputs: outputs, Params: s.found.Params, State: backend, Watermark: record.WatermarkNone, Now: func() int64 { return 1 },
		Emit: func(_ int, b *record.Batch) {
			if day := b.Schema.Index("day"); day >= 0 {
				s.output = fmt.Sprintf("%d alert, of %s on %s, %d minutes", b.Rows, b.Columns[b.Schema.Index("carrier")].Bytes(0),
					b.Columns[day].Bytes(0), b.Columns[b.Schema.Index("dep_delay")].Int(0))
			}
		},
		Reject: func(r *operator.Rejection) error { return r.Cause }, Log: slog.New(slog.DiscardHandler), Meter: &operator.Meter{},
	})
}

// outputs are the ports that the module described.
func (s *start) outputs() (list []operator.Output, err error) {
	for _, out := range s.found.Descriptor.Outputs {
		schema := &record.Schema{}
		for _, f := range out.Schema {
			t, known := record.ParseType(f.Type)
			if !known {
				return nil, fmt.Errorf("column %s of %s has the unknown type %q", f.Name, out.Name, f.Type)
			}
			schema.Fields = append(schema.Fields, record.Field{Name: f.Name, Type: t, Nullable: f.Nullable})
		}
		list = append(list, operator.Output{Port: out.Name, Schema: schema})
	}
	return list, nil
}

// process gives the operator its first record.
func (s *start) process() error {
	b := record.NewBatch(flightSchema, 1)
	at := time.Date(2013, 1, 1, 10, 0, 0, 0, time.UTC).UnixMicro()
	b.Columns[0].AppendString("UA")
	b.Columns[1].AppendInt(1545)
	b.Columns[2].AppendString("EWR")
	b.Columns[3].AppendString("IAH")
	b.Columns[4].AppendInt(517)
	b.Columns[5].AppendInt(135)
	b.Columns[6].AppendInt(at)
	b.Rows, b.EventTime = 1, []int64{at}
	return s.op.Process(0, b)
}

// first is one start, up to the first record's alert.
func first(ctx context.Context, cache *modcache.Cache, binary []byte) (units int64, output string, err error) {
	var s start
	for _, step := range []func() error{func() error { return s.load(ctx, cache, binary) }, s.inspect, s.open, s.process} {
		if err := step(); err != nil {
			return 0, "", err
		}
	}
	return 1, s.output, s.op.Close()
}

// profileStarts writes a CPU profile of five starts from the cache on disk.
func profileStarts(file string) error {
	ctx := context.Background()
	root, err := measure.Root()
	if err != nil {
		return err
	}
	binary, err := os.ReadFile(filepath.Join(root, "examples", "late-flights", "delays.wasm"))
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "start")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	if _, err := phases(ctx, folder, binary); err != nil { // fills the cache
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	_, err = phases(ctx, folder, binary)
	return err
}

// phases says what the parts of a start from disk take: medians of five.
func phases(ctx context.Context, folder string, binary []byte) (string, error) {
	names := []string{"load", "describe and inspect", "open", "first record"}
	took := make([][]float64, len(names))
	for range 5 {
		cache := newCache(folder)
		var s start
		for i, step := range []func() error{func() error { return s.load(ctx, cache, binary) }, s.inspect, s.open, s.process} {
			begin := time.Now()
			if err := step(); err != nil {
				return "", err
			}
			took[i] = append(took[i], time.Since(begin).Seconds()*1e3)
		}
		if err := s.op.Close(); err != nil {
			return "", err
		}
		if err := cache.Close(ctx); err != nil {
			return "", err
		}
	}
	text := "parts of a start from disk, wall"
	for i, name := range names {
		text += fmt.Sprintf(", %s %.1f ms", name, measure.SpreadOf(took[i]).Median)
	}
	return text, nil
}
