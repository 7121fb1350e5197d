package conformance

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/abi/conformance/program"
	"github.com/tidemill/tidemill/runtime/build"
	"github.com/tidemill/tidemill/runtime/sandbox"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
	"github.com/tidemill/tidemill/runtime/sandbox/wazerovm"
)

// modules are the committed guests.
var modules = []struct {
	language, path string
	limits         sandbox.Limits
}{
	{"go", "go.wasm", sandbox.Limits{FuelBase: 100_000_000, FuelPerItem: 2_000_000}},
	{"rust", "rust.wasm", sandbox.Limits{FuelBase: 100_000_000, FuelPerItem: 2_000_000}},
	{"python", "python.wasm", sandbox.Limits{FuelBase: 300_000_000, FuelPerItem: 5_000_000}},
}

// folder is where the modules lie: those that were just built from source have to pass as well.
var folder = flag.String("modules", ".", "folder of the guests' modules")

// check runs a case by a plan. With the tag wasmtime it runs it on a second engine too.
var check = Check

// guests compiles the guests once for all tests.
var guests = sync.OnceValues(func() (list []*Guest, err error) {
	for _, m := range modules {
		g, err := Load(m.language, filepath.Join(*folder, m.path), func(folder string) vm.Engine { return wazerovm.New(folder, nil) }, m.limits)
		if err != nil {
			return nil, err
		}
		list = append(list, g)
	}
	return list, nil
})

func allGuests(t testing.TB) []*Guest {
	t.Helper()
	list, err := guests()
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// TestGuestsAreFresh compares the committed guests with their sources, without a build.
func TestGuestsAreFresh(t *testing.T) {
	for _, m := range modules {
		path := m.path + build.LockSuffix
		lock, err := build.ReadLock(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := lock.Check(path); err != nil {
			t.Errorf("%v: run `go run ./runtime/build/guests`", err)
		}
	}
}

// TestGuestsBindAlike compares what the guests declare with PROGRAM.md's ports and with one another: everything but the address of the
// fault cell and the order of ports and states, which are known by name.
func TestGuestsBindAlike(t *testing.T) {
	var first *abi.Binding
	for _, g := range allGuests(t) {
		for _, entry := range []string{rowsEntry, columnarEntry} {
			if entry == columnarEntry && !g.columnar {
				continue
			}
			found, err := g.binding(asked{entry: entry})
			if err != nil {
				t.Fatal(err)
			}
			b := *found
			b.FaultCell = 0
			b.Inputs, b.Outputs, b.States = slices.Clone(b.Inputs), slices.Clone(b.Outputs), slices.Clone(b.States)
			for i := range b.Inputs {
				b.Inputs[i].Columns = slices.Sorted(slices.Values(b.Inputs[i].Columns))
			}
			slices.SortFunc(b.Outputs, func(x, y abi.BoundOutput) int { return strings.Compare(x.Name, y.Name) })
			slices.SortFunc(b.States, func(x, y abi.BoundState) int { return strings.Compare(x.Name, y.Name) })
			for _, o := range b.Outputs {
				if p := portOf(o.Name); fmt.Sprint(o.Fields) != fmt.Sprint(fieldTypes(p.Fields)) {
					t.Errorf("%s %s: port %s has %v, want %v", g.Language, entry, o.Name, o.Fields, fieldTypes(p.Fields))
				}
			}
			if first == nil {
				first = &b
			}
			if !reflect.DeepEqual(&b, first) {
				t.Errorf("%s %s binds\n%+v\nthe first guest\n%+v", g.Language, entry, b, *first)
			}
		}
	}
}

func fieldTypes(fields []program.Field) (list []abi.FieldType) {
	for _, f := range fields {
		list = append(list, abi.FieldType{Name: f.Name, Type: abi.Type(typeOf(f.Type)), Nullable: f.Nullable})
	}
	return list
}

// checkPlan runs a case by a plan and, where it fails, shows a smaller case that fails too.
func checkPlan(t *testing.T, what string, c *program.Case, plan *Plan) bool {
	t.Helper()
	err := check(c, plan)
	if err == nil {
		return true
	}
	small := c.Shrink(func(c *program.Case) bool { return check(c, plan) != nil })
	t.Errorf("%s, by the plan: %v\n%v\nThe smallest case that was found to fail, %x:\n%v\n%v", what, plan, err, small.Bytes(), &small, check(&small, plan))
	return false
}

// checkCase runs a case plainly on every guest and by some drawn plans.
func checkCase(t *testing.T, what string, rng *rand.Rand, c *program.Case, plans int) bool {
	t.Helper()
	all := allGuests(t)
	for _, g := range all {
		if plan := Plain(g); !checkPlan(t, what, c, &plan) {
			return false
		}
	}
	for range plans {
		if plan := DrawPlan(rng, c, all); !checkPlan(t, what, c, &plan) {
			return false
		}
	}
	return true
}

// checkSeed draws a case and runs it.
func checkSeed(t *testing.T, seed uint64, plans int) bool {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 1))
	c := program.DrawCase(rng, program.Drawings[int(seed)%len(program.Drawings)])
	return checkCase(t, fmt.Sprint("seed ", seed), rng, &c, plans)
}

