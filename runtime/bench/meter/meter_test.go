package meter

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/tidemill/tidemill/runtime/bench/measure"
	rewriting "github.com/tidemill/tidemill/runtime/sandbox/meter"
	"github.com/tidemill/tidemill/runtime/sandbox/wasm"
)

var (
	p2      = flag.Bool("p2", false, "measure")
	write   = flag.Bool("write", false, "append the measurements to runtime/bench/results")
	only    = flag.String("only", "", "measure the programs whose name contains this")
	pairs   = flag.Int("pairs", 5, "pairs of runs a program and padding")
	padding = flag.Int("paddings", 3, "paddings of the code")
)

const corpus = "../corpus"

// slice is what a refuel grants here: about 100 microseconds, as the engine's adaptive slices come to.
const slice = 300_000

// program is one instance of a module of the corpus.
type program struct {
	module  api.Module
	granted int64
}

// load instantiates a module as it is or metered.
func load(t testing.TB, binary []byte, metered bool) *program {
	t.Helper()
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler())
	t.Cleanup(func() { r.Close(ctx) })
	wasi_snapshot_preview1.MustInstantiate(ctx, r)
	p := &program{}
	if metered {
		m, err := wasm.Decode(binary)
		if err != nil {
			t.Fatal(err)
		}
		if binary, _, err = rewriting.Rewrite(m); err != nil {
			t.Fatal(err)
		}
		_, err = r.NewHostModuleBuilder(rewriting.HostModule).
			NewFunctionBuilder().WithGoFunction(api.GoFunc(func(_ context.Context, stack []uint64) {
			grant := max(slice, -int64(stack[0]))
			p.granted += grant
			stack[0] = uint64(int64(stack[0]) + grant)
		}), []api.ValueType{api.ValueTypeI64}, []api.ValueType{api.ValueTypeI64}).Export(rewriting.Refuel).
			NewFunctionBuilder().WithFunc(func() { panic("stack exhausted") }).Export(rewriting.Overflow).
			Instantiate(ctx)
		if err != nil {
			t.Fatal(err)
		}
	}
	m, err := r.InstantiateWithConfig(ctx, binary, wazero.NewModuleConfig().WithStartFunctions("_initialize"))
	if err != nil {
		t.Fatal(err)
	}
	p.module = m
	return p
}

func (p *program) run(t testing.TB, name string, n uint32) uint64 {
	t.Helper()
	results, err := p.module.ExportedFunction(name).Call(context.Background(), uint64(n))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return results[0]
}

// used is the fuel that all runs have taken.
func (p *program) used() int64 {
	return p.granted - int64(p.module.ExportedGlobal(rewriting.FuelGlobal).Get())
}

