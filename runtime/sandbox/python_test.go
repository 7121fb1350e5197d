package sandbox

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/sandbox/modcache"
	"github.com/tidemill/tidemill/runtime/sandbox/profile"
	"github.com/tidemill/tidemill/runtime/sandbox/script"
	"github.com/tidemill/tidemill/runtime/sandbox/script/python"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
	"github.com/tidemill/tidemill/runtime/sandbox/wazerovm"
)

// pythons has the interpreter compiled once for all tests.
var pythons = sync.OnceValue(func() *modcache.Cache {
	return modcache.New(func(folder string) vm.Engine { return wazerovm.New(folder, nil) },
		modcache.Options{Limits: profile.Limits{MemoryBytesMax: abi.MemoryBytesMax}, Bases: []script.Base{python.Base()}})
})

// pythonModule makes a module of one file.
func pythonModule(t *testing.T, source string) Module {
	t.Helper()
	code, err := (&script.Archive{Entry: "op.py", Files: []script.File{{Path: "op.py", Text: source}}}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	m := &script.Module{Base: python.Base().Reference, Code: code, Describe: []byte("{}")}
	load := func() Module {
		binary, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return scriptModule(t, pythons(), binary)
	}
	if m.Describe, err = DescribeBytes(load(), Limits{}); err != nil {
		t.Fatal(err)
	}
	return load()
}

var pythonLedger = sync.OnceValues(func() (string, error) {
	text, err := os.ReadFile("testdata/ledger/python/op.py")
	return string(text), err
})

// openPython opens an operator of the Python ledger.
func openPython(t *testing.T, entry string, adjust func(*Config)) *rig {
	t.Helper()
	source, err := pythonLedger()
	if err != nil {
		t.Fatal(err)
	}
	m, inputs := pythonModule(t, source), ledgerInputs(t)
	key := []record.Field{inputs[0].Schema.Fields[1]}
	found, err := Inspect(m, Limits{}, Request(entry, "job", "op", 0, 1, inputs, key, nil))
	if err != nil {
		t.Fatal(err)
	}
	return newRigFor(t, &program{descriptor: *found.Descriptor}, m, entry, inputs, func(c *Config) {
		c.Limits = Limits{TrapsPerMinute: 1 << 20} // fuel and memory as by default
		if adjust != nil {
			adjust(c)
		}
	})
}

// TestPythonGivesTheModelsResults runs drawn ledgers through Python, row by row and by columns: whole, cut at random, and with an
// instance a frame, each begun from the image.
func TestPythonGivesTheModelsResults(t *testing.T) {
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 1))
		steps := drawLedger(rng, false)
		want := ledgerModel(steps)
		cut := func(c *Config) { c.Cut = func(from, to int) int { return from + 1 + rng.IntN(to-from) } }
		entry := []string{"ledger", "columnar"}[seed%2]
		adjusts := map[string]func(*Config){"whole": nil, "cut": cut}
		if seed < 2 {
			adjusts["recycled"] = func(c *Config) { cut(c); c.Recycle = RecycleFrame }
		}
		for name, adjust := range adjusts {
			t.Run(fmt.Sprint(name, "/seed=", seed), func(t *testing.T) {
				r := openPython(t, entry, adjust)
				r.takeLedger(steps)
				checkLedger(t, r, want)
			})
		}
	}
}

// TestPythonFaults has a row at fault among others, each in its own way. The others take effect as if it were not there, and the
// error says what is wrong, on which line, and for which record.
func TestPythonFaults(t *testing.T) {
	for n, c := range map[int]struct {
		code *errcode.Code
		says []string
	}{
		-1:  {ErrOperator, []string{"bad row"}},
		-2:  {ErrOperator, []string{"ZeroDivisionError", "return 1 // 0"}},
		-3:  {ErrOperator, []string{"No module named 'numpy'", "import numpy"}},
		-4:  {ErrOperator, []string{"open(\"/etc/passwd\")"}},
		-5:  {ErrOperator, []string{"import socket"}},
		-6:  {ErrOperator, []string{"threading.Thread(target=print).start()"}},
		-7:  {ErrOperator, []string{"RecursionError", "return recurses() + 1"}},
		-8:  {ErrOperator, []string{"MemoryError", "kept.append(bytearray(1 << 20))"}},
		-9:  {ErrOperator, []string{"FuelExhausted", "in loops"}},
		-10: {ErrFuel, []string{"op.py:"}},
		-11: {ErrOperator, []string{"SystemExit", "sys.exit(3)"}},
		-12: {ErrFuel, []string{"op.py:"}},
	} {
		entry := []string{"ledger", "columnar"}[-n%2]
		t.Run(fmt.Sprint(entry, n), func(t *testing.T) {
			steps := []ledgerStep{{rows: []ledgerRow{{k: "a", n: 1}, {k: "b", n: 2}, {k: "a", n: n}, {k: "a", n: 1}, {k: "b", n: 3}}}, {to: 10}}
			r := openPython(t, entry, nil)
			r.takeLedger(steps)
			checkLedger(t, r, ledgerModel(steps))
			err := r.rejected[0].Cause
			t.Log(err)
			if !errcode.Is(err, c.code) {
				t.Errorf("want %s", c.code.ID)
			}
			for _, says := range append(c.says, "op.py", "split s1, position 2, key (k=a)") {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("the error does not say %q", says)
				}
			}
		})
	}
}

