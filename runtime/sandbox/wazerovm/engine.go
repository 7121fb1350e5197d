package wazerovm

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/tidemill/tidemill/runtime/sandbox/meter"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
	"github.com/tidemill/tidemill/runtime/sandbox/wasm"
)

// name is part of the key of compiled code. A test holds it against go.mod.
const name = "wazero-v1.12.0"

// Engine compiles modules. It is safe for concurrent use.
type Engine struct {
	code codeFolder
}

// New makes an engine that keeps compiled code below folder, in memory only where that is empty. warn, which may be nil, is told
// when the folder cannot be used; the engine goes on without it. warn must be safe for concurrent use.
func New(folder string, warn func(error)) *Engine {
	if warn == nil {
		warn = func(error) {}
	}
	return &Engine{code: codeFolder{path: folder, warn: warn}}
}

// Name implements vm.Engine.
func (*Engine) Name() string { return name }

// Close implements vm.Engine. Compiled modules are closed one by one.
func (*Engine) Close(context.Context) error { return nil }

// Compile implements vm.Engine. An error about the module is an *errcode.Error. It takes 0.3 to 0.4 s a MB, or 1 to 5 % of that
// where the folder has the code. A context that ends stops it between two functions.
func (e *Engine) Compile(ctx context.Context, metered []byte) (vm.Compiled, error) {
	code, data := withoutData(metered)
	c, err := e.compile(ctx, code)
	if err != nil {
		return nil, err
	}
	c.image = newImage(data)
	return c, nil
}

func (e *Engine) compile(ctx context.Context, code []byte) (*compiled, error) {
	if e.code.path == "" {
		return compile(ctx, code, nil)
	}
	entry := e.code.entry(code)
	if c := entry.load(ctx); c != nil {
		return c, nil
	}
	return entry.make(ctx)
}

// compilationWorkers compile one module: as many as leave room for others on a machine of four cores.
const compilationWorkers = 2

func compile(ctx context.Context, code []byte, cache wazero.CompilationCache) (_ *compiled, err error) {
	config := wazero.NewRuntimeConfigCompiler().WithCoreFeatures(api.CoreFeaturesV2).WithDebugInfoEnabled(false)
	if cache != nil {
		config = config.WithCompilationCache(cache)
	}
	c := &compiled{runtime: wazero.NewRuntimeWithConfig(ctx, config), cache: cache, image: newImage(nil)}
	defer func() {
		if err != nil {
			_ = c.Close(ctx)
		}
	}()
	// With several workers wazero looks between two functions whether the compilation is still wanted; with one it does not.
	compiling := experimental.WithCompilationWorkers(ctx, compilationWorkers)
	if c.module, err = c.runtime.CompileModule(compiling, code); ctx.Err() != nil {
		return nil, ctx.Err()
	} else if err != nil {
		return nil, invalid(code, err)
	}
	if err := instantiateHost(ctx, c.runtime); err != nil {
		return nil, fmt.Errorf("making the host functions: %w", err)
	}
	return c, nil
}

// typeError is how wazero tells one. It counts the function among those that the module defines, as the original does.
var typeError = regexp.MustCompile(`^invalid function\[(\d+)\].*?: `)

// invalid tells what wazero finds wrong with a module, in terms of the original.
func invalid(metered []byte, err error) error {
	text, place := strings.Join(strings.Fields(err.Error()), " "), "section code"
	if found := typeError.FindStringSubmatch(text); found != nil {
		text = text[len(found[0]):]
		defined, _ := strconv.Atoi(found[1]) // digits
		place += functionPlace(metered, defined)
	}
	return vm.ErrInvalid.Errorf("%s", text).At("%s", place).
		Do("the compiler that made the module, or a tool that rewrote it, is at fault: build the module again")
}

// functionPlace is ", function 7 (name)" for a defined function.
func functionPlace(metered []byte, defined int) string {
	m, err := wasm.Decode(metered)
	if err != nil {
		return ""
	}
	place := fmt.Sprintf(", function %d", m.ImportedFuncs-meter.AddedImports+defined)
	for _, n := range m.FuncNames() {
		if int(n.Index) == m.ImportedFuncs+defined {
			place += fmt.Sprintf(" (%s)", n.Name)
		}
	}
	return place
}

type compiled struct {
	runtime wazero.Runtime
	cache   wazero.CompilationCache // nil, or this module's own
	module  wazero.CompiledModule   // its data segments are in image

	image *image // what a memory holds at first
	// started is the bytes of memory of the instance that image was taken of; 0 where it holds data segments only. With it the
	// runtime is that of another compiled.
	started uint64
}

// Close implements vm.Compiled. Instances keep their view of the image.
func (c *compiled) Close(ctx context.Context) error {
	if c.started > 0 {
		return c.image.close()
	}
	errs := []error{c.runtime.Close(ctx), c.image.close()}
	if c.cache != nil {
		errs = append(errs, c.cache.Close(ctx))
	}
	return errors.Join(errs...)
}
