package wazerovm

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/runtime/sandbox/guest"
	"github.com/tidemill/tidemill/runtime/sandbox/meter"
	"github.com/tidemill/tidemill/runtime/sandbox/profile"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
	"github.com/tidemill/tidemill/runtime/sandbox/vmtest"
	"github.com/tidemill/tidemill/runtime/sandbox/wasm"
)

// TestCommittedGuests runs every module that is committed in this tree as it is and metered, side by side and with the same
// host: after each call both must have the same result or trap, the same memory, and have asked the host for the same.
func TestCommittedGuests(t *testing.T) {
	root := filepath.Join("..", "..", "..")
	var guests []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && (d.Name() == "hostile" || d.Name() == ".git" || d.Name() == "target") {
			return fs.SkipDir
		}
		if err == nil && strings.HasSuffix(path, ".wasm") {
			guests = append(guests, path)
		}
		return err
	})
	if err != nil || len(guests) < 4 {
		t.Fatalf("guests %q, %v", guests, err)
	}
	for _, path := range guests {
		name, _ := filepath.Rel(root, path)
		t.Run(filepath.ToSlash(name), func(t *testing.T) {
			if testing.Short() && !strings.Contains(name, "corpus") {
				t.Skip("compiles a large module twice")
			}
			binary, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			m, err := wasm.Decode(binary)
			if err != nil {
				t.Fatal(err)
			}
			if len(m.Bodies) == 0 {
				t.Skip("it is code for an interpreter")
			}
			compareGuest(t, binary, m)
		})
	}
}

func compareGuest(t *testing.T, binary []byte, m *wasm.Module) {
	rewritten, _, err := meter.Rewrite(m)
	if err != nil {
		t.Fatal(err)
	}
	code, data := withoutData(rewritten)
	plain, metered := bareInstance(t, binary, &image{}), bareInstance(t, code, newImage(data))
	if len(m.Data) > 0 && len(data) == 0 {
		t.Error("the data segments stay in the module")
	}
	compare := func(export string, args ...uint64) uint64 {
		t.Helper()
		want, wantErr := plain.call(export, args...)
		got, gotErr := metered.call(export, args...)
		if !slices.Equal(got, want) || trapOf(gotErr) != trapOf(wantErr) {
			t.Fatalf("%s%v: %v %v metered, %v %v as it is", export, args, got, gotErr, want, wantErr)
		}
		if a, b := plain.state(), metered.state(); a != b {
			t.Fatalf("%s%v leaves another memory, or asked the host for other things:\n%.1000s\n%.1000s", export, args, b, a)
		}
		if len(want) == 0 {
			return 0
		}
		return want[0]
	}
	abiGuest := plain.module.ExportedFunction(abi.ExportProcess) != nil
	if plain.module.ExportedFunction(profile.Initialize) != nil {
		compare(profile.Initialize)
	}
	if abiGuest {
		compareABI(t, compare, plain, metered)
		if small, large := fuelOf(t, metered.compiled, 2_000), fuelOf(t, metered.compiled, 500_000); small != large || small < 1000 {
			t.Errorf("fuel: %d units with small slices, %d with large ones", small, large)
		}
	}
	for name := range plain.module.ExportedFunctionDefinitions() {
		if strings.HasPrefix(name, "run_") {
			compare(name, 1)
			compare(name, 3)
		}
	}
}

