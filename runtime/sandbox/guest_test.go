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
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/sandbox/modcache"
	"github.com/tidemill/tidemill/runtime/sandbox/profile"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
	"github.com/tidemill/tidemill/runtime/sandbox/wazerovm"
)

// realGuest is the ledger in one language, as committed. It is compiled once for all tests.
type realGuest struct {
	language string // of the descriptions
	path     string
	load     func() (Module, error)
}

// realGuests are the same operators in every language that has them.
var realGuests = []*realGuest{
	{language: "go", path: "testdata/ledger.wasm"},
	{language: "rust", path: "testdata/ledger-rust.wasm"},
}

func init() {
	for _, g := range realGuests {
		g.load = sync.OnceValues(func() (Module, error) { return compileGuest(g.path) })
	}
}

func compileGuest(path string) (Module, error) {
	binary, err := os.ReadFile(path)
	if err != nil {
		return Module{}, err
	}
	cache := modcache.New(func(folder string) vm.Engine { return wazerovm.New(folder, nil) },
		modcache.Options{Limits: profile.Limits{MemoryBytesMax: abi.MemoryBytesMax}})
	m, err := cache.Load(context.Background(), binary)
	if err != nil {
		return Module{}, err
	}
	return FromCache(m), nil
}

// eachGuest runs a test with the guest of every language.
func eachGuest(t *testing.T, test func(t *testing.T, g *realGuest)) {
	for _, g := range realGuests {
		t.Run(g.language, func(t *testing.T) { test(t, g) })
	}
}

func (g *realGuest) module(t testing.TB) Module {
	t.Helper()
	m, err := g.load()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (g *realGuest) run(t *testing.T, entry string, steps []ledgerStep, adjust func(*Config)) *rig {
	t.Helper()
	inputs := ledgerInputs(t)
	key := []record.Field{inputs[0].Schema.Fields[1]}
	request := Request(entry, "job", "op", 0, 1, inputs, key, nil)
	found, err := Inspect(g.module(t), Limits{}, request)
	if err != nil {
		t.Fatal(err)
	}
	p := &program{descriptor: *found.Descriptor}
	r := newRigFor(t, p, g.module(t), entry, inputs, func(c *Config) {
		c.Limits = Limits{FuelBase: 20_000_000, FuelPerItem: 1_000_000, TrapsPerMinute: 1 << 20}
		if adjust != nil {
			adjust(c)
		}
	})
	at := 0
	for _, s := range steps {
		if s.rows == nil {
			if err := r.op.Advance(s.to); err != nil {
				t.Fatalf("advancing: %v", err)
			}
			continue
		}
		r.process(0, ledgerBatch(inputs[0].Schema, s.rows, at))
		at += len(s.rows)
	}
	return r
}

// TestGuestsGiveTheModelsResults runs drawn ledgers through the guest of each language, row by row and by columns: whole, cut at
// random and, with an instance a frame.
func TestGuestsGiveTheModelsResults(t *testing.T) {
	eachGuest(t, func(t *testing.T, g *realGuest) {
		for seed := range uint64(12) {
			rng := rand.New(rand.NewPCG(seed, 1))
			steps := drawLedger(rng, false)
			want := ledgerModel(steps)
			cut := func(c *Config) { c.Cut = func(from, to int) int { return from + 1 + rng.IntN(to-from) } }
			entry := []string{"ledger", "columnar"}[seed%2]
			t.Run(fmt.Sprint("whole/seed=", seed), func(t *testing.T) { checkLedger(t, g.run(t, entry, steps, nil), want) })
			t.Run(fmt.Sprint("cut/seed=", seed), func(t *testing.T) { checkLedger(t, g.run(t, entry, steps, cut), want) })
			if seed < 2 {
				t.Run(fmt.Sprint("recycled/seed=", seed), func(t *testing.T) {
					checkLedger(t, g.run(t, entry, steps, func(c *Config) { cut(c); c.Recycle = RecycleFrame }), want)
				})
			}
		}
	})
}

// guestFault is what the host says of a row at fault.
type guestFault struct {
	code *errcode.Code // nil: any
	says string
}

// guestFaults are the faults by language, from -1 on: an error, a panic, a run-time error, a loop, an end of its own (Go's exit,
// Rust's abort), memory without end, another end of its own (a message on standard error and an exit, a division by zero), and
// recursion without end.
var guestFaults = map[string][]guestFault{
	"go": {{ErrOperator, "bad row"}, {ErrTrap, "bad row"}, {ErrTrap, "index out of range"}, {ErrFuel, "fail"}, {ErrExit, "exit code 3"}, {},
		{ErrExit, "bad row"}, {}},
	"rust": {{ErrOperator, "bad row"}, {ErrTrap, "bad row"}, {ErrTrap, "index out of bounds"}, {ErrFuel, ""}, {ErrTrap, "unreachable"}, {},
		{ErrTrap, "divide by zero"}, {}},
}

// TestGuestFaults has rows at fault among others, each in its own way.
func TestGuestFaults(t *testing.T) {
	eachGuest(t, func(t *testing.T, g *realGuest) {
		for i, c := range guestFaults[g.language] {
			n, entry := -1-i, []string{"columnar", "ledger"}[i%2]
			t.Run(fmt.Sprint(entry, n), func(t *testing.T) {
				rows := []ledgerRow{{k: "a", n: 1}, {k: "b", n: 2}, {k: "a", n: n}, {k: "a", n: 1}, {k: "b", n: 3}}
				steps := []ledgerStep{{rows: rows}, {to: 10}}
				r := g.run(t, entry, steps, nil)
				checkLedger(t, r, ledgerModel(steps))
				err := r.rejected[0].Cause
				t.Log(err)
				if c.code != nil && !errcode.Is(err, c.code) {
					t.Errorf("want %s", c.code.ID)
				}
				if !strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "split s1, position 2, key (k=a)") {
					t.Errorf("the error does not say all")
				}
			})
		}
	})
}

// TestInspectGuests reads what the guests say of themselves.
func TestInspectGuests(t *testing.T) {
	eachGuest(t, func(t *testing.T, g *realGuest) {
		d, err := Describe(g.module(t), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if d.SDK.Name != g.language || d.Entry("ledger") == nil || d.Entry("idle") == nil {
			t.Errorf("got %+v", d)
		}
		inputs := ledgerInputs(t)
		for want, change := range map[string]func(*abi.OpenRequest){
			`no operator "other"`:     func(r *abi.OpenRequest) { r.Entry = "other" },
			`no parameter "x"`:        func(r *abi.OpenRequest) { r.Params = map[string]any{"x": 1} },
			"the job gives it 0":      func(r *abi.OpenRequest) { r.Inputs = nil },
			`reads column "n" (i64)`:  func(r *abi.OpenRequest) { r.Inputs[0].Schema = r.Inputs[0].Schema[:2] },
			`port "in" of operator "`: func(r *abi.OpenRequest) { r.Inputs[0].Keyed = false },
		} {
			request := Request("ledger", "job", "op", 0, 1, inputs, []record.Field{inputs[0].Schema.Fields[1]}, nil)
			change(&request)
			_, err := Inspect(g.module(t), Limits{}, request)
			if e := errcode.Of(err); e == nil || e.Code.Class != errcode.Invalid || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %q in it", err, want)
			}
		}
	})
}
