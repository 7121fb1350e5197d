package wazerovm

import (
	"context"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/runtime/sandbox/meter"
	"github.com/tidemill/tidemill/runtime/sandbox/profile"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
	"github.com/tidemill/tidemill/runtime/sandbox/wasm"
)

// What a host function takes: hostCallUnits each, which is about its time in units, and one unit for each 16 bytes that it
// reads or writes.
const (
	hostCallUnits  = 64
	hostBytesShift = 4
	// Beyond that: a vector or a line that is written, and a byte that is drawn at random.
	vectorUnits     = 64
	lineUnits       = 256
	randomByteUnits = 2
)

// hostFunction is the body of an import: parameters on the stack, and its result back at its beginning.
type hostFunction func(i *instance, stack []uint64)

// instantiateHost puts the closed set of host functions into a runtime.
func instantiateHost(ctx context.Context, r wazero.Runtime) error {
	modules := map[string]wazero.HostModuleBuilder{}
	export := func(module, name string, t wasm.FuncType, f api.GoModuleFunc) {
		b, known := modules[module]
		if !known {
			b = r.NewHostModuleBuilder(module)
			modules[module] = b
		}
		b.NewFunctionBuilder().WithGoModuleFunction(f, valueTypes(t.Params), valueTypes(t.Results)).Export(name)
	}
	for name, t := range profile.Imports {
		f := hostFunctions[name]
		export(name.Module, name.Name, t, func(ctx context.Context, m api.Module, stack []uint64) {
			i := instanceOf(ctx)
			i.bind(m)
			i.charge(hostCallUnits)
			f(i, stack)
		})
	}
	i64 := []wasm.ValType{wasm.I64}
	export(meter.HostModule, meter.Refuel, wasm.FuncType{Params: i64, Results: i64},
		func(ctx context.Context, _ api.Module, stack []uint64) {
			stack[0] = uint64(hostRefuel(instanceOf(ctx), int64(stack[0])))
		})
	export(meter.HostModule, meter.Overflow, wasm.FuncType{},
		func(context.Context, api.Module, []uint64) { panic(&vm.Fault{Kind: vm.Stack}) })
	for _, b := range modules {
		if _, err := b.Instantiate(ctx); err != nil {
			return err
		}
	}
	return nil
}

func valueTypes(types []wasm.ValType) []api.ValueType {
	list := make([]api.ValueType, len(types))
	for i, t := range types {
		list[i] = api.ValueType(t)
	}
	return list
}

// hostFunctions implement profile.Imports.
var hostFunctions = func() map[profile.Import]hostFunction {
	set := map[profile.Import]hostFunction{}
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

var tidemillFunctions = map[string]hostFunction{
	"log": func(i *instance, s []uint64) {
		line := i.need(s[1], s[2])
		line = line[:min(len(line), abi.LogLineBytesMax)]
		i.chargeBytes(len(line))
		i.host.Log(int32(s[0]), line)
	},
	"state_get": func(i *instance, s []uint64) {
		key, out := i.need(s[2], s[3]), i.need(s[4], s[5])
		n, err := i.host.StateGet(uint32(s[0]), uint32(s[1]), key, out)
		s[0] = uint64(uint32(i.result(n, err, len(key)+moved(n, out))))
	},
	"state_scan_open": func(i *instance, s []uint64) {
		bounds := i.need(s[2], s[3])
		h, err := i.host.StateScanOpen(uint32(s[0]), uint32(s[1]), bounds, uint32(s[4]))
		s[0] = uint64(uint32(i.result(h, err, len(bounds))))
	},
	"state_scan_next": func(i *instance, s []uint64) {
		out := i.need(s[1], s[2])
		n, err := i.host.StateScanNext(int32(s[0]), out)
		s[0] = uint64(uint32(i.result(n, err, moved(n, out))))
	},
	"state_apply": func(i *instance, s []uint64) {
		section := i.need(s[0], s[1])
		i.result(0, i.host.StateApply(section), len(section))
	},
	"fuel_left": func(i *instance, s []uint64) { s[0] = uint64(i.fuelLeft()) },
}

// moved is the number of bytes that a call with a result of n wrote to out.
func moved(n int32, out []byte) int {
	if n < 0 || int(n) > len(out) {
		return 0
	}
	return int(n)
}

// result ends a host call: a misuse by the guest ends the instance.
func (i *instance) result(n int32, err error, bytes int) int32 {
	if err != nil {
		panic(&vm.Fault{Kind: vm.HostCall, Detail: err.Error()})
	}
	i.chargeBytes(bytes)
	return n
}

func (i *instance) chargeBytes(n int) { i.charge(int64(n) >> hostBytesShift) }

// view is the guest's memory from a pointer on. Both are 32-bit values, so their sum does not overflow in 64 bits.
func (i *instance) view(pointer, length uint64) ([]byte, bool) {
	pointer, length = uint64(uint32(pointer)), uint64(uint32(length))
	if pointer+length > uint64(len(i.memory.view)) {
		return nil, false
	}
	return i.memory.view[pointer : pointer+length : pointer+length], true
}

// need is view for the ABI's own functions: a pointer out of bounds ends the instance.
func (i *instance) need(pointer, length uint64) []byte {
	b, ok := i.view(pointer, length)
	if !ok {
		panic(&vm.Fault{Kind: vm.HostCall, Detail: "a pointer leads out of memory"})
	}
	return b
}
