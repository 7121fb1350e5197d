package main

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/runtime/bench/measure"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/sandbox"
	"github.com/tidemill/tidemill/runtime/sandbox/modcache"
	"github.com/tidemill/tidemill/runtime/sandbox/profile"
	"github.com/tidemill/tidemill/runtime/sandbox/script"
	"github.com/tidemill/tidemill/runtime/sandbox/script/python"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
	"github.com/tidemill/tidemill/runtime/sandbox/wazerovm"
	"github.com/tidemill/tidemill/runtime/state"
	"github.com/tidemill/tidemill/runtime/state/memory"
)

// batchRows are the sizes of batches.
var batchRows = []int{1, 16, 256, record.RowsMax}

// users is the number of keys.
const users = 1000

// records are those of a run: so many that one takes a tenth of a second or more, natively and in each language.
func records(w *workload, rows int, language string) int {
	n := map[int]int{1: 1 << 14, 16: 1 << 17}[rows]
	if n == 0 {
		n = 1 << 19
	}
	if w.name == "parse" {
		n /= 128
	}
	switch language {
	case "native":
		n *= 4
	case "rust":
		n *= 2
	case "python":
		n /= 8
	}
	return max(n, rows)
}

// workload is one of the operators.
type workload struct {
	name   string
	schema *record.Schema
	key    []record.Field
	out    *record.Schema
	make   func() operator.Operator // the native one
	row    func(r *rand.Rand, columns []record.Column)
}

var workloads = []*workload{
	{
		name: "price", out: fields(record.Field{Name: "total", Type: record.F64}), make: func() operator.Operator { return &price{} },
		schema: fields(record.Field{Name: "user", Type: record.UTF8}, record.Field{Name: "quantity", Type: record.I64}, record.Field{Name: "price", Type: record.F64}),
		row: func(r *rand.Rand, c []record.Column) {
			c[0].AppendString(user(r))
			c[1].AppendInt(r.Int64N(100))
			c[2].AppendFloat(float64(r.IntN(10_000)) / 100)
		},
	},
	{
		name: "spend", out: fields(record.Field{Name: "user", Type: record.UTF8}, record.Field{Name: "spent", Type: record.F64}),
		make:   func() operator.Operator { return &spend{} },
		schema: fields(record.Field{Name: "user", Type: record.UTF8}, record.Field{Name: "price", Type: record.F64}),
		key:    []record.Field{{Name: "user", Type: record.UTF8}},
		row: func(r *rand.Rand, c []record.Column) {
			c[0].AppendString(user(r))
			c[1].AppendFloat(float64(r.IntN(10_000)) / 100)
		},
	},
	{
		name: "parse", make: func() operator.Operator { return &parse{} },
		out:    fields(record.Field{Name: "id", Type: record.I64}, record.Field{Name: "items", Type: record.I64}, record.Field{Name: "total", Type: record.F64}),
		schema: fields(record.Field{Name: "text", Type: record.UTF8}),
		row: func(r *rand.Rand, c []record.Column) {
			item := func() string {
				return fmt.Sprintf(`{"sku": "sku-%06d", "quantity": %d, "price": %d.%02d}`, r.IntN(1_000_000), 1+r.IntN(9), r.IntN(100), r.IntN(100))
			}
			c[0].AppendString(fmt.Sprintf(`{"id": %d, "user": %q, "items": [%s, %s, %s]}`, r.Int64N(1<<40), user(r), item(), item(), item()))
		},
	},
}

func fields(list ...record.Field) *record.Schema { return &record.Schema{Fields: list} }

func user(r *rand.Rand) string { return fmt.Sprintf("user-%04d", r.IntN(users)) }

// batch draws rows from a fixed seed.
func (w *workload) batch(rows int) *record.Batch {
	r := rand.New(rand.NewPCG(7, uint64(rows)))
	b := record.NewBatch(w.schema, rows)
	for range rows {
		w.row(r, b.Columns)
		b.EventTime = append(b.EventTime, 0)
		b.Pos = append(b.Pos, 0)
	}
	b.Rows = rows
	b.Runs = []record.Run{{Origin: &record.Origin{Source: "bench", Split: "0"}}}
	return b
}

// side is an open operator that adds up what it emits.
type side struct {
	op   operator.Operator
	sum  float64
	rows int
}

