// Command boundary measures what crossing into a guest costs (P1): a batch of 256 rows of two i64 columns through an operator that
// does nothing, less the copy of the two columns, which is the least that any host could do.
//
//	go run ./runtime/bench/boundary          prints
//	go run ./runtime/bench/boundary -write   also appends the raw pairs to runtime/bench/results/boundary.jsonl
package main

import (
	"context"
	_ "embed"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/runtime/bench/measure"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/sandbox"
	"github.com/tidemill/tidemill/runtime/sandbox/modcache"
	"github.com/tidemill/tidemill/runtime/sandbox/profile"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
	"github.com/tidemill/tidemill/runtime/sandbox/wat"
	"github.com/tidemill/tidemill/runtime/sandbox/wazerovm"
)

//go:embed empty.wat
var emptyGuest string

// goGuest is the module of the sandbox's tests: its operators idle and reads.
const goGuest = "runtime/sandbox/testdata/ledger.wasm"

const (
	rows   = 256
	frames = 200_000 // a run
)

func main() {
	pairs := flag.Int("pairs", 9, "pairs of runs")
	write := flag.Bool("write", false, "append the results")
	flag.Parse()
	if err := run(*pairs, *write, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "boundary:", err)
		os.Exit(1)
	}
}

func run(pairs int, write bool, out io.Writer) error {
	root, err := measure.Root()
	if err != nil {
		return err
	}
	compiled, err := os.ReadFile(filepath.Join(root, goGuest))
	if err != nil {
		return err
	}
	for _, c := range []struct {
		what, entry, budget string
		module              []byte
	}{
		{"an empty guest", "idle", "A - B <= 1 ns a record", wat.Must(emptyGuest)},
		{"a Go guest, batch interface, untouched", "idle", "A - B <= 1 ns a record", compiled},
		{"a Go guest, row interface, every row read", "reads", "for information", compiled},
	} {
		op, meter, err := open(c.module, c.entry)
		if err != nil {
			return err
		}
		r, err := measure.Compare("P1", "256 rows of two i64 columns into "+c.what, "record", pairs, calls(op, meter), copies())
		if err != nil {
			return err
		}
		r.Budget = c.budget
		r.Notes = fmt.Sprintf("median of A - B: %.3f ns a record, %.0f ns a frame", over(r), over(r)*rows)
		r.Print(out)
		fmt.Fprintf(out, "  %s\n\n", r.Notes)
		if write {
			if err := r.Append(root, "boundary"); err != nil {
				return err
			}
		}
		if err := op.Close(); err != nil {
			return err
		}
	}
	return nil
}

// over is what a record costs beyond the copy: the median over the pairs of the difference.
func over(r *measure.Result) float64 {
	var d []float64
	for _, p := range r.Pairs {
		d = append(d, p.A.CPUNs-p.B.CPUNs)
	}
	return measure.SpreadOf(d).Median
}

func inputs() []operator.Input {
	return []operator.Input{{Port: "in", Schema: &record.Schema{Fields: []record.Field{{Name: "a", Type: record.I64}, {Name: "b", Type: record.I64}}}}}
}

func batch() *record.Batch {
	b := record.NewBatch(inputs()[0].Schema, rows)
	for i := range int64(rows) {
		b.Columns[0].AppendInt(i)
		b.Columns[1].AppendInt(-i)
	}
	b.Rows = rows
	return b
}

// open loads a module and opens one of its operators.
func open(binary []byte, entry string) (*sandbox.Operator, *operator.Meter, error) {
	cache := modcache.New(func(folder string) vm.Engine { return wazerovm.New(folder, nil) },
		modcache.Options{Limits: profile.Limits{MemoryBytesMax: abi.MemoryBytesMax}})
	m, err := cache.Load(context.Background(), binary)
	if err != nil {
		return nil, nil, err
	}
	module := sandbox.FromCache(m)
	found, err := sandbox.Inspect(module, sandbox.Limits{}, sandbox.Request(entry, "bench", "op", 0, 1, inputs(), nil, nil))
	if err != nil {
		return nil, nil, err
	}
	op := sandbox.New(sandbox.Config{Module: module, Entry: entry, Binding: found.Binding})
	meter := &operator.Meter{}
	return op, meter, op.Open(&operator.Context{
		Job: "bench", Operator: "op", Parallelism: 1, MaxParallelism: 128, Inputs: inputs(), Watermark: record.WatermarkNone,
		Now: func() int64 { return 1 }, Emit: func(int, *record.Batch) {},
		Reject: func(r *operator.Rejection) error { return r.Cause }, Log: slog.New(slog.DiscardHandler), Meter: meter,
	})
}

// calls is A: the whole way of a batch through the sandbox.
func calls(op *sandbox.Operator, meter *operator.Meter) measure.Side {
	b := batch()
	return measure.Side{Name: "the call", Want: fmt.Sprintf("%d frames, no faults", frames), Run: func() (int64, string, error) {
		before := meter.Frames.Load()
		for range frames {
			if err := op.Process(0, b); err != nil {
				return 0, "", err
			}
		}
		faults := "no faults"
		if meter.Traps.Load() > 0 {
			faults = "faults"
		}
		return frames * rows, fmt.Sprintf("%d frames, %s", meter.Frames.Load()-before, faults), nil
	}}
}

// copies is B: the two columns copied to where a frame would have them.
func copies() measure.Side {
	b := batch()
	memory := make([]byte, 64<<10)
	last := b.Columns[1].Int(rows - 1)
	return measure.Side{Name: "the copy alone", Want: fmt.Sprint(last), Run: func() (int64, string, error) {
		n := 0
		for range frames {
			n = copy(memory[256:], b.Columns[0].Values)
			n += copy(memory[256+n:], b.Columns[1].Values)
		}
		column := record.Column{Type: record.I64, Len: rows, Values: memory[256+n/2 : 256+n]}
		return frames * rows, fmt.Sprint(column.Int(rows - 1)), nil
	}}
}
