package python

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/runtime/sandbox/profile"
	"github.com/tidemill/tidemill/runtime/sandbox/script"
	"github.com/tidemill/tidemill/runtime/sandbox/wasm"
)

// TestBase holds the embedded interpreter to what the host takes for granted: it is the one that its lock names, keeps to the
// profile, takes code, and can begin from a memory image: nothing of it but memory and globals ever changes.
func TestBase(t *testing.T) {
	base := Base()
	binary, err := base.Binary()
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256(binary); hex.EncodeToString(sum[:]) != base.SHA256 {
		t.Errorf("the lock names %s, the module is %x", base.SHA256, sum)
	}
	m, err := profile.Check(binary, profile.Limits{MemoryBytesMax: abi.MemoryBytesMax})
	if err != nil {
		t.Fatal(err)
	}
	if m.Start >= 0 || m.DataCount >= 0 {
		t.Error("the module has a start function, or code that may name data segments")
	}
	exports := map[string]bool{}
	for _, e := range m.Exports {
		exports[e.Name] = true
	}
	for _, name := range []string{profile.Load, profile.Initialize, "tidemill_code"} {
		if !exports[name] {
			t.Errorf("the module does not export %s", name)
		}
	}
	var instrs []wasm.Instr
	for i := range m.Bodies {
		if instrs, err = m.Instructions(i, instrs[:0]); err != nil {
			t.Fatal(err)
		}
		for _, in := range instrs {
			switch in.Op {
			case wasm.OpTableInit, wasm.OpTableCopy, wasm.OpElemDrop, wasm.OpTableSet, wasm.OpTableGrow, wasm.OpTableFill:
				t.Fatalf("function %d changes the table, of which an image has nothing", m.ImportedFuncs+i)
			}
		}
	}
	code, err := (&script.Archive{Entry: "op.py", Files: []script.File{{Path: "op.py"}}}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := script.Standalone(binary, &script.Module{Base: base.Reference, Code: code, Describe: []byte("{}")}); err != nil {
		t.Errorf("the module cannot be made to stand alone: %v", err)
	}
}
