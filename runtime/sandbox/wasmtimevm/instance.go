//go:build wasmtime

package wasmtimevm

import (
	"context"
	"fmt"

	"github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/runtime/sandbox/guest"
	"github.com/tidemill/tidemill/runtime/sandbox/meter"
	"github.com/tidemill/tidemill/runtime/sandbox/profile"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
)

// instance implements vm.Instance.
type instance struct {
	guest.Instance
	compiled *compiled
	store    *wasmtime.Store
	module   *wasmtime.Instance // nil until its start function has run
	memory   *wasmtime.Memory   // nil until the module is known
	view     []byte             // memory, as it was when a call or a host function was last entered or left
	exports  [len(guest.ExportNames)]export
	ended    any  // what the host function that ended the call panicked with
	closed   bool // by a fault or by Close
}

// export is a function of the contract; the zero value is one that the module does not have.
type export struct {
	f      *wasmtime.Func
	params int
}

// Instantiate implements vm.Compiled.
func (c *compiled) Instantiate(_ context.Context, host vm.Host, config vm.Config) (vm.Instance, error) {
	return c.instance(host, config, c.image == nil)
}

// instance makes an instance. Its start function runs; `_initialize` only if asked.
func (c *compiled) instance(host vm.Host, config vm.Config, initialize bool) (*instance, error) {
	bytesMax, err := guest.MemoryLimit(config, max(c.size, uint64(len(c.image))))
	if err != nil {
		return nil, err
	}
	i := &instance{compiled: c}
	i.Instance = guest.New(host, &i.view)
	i.store = wasmtime.NewStoreWithData(c.engine, i)
	i.store.Limiter(int64(bytesMax), -1, -1, -1, -1)
	i.Ledger.Begin(config.StartFuel)
	if err := i.start(initialize); err != nil {
		i.Close()
		return nil, err
	}
	return i, nil
}

// start runs the start function and, if asked, `_initialize`.
func (i *instance) start(initialize bool) error {
	m, err := i.compiled.linker.Instantiate(i.store, i.compiled.module)
	if err != nil {
		return guest.StartFailed("the start function", i.fail(err))
	}
	i.module = m
	get := func(name string) *wasmtime.Extern { return m.GetExport(i.store, name) }
	i.bind(get)
	i.look()
	if err := i.restore(i.compiled.image); err != nil {
		return err
	}
	for e, name := range guest.ExportNames {
		if f := get(name); f != nil {
			i.exports[e] = export{f.Func(), len(f.Func().Type(i.store).Params())}
		} else if vm.Export(e) != vm.Load {
			return fmt.Errorf("the module has no export %q: it has not passed the profile", name)
		}
	}
	if f := get(profile.Initialize); f != nil && initialize {
		if _, err := f.Func().Call(i.store); err != nil {
			return guest.StartFailed(profile.Initialize, i.fail(err))
		}
	}
	i.look()
	if !i.Ledger.End() {
		return guest.StartFailed("starting", i.fail(&vm.Fault{Kind: vm.Fuel}))
	}
	return nil
}

// bind finds the memory and the balance as soon as the module is known: by the first host function of a start function, or after it.
func (i *instance) bind(export func(name string) *wasmtime.Extern) {
	if i.memory == nil {
		i.memory = export(abi.ExportMemory).Memory()
		i.Ledger.Balance = &balance{i.store, export(meter.FuelGlobal).Global()}
	}
}

// look takes a view of the memory as it is now.
func (i *instance) look() { i.view = i.memory.UnsafeData(i.store) }

// balance implements guest.Balance.
type balance struct {
	store  *wasmtime.Store
	global *wasmtime.Global
}

func (b *balance) Get() uint64 { return uint64(b.global.Get(b.store).I64()) }

func (b *balance) Set(v uint64) {
	if err := b.global.Set(b.store, wasmtime.ValI64(int64(v))); err != nil {
		panic(err) // the global is mutable and an i64: the meter has made it
	}
}

// Call implements vm.Instance.
func (i *instance) Call(export vm.Export, a, b uint32, fuel int64) (uint64, error) {
	if i.closed {
		return 0, guest.ErrClosed
	}
	e := i.exports[export]
	if e.f == nil {
		return 0, guest.ErrNoExport
	}
	i.Ledger.Begin(fuel)
	result, err := e.f.Call(i.store, []any{int32(a), int32(b)}[:e.params]...)
	i.look()
	if within := i.Ledger.End(); err == nil && !within {
		err = &vm.Fault{Kind: vm.Fuel}
	}
	if err != nil {
		return 0, i.fail(err)
	}
	return bits(result), nil
}

// Memory implements vm.Instance.
func (i *instance) Memory() []byte { return i.view }

// Close implements vm.Instance.
func (i *instance) Close() {
	i.closed, i.view = true, nil
	i.store.Close()
}
