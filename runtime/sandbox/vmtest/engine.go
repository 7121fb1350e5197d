package vmtest

import (
	"context"
	"testing"

	"github.com/tidemill/tidemill/runtime/sandbox/guest"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
)

// Engine is an engine under test, with what the suite has to know of it that the contract does not show.
type Engine struct {
	New    func() vm.Engine
	Guest  func(vm.Instance) *guest.Instance           // the half of an instance that every engine has
	Global func(i vm.Instance, exported string) uint64 // the value of a global

	// Link makes a place for modules without the rest of the sandbox, in which the meter's imports are refuel and a trap like that of
	// an exhausted stack.
	Link   func(t testing.TB, version Version, refuel func(balance int64) int64) Linker
	Suites map[Version]int // the specification's suites that it can be held to, and how many assertions of each must run
	// LateTables: where an element segment leads out of its table, an instance is made all the same.
	LateTables bool
}

// Version is one of the specification.
type Version string

// The versions that have a suite.
const (
	V1 Version = "v1" // 1.0
	V2 Version = "v2" // 2.0 without SIMD
)

// Linker runs modules. Each may import from those that were instantiated under a name before it.
type Linker interface {
	// Instantiate makes an instance and runs its start function. With a name, later modules can import from it.
	Instantiate(binary []byte, name string) (Module, error)
	Close()
}

// Module is an instance that a Linker made.
type Module interface {
	// Call runs an export: parameters and results are bits, external references numbers above zero. trap is the kind of trap that ended
	// it, in the same words wherever it comes from, or empty.
	Call(export string, params ...uint64) (results []uint64, trap string)
	// Global is the value of an exported global.
	Global(name string) uint64
}

// Run holds an engine to the contract. It takes some 30 s, in short mode a few.
func Run(t *testing.T, e Engine) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Engine)
	}{
		{"Call", testCall}, {"Faults", testFaults}, {"Names", testNames}, {"MemoryLimit", testMemoryLimit}, {"Invalid", testInvalid},
		{"Start", testStart}, {"FuelIsDeterministic", testFuelIsDeterministic}, {"KillIsExact", testKillIsExact},
		{"LastCharge", testLastCharge}, {"KilledAtOnePlace", testKilledAtOnePlace},
		{"SpinningGuestsStopNothing", testSpinningGuestsStopNothing}, {"StackIsGivenBack", testStackIsGivenBack},
		{"StackBytes", testStackBytes}, {"HostFunctions", testHostFunctions}, {"Misuse", testMisuse}, {"Waiting", testWaiting},
		{"HostFunctionsTakeFuel", testHostFunctionsTakeFuel}, {"OwnBugs", testOwnBugs},
		{"Snapshot", testSnapshot}, {"SnapshotOfASnapshot", testSnapshotOfASnapshot}, {"SnapshotGrows", testSnapshotGrows},
		{"SnapshotIsRefused", testSnapshotIsRefused},
		{"ChargesCoverWhatRuns", testChargesCoverWhatRuns}, {"Specification", testSpecification},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, e) })
	}
}

// compile compiles a module in text, metered.
func (e Engine) compile(t testing.TB, text string) vm.Compiled {
	t.Helper()
	return Compile(t, e.New(), text)
}

// start makes an instance of a guest with imports, fields and a body of process.
func (e Engine) start(t testing.TB, host vm.Host, imports, fields, process string) vm.Instance {
	t.Helper()
	return Instantiate(t, e.compile(t, GuestText(imports, fields, process)), host)
}

// Compile compiles a module in text, metered.
func Compile(t testing.TB, e vm.Engine, text string) vm.Compiled {
	t.Helper()
	c, err := e.Compile(context.Background(), Metered(t, text))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

// Instantiate makes an instance with much fuel to start and at most MemoryMax bytes of memory.
func Instantiate(t testing.TB, c vm.Compiled, host vm.Host) vm.Instance {
	t.Helper()
	i, err := c.Instantiate(context.Background(), host, vm.Config{MemoryBytesMax: MemoryMax, StartFuel: 1_000_000})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.Close)
	return i
}