// names are the programs of a module.
func (p *program) names() []string {
	var list []string
	for name := range p.module.ExportedFunctionDefinitions() {
		if strings.HasPrefix(name, "run_") && strings.Contains(name, *only) {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

func committed(t testing.TB) map[string][]byte {
	t.Helper()
	modules := map[string][]byte{}
	for _, language := range []string{"c", "rust"} {
		b, err := os.ReadFile(filepath.Join(corpus, language+".wasm"))
		if err != nil {
			t.Fatal(err)
		}
		modules[language] = b
	}
	return modules
}

// TestCorpus runs every committed program, as it is and metered: the same results, and the same fuel again.
func TestCorpus(t *testing.T) {
	for language, binary := range committed(t) {
		plain, metered, again := load(t, binary, false), load(t, binary, true), load(t, binary, true)
		names := plain.names()
		if len(names) < 6 {
			t.Errorf("%s: only %d programs", language, len(names))
		}
		for _, name := range names {
			want := plain.run(t, name, 2)
			if got := metered.run(t, name, 2); got != want || want == 0 {
				t.Errorf("%s %s: %#x metered, %#x as it is", language, name, got, want)
			}
			if again.run(t, name, 2); again.used() != metered.used() {
				t.Errorf("%s %s: %d units, then %d", language, name, metered.used(), again.used())
			}
		}
	}
}

// TestP2 measures. The budget is over the geometric mean and over the worst loop; pure recursion (fib) is told apart, because it
// has no loop and pays for the stack as well.
func TestP2(t *testing.T) {
	if !*p2 {
		t.Skip("measures with -p2")
	}
	modules := committed(t)
	modules["go"] = buildGo(t)
	// By program, one a padding: the median of the pairs' ratios, and the ratio of the fastest runs, which a busy machine moves less.
	ratios, minima := map[string][]float64{}, map[string][]float64{}
	var noise []float64
	for _, language := range slices.Sorted(maps.Keys(modules)) {
		for pad := range *padding {
			binary := padded(t, modules[language], []int{0, 3, 7, 12, 18}[pad%5])
			plain, metered := load(t, binary, false), load(t, binary, true)
			for _, name := range plain.names() {
				n := calibrate(t, plain, name)
				side := func(who string, p *program) measure.Side {
					return measure.Side{Name: who, Want: fmt.Sprintf("%#x", plain.run(t, name, n)),
						Run: func() (int64, string, error) {
							got := p.run(t, name, n)
							return int64(n), fmt.Sprintf("%#x", got), nil
						}}
				}
				r, err := measure.Compare("P2", fmt.Sprintf("%s %s, padding %d", language, strings.TrimPrefix(name, "run_"), pad),
					"turn", *pairs, side("metered", metered), side("as it is", plain))
				if err != nil {
					t.Fatal(err)
				}
				program := language + " " + strings.TrimPrefix(name, "run_")
				ratios[program] = append(ratios[program], r.RatioAB.Median)
				minima[program] = append(minima[program], r.CPUNsA.Min/r.CPUNsB.Min)
				noise = append(noise, r.RatioAA.Median)
				t.Logf("%-20s padding %d  %.3f (%.3f to %.3f, A/A %.3f)", program, pad, r.RatioAB.Median, r.RatioAB.Min, r.RatioAB.Max, r.RatioAA.Median)
				keep(t, r)
			}
		}
	}
	r := &measure.Result{Bench: "P2", What: "summary", A: "metered", B: "as it is", Unit: "program", Units: int64(len(ratios)),
		RatioAA: measure.SpreadOf(noise), Output: "every run's checksum equals that of the module as it is",
		Budget: "geometric mean <= 1.13, worst realistic loop <= 1.25"}
	r.RatioAB, r.Notes = summarise(t, ratios)
	_, fastest := summarise(t, minima)
	r.Notes += "; of the fastest runs: " + fastest
	keep(t, r)
}

// summarise takes each program's median over the paddings. Pure recursion (fib) counts in the mean but not as a loop.
func summarise(t *testing.T, ratios map[string][]float64) (measure.Spread, string) {
	worst, worstName := 0.0, ""
	var all []float64
	byLanguage := map[string][]float64{}
	for _, program := range slices.Sorted(maps.Keys(ratios)) {
		ratio := measure.SpreadOf(ratios[program]).Median
		t.Logf("%-20s %.3f  %.3f", program, ratio, ratios[program])
		language, name, _ := strings.Cut(program, " ")
		all = append(all, ratio)
		byLanguage[language] = append(byLanguage[language], ratio)
		if ratio > worst && name != "fib" {
			worst, worstName = ratio, program
		}
	}
	notes := fmt.Sprintf("geometric mean %.3f over %d programs and %d paddings; worst but for fib: %s %.3f",
		geometricMean(all), len(all), *padding, worstName, worst)
	for _, language := range slices.Sorted(maps.Keys(byLanguage)) {
		notes += fmt.Sprintf("; %s %.3f", language, geometricMean(byLanguage[language]))
	}
	t.Log(notes)
	return measure.SpreadOf(all), notes
}

func geometricMean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += math.Log(v)
	}
	return math.Exp(sum / float64(len(values)))
}

func keep(t *testing.T, r *measure.Result) {
	t.Helper()
	if !*write {
		return
	}
	root, err := measure.Root()
	if err == nil {
		err = r.Append(root, "meter")
	}
	if err != nil {
		t.Fatal(err)
	}
}

// calibrate finds the number of turns that take some 60 ms.
func calibrate(t *testing.T, p *program, name string) uint32 {
	t.Helper()
	for n := uint32(1); ; n *= 2 {
		began := time.Now()
		p.run(t, name, n)
		if took := time.Since(began); took > 20*time.Millisecond {
			return uint32(float64(n)*float64(60*time.Millisecond)/float64(took)) + 1
		}
	}
}

// padded has an arm in its first function that is never taken and holds some stores: it moves all code behind it.
func padded(t *testing.T, binary []byte, stores int) []byte {
	t.Helper()
	m, err := wasm.Decode(binary)
	if err != nil {
		t.Fatal(err)
	}
	b := m.Bodies[0]
	code := wasm.AppendU32(nil, uint32(len(m.Bodies)))
	body := append(wasm.AppendU32(nil, b.LocalRuns), m.Bytes(b.Locals)...)
	if stores > 0 { // if memory.size == -1: memory[0] = 0, ...
		body = append(body, byte(wasm.OpMemorySize), 0, byte(wasm.OpI32Const), 0x7f, 0x46, byte(wasm.OpIf), wasm.BlockVoid)
		for range stores {
			body = append(body, byte(wasm.OpI32Const), 0, byte(wasm.OpI32Const), 0, 0x36, 2, 0)
		}
		body = append(body, byte(wasm.OpEnd))
	}
	body = append(body, m.Bytes(b.Code)...)
	code = append(wasm.AppendU32(code, uint32(len(body))), body...)
	for _, b := range m.Bodies[1:] {
		body := append(append(wasm.AppendU32(nil, b.LocalRuns), m.Bytes(b.Locals)...), m.Bytes(b.Code)...)
		code = append(wasm.AppendU32(code, uint32(len(body))), body...)
	}
	out := append([]byte(nil), binary[:8]...)
	for _, s := range m.Sections {
		switch s.ID {
		case wasm.CustomSection:
		case wasm.CodeSection:
			out = wasm.AppendSection(out, s.ID, code)
		default:
			out = wasm.AppendSection(out, s.ID, m.Bytes(s.Body))
		}
	}
	return out
}

func buildGo(t *testing.T) []byte {
	t.Helper()
	file := filepath.Join(t.TempDir(), "go.wasm")
	cmd := exec.Command("go", "build", "-buildmode=c-shared", "-trimpath", "-ldflags=-w", "-o", file, ".")
	cmd.Dir = filepath.Join(corpus, "go")
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the Go guest: %v\n%s", err, out)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
