package sandbox

import (
	"sync/atomic"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/runtime/sandbox/modcache"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
)

// Module is a guest that is validated, metered and compiled.
type Module struct {
	Compiled vm.Compiled
	Digest   string // sha256 of the original bytes, hex
	// Interpreted says that the module is code for an interpreter, which needs more memory, and Described is what it says of
	// itself without being asked.
	Interpreted bool
	Described   []byte
	// description is kept with the cache's module; nil for a module that no cache has.
	description *atomic.Pointer[abi.Description]
}

// FromCache is a module as the cache has it.
func FromCache(m *modcache.Module) Module {
	loaded := Module{Compiled: m.Compiled, Digest: m.Digest.String(), description: &m.Description}
	if m.Script != nil {
		loaded.Interpreted, loaded.Described = true, m.Script.Describe
	}
	return loaded
}

// short is enough of the digest to find the module by.
func (m *Module) short() string { return m.Digest[:min(12, len(m.Digest))] }

// Recycle says when an instance is replaced although nothing is wrong with it.
type Recycle int

// When to replace an instance.
const (
	RecycleNever   Recycle = iota
	RecycleBarrier         // at every barrier, which makes the replay from a checkpoint exact
	RecycleFrame           // before every frame: the proof that guests keep nothing but declared state
)

// Config makes an Operator.
type Config struct {
	Module  Module
	Entry   string
	Binding *abi.Binding // what the plan was told by Inspect
	Limits  Limits
	Recycle Recycle
	// Cut, where not nil, shortens frames: it is given the items [from, to) that would make the next frame and returns the end of
	// a shorter one, from < end <= to. Results must not depend on it; tests cut at random.
	Cut func(from, to int) int
}

// Limits of one operator. The zero value of a field means its default.
type Limits struct {
	MemoryBytesMax uint64 // of an instance; the default is that of abi for the module's kind
	StartFuel      int64  // units for the start of an instance
	OpenFuel       int64  // units for each of describe, open and reserve
	FuelBase       int64  // units for a frame, plus
	FuelPerItem    int64  // units for each of its items
	FrameBytesMax  int    // of a frame in either direction; never more than a quarter of the memory
	TrapsPerMinute int    // more faults of the guest than that fail the job
	TimerRoundsMax int    // rounds of timers that one watermark or tick may fire
	LogLinesPerSec int
}

// The defaults of Limits, in units that leave an ordinary operator far below them: the Go guest starts in about two million units
// and needs a few hundred for a record.
const (
	defaultStartFuel      = 2_000_000_000
	defaultOpenFuel       = 2_000_000_000
	defaultFuelBase       = 100_000_000
	defaultFuelPerItem    = 5_000_000
	defaultTrapsPerMinute = 60
	defaultLogLinesPerSec = 100
)

// Limits are limits with defaults for what was left out, some of which depend on the module.
func (m *Module) Limits(l Limits) Limits {
	if m.Interpreted {
		orDefault(&l.MemoryBytesMax, abi.MemoryBytesMaxPython)
	}
	orDefault(&l.MemoryBytesMax, abi.MemoryBytesMax)
	orDefault(&l.StartFuel, defaultStartFuel)
	orDefault(&l.OpenFuel, defaultOpenFuel)
	orDefault(&l.FuelBase, defaultFuelBase)
	orDefault(&l.FuelPerItem, defaultFuelPerItem)
	orDefault(&l.FrameBytesMax, abi.FrameBytesMax)
	orDefault(&l.TrapsPerMinute, defaultTrapsPerMinute)
	orDefault(&l.TimerRoundsMax, abi.TimerRoundsMax)
	orDefault(&l.LogLinesPerSec, defaultLogLinesPerSec)
	l.FrameBytesMax = min(l.FrameBytesMax, abi.FrameBytesMax, int(l.MemoryBytesMax/4))
	return l
}

func orDefault[T int | int64 | uint64](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// open is what the guest is told of the limits.
func (l *Limits) open() abi.OpenLimits {
	return abi.OpenLimits{FrameBytes: l.FrameBytesMax, Rows: abi.RowsMax, CellBytes: abi.CellBytesMax, KeyBytes: abi.KeyBytesMax}
}
