package conformance

import (
	"math/rand/v2"
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
	{"go", "go.wasm", sandbox.Limits{MemoryBytesMax: abi.MemoryBytesMax, FuelBase: 20_000_000, FuelPerItem: 2_000_000}},
}

// guests compiles the committed guests once for all tests.
var guests = sync.OnceValues(func() (list []*Guest, err error) {
	for _, m := range modules {
		g, err := Load(m.language, m.path, func(folder string) vm.Engine { return wazerovm.New(folder, nil) }, m.limits)
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

// checkPlan runs a case by a plan and, where it fails, shows a smaller case that fails too.
func checkPlan(t *testing.T, seed uint64, c *program.Case, plan *Plan) bool {
	t.Helper()
	err := Check(c, plan)
	if err == nil {
		return true
	}
	small := Shrink(*c, func(c *program.Case) bool { return Check(c, plan) != nil })
	t.Errorf("seed %d, by the plan: %v\n%v\nThe smallest case that was found to fail, %x:\n%v\n%v", seed, plan, err, small.Bytes(), &small, Check(&small, plan))
	return false
}

// checkSeed draws a case and runs it plainly on every guest and by some drawn plans.
func checkSeed(t *testing.T, seed uint64, plans int) bool {
	t.Helper()
	all := allGuests(t)
	rng := rand.New(rand.NewPCG(seed, 1))
	c := program.DrawCase(rng, program.Drawings[int(seed)%len(program.Drawings)])
	for _, g := range all {
		plan := Plain(g)
		if !checkPlan(t, seed, &c, &plan) {
			return false
		}
	}
	for range plans {
		plan := DrawPlan(rng, all)
		if !checkPlan(t, seed, &c, &plan) {
			return false
		}
	}
	return true
}

// TestDrawn runs drawn cases on all guests.
func TestDrawn(t *testing.T) {
	for seed := range uint64(100) {
		if !checkSeed(t, seed, 4) {
			return
		}
	}
}
