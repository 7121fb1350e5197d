package vmtest

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/sandbox/profile"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
)

// Starter is a module whose start writes far apart, grows the memory, and leaves its global as it was. Its process(a, b) adds b to
// the word at a and answers what was there.
const Starter = `
  (global $stack (mut i32) (i32.const 4096))
  (data (i32.const 70) "first") (data (i32.const 65530) "second")
  (func (export "_initialize")
    global.get $stack  i32.const 16  i32.sub  global.set $stack
    i32.const 8192  i64.const 0x0102030405060708  i64.store
    i32.const 2  memory.grow  drop
    i32.const 250000  i64.const 0x1112131415161718  i64.store
    global.get $stack  i32.const 16  i32.add  global.set $stack)
  (func (export "tidemill_load") (param i32 i32) (result i64) i64.const 0)`

const addAt = `local.get $a  i64.load  local.get $a  local.get $a  i64.load  local.get $b  i64.extend_i32_u  i64.add  i64.store`

// StarterText is a guest of two pages with fields, whose process is Starter's.
func StarterText(fields string) string {
	return strings.Replace(GuestText("", fields, addAt), `(memory (export "memory") 1)`, `(memory (export "memory") 2)`, 1)
}

// Snapshot takes an image of a compiled module's instances.
func Snapshot(t testing.TB, of vm.Compiled, prepare func(vm.Instance) error) vm.Compiled {
	t.Helper()
	c, err := of.(vm.Snapshotter).Snapshot(context.Background(), &Host{}, vm.Config{MemoryBytesMax: MemoryMax, StartFuel: 1_000_000}, prepare)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

func (e Engine) snapshotOf(t *testing.T, text string) vm.Compiled {
	t.Helper()
	return Snapshot(t, e.compile(t, text), nil)
}

// testSnapshot compares instances from an image with one that has started by itself.
func testSnapshot(t *testing.T, e Engine) {
	started := Instantiate(t, e.compile(t, StarterText(Starter)), &Host{})
	c := e.snapshotOf(t, StarterText(Starter))
	a, b := Instantiate(t, c, &Host{}), Instantiate(t, c, &Host{})
	if !bytes.Equal(a.Memory(), started.Memory()) {
		t.Fatalf("another memory of %d bytes, want %d", len(a.Memory()), len(started.Memory()))
	}
	if a.FuelUsed() != 0 {
		t.Errorf("%d units at the start", a.FuelUsed())
	}
	if got, err := a.Call(vm.Process, 8192, 1, Plenty); err != nil || got != 0x0102030405060708 {
		t.Errorf("%#x, %v", got, err)
	}
	copy(a.Memory()[100_000:], "what one instance writes")
	if !bytes.Equal(b.Memory(), started.Memory()) || !bytes.Equal(Instantiate(t, c, &Host{}).Memory(), started.Memory()) {
		t.Error("another instance sees what one has written")
	}
	if got, err := a.Call(vm.Load, 0, 0, Plenty); err != nil || got != 0 {
		t.Errorf("load answers %d, %v", got, err)
	}
}

// testSnapshotOfASnapshot takes an image of an instance that began from one and was called: it has what the call left, and the
// first image has not.
func testSnapshotOfASnapshot(t *testing.T, e Engine) {
	first := e.snapshotOf(t, StarterText(Starter))
	before := bytes.Clone(Instantiate(t, first, &Host{}).Memory())
	second := Snapshot(t, first, func(i vm.Instance) error {
		_, err := i.Call(vm.Process, 20_000, 77, Plenty)
		return err
	})
	want := bytes.Clone(before)
	want[20_000] = 77
	i := Instantiate(t, second, &Host{})
	if !bytes.Equal(i.Memory(), want) {
		t.Error("the second image is not what the call left")
	}
	if !bytes.Equal(Instantiate(t, first, &Host{}).Memory(), before) {
		t.Error("the first image has changed")
	}
	if i.FuelUsed() != 0 {
		t.Errorf("%d units at the start", i.FuelUsed())
	}
	broken := errors.New("not prepared")
	_, err := first.(vm.Snapshotter).Snapshot(context.Background(), &Host{}, vm.Config{MemoryBytesMax: MemoryMax}, func(vm.Instance) error { return broken })
	if !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	if err := second.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	Instantiate(t, first, &Host{}) // is still open
}

// testSnapshotGrows grows the memory of an instance that began from an image.
func testSnapshotGrows(t *testing.T, e Engine) {
	text := strings.Replace(StarterText(Starter), addAt, `local.get $a  memory.grow  i64.extend_i32_s`, 1)
	i := Instantiate(t, e.snapshotOf(t, text), &Host{})
	got, err := i.Call(vm.Process, 10, 0, Plenty)
	if err != nil || got != 4 || len(i.Memory()) != 14*profile.PageBytes {
		t.Fatalf("%d, %v, %d bytes", got, err, len(i.Memory()))
	}
	if string(i.Memory()[70:75]) != "first" || !bytes.Equal(i.Memory()[4*profile.PageBytes:], make([]byte, 10*profile.PageBytes)) {
		t.Error("growing changed the memory, or gave one that is not zero")
	}
	if got, _ := i.Call(vm.Process, 1000, 0, Plenty); int32(got) != -1 {
		t.Errorf("growing past the limit answers %d", got)
	}
}

func testSnapshotIsRefused(t *testing.T, e Engine) {
	for name, c := range map[string]struct{ fields, want string }{
		"global": {`(global $g (mut i64) (i64.const 7)) (func (export "_initialize") i64.const 8 global.set $g)`, "global 0"},
		"start":  {`(global $g (mut i64) (i64.const 7)) (func $begin i64.const 8 global.set $g) (start $begin)`, "start function"},
		"trap":   {`(func (export "_initialize") unreachable)`, "_initialize failed"},
	} {
		compiled := e.compile(t, GuestText("", c.fields, "i64.const 0")).(vm.Snapshotter)
		_, err := compiled.Snapshot(context.Background(), &Host{}, vm.Config{MemoryBytesMax: MemoryMax, StartFuel: 1_000_000}, nil)
		if errcode.Of(err) == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	c := e.snapshotOf(t, StarterText(Starter))
	_, err := c.Instantiate(context.Background(), &Host{}, vm.Config{MemoryBytesMax: 3 * profile.PageBytes, StartFuel: 1000})
	if !errcode.Is(err, vm.ErrMemoryLimit) {
		t.Errorf("an image larger than the limit: %v", err)
	}
	if _, err := e.start(t, &Host{}, "", "", "i64.const 0").Call(vm.Load, 0, 0, Plenty); err == nil {
		t.Error("a module that is no interpreter loads code")
	}
}