// TestDrawn runs drawn cases on all guests.
func TestDrawn(t *testing.T) {
	const seeds = 18
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			checkSeed(t, seed, 2)
		})
	}
}

// TestFound runs the cases that once failed, and those that a drawing would meet too seldom: the files of testdata/cases. A file has lines
// of comment, which begin with #, then the case in hexadecimal. It is run by several plans.
func TestFound(t *testing.T) {
	files, err := filepath.Glob("testdata/cases/*")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			c := readCase(t, file)
			checkCase(t, file, rand.New(rand.NewPCG(1, 1)), &c, 3)
		})
	}
}

// TestAnswersThatEndEarly runs a batch whose answer does not fit into a frame: the guests take it in parts.
func TestAnswersThatEndEarly(t *testing.T) {
	c := readCase(t, "testdata/cases/large-answers")
	for _, g := range allGuests(t) {
		plan := Plain(g)
		whole, err := Run(&c, &plan)
		if err != nil {
			t.Fatal(err)
		}
		plan.FrameBytes = answerShare * Expect(&c, &plan).model.ItemBytes
		if !checkPlan(t, g.Language, &c, &plan) {
			return
		}
		if parts, err := Run(&c, &plan); err != nil || parts.Frames < whole.Frames+5 {
			t.Errorf("%s: %v, %d frames of at most %d bytes, %d without that limit", g.Language, err, parts.Frames, plan.FrameBytes, whole.Frames)
		}
	}
}

func readCase(t testing.TB, file string) program.Case {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var digits strings.Builder
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if line := lines.Text(); !strings.HasPrefix(line, "#") {
			digits.WriteString(strings.TrimSpace(line))
		}
	}
	data, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatal(err)
	}
	return program.ParseCase(data)
}

// TestRepeated runs cases twice in the same way: the guests must draw the same numbers (rule 10).
func TestRepeated(t *testing.T) {
	drawn := 0
	for seed := range uint64(6) {
		rng := rand.New(rand.NewPCG(seed, 2))
		c := program.DrawCase(rng, program.Drawing{Weights: program.Weights{program.Draw: 3, program.TimerSet: 2, program.MapSet: 1}, Steps: 30, Commands: 5})
		for _, g := range allGuests(t) {
			plan := Plain(g)
			first, err := Run(&c, &plan)
			if err != nil {
				t.Fatal(err)
			}
			second, err := Run(&c, &plan)
			if err != nil {
				t.Fatal(err)
			}
			first.steps, second.steps = nil, nil // the input, which may have NaN
			if !reflect.DeepEqual(first, second) {
				t.Errorf("seed %d, %s: drew %v, then %v", seed, g.Language, first.Drawn, second.Drawn)
			}
			drawn += len(first.Drawn)
		}
	}
	if drawn == 0 {
		t.Error("nothing was drawn")
	}
}

// FuzzCase gives the same bytes to all guests and to the model.
func FuzzCase(f *testing.F) {
	allGuests(f) // compiling them takes longer than one input may
	for seed := range uint64(len(program.Drawings)) {
		c := program.DrawCase(rand.New(rand.NewPCG(seed, 3)), program.Drawings[int(seed)%len(program.Drawings)])
		f.Add(c.Bytes())
	}
	for _, file := range []string{"equal-writes-renew", "elements-expire-one-by-one", "decimals-in-order", "lists-and-decimals-everywhere"} {
		c := readCase(f, "testdata/cases/"+file)
		f.Add(c.Bytes())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		const bytesMax = 4 << 10
		c := program.ParseCase(data[:min(len(data), bytesMax)])
		checkCase(t, fmt.Sprintf("case %x", data), rand.New(rand.NewPCG(uint64(len(data)), 4)), &c, 1)
	})
}
