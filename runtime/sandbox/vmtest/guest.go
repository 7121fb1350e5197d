package vmtest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/tidemill/tidemill/runtime/sandbox/meter"
	"github.com/tidemill/tidemill/runtime/sandbox/profile"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
	"github.com/tidemill/tidemill/runtime/sandbox/wat"
)

// GuestText is a module with all exports of the contract; imports and fields are added, and process is what runs.
func GuestText(imports, fields, process string) string {
	return `(module ` + imports + `
  (memory (export "memory") 1)
  (func (export "tidemill_abi_1"))
  (func (export "tidemill_describe") (result i64) i64.const 0)
  (func (export "tidemill_open") (param i32 i32) (result i64) i64.const 0)
  (func (export "tidemill_reserve") (param i32) (result i32) i32.const 1024)
  (func $process (export "tidemill_process") (param $a i32) (param $b i32) (result i64) ` + process + `)
  ` + fields + `)`
}

// MemoryMax is the limit of memory that the suite's modules and instances have, Plenty fuel that no call uses up.
const (
	MemoryMax = 4 << 20
	Plenty    = int64(1) << 40
)

// Metered assembles a module, holds it to the profile, and meters it.
func Metered(t testing.TB, text string) []byte {
	t.Helper()
	m, err := profile.Check(wat.Must(text), profile.Limits{MemoryBytesMax: MemoryMax})
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := meter.Rewrite(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// FaultOf requires a fault of a kind.
func FaultOf(t testing.TB, err error, kind vm.Kind) *vm.Fault {
	t.Helper()
	var f *vm.Fault
	if !errors.As(err, &f) || f.Kind != kind {
		t.Fatalf("error %v, want a fault of kind %q", err, kind)
	}
	return f
}

// Host records what guests ask for, and answers in ways that show the arguments.
type Host struct {
	Lines []string // what was asked for
	Nanos int64    // waited for
	Fail  error    // of what can fail
}

func (h *Host) Log(level int32, line []byte) { h.note("log %d %q", level, line) }
func (h *Host) Write(fd int32, p []byte)     { h.note("write %d %q", fd, p) }
func (h *Host) StateGet(state, key uint32, mapKey, out []byte) (int32, error) {
	h.note("get %d %d %q %d", state, key, mapKey, len(out))
	return int32(copy(out, "value")), h.Fail
}
func (h *Host) StateScanOpen(state, key uint32, bounds []byte, flags uint32) (int32, error) {
	h.note("open %d %d %q %d", state, key, bounds, flags)
	return 7, h.Fail
}
func (h *Host) StateScanNext(handle int32, out []byte) (int32, error) {
	h.note("next %d %d", handle, len(out))
	return int32(copy(out, "entry")), h.Fail
}
func (h *Host) StateApply(frame []byte) error {
	h.note("apply %q", frame)
	return h.Fail
}
func (h *Host) WallMicros() int64     { return 1_700_000_000_000_000 }
func (h *Host) MonotonicNanos() int64 { return 1 + h.Nanos }
func (h *Host) Wait(nanos int64)      { h.Nanos += nanos }
func (h *Host) Random(p []byte) {
	for i := range p {
		p[i] = byte(i + 1)
	}
}

func (h *Host) note(format string, args ...any) {
	h.Lines = append(h.Lines, fmt.Sprintf(format, args...))
}
