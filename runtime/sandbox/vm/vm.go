// Package vm is the contract between the sandbox and an engine that executes WebAssembly.
//
// An engine (wazerovm, wasmtimevm) compiles a module that has passed validation and the meter, and makes instances of it. The
// sandbox owns what an instance may see: it implements Host. An Instance is used by one goroutine at a time; Engine and
// Compiled are safe for concurrent use.
package vm

import (
	"context"
	"fmt"
)

// Engine compiles modules.
type Engine interface {
	// Name and version, part of the key of compiled code in the disk cache: "wazero-v1.12.0".
	Name() string
	// Compile compiles the metered bytes. Compiled code is kept on disk where the engine was given a folder for it.
	Compile(ctx context.Context, metered []byte) (Compiled, error)
	Close(ctx context.Context) error
}

// Compiled is a module ready to be instantiated.
type Compiled interface {
	// Instantiate makes an instance, runs its start function and `_initialize` (where exported) within startFuel units, and
	// resolves the exports of the contract. The error of a failed start is an *errcode.Error whose chain has the *Fault.
	Instantiate(ctx context.Context, host Host, config Config) (Instance, error)
	Close(ctx context.Context) error
}

// Snapshotter is a Compiled that can make its instances begin where another one stands.
type Snapshotter interface {
	// Snapshot makes an instance as Instantiate does, lets prepare (nil for nothing) call it, and returns a Compiled whose
	// instances begin with the memory that it has then: in a fraction of the time, sharing what they do not write. Nothing runs
	// at their start and none of their fuel is used. It is an error if the module has a start function, or if a global is not
	// back at its initial value. The tables are not part of it: the module must not change them. Closing the new Compiled frees
	// the image; the one that it was made of must stay open as long.
	Snapshot(ctx context.Context, host Host, config Config, prepare func(Instance) error) (Compiled, error)
}

// Config limits one instance.
type Config struct {
	MemoryBytesMax uint64 // linear memory; memory.grow past it fails inside the guest
	StartFuel      int64  // units for the start function and _initialize together
}

// Export is a function that the contract names.
type Export int

// The exports that Call can reach. Those of the wasm type are in abi/SPEC.md.
const (
	Describe Export = iota // () -> i64
	Open                   // (ptr, len) -> i64
	Reserve                // (len) -> ptr
	Process                // (ptr, len) -> i64
	Load                   // (ptr, len) -> i64; interpreters have it
)

// Instance is one guest with its own memory.
type Instance interface {
	// Call runs an export with at most fuel units; a and b are its parameters, unused ones are ignored. An error is a *Fault:
	// the instance is closed then and every later Call fails. (But for Load of a module that is no interpreter, which is a
	// mistake of the caller.)
	Call(export Export, a, b uint32, fuel int64) (uint64, error)
	// Memory is the linear memory as it is now. The slice is a view: it is valid until the next Call and must not be kept (I7).
	Memory() []byte
	// FuelUsed is the number of units used by all calls so far, the start functions included. It does not depend on how the
	// engine slices execution.
	FuelUsed() int64
	// Close frees the instance; it may be called at any time between calls, and twice.
	Close()
}

// Host is what an instance may call while one of its exports runs. All pointers are already bounds-checked by the engine: slices
// are views of guest memory, valid during the call only.
type Host interface {
	// Log receives one line at a level (0 trace, 1 debug, 2 info, 3 warn, 4 error).
	Log(level int32, line []byte)
	// Write receives bytes written to file descriptor 1 or 2.
	Write(fd int32, p []byte)
	// StateGet, StateScanOpen, StateScanNext and StateApply are the imports of abi/SPEC.md. A returned error is a misuse by the
	// guest and becomes a fault of kind HostCall. StateGet returns -1 where absent, else the length; out is filled only if it fits.
	StateGet(state, key uint32, mapKey, out []byte) (int32, error)
	StateScanOpen(state, key uint32, bounds []byte, flags uint32) (int32, error)
	StateScanNext(handle int32, out []byte) (int32, error)
	StateApply(frame []byte) error
	// WallMicros is the frame's processing time in microseconds since 1970; MonotonicNanos, never zero, is the instance's clock, which only
	// waits advance; Wait advances it. The clock begins above zero: Go's runtime does not start with one that reads zero.
	WallMicros() int64
	MonotonicNanos() int64
	Wait(nanos int64)
	// Random fills p from the frame's seed.
	Random(p []byte)
}

// Kind says how a guest's code ended.
type Kind int

// The kinds of fault.
const (
	Trap     Kind = iota + 1 // unreachable, out of bounds, division by zero, indirect call of a wrong type
	Fuel                     // the call's fuel is used up
	Stack                    // calls nested too deep
	Memory                   // (reported by the sandbox) an answer or a reservation over the memory limit
	Exit                     // proc_exit
	HostCall                 // a host function was misused
)

func (k Kind) String() string {
	switch k {
	case Trap:
		return "trap"
	case Fuel:
		return "fuel exhausted"
	case Stack:
		return "call stack exhausted"
	case Memory:
		return "memory limit"
	case Exit:
		return "exit"
	case HostCall:
		return "misused host function"
	}
	return fmt.Sprintf("fault %d", int(k))
}

// Fault is the end of an instance by its own doing.
type Fault struct {
	Kind   Kind
	Detail string   // the engine's words: "unreachable", "out of bounds memory access", "exit code 2"
	Frames []string // names of the guest's functions on the stack, innermost first, at most 32
	// The fault cell is read through Instance.Memory, which stays readable after a fault until Close.
}

func (f *Fault) Error() string {
	if f.Detail == "" {
		return f.Kind.String()
	}
	return f.Kind.String() + ": " + f.Detail
}
