package wazerovm

import (
	"context"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/tidemill/tidemill/runtime/sandbox/guest"
	"github.com/tidemill/tidemill/runtime/sandbox/meter"
	"github.com/tidemill/tidemill/runtime/sandbox/profile"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
	"github.com/tidemill/tidemill/runtime/sandbox/wasm"
)

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
		f := guest.Functions[name]
		export(name.Module, name.Name, t, func(ctx context.Context, m api.Module, stack []uint64) {
			i := instanceOf(ctx)
			i.bind(m)
			i.Ledger.Charge(guest.CallUnits)
			f(&i.Instance, stack)
		})
	}
	i64 := []wasm.ValType{wasm.I64}
	export(meter.HostModule, meter.Refuel, wasm.FuncType{Params: i64, Results: i64},
		func(ctx context.Context, _ api.Module, stack []uint64) {
			stack[0] = uint64(instanceOf(ctx).Ledger.Refuel(int64(stack[0])))
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