// compareABI calls the exports of the contract: with what describe says of itself, and with frames that a guest must refuse.
func compareABI(t *testing.T, compare func(string, ...uint64) uint64, plain, metered *bareGuest) {
	described := compare(abi.ExportDescribe)
	if n := described & 0xffffffff; n == 0 {
		t.Error("describe answers nothing")
	}
	buffer := compare(abi.ExportReserve, 64<<10)
	give := func(b []byte) uint64 {
		for _, g := range []*bareGuest{plain, metered} {
			g.module.Memory().Write(uint32(buffer), b)
		}
		return uint64(len(b))
	}
	for _, open := range []string{``, `{`, `{"slot":0,"entry":"none"}`, `{"slot":0,"entry":"","params":{},"inputs":[]}`} {
		compare(abi.ExportOpen, buffer, give([]byte(open)))
	}
	for _, frame := range [][]byte{nil, []byte("TMF1"), bytes.Repeat([]byte{0xff}, 500), append([]byte("TMF1\x01\x00\x01\x00\x28"), make([]byte, 31)...)} {
		n := give(frame)
		if _, err := plain.module.ExportedFunction(abi.ExportProcess).Call(&plain.i.ctx, buffer, n); err != nil {
			_, err2 := metered.module.ExportedFunction(abi.ExportProcess).Call(&metered.i.ctx, buffer, n)
			if trapOf(err2) != trapOf(err) {
				t.Errorf("a bad frame: %v metered, %v as it is", err2, err)
			}
			return // a guest that has trapped is not called again
		}
		if _, err := metered.module.ExportedFunction(abi.ExportProcess).Call(&metered.i.ctx, buffer, n); err != nil {
			t.Fatalf("a bad frame traps only metered: %v", err)
		}
		if plain.state() != metered.state() {
			t.Fatal("a bad frame leaves another memory")
		}
	}
}

// fuelOf starts the module and asks it to describe itself and to open what it cannot, with slices of one size.
func fuelOf(t *testing.T, c vm.Compiled, slice int64) int64 {
	t.Helper()
	i, err := c.Instantiate(context.Background(), &vmtest.Host{}, vm.Config{MemoryBytesMax: 64 << 20, StartFuel: plenty})
	if err != nil {
		t.Fatal(err)
	}
	defer i.Close()
	i.(*instance).Ledger.Slices(slice, slice, slice)
	for range 3 {
		if _, err := i.Call(vm.Describe, 0, 0, plenty); err != nil {
			t.Fatal(err)
		}
		buffer, err := i.Call(vm.Reserve, 4096, 0, plenty)
		if err != nil {
			t.Fatal(err)
		}
		copy(i.Memory()[buffer:], `{"slot":0}`)
		if _, err := i.Call(vm.Open, uint32(buffer), 10, plenty); err != nil {
			t.Fatal(err)
		}
	}
	return i.FuelUsed()
}

// bareGuest is a module with the sandbox's own host functions, but without its account: a module as it is has no balance.
type bareGuest struct {
	i        *instance
	host     *vmtest.Host
	compiled *compiled
	module   api.Module
}

// endless stands for the balance where there is none, and keeps one where there is.
type endless struct{ api.MutableGlobal }

func (endless) Get() uint64 { return 1 << 60 }
func (endless) Set(uint64)  {}

func bareInstance(t *testing.T, binary []byte, content *image) *bareGuest {
	t.Helper()
	ctx := context.Background()
	c, err := compile(ctx, binary, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.image = content
	t.Cleanup(func() { c.Close(ctx) })
	memory, err := reserve(uint64(c.module.ExportedMemories()[abi.ExportMemory].Min())*pageBytes, 64<<20, content)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(memory.release)
	g := &bareGuest{host: &vmtest.Host{}, compiled: c}
	g.i = &instance{Instance: guest.New(g.host, &memory.view), memory: memory, module: struct{ api.Module }{}}
	g.i.Ledger.Balance = endless{}
	g.i.Ledger.Begin(1 << 60)
	g.i.ctx = instanceContext{Context: withMemory(ctx, memory), i: g.i}
	g.module, err = c.runtime.InstantiateModule(&g.i.ctx, c.module, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func (g *bareGuest) call(export string, args ...uint64) ([]uint64, error) {
	return g.module.ExportedFunction(export).Call(&g.i.ctx, args...)
}

// state is a digest of memory and what the host was asked for.
func (g *bareGuest) state() string {
	return fmt.Sprintf("%x %d %q", sha256.Sum256(g.i.memory.view), g.host.Nanos, g.host.Lines)
}