// opened makes the context of an operator and opens it.
func (w *workload) opened(op operator.Operator, params map[string]any) (*side, error) {
	s := &side{op: op}
	inputs := []operator.Input{{Port: "in", Schema: w.schema}}
	if w.key != nil {
		inputs[0].Keys = []int{0}
	}
	ctx := &operator.Context{
		Job: "bench", Operator: w.name, Parallelism: 1, MaxParallelism: 128, Inputs: inputs, Key: w.key, Params: params,
		Outputs: []operator.Output{{Port: "out", Schema: w.out}}, Watermark: record.WatermarkNone, Now: func() int64 { return 1 },
		Emit: func(_ int, b *record.Batch) {
			last := &b.Columns[len(b.Columns)-1]
			for i := range b.Rows {
				s.sum += last.Float(i)
			}
			s.rows += b.Rows
		},
		Reject: func(r *operator.Rejection) error { return r.Cause }, Log: slog.New(slog.DiscardHandler), Meter: &operator.Meter{},
	}
	if w.key != nil {
		backend, err := memory.Factory{}.New(state.Options{KeyFields: w.key})
		if err != nil {
			return nil, err
		}
		ctx.State = backend
	}
	return s, op.Open(ctx)
}

func (w *workload) native() (*side, error) { return w.opened(w.make(), nil) }

func newCache(folder string) *modcache.Cache {
	return modcache.New(func(folder string) vm.Engine { return wazerovm.New(folder, nil) },
		modcache.Options{Folder: folder, Limits: profile.Limits{MemoryBytesMax: abi.MemoryBytesMax}, Bases: []script.Base{python.Base()}})
}

// config loads a module and plans the operator of it.
func (w *workload) config(ctx context.Context, cache *modcache.Cache, module []byte) (sandbox.Config, map[string]any, error) {
	loaded, err := cache.Load(ctx, module)
	if err != nil {
		return sandbox.Config{}, nil, err
	}
	m := sandbox.FromCache(loaded)
	inputs := []operator.Input{{Port: "in", Schema: w.schema}}
	if w.key != nil {
		inputs[0].Keys = []int{0}
	}
	found, err := sandbox.Inspect(m, sandbox.Limits{}, sandbox.Request(w.name, "bench", w.name, 0, 1, inputs, w.key, nil))
	if err != nil {
		return sandbox.Config{}, nil, err
	}
	return sandbox.Config{Module: m, Entry: w.name, Binding: found.Binding}, found.Params, nil
}

func newOperator(c sandbox.Config) operator.Operator { return sandbox.New(c) }

// guest loads a module and opens the operator of it.
func (w *workload) guest(ctx context.Context, cache *modcache.Cache, module []byte) (*side, error) {
	config, params, err := w.config(ctx, cache, module)
	if err != nil {
		return nil, err
	}
	return w.opened(newOperator(config), params)
}

// compare measures a guest against the native operator, with batches of one size.
func compare(o options, w *workload, language string, rows int, guest, native opener) (*measure.Result, error) {
	b := w.batch(rows)
	if err := same(w, b, guest, native); err != nil {
		return nil, err
	}
	var sides [2]measure.Side
	for i, open := range []opener{guest, native} {
		s, err := open()
		if err != nil {
			return nil, err
		}
		defer s.op.Close()
		n := records(w, rows, []string{language, "native"}[i])
		sides[i] = measure.Side{Name: []string{language, "native Go"}[i], Want: fmt.Sprintf("%d rows", n), Run: func() (int64, string, error) {
			s.rows = 0
			for range n / rows {
				if err := s.op.Process(0, b); err != nil {
					return 0, "", err
				}
			}
			return int64(n), fmt.Sprintf("%d rows", s.rows), nil
		}}
	}
	r, err := measure.Compare("LANG-"+w.name, fmt.Sprintf("%s in %s, batches of %d", w.name, language, rows), "record", o.pairs, sides[0], sides[1])
	if err == nil {
		r.Figures = map[string]float64{"batch_rows": float64(rows)}
		r.Output = "before the runs: three batches of both, from an empty state, gave equal sums to the last bit"
	}
	return r, err
}

// opener opens an operator with an empty state.
type opener func() (*side, error)

// same gives both operators the same batches and compares what they emit, to the last bit of the sum.
func same(w *workload, b *record.Batch, guest, native opener) error {
	var got [2]*side
	for i, open := range []opener{guest, native} {
		s, err := open()
		if err != nil {
			return err
		}
		for range 3 {
			if err := s.op.Process(0, b); err != nil {
				return err
			}
		}
		if err := s.op.Close(); err != nil {
			return err
		}
		got[i] = s
	}
	if got[0].sum != got[1].sum || got[0].rows != got[1].rows {
		return fmt.Errorf("%s: the sums are %v of %d rows and, native, %v of %d", w.name, got[0].sum, got[0].rows, got[1].sum, got[1].rows)
	}
	return nil
}
