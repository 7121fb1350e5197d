package wazerovm

import (
	"context"
	"slices"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/tidemill/tidemill/runtime/sandbox/profile"
)

// TestSignaturesOfWASI compares the subset's signatures with those of wazero's own implementation.
func TestSignaturesOfWASI(t *testing.T) {
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer r.Close(ctx)
	c, err := wasi_snapshot_preview1.NewBuilder(r).Compile(ctx)
	if err != nil {
		t.Fatal(err)
	}
	theirs := c.ExportedFunctions()
	found := 0
	for name, ours := range profile.Imports {
		if name.Module != profile.WASIModule {
			continue
		}
		f, known := theirs[name.Name]
		if !known {
			t.Errorf("%s is not a function of WASI preview 1", name.Name)
			continue
		}
		if !slices.Equal(f.ParamTypes(), valueTypes(ours.Params)) || !slices.Equal(f.ResultTypes(), valueTypes(ours.Results)) {
			t.Errorf("%s: our signature is %s, WASI's %v -> %v", name.Name, ours, f.ParamTypes(), f.ResultTypes())
		}
		found++
	}
	// All but clock_res_get, proc_raise and four of sockets.
	if left := len(theirs) - found; left != 6 {
		t.Errorf("%d functions of WASI are left out of the subset", left)
	}
}
