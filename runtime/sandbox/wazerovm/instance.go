package wazerovm

import (
	"context"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/tidemill/tidemill/runtime/sandbox/guest"
	"github.com/tidemill/tidemill/runtime/sandbox/meter"
	"github.com/tidemill/tidemill/runtime/sandbox/profile"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
)

const pageBytes = profile.PageBytes

// instance implements vm.Instance.
type instance struct {
	guest.Instance
	ctx     instanceContext
	module  api.Module
	memory  *linearMemory
	exports [len(guest.ExportNames)]api.Function
	args    [2]uint64 // parameters, then the result
	closed  bool      // by a fault or by Close
}

// instanceContext leads a host function to the instance that calls it: wazero hands the context of a call through.
type instanceContext struct {
	context.Context
	i *instance
}

func instanceOf(ctx context.Context) *instance { return ctx.(*instanceContext).i }

// Instantiate implements vm.Compiled.
func (c *compiled) Instantiate(ctx context.Context, host vm.Host, config vm.Config) (vm.Instance, error) {
	return c.instance(ctx, host, config, c.started == 0)
}

// instance makes an instance. Its start function runs; `_initialize` only if asked.
func (c *compiled) instance(ctx context.Context, host vm.Host, config vm.Config, initialize bool) (*instance, error) {
	size := c.started
	for _, m := range c.module.ExportedMemories() {
		size = max(size, uint64(m.Min())*pageBytes)
	}
	bytesMax, err := guest.MemoryLimit(config, size)
	if err != nil {
		return nil, err
	}
	memory, err := reserve(size, bytesMax, c.image)
	if err != nil {
		return nil, ErrReserve.Errorf("cannot reserve %d bytes", bytesMax).Because(err).
			Do("run fewer instances, or raise the limit of address space (ulimit -v)")
	}
	i := &instance{Instance: guest.New(host, &memory.view), memory: memory}
	i.ctx = instanceContext{Context: withMemory(ctx, memory), i: i}
	i.Ledger.Begin(config.StartFuel)
	if err := i.start(c, initialize); err != nil {
		i.Close()
		return nil, err
	}
	return i, nil
}

// withMemory makes wazero use a memory for the instance that it makes with the context.
func withMemory(ctx context.Context, m *linearMemory) context.Context {
	return experimental.WithMemoryAllocator(ctx,
		experimental.MemoryAllocatorFunc(func(uint64, uint64) experimental.LinearMemory { return m }))
}

// start runs the start function and, if asked, `_initialize`.
func (i *instance) start(c *compiled, initialize bool) error {
	// The name is empty so that any number of instances live side by side, and no function of the module's is run by wazero.
	m, err := c.runtime.InstantiateModule(&i.ctx, c.module, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		return guest.StartFailed("the start function", i.fail(err))
	}
	i.bind(m)
	i.ctx.Context = context.Background()
	for e, name := range guest.ExportNames {
		if i.exports[e] = m.ExportedFunction(name); i.exports[e] == nil && vm.Export(e) != vm.Load {
			return fmt.Errorf("the module has no export %q: it has not passed the profile", name)
		}
	}
	if f := m.ExportedFunction(profile.Initialize); f != nil && initialize {
		if err := f.CallWithStack(&i.ctx, i.args[:]); err != nil {
			return guest.StartFailed(profile.Initialize, i.fail(err))
		}
	}
	if !i.Ledger.End() {
		return guest.StartFailed("starting", i.fail(&vm.Fault{Kind: vm.Fuel}))
	}
	return nil
}

// bind is called with the module as soon as it is known: by the first host function of a start function, or after it.
func (i *instance) bind(m api.Module) {
	if i.module == nil {
		i.module = m
		i.Ledger.Balance = m.ExportedGlobal(meter.FuelGlobal).(api.MutableGlobal)
	}
}

// Call implements vm.Instance.
func (i *instance) Call(export vm.Export, a, b uint32, fuel int64) (uint64, error) {
	if i.closed {
		return 0, guest.ErrClosed
	}
	if i.exports[export] == nil {
		return 0, guest.ErrNoExport
	}
	i.args[0], i.args[1] = uint64(a), uint64(b)
	i.Ledger.Begin(fuel)
	err := i.exports[export].CallWithStack(&i.ctx, i.args[:])
	if within := i.Ledger.End(); err == nil && !within {
		err = &vm.Fault{Kind: vm.Fuel}
	}
	if err != nil {
		return 0, i.fail(err)
	}
	return i.args[0], nil
}

// Memory implements vm.Instance.
func (i *instance) Memory() []byte { return i.memory.view }

// Close implements vm.Instance.
func (i *instance) Close() {
	i.stop()
	i.memory.release()
}

// stop makes the module unable to run. Its memory stays.
func (i *instance) stop() {
	i.closed = true
	if i.module != nil {
		// Closing a module without files or sockets cannot fail.
		_ = i.module.CloseWithExitCode(context.Background(), 1)
	}
}