// TestPythonPolicy lets the job fail at the row, with the neighbours of another operator going on.
func TestPythonPolicy(t *testing.T) {
	rows := []ledgerRow{{k: "a", n: 1}, {k: "a", n: -9}}
	failing, neighbour := openPython(t, "ledger", nil), openPython(t, "ledger", nil)
	failing.policy = func(r *operator.Rejection) error { return r.Cause }
	if err := failing.op.Process(0, ledgerBatch(failing.ctx.Inputs[0].Schema, rows, 0)); !errcode.Is(err, ErrOperator) {
		t.Errorf("the policy fail: %v", err)
	}
	neighbour.process(0, ledgerBatch(neighbour.ctx.Inputs[0].Schema, rows[:1], 0))
	if len(neighbour.emitted) != 1 {
		t.Errorf("%d batches of the neighbour", len(neighbour.emitted))
	}
}

// TestPythonThatDoesNotLoad has modules that fail when they are imported, each told with the file and line.
func TestPythonThatDoesNotLoad(t *testing.T) {
	for name, c := range map[string]struct{ source, place, says string }{
		"import":  {"import tidemill\nimport numpy\n", "op.py:2", "No module named 'numpy'"},
		"syntax":  {"x = (\n", "op.py:1", "SyntaxError"},
		"loop":    {"n = 0\nwhile True:\n    n += 1\n", "op.py:2", "FuelExhausted"},
		"nothing": {"import tidemill\n", "", "no operator"},
		"open":    {"open('x.json')\n", "op.py:1", ""},
		"recurse": {"def f():\n    f()\nf()\n", "op.py:2", "RecursionError"},
	} {
		code, err := (&script.Archive{Entry: "op.py", Files: []script.File{{Path: "op.py", Text: c.source}}}).Encode()
		if err != nil {
			t.Fatal(err)
		}
		binary, err := (&script.Module{Base: python.Base().Reference, Code: code, Describe: []byte("{}")}).Encode()
		if err != nil {
			t.Fatal(err)
		}
		_, err = pythons().Load(context.Background(), binary)
		if e := errcode.Of(err); !errcode.Is(err, script.ErrLoad) || e.Place != c.place || !strings.Contains(e.Message, c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

const drawing = `
import os
import random
import tidemill

@tidemill.map
def draw(n: int) -> str:
    return f"{random.random()} {os.urandom(8).hex()}"
`

// TestPythonDrawsAnew has instances of one image draw from the module random and from the system: those of two subtasks draw
// otherwise, those of one alike.
func TestPythonDrawsAnew(t *testing.T) {
	m := pythonModule(t, drawing)
	inputs := []operator.Input{{Port: "in", Schema: schema(t, record.Field{Name: "n", Type: record.I64})}}
	found, err := Inspect(m, Limits{}, Request("draw", "job", "op", 0, 1, inputs, nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	draw := func(subtask int) []string {
		r := newRigContext(t, &program{descriptor: *found.Descriptor}, inputs)
		r.ctx.Subtask = subtask
		r.op = New(Config{Module: m, Entry: "draw", Binding: found.Binding})
		if err := r.op.Open(r.ctx); err != nil {
			t.Fatal(err)
		}
		defer r.op.Close()
		r.process(0, &record.Batch{Schema: inputs[0].Schema, Rows: 1, Columns: []record.Column{column(record.I64, 1)}, EventTime: []int64{0}, Pos: []int64{0},
			Runs: []record.Run{{Origin: &record.Origin{}}}})
		return strings.Fields(values(&r.emitted[0].batch.Columns[0])[0].(string))
	}
	a, b, again := draw(0), draw(1), draw(0)
	for i, of := range []string{"random", "os.urandom"} {
		if a[i] == b[i] || a[i] != again[i] {
			t.Errorf("%s: two subtasks draw %s and %s, the first once more %s", of, a[i], b[i], again[i])
		}
	}
}
