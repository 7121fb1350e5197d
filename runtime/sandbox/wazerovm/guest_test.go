package wazerovm

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/tidemill/tidemill/runtime/sandbox/meter"
	"github.com/tidemill/tidemill/runtime/sandbox/profile"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
	"github.com/tidemill/tidemill/runtime/sandbox/wat"
)

// guestText is a module with all exports of the contract; imports and fields are added, and process is what runs.
func guestText(imports, fields, process string) string {
	return `(module ` + imports + `
  (memory (export "memory") 1)
  (func (export "tidemill_abi_1"))
  (func (export "tidemill_describe") (result i64) i64.const 0)
  (func (export "tidemill_open") (param i32 i32) (result i64) i64.const 0)
  (func (export "tidemill_reserve") (param i32) (result i32) i32.const 1024)
  (func $process (export "tidemill_process") (param $a i32) (param $b i32) (result i64) ` + process + `)
  ` + fields + `)`
}

const memoryMax = 4 << 20

func metered(t testing.TB, text string) []byte {
	t.Helper()
	m, err := profile.Check(wat.Must(text), profile.Limits{MemoryBytesMax: memoryMax})
	if err != nil {
		t.Fatal(err)
	}
	b, _, err := meter.Rewrite(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func compileText(t testing.TB, text string) vm.Compiled {
	t.Helper()
	c, err := New("", nil).Compile(context.Background(), metered(t, text))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

func instantiate(t testing.TB, c vm.Compiled, host vm.Host) *instance {
	t.Helper()
	i, err := c.Instantiate(context.Background(), host, vm.Config{MemoryBytesMax: memoryMax, StartFuel: 1_000_000})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(i.Close)
	return i.(*instance)
}

func start(t testing.TB, imports, fields, process string) *instance {
	t.Helper()
	return instantiate(t, compileText(t, guestText(imports, fields, process)), &fakeHost{})
}

// faultOf requires a fault of a kind.
func faultOf(t testing.TB, err error, kind vm.Kind) *vm.Fault {
	t.Helper()
	var f *vm.Fault
	if !errors.As(err, &f) || f.Kind != kind {
		t.Fatalf("error %v, want a fault of kind %q", err, kind)
	}
	return f
}

// fakeHost records what guests ask for and answers in ways that show the arguments.
type fakeHost struct {
	lines []string
	nanos int64
	fail  error
}

func (h *fakeHost) Log(level int32, line []byte) { h.note("log %d %q", level, line) }
func (h *fakeHost) Write(fd int32, p []byte)     { h.note("write %d %q", fd, p) }
func (h *fakeHost) StateGet(state, key uint32, mapKey, out []byte) (int32, error) {
	h.note("get %d %d %q %d", state, key, mapKey, len(out))
	return int32(copy(out, "value")), h.fail
}
func (h *fakeHost) StateScanOpen(state, key uint32, bounds []byte, flags uint32) (int32, error) {
	h.note("open %d %d %q %d", state, key, bounds, flags)
	return 7, h.fail
}
func (h *fakeHost) StateScanNext(handle int32, out []byte) (int32, error) {
	h.note("next %d %d", handle, len(out))
	return int32(copy(out, "entry")), h.fail
}
func (h *fakeHost) StateApply(frame []byte) error {
	h.note("apply %q", frame)
	return h.fail
}
func (h *fakeHost) WallMicros() int64     { return 1_700_000_000_000_000 }
func (h *fakeHost) MonotonicNanos() int64 { return 1 + h.nanos }
func (h *fakeHost) Wait(nanos int64)      { h.nanos += nanos }
func (h *fakeHost) Random(p []byte) {
	for i := range p {
		p[i] = byte(i + 1)
	}
}

func (h *fakeHost) note(format string, args ...any) {
	h.lines = append(h.lines, fmt.Sprintf(format, args...))
}
