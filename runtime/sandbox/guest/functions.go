package guest

import (
	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/runtime/sandbox/profile"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
)

// What a host function takes: CallUnits each, which is about its time in units, and one unit for each 16 bytes that it reads or
// writes.
const (
	CallUnits  = 64 // charged by the engine, before it calls the function
	bytesShift = 4
	// Beyond that: a vector or a line that is written, and a byte that is drawn at random.
	VectorUnits     = 64
	LineUnits       = 256
	RandomByteUnits = 2
)

// Function is the body of an import: parameters on the stack, and its result back at its beginning. A panic with a *vm.Fault ends the
// instance.
type Function func(i *Instance, stack []uint64)

// Functions implement profile.Imports. The map must not be changed.
var Functions = func() map[profile.Import]Function {
	set := map[profile.Import]Function{}
	for name := range profile.Imports { // the default: a guest has no files
		if name.Module == profile.WASIModule {
			set[name] = noFile(name.Name)
		}
	}
	for name, f := range wasiFunctions {
		set[profile.Import{Module: profile.WASIModule, Name: name}] = f
	}
	for name, f := range tidemillFunctions {
		set[profile.Import{Module: abi.ImportModule, Name: name}] = f
	}
	return set
}()

var tidemillFunctions = map[string]Function{
	"log": func(i *Instance, s []uint64) {
		line := i.need(s[1], s[2])
		line = line[:min(len(line), abi.LogLineBytesMax)]
		i.chargeBytes(len(line))
		i.Host.Log(int32(s[0]), line)
	},
	"state_get": func(i *Instance, s []uint64) {
		key, out := i.need(s[2], s[3]), i.need(s[4], s[5])
		n, err := i.Host.StateGet(uint32(s[0]), uint32(s[1]), key, out)
		s[0] = uint64(uint32(i.result(n, err, len(key)+moved(n, out))))
	},
	"state_scan_open": func(i *Instance, s []uint64) {
		bounds := i.need(s[2], s[3])
		h, err := i.Host.StateScanOpen(uint32(s[0]), uint32(s[1]), bounds, uint32(s[4]))
		s[0] = uint64(uint32(i.result(h, err, len(bounds))))
	},
	"state_scan_next": func(i *Instance, s []uint64) {
		out := i.need(s[1], s[2])
		n, err := i.Host.StateScanNext(int32(s[0]), out)
		s[0] = uint64(uint32(i.result(n, err, moved(n, out))))
	},
	"state_apply": func(i *Instance, s []uint64) {
		section := i.need(s[0], s[1])
		i.result(0, i.Host.StateApply(section), len(section))
	},
	"fuel_left": func(i *Instance, s []uint64) { s[0] = uint64(i.Ledger.Left()) },
}

// moved is the number of bytes that a call with a result of n wrote to out.
func moved(n int32, out []byte) int {
	if n < 0 || int(n) > len(out) {
		return 0
	}
	return int(n)
}

// result ends a host call: a misuse by the guest ends the instance.
func (i *Instance) result(n int32, err error, bytes int) int32 {
	if err != nil {
		panic(&vm.Fault{Kind: vm.HostCall, Detail: err.Error()})
	}
	i.chargeBytes(bytes)
	return n
}

func (i *Instance) chargeBytes(n int) { i.Ledger.Charge(int64(n) >> bytesShift) }
