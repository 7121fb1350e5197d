package wazerovm

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
	"github.com/tidemill/tidemill/runtime/sandbox/vmtest"
)

// starter is a module whose start writes far apart, grows the memory, and leaves its global as it was. Its process(a, b) adds b to
// the word at a and answers what was there.
const starter = `
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

func starterText(fields string) string {
	return strings.Replace(vmtest.GuestText("", fields, addAt), `(memory (export "memory") 1)`, `(memory (export "memory") 2)`, 1)
}

// snapshotOf compiles a module and takes its image.
func snapshotOf(t *testing.T, text string) *compiled {
	t.Helper()
	return snapshot(t, compileText(t, text), nil)
}

func snapshot(t *testing.T, of vm.Compiled, prepare func(vm.Instance) error) *compiled {
	t.Helper()
	c, err := of.(vm.Snapshotter).Snapshot(context.Background(), &vmtest.Host{}, vm.Config{MemoryBytesMax: memoryMax, StartFuel: 1_000_000}, prepare)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return c.(*compiled)
}

// TestSnapshot compares instances from an image with one that has started by itself.
func TestSnapshot(t *testing.T) {
	started := instantiate(t, compileText(t, starterText(starter)), &vmtest.Host{})
	for name, c := range map[string]*compiled{"mapped": snapshotOf(t, starterText(starter)), "copied": snapshotOf(t, starterText(starter))} {
		if name == "copied" {
			c.image = copiedImage(partsOf(started.Memory()))
		} else if c.image.file == nil {
			t.Error("there is no file to map")
		}
		a, b := instantiate(t, c, &vmtest.Host{}), instantiate(t, c, &vmtest.Host{})
		if !bytes.Equal(a.Memory(), started.Memory()) {
			t.Fatalf("%s: another memory of %d bytes, want %d", name, len(a.Memory()), len(started.Memory()))
		}
		if a.FuelUsed() != 0 {
			t.Errorf("%s: %d units at the start", name, a.FuelUsed())
		}
		if got, err := a.Call(vm.Process, 8192, 1, plenty); err != nil || got != 0x0102030405060708 {
			t.Errorf("%s: %#x, %v", name, got, err)
		}
		copy(a.Memory()[100_000:], "what one instance writes")
		if !bytes.Equal(b.Memory(), started.Memory()) || !bytes.Equal(instantiate(t, c, &vmtest.Host{}).Memory(), started.Memory()) {
			t.Errorf("%s: another instance sees what one has written", name)
		}
		if got, err := a.Call(vm.Load, 0, 0, plenty); err != nil || got != 0 {
			t.Errorf("%s: load answers %d, %v", name, got, err)
		}
	}
}

// TestSnapshotOfASnapshot takes an image of an instance that began from one and was called: it has what the call left, and the
// first image has not.
func TestSnapshotOfASnapshot(t *testing.T) {
	first := snapshotOf(t, starterText(starter))
	before := bytes.Clone(instantiate(t, first, &vmtest.Host{}).Memory())
	second := snapshot(t, first, func(i vm.Instance) error {
		_, err := i.Call(vm.Process, 20_000, 77, plenty)
		return err
	})
	want := bytes.Clone(before)
	want[20_000] = 77
	i := instantiate(t, second, &vmtest.Host{})
	if !bytes.Equal(i.Memory(), want) {
		t.Error("the second image is not what the call left")
	}
	if !bytes.Equal(instantiate(t, first, &vmtest.Host{}).Memory(), before) {
		t.Error("the first image has changed")
	}
	if i.FuelUsed() != 0 {
		t.Errorf("%d units at the start", i.FuelUsed())
	}
	broken := errors.New("not prepared")
	_, err := first.Snapshot(context.Background(), &vmtest.Host{}, vm.Config{MemoryBytesMax: memoryMax}, func(vm.Instance) error { return broken })
	if !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	if err := second.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	instantiate(t, first, &vmtest.Host{}) // is still open
}

// TestSnapshotGrows grows the memory of an instance that began from an image.
func TestSnapshotGrows(t *testing.T) {
	text := strings.Replace(starterText(starter), addAt, `local.get $a  memory.grow  i64.extend_i32_s`, 1)
	i := instantiate(t, snapshotOf(t, text), &vmtest.Host{})
	got, err := i.Call(vm.Process, 10, 0, plenty)
	if err != nil || got != 4 || len(i.Memory()) != 14*pageBytes {
		t.Fatalf("%d, %v, %d bytes", got, err, len(i.Memory()))
	}
	if string(i.Memory()[70:75]) != "first" || !bytes.Equal(i.Memory()[4*pageBytes:], make([]byte, 10*pageBytes)) {
		t.Error("growing changed the memory, or gave one that is not zero")
	}
	if got, _ := i.Call(vm.Process, 1000, 0, plenty); int32(got) != -1 {
		t.Errorf("growing past the limit answers %d", got)
	}
}

func TestSnapshotIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ fields, want string }{
		"global": {`(global $g (mut i64) (i64.const 7)) (func (export "_initialize") i64.const 8 global.set $g)`, "global 0"},
		"start":  {`(global $g (mut i64) (i64.const 7)) (func $begin i64.const 8 global.set $g) (start $begin)`, "start function"},
		"trap":   {`(func (export "_initialize") unreachable)`, "_initialize failed"},
	} {
		compiled := compileText(t, vmtest.GuestText("", c.fields, "i64.const 0")).(vm.Snapshotter)
		_, err := compiled.Snapshot(context.Background(), &vmtest.Host{}, vm.Config{MemoryBytesMax: memoryMax, StartFuel: 1_000_000}, nil)
		if errcode.Of(err) == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	c := snapshotOf(t, starterText(starter))
	_, err := c.Instantiate(context.Background(), &vmtest.Host{}, vm.Config{MemoryBytesMax: 3 * pageBytes, StartFuel: 1000})
	if !errcode.Is(err, vm.ErrMemoryLimit) {
		t.Errorf("an image larger than the limit: %v", err)
	}
	if _, err := start(t, "", "", "i64.const 0").Call(vm.Load, 0, 0, plenty); err == nil {
		t.Error("a module that is no interpreter loads code")
	}
}

// TestDataSegments compares memories from images of data segments with what the specification says that they write: one after the
// other, in order.
func TestDataSegments(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 1))
		want, fields := make([]byte, 2*pageBytes), ""
		for range r.IntN(6) {
			at, text := r.IntN(len(want)-300), strings.Repeat(string(rune('a'+r.IntN(26))), r.IntN(300))
			if r.IntN(2) == 0 {
				at = r.IntN(4) * 4096
			}
			copy(want[at:], text)
			fields += ` (data (i32.const ` + strconv.Itoa(at) + `) "` + text + `")`
		}
		i := instantiate(t, compileText(t, starterText(fields)), &vmtest.Host{})
		if !bytes.Equal(i.Memory(), want) {
			t.Fatalf("seed %d: %s", seed, fields)
		}
		i.Close()
	}
	// Where code names a segment, it is still there.
	passive := instantiate(t, compileText(t, vmtest.GuestText("", `(data "passive")`,
		`local.get $a  i32.const 0  i32.const 7  memory.init 0  i64.const 0`)), &vmtest.Host{})
	if _, err := passive.Call(vm.Process, 40, 0, plenty); err != nil || string(passive.Memory()[40:47]) != "passive" {
		t.Errorf("%q, %v", passive.Memory()[40:47], err)
	}
}

// TestInstancesGiveEverythingBack makes and drops thousands of instances, some by a fault, and counts mappings and open files.
func TestInstancesGiveEverythingBack(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	c := snapshotOf(t, starterText(starter))
	count := func() (mappings, files int) {
		maps, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Fatal(err)
		}
		open, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(maps), "tidemill-image"), len(open)
	}
	_, before := count()
	live := make([]vm.Instance, 20)
	for n := range 3000 {
		i, err := c.Instantiate(context.Background(), &vmtest.Host{}, vm.Config{MemoryBytesMax: memoryMax, StartFuel: 1000})
		if err != nil {
			t.Fatal(err)
		}
		at := uint32(8192)
		if n%3 == 0 {
			at = 1 << 30 // out of bounds
		}
		if _, err := i.Call(vm.Process, at, 1, plenty); (err != nil) != (n%3 == 0) {
			t.Fatal(err)
		}
		if old := live[n%len(live)]; old != nil {
			old.Close()
		}
		live[n%len(live)] = i
	}
	// A written page splits a mapping in no more than a few; each of the live ones has one at least.
	if mappings, _ := count(); mappings < len(live) || mappings > 4*len(live) {
		t.Errorf("%d mappings of the image for %d instances", mappings, len(live))
	}
	for _, i := range live {
		i.Close()
	}
	if mappings, files := count(); mappings != 0 || files > before {
		t.Errorf("%d mappings and %d files are left, %d files before", mappings, files, before)
	}
	kept := instantiate(t, c, &vmtest.Host{})
	if err := c.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if string(kept.Memory()[70:75]) != "first" {
		t.Error("an instance lost its memory when the module was closed")
	}
	if _, files := count(); files >= before {
		t.Errorf("%d files are open after the module was closed, %d before", files, before)
	}
}
