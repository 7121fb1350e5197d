package wazerovm

import (
	"context"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
	"github.com/tidemill/tidemill/runtime/sandbox/vmtest"
	"github.com/tidemill/tidemill/runtime/sandbox/wat"
)

// BenchmarkCall is the crossing into a guest that does nothing: bare is wazero's own share of it. At 256 rows a batch, P1 allows
// 256 ns for the crossing and all the sandbox does around it.
func BenchmarkCall(b *testing.B) {
	text := vmtest.GuestText("", "", "i64.const 0")
	b.Run("bare", func(b *testing.B) {
		ctx := context.Background()
		r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigCompiler())
		defer r.Close(ctx)
		m, err := r.Instantiate(ctx, wat.Must(text))
		if err != nil {
			b.Fatal(err)
		}
		process, stack := m.ExportedFunction(abi.ExportProcess), make([]uint64, 2)
		b.ReportAllocs()
		for b.Loop() {
			if err := process.CallWithStack(ctx, stack); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("metered", func(b *testing.B) {
		i := start(b, "", "", "i64.const 0")
		b.ReportAllocs()
		for b.Loop() {
			if _, err := i.Call(vm.Process, 0, 0, 1<<40); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("refuel", func(b *testing.B) { // one in each turn of the guest's loop
		i := start(b, "", "", `(local i32) i32.const 1000 local.set 2
			loop $l local.get 2 i32.const 1 i32.sub local.tee 2 br_if $l end i64.const 0`)
		i.Ledger.Slices(1, 1, 1)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := i.Call(vm.Process, 0, 0, 1<<40); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkInstantiate is a new instance of a small module in a compiled module.
func BenchmarkInstantiate(b *testing.B) {
	c := compileText(b, vmtest.GuestText("", "", "i64.const 0"))
	b.ReportAllocs()
	for b.Loop() {
		i, err := c.Instantiate(context.Background(), &vmtest.Host{}, vm.Config{MemoryBytesMax: memoryMax, StartFuel: 1000})
		if err != nil {
			b.Fatal(err)
		}
		i.Close()
	}
}

// BenchmarkCompile is a small module: what a module costs beside its own code.
func BenchmarkCompile(b *testing.B) {
	code := vmtest.Metered(b, vmtest.GuestText("", "", "i64.const 0"))
	e := New("", nil)
	b.ReportAllocs()
	for b.Loop() {
		c, err := e.Compile(context.Background(), code)
		if err != nil {
			b.Fatal(err)
		}
		if err := c.Close(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}
