//go:build wasmtime

package wasmtimevm

import (
	"fmt"
	"math"

	"github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/tidemill/tidemill/runtime/sandbox/guest"
	"github.com/tidemill/tidemill/runtime/sandbox/meter"
	"github.com/tidemill/tidemill/runtime/sandbox/profile"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
	"github.com/tidemill/tidemill/runtime/sandbox/wasm"
)

// link makes a linker with the closed set of host functions.
func link(engine *wasmtime.Engine) (*wasmtime.Linker, error) {
	l := wasmtime.NewLinker(engine)
	define := func(module, name string, t wasm.FuncType, f func(i *instance, stack []uint64)) error {
		return l.FuncNew(module, name, functionType(t), callback(t, f))
	}
	for name, t := range profile.Imports {
		f := guest.Functions[name]
		err := define(name.Module, name.Name, t, func(i *instance, stack []uint64) {
			i.Ledger.Charge(guest.CallUnits)
			f(&i.Instance, stack)
		})
		if err != nil {
			return nil, err
		}
	}
	i64 := []wasm.ValType{wasm.I64}
	err := define(meter.HostModule, meter.Refuel, wasm.FuncType{Params: i64, Results: i64}, func(i *instance, stack []uint64) {
		stack[0] = uint64(i.Ledger.Refuel(int64(stack[0])))
	})
	if err != nil {
		return nil, err
	}
	return l, define(meter.HostModule, meter.Overflow, wasm.FuncType{}, func(*instance, []uint64) { panic(&vm.Fault{Kind: vm.Stack}) })
}

// callback is a host function as wasmtime calls it. A panic must not cross native frames: the instance keeps it, and the guest is ended
// by a trap.
func callback(t wasm.FuncType, f func(i *instance, stack []uint64)) func(*wasmtime.Caller, []wasmtime.Val) ([]wasmtime.Val, *wasmtime.Trap) {
	return func(caller *wasmtime.Caller, params []wasmtime.Val) (results []wasmtime.Val, trap *wasmtime.Trap) {
		i := caller.Data().(*instance)
		defer func() {
			if i.ended = recover(); i.ended != nil {
				results, trap = nil, wasmtime.NewTrap("ended by the host")
			}
		}()
		i.bind(caller.GetExport)
		i.look()
		stack := make([]uint64, max(len(params), len(t.Results)))
		for n, p := range params {
			stack[n] = bits(p.Get())
		}
		f(i, stack)
		for n, r := range t.Results {
			results = append(results, value(r, stack[n]))
		}
		return results, nil
	}
}

func functionType(t wasm.FuncType) *wasmtime.FuncType {
	list := func(types []wasm.ValType) (out []*wasmtime.ValType) {
		for _, v := range types {
			out = append(out, wasmtime.NewValType(value(v, 0).Kind()))
		}
		return out
	}
	return wasmtime.NewFuncType(list(t.Params), list(t.Results))
}

// value is a number of a type that host functions have.
func value(t wasm.ValType, bits uint64) wasmtime.Val {
	switch t {
	case wasm.I32:
		return wasmtime.ValI32(int32(bits))
	case wasm.I64:
		return wasmtime.ValI64(int64(bits))
	}
	panic(fmt.Sprintf("wasmtimevm: a host function with a %s", t))
}

// bits is a number that wasmtime gives, without its sign.
func bits(v any) uint64 {
	switch v := v.(type) {
	case int32:
		return uint64(uint32(v))
	case int64:
		return uint64(v)
	case float32:
		return uint64(math.Float32bits(v))
	case float64:
		return math.Float64bits(v)
	}
	return 0 // of a function without a result
}
