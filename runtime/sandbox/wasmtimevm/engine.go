//go:build wasmtime

package wasmtimevm

import (
	"context"
	"fmt"
	"sort"

	"github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/tidemill/tidemill/runtime/sandbox/profile"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
	"github.com/tidemill/tidemill/runtime/sandbox/wasm"
)

// name is part of the key of compiled code. A test holds it against go.mod.
const name = "wasmtime-v39.0.1"

// stackBytesMax is what native frames may take. The meter bounds a guest's calls long before; it must not be more than a quarter of what
// a thread has.
const stackBytesMax = 2 << 20

// Engine compiles modules. It is safe for concurrent use.
type Engine struct{ engine *wasmtime.Engine }

// New makes an engine.
func New() *Engine { return &Engine{wasmtime.NewEngineWithConfig(config())} }

// config has what the profile has: WebAssembly 2.0 without SIMD.
func config() *wasmtime.Config {
	c := wasmtime.NewConfig()
	c.SetMaxWasmStack(stackBytesMax)
	c.SetCraneliftOptLevel(wasmtime.OptLevelNone) // compiling takes longer than what tests run
	c.SetWasmMultiValue(true)
	c.SetWasmBulkMemory(true)
	c.SetWasmReferenceTypes(true) // modules declare the feature; the profile refuses its instructions
	for _, off := range []func(bool){c.SetWasmRelaxedSIMD, c.SetWasmSIMD, c.SetWasmThreads, c.SetWasmTailCall, c.SetWasmMultiMemory,
		c.SetWasmMemory64, c.SetWasmFunctionReferences, c.SetWasmGC, c.SetWasmWideArithmetic} {
		off(false)
	}
	return c
}

// Name implements vm.Engine.
func (*Engine) Name() string { return name }

// Close implements vm.Engine. Compiled modules are closed one by one.
func (e *Engine) Close(context.Context) error {
	e.engine.Close()
	return nil
}

// Compile implements vm.Engine. An error about the module is an *errcode.Error. A context that ends while it compiles does not stop it.
func (e *Engine) Compile(ctx context.Context, metered []byte) (vm.Compiled, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	binary, globals, err := withGlobals(metered)
	if err != nil {
		return nil, err
	}
	m, err := wasm.Decode(binary)
	if err != nil {
		return nil, profile.Refused(err)
	}
	module, err := wasmtime.NewModule(e.engine, binary)
	if err != nil {
		return nil, vm.ErrInvalid.Errorf("%v", err).At("section code").
			Do("the compiler that made the module, or a tool that rewrote it, is at fault: build the module again")
	}
	linker, err := link(e.engine)
	if err != nil {
		module.Close()
		return nil, fmt.Errorf("making the host functions: %w", err)
	}
	c := &compiled{engine: e.engine, module: module, linker: linker, globals: globals}
	for _, memory := range m.Memories {
		c.size += uint64(memory.Min) * profile.PageBytes
	}
	c.functions(m)
	return c, nil
}

// compiled implements vm.Compiled.
type compiled struct {
	engine *wasmtime.Engine
	module *wasmtime.Module
	linker *wasmtime.Linker
	size   uint64 // bytes of memory at first

	globals int    // exported for Globals
	image   []byte // what a memory holds at first, where it has more than the data segments
	shared  bool   // module and linker are another's

	// The functions that the module defines: where the code of each ends, and its name.
	ends  []int
	names []string
}

func (c *compiled) functions(m *wasm.Module) {
	c.names = make([]string, len(m.Bodies))
	for _, b := range m.Bodies {
		c.ends = append(c.ends, b.Code.End)
	}
	for _, n := range m.FuncNames() {
		if int(n.Index) >= m.ImportedFuncs {
			c.names[int(n.Index)-m.ImportedFuncs] = n.Name
		}
	}
}

// functionAt names the function whose code has an offset.
func (c *compiled) functionAt(offset int) string {
	return c.names[sort.SearchInts(c.ends, offset+1)]
}

// Close implements vm.Compiled.
func (c *compiled) Close(context.Context) error {
	if !c.shared {
		c.linker.Close()
		c.module.Close()
	}
	return nil
}
