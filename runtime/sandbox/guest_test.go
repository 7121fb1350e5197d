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

const ledgerPath = "testdata/ledger.wasm"

// realGuest compiles the committed guest once for all tests.
var realGuest = sync.OnceValues(func() (Module, error) {
	binary, err := os.ReadFile(ledgerPath)
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
})

func guestModule(t testing.TB) Module {
	t.Helper()
	m, err := realGuest()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func runGuest(t *testing.T, entry string, steps []ledgerStep, adjust func(*Config)) *rig {
	t.Helper()
	inputs := ledgerInputs(t)
	key := []record.Field{inputs[0].Schema.Fields[1]}
	request := Request(entry, "job", "op", 0, 1, inputs, key, nil)
	found, err := Inspect(guestModule(t), Limits{}, request)
	if err != nil {
		t.Fatal(err)
	}
	p := &program{descriptor: *found.Descriptor}
	r := newRigFor(t, p, guestModule(t), entry, inputs, func(c *Config) {
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

// TestGuestGivesTheModelsResults runs drawn ledgers through the Go guest, row by row and by columns: whole, cut at random and, with
// an instance a frame.
func TestGuestGivesTheModelsResults(t *testing.T) {
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 1))
		steps := drawLedger(rng, false)
		want := ledgerModel(steps)
		cut := func(c *Config) { c.Cut = func(from, to int) int { return from + 1 + rng.IntN(to-from) } }
		entry := []string{"ledger", "columnar"}[seed%2]
		t.Run(fmt.Sprint("whole/seed=", seed), func(t *testing.T) { checkLedger(t, runGuest(t, entry, steps, nil), want) })
		t.Run(fmt.Sprint("cut/seed=", seed), func(t *testing.T) { checkLedger(t, runGuest(t, entry, steps, cut), want) })
		if seed < 2 {
			t.Run(fmt.Sprint("recycled/seed=", seed), func(t *testing.T) {
				checkLedger(t, runGuest(t, entry, steps, func(c *Config) { cut(c); c.Recycle = RecycleFrame }), want)
			})
		}
	}
}

// TestGuestFaults has rows at fault among others, each in its own way: an error, a panic, a run-time error, a loop, exits,
// memory without end, recursion without end.
func TestGuestFaults(t *testing.T) {
	for _, c := range []struct {
		n    int
		code *errcode.Code
		says string
	}{
		{-1, ErrOperator, "bad row"}, {-2, ErrTrap, "bad row"}, {-3, ErrTrap, "index out of range"}, {-4, ErrFuel, "fail"},
		{-5, ErrExit, "exit code 3"}, {-6, nil, ""}, {-7, ErrExit, "bad row"}, {-8, nil, ""},
	} {
		entry := []string{"ledger", "columnar"}[-c.n%2]
		t.Run(fmt.Sprint(entry, c.n), func(t *testing.T) {
			steps := []ledgerStep{{rows: []ledgerRow{{k: "a", n: 1}, {k: "b", n: 2}, {k: "a", n: c.n}, {k: "a", n: 1}, {k: "b", n: 3}}}, {to: 10}}
			r := runGuest(t, entry, steps, nil)
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
}

// TestInspectGuest reads what the guest says of itself.
func TestInspectGuest(t *testing.T) {
	d, err := Describe(guestModule(t), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if d.SDK.Name != "go" || d.Entry("ledger") == nil || d.Entry("idle") == nil {
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
		_, err := Inspect(guestModule(t), Limits{}, request)
		if e := errcode.Of(err); e == nil || e.Code.Class != errcode.Invalid || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q in it", err, want)
		}
	}
}
