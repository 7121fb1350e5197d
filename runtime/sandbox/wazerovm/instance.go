package wazerovm

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/runtime/sandbox/meter"
	"github.com/tidemill/tidemill/runtime/sandbox/profile"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
)

const pageBytes = 1 << 16

// exportNames are those of the functions that Call reaches.
var exportNames = [...]string{vm.Describe: abi.ExportDescribe, vm.Open: abi.ExportOpen, vm.Reserve: abi.ExportReserve,
	vm.Process: abi.ExportProcess, vm.Load: profile.Load}

// instance implements vm.Instance.
type instance struct {
	ctx     instanceContext
	host    vm.Host
	module  api.Module
	memory  *linearMemory
	exports [len(exportNames)]api.Function
	args    [2]uint64 // parameters, then the result
	ledger  ledger
	closed  bool // by a fault or by Close
}

// instanceContext leads a host function to the instance that calls it: wazero hands the context of a call through.
type instanceContext struct {
	context.Context
	i *instance
}

func instanceOf(ctx context.Context) *instance { return ctx.(*instanceContext).i }

// Mistakes of the caller.
var (
	errClosed   = errors.New("the instance is closed")
	errNoExport = errors.New("the module is no interpreter: it does not export " + profile.Load)
)

// Instantiate implements vm.Compiled.
func (c *compiled) Instantiate(ctx context.Context, host vm.Host, config vm.Config) (vm.Instance, error) {
	return c.instance(ctx, host, config, c.started == 0)
}

// instance makes an instance. Its start function runs; `_initialize` only if asked.
func (c *compiled) instance(ctx context.Context, host vm.Host, config vm.Config, initialize bool) (*instance, error) {
	bytesMax := min(config.MemoryBytesMax, math.MaxUint32+1) / pageBytes * pageBytes
	size := c.started
	for _, m := range c.module.ExportedMemories() {
		size = max(size, uint64(m.Min())*pageBytes)
	}
	if size > bytesMax {
		return nil, ErrMemoryLimit.Errorf("the module asks for %d bytes of memory at once, the limit is %d", size, bytesMax).
			Do("raise the operator's memory limit, or make the module smaller")
	}
	memory, err := reserve(size, bytesMax, c.image)
	if err != nil {
		return nil, ErrReserve.Errorf("cannot reserve %d bytes", bytesMax).Because(err).
			Do("run fewer instances, or raise the limit of address space (ulimit -v)")
	}
	i := &instance{host: host, memory: memory, ledger: ledger{slice: sliceFirst, min: sliceMin, max: sliceMax}}
	i.ctx = instanceContext{Context: withMemory(ctx, memory), i: i}
	i.ledger.begin(config.StartFuel, 0)
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
		return startFailed("the start function", i.fail(err))
	}
	i.bind(m)
	i.ctx.Context = context.Background()
	for e, name := range exportNames {
		if i.exports[e] = m.ExportedFunction(name); i.exports[e] == nil && vm.Export(e) != vm.Load {
			return fmt.Errorf("the module has no export %q: it has not passed the profile", name)
		}
	}
	if f := m.ExportedFunction(profile.Initialize); f != nil && initialize {
		if err := f.CallWithStack(&i.ctx, i.args[:]); err != nil {
			return startFailed(profile.Initialize, i.fail(err))
		}
	}
	if !i.ledger.end() {
		return startFailed("starting", i.fail(&vm.Fault{Kind: vm.Fuel}))
	}
	return nil
}

// bind is called with the module as soon as it is known: by the first host function of a start function, or after it.
func (i *instance) bind(m api.Module) {
	if i.module == nil {
		i.module = m
		i.ledger.balance = m.ExportedGlobal(meter.FuelGlobal).(api.MutableGlobal)
	}
}

func startFailed(what string, err error) error {
	e := ErrStart.Errorf("%s failed", what).Because(err)
	if f := (*vm.Fault)(nil); errors.As(err, &f) {
		if len(f.Frames) > 0 {
			e = e.At("function %s", f.Frames[0])
		}
		if f.Kind == vm.Fuel {
			return e.Do("starting a module must end within its fuel: does it loop for ever, or compute what could be data?")
		}
	}
	return e.Do("what the module's global initialisers do must succeed without files, environment and arguments")
}

// Call implements vm.Instance.
func (i *instance) Call(export vm.Export, a, b uint32, fuel int64) (uint64, error) {
	if i.closed {
		return 0, errClosed
	}
	if i.exports[export] == nil {
		return 0, errNoExport
	}
	i.args[0], i.args[1] = uint64(a), uint64(b)
	i.ledger.begin(fuel, i.ledger.left)
	err := i.exports[export].CallWithStack(&i.ctx, i.args[:])
	if within := i.ledger.end(); err == nil && !within {
		err = &vm.Fault{Kind: vm.Fuel}
	}
	if err != nil {
		return 0, i.fail(err)
	}
	return i.args[0], nil
}

// Memory implements vm.Instance.
func (i *instance) Memory() []byte { return i.memory.view }

// FuelUsed implements vm.Instance.
func (i *instance) FuelUsed() int64 { return i.ledger.used }

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
