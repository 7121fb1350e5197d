package wazerovm

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/runtime/sandbox/vm"
	"github.com/tidemill/tidemill/runtime/sandbox/vmtest"
)

// snapshotOf compiles a module and takes its image.
func snapshotOf(t *testing.T, text string) *compiled {
	t.Helper()
	return vmtest.Snapshot(t, compileText(t, text), nil).(*compiled)
}

// TestCopiedImage makes instances from an image in a file and, as where the system has no such files, from one that is copied.
func TestCopiedImage(t *testing.T) {
	mapped := snapshotOf(t, vmtest.StarterText(vmtest.Starter))
	if mapped.image.file == nil {
		t.Error("there is no file to map")
	}
	want := instantiate(t, mapped, &vmtest.Host{}).Memory()
	copied := snapshotOf(t, vmtest.StarterText(vmtest.Starter))
	copied.image = copiedImage(partsOf(want))
	for range 2 {
		i := instantiate(t, copied, &vmtest.Host{})
		if !bytes.Equal(i.Memory(), want) {
			t.Error("the copied image makes another memory")
		}
		copy(i.Memory()[100_000:], "what one instance writes")
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
		i := instantiate(t, compileText(t, vmtest.StarterText(fields)), &vmtest.Host{})
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
	c := snapshotOf(t, vmtest.StarterText(vmtest.Starter))
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
