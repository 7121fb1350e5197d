//go:build wasmtime

package wasmtimevm

import (
	"errors"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/tidemill/tidemill/runtime/sandbox/guest"
	"github.com/tidemill/tidemill/runtime/sandbox/meter"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
	"github.com/tidemill/tidemill/runtime/sandbox/vmtest"
)

// TestEngine holds the engine to the suite of its contract. The suite of WebAssembly 1.0 is left out: it wants modules refused that
// use what came later, which wasmtime cannot leave out.
func TestEngine(t *testing.T) {
	vmtest.Run(t, vmtest.Engine{
		New:   func() vm.Engine { return New() },
		Guest: func(i vm.Instance) *guest.Instance { return &i.(*instance).Instance },
		Global: func(i vm.Instance, name string) uint64 {
			x := i.(*instance)
			m := module{&linker{store: x.store}, x.module}
			return m.Global(name)
		},
		Link:   newLinker,
		Suites: map[vmtest.Version]int{vmtest.V2: 27_000},
	})
}

func TestNameIsThePinnedVersion(t *testing.T) {
	mod, err := os.ReadFile("../../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if want := "github.com/bytecodealliance/wasmtime-go/v39 " + strings.TrimPrefix(name, "wasmtime-"); !strings.Contains(string(mod), want) {
		t.Errorf("go.mod does not have %q", want)
	}
}

// linker implements vmtest.Linker.
type linker struct {
	engine     *wasmtime.Engine
	store      *wasmtime.Store
	linker     *wasmtime.Linker
	overflowed bool // the meter's import ended a call
}

func newLinker(t testing.TB, _ vmtest.Version, refuel func(int64) int64) vmtest.Linker {
	t.Helper()
	l := &linker{engine: wasmtime.NewEngineWithConfig(config())}
	l.store, l.linker = wasmtime.NewStore(l.engine), wasmtime.NewLinker(l.engine)
	l.linker.AllowShadowing(true)
	err := errors.Join(
		l.linker.FuncWrap(meter.HostModule, meter.Refuel, refuel),
		l.linker.FuncWrap(meter.HostModule, meter.Overflow, func() *wasmtime.Trap {
			l.overflowed = true
			return wasmtime.NewTrap("stack overflow")
		}),
	)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Instantiate implements vmtest.Linker.
func (l *linker) Instantiate(binary []byte, name string) (vmtest.Module, error) {
	compiled, err := wasmtime.NewModule(l.engine, binary)
	if err != nil {
		return nil, err
	}
	i, err := l.linker.Instantiate(l.store, compiled)
	if err != nil {
		return nil, err
	}
	if name != "" {
		err = l.linker.DefineInstance(l.store, name, i)
	}
	return module{l, i}, err
}

// Close implements vmtest.Linker.
func (l *linker) Close() {
	l.linker.Close()
	l.store.Close()
	l.engine.Close()
}

// module implements vmtest.Module.
type module struct {
	linker   *linker
	instance *wasmtime.Instance
}

// Call implements vmtest.Module.
func (m module) Call(export string, params ...uint64) (results []uint64, trap string) {
	store := m.linker.store
	f := m.instance.GetFunc(store, export)
	args := make([]any, len(params))
	for n, t := range f.Type(store).Params() {
		args[n] = anyValue(t.Kind(), params[n])
	}
	m.linker.overflowed = false
	found, err := f.Call(store, args...)
	if err != nil {
		return nil, m.trap(err)
	}
	switch n := len(f.Type(store).Results()); n {
	case 0:
	case 1:
		results = []uint64{anyBits(found)}
	default:
		for _, v := range found.([]wasmtime.Val) {
			results = append(results, anyBits(v.Get()))
		}
	}
	return results, ""
}

func (m module) trap(err error) string {
	trap := (*wasmtime.Trap)(nil)
	switch {
	case m.linker.overflowed:
		return "stack overflow"
	case !errors.As(err, &trap) || trap.Code() == nil:
		return err.Error()
	case *trap.Code() == wasmtime.StackOverflow:
		return "stack overflow"
	}
	return details[*trap.Code()]
}

// Global implements vmtest.Module.
func (m module) Global(name string) uint64 {
	return anyBits(m.instance.GetExport(m.linker.store, name).Global().Get(m.linker.store).Get())
}

// anyValue is a value of any type: external references are numbers, of functions there is only null.
func anyValue(kind wasmtime.ValKind, bits uint64) wasmtime.Val {
	switch kind {
	case wasmtime.KindI32:
		return wasmtime.ValI32(int32(bits))
	case wasmtime.KindI64:
		return wasmtime.ValI64(int64(bits))
	case wasmtime.KindF32:
		return wasmtime.ValF32(math.Float32frombits(uint32(bits)))
	case wasmtime.KindF64:
		return wasmtime.ValF64(math.Float64frombits(bits))
	case wasmtime.KindFuncref:
		return wasmtime.ValFuncref(nil)
	}
	if bits == 0 {
		return wasmtime.ValExternref(nil)
	}
	return wasmtime.ValExternref(bits)
}

// anyBits is the converse of anyValue.
func anyBits(v any) uint64 {
	switch v := v.(type) {
	case uint64:
		return v
	case *wasmtime.Func:
		if v != nil {
			return 1
		}
		return 0
	}
	return bits(v)
}
