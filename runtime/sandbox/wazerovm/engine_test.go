package wazerovm

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/tidemill/tidemill/runtime/sandbox/guest"
	"github.com/tidemill/tidemill/runtime/sandbox/meter"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
	"github.com/tidemill/tidemill/runtime/sandbox/vmtest"
)

// TestEngine holds the engine to the suite of its contract.
func TestEngine(t *testing.T) {
	vmtest.Run(t, vmtest.Engine{
		New:        func() vm.Engine { return New("", nil) },
		Guest:      func(i vm.Instance) *guest.Instance { return &i.(*instance).Instance },
		Global:     func(i vm.Instance, name string) uint64 { return i.(*instance).module.ExportedGlobal(name).Get() },
		Link:       link,
		Suites:     map[vmtest.Version]int{vmtest.V1: 18_000, vmtest.V2: 27_000},
		LateTables: true,
	})
}

// linker implements vmtest.Linker.
type linker struct{ runtime wazero.Runtime }

func link(t testing.TB, version vmtest.Version, refuel func(int64) int64) vmtest.Linker {
	t.Helper()
	ctx := context.Background()
	features := api.CoreFeaturesV2
	if version == vmtest.V1 {
		features = api.CoreFeaturesV1
	}
	l := linker{wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler().WithCoreFeatures(features))}
	_, err := l.runtime.NewHostModuleBuilder(meter.HostModule).
		NewFunctionBuilder().WithFunc(refuel).Export(meter.Refuel).
		NewFunctionBuilder().WithFunc(func() { panic("stack overflow") }).Export(meter.Overflow).
		Instantiate(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Instantiate implements vmtest.Linker.
func (l linker) Instantiate(binary []byte, name string) (vmtest.Module, error) {
	m, err := l.runtime.InstantiateWithConfig(context.Background(), binary, wazero.NewModuleConfig().WithName(name).WithStartFunctions())
	return module{m}, err
}

// Close implements vmtest.Linker.
func (l linker) Close() { l.runtime.Close(context.Background()) }

// module implements vmtest.Module.
type module struct{ m api.Module }

// Call implements vmtest.Module.
func (m module) Call(export string, params ...uint64) ([]uint64, string) {
	results, err := m.m.ExportedFunction(export).Call(context.Background(), params...)
	return results, trapOf(err)
}

// Global implements vmtest.Module.
func (m module) Global(name string) uint64 { return m.m.ExportedGlobal(name).Get() }

// trapOf is the kind of a trap, without the trace.
func trapOf(err error) string {
	if err == nil {
		return ""
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	return strings.TrimSuffix(strings.TrimPrefix(text, "wasm error: "), " (recovered by wazero)")
}

func TestNameIsThePinnedVersion(t *testing.T) {
	mod, err := os.ReadFile("../../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if want := "github.com/tetratelabs/wazero " + strings.TrimPrefix(name, "wazero-"); !strings.Contains(string(mod), want) {
		t.Errorf("go.mod does not have %q", want)
	}
}

// TestFaultClosesTheModule: its machine code is given back with the last instance, not with the last Close.
func TestFaultClosesTheModule(t *testing.T) {
	i := start(t, "", "", "unreachable")
	if _, err := i.Call(vm.Process, 0, 0, plenty); err == nil || !i.module.IsClosed() {
		t.Errorf("%v, and the module is not closed", err)
	}
}

// TestFrames has names that look like a part of wazero's trace.
func TestFrames(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{".f()", "f"}, {".main.(*T).Run(i32,i64) i32", "main.(*T).Run"}, {".<a as b(c)>::d() (i32,f64)", "<a as b(c)>::d"},
		{".f(i32) i64(f32)", "f(i32) i64"}, {".f (i32)()", "f (i32)"},
	} {
		if got := frames("\n\t" + c.line); !slices.Equal(got, []string{c.want}) {
			t.Errorf("frames(%q) = %q, want %q", c.line, got, c.want)
		}
	}
}

// What the tests of this package call guests with.
const (
	memoryMax = vmtest.MemoryMax
	plenty    = vmtest.Plenty
)

func compileText(t testing.TB, text string) vm.Compiled { return vmtest.Compile(t, New("", nil), text) }

func instantiate(t testing.TB, c vm.Compiled, host vm.Host) *instance {
	t.Helper()
	return vmtest.Instantiate(t, c, host).(*instance)
}

func start(t testing.TB, imports, fields, process string) *instance {
	t.Helper()
	return instantiate(t, compileText(t, vmtest.GuestText(imports, fields, process)), &vmtest.Host{})
}
