package vmtest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/sandbox/meter"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
)

func testCall(t *testing.T, e Engine) {
	i := e.start(t, &Host{}, "", "", `local.get $a  i64.extend_i32_u  i64.const 32  i64.shl  local.get $b  i64.extend_i32_u  i64.or`)
	for _, c := range []struct{ a, b uint32 }{{0, 0}, {1, 2}, {1<<32 - 1, 1<<32 - 1}} {
		got, err := i.Call(vm.Process, c.a, c.b, Plenty)
		if want := uint64(c.a)<<32 | uint64(c.b); err != nil || got != want {
			t.Errorf("Call(%d, %d) = %#x, %v; want %#x", c.a, c.b, got, err, want)
		}
	}
	if got, err := i.Call(vm.Reserve, 1, 0, Plenty); got != 1024 || err != nil {
		t.Errorf("Reserve = %d, %v", got, err)
	}
}

// An engine tells framesMin of the guest's functions that are on the stack, where there are so many, and framesMax at most.
const (
	framesMin = 20
	framesMax = 32
)

func testFaults(t *testing.T, e Engine) {
	for name, c := range map[string]struct {
		imports, fields, process string
		kind                     vm.Kind
		detail                   string
		frames                   []string
	}{
		"unreachable": {"", `(func $inner unreachable)`, `call $inner i64.const 0`, vm.Trap, "unreachable", []string{"inner", "process"}},
		"load":        {"", "", `i32.const -1 i64.load`, vm.Trap, "out of bounds memory access", []string{"process"}},
		"division":    {"", "", `i64.const 1 i64.const 0 i64.div_s`, vm.Trap, "integer divide by zero", []string{"process"}},
		"indirect": {"", `(type $t (func)) (table 1 funcref)`, `i32.const 0 call_indirect (type $t) i64.const 0`, vm.Trap,
			"invalid table access", []string{"process"}},
		"out of table": {"", `(type $t (func)) (table 1 funcref)`, `i32.const 1 call_indirect (type $t) i64.const 0`, vm.Trap,
			"invalid table access", []string{"process"}},
		"type": {"", `(type $t (func)) (table 1 funcref) (elem (i32.const 0) $process)`, `i32.const 0 call_indirect (type $t) i64.const 0`, vm.Trap,
			"indirect call type mismatch", []string{"process"}},
		"overflow":   {"", "", `i64.const -9223372036854775808 i64.const -1 i64.div_s`, vm.Trap, "integer overflow", []string{"process"}},
		"conversion": {"", "", `f64.const nan i64.trunc_f64_s`, vm.Trap, "invalid conversion to integer", []string{"process"}},
		"spin":       {"", "", `loop $l br $l end i64.const 0`, vm.Fuel, "", []string{"process"}},
		"recursion":  {"", "", `local.get $a local.get $b call $process`, vm.Stack, "", slices.Repeat([]string{"process"}, framesMin)},
		"exit": {`(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))`, "", `i32.const 3 call $exit i64.const 0`,
			vm.Exit, "exit code 3", []string{"process"}},
		"pointer": {`(import "tidemill_v1" "log" (func $log (param i32 i32 i32)))`, "",
			`i32.const 2 i32.const 65530 i32.const 7 call $log i64.const 0`, vm.HostCall, "a pointer leads out of memory", []string{"process"}},
	} {
		t.Run(name, func(t *testing.T) {
			i := e.start(t, &Host{}, c.imports, c.fields, c.process)
			copy(i.Memory()[100:], "what was under way")
			_, err := i.Call(vm.Process, 1, 2, 50_000_000)
			f := FaultOf(t, err, c.kind)
			if len(f.Frames) > framesMin && len(f.Frames) <= framesMax {
				f.Frames = f.Frames[:framesMin]
			}
			if f.Detail != c.detail || !slices.Equal(f.Frames, c.frames) {
				t.Errorf("fault %q in %q, want %q in %q", f.Detail, f.Frames, c.detail, c.frames)
			}
			if string(i.Memory()[100:118]) != "what was under way" {
				t.Error("memory is not readable after the fault")
			}
			if _, err := i.Call(vm.Process, 1, 2, Plenty); err == nil {
				t.Error("the instance still runs after the fault")
			}
			i.Close()
			i.Close()
		})
	}
}

// testNames has a function without a name, told by its index in the original.
func testNames(t *testing.T, e Engine) {
	i := e.start(t, &Host{}, "", `(func $a.b unreachable) (func call $a.b)`, `call 6 i64.const 0`)
	_, err := i.Call(vm.Process, 0, 0, Plenty)
	if f := FaultOf(t, err, vm.Trap); !slices.Equal(f.Frames, []string{"a.b", "function[6]", "process"}) {
		t.Errorf("frames: %q", f.Frames)
	}
}

func testMemoryLimit(t *testing.T, e Engine) {
	// process(pages) answers what memory.grow says.
	i := e.start(t, &Host{}, "", "", `local.get $a memory.grow i64.extend_i32_s`)
	grow := func(pages uint32) int64 {
		t.Helper()
		got, err := i.Call(vm.Process, pages, 0, Plenty)
		if err != nil {
			t.Fatal(err)
		}
		return int64(got)
	}
	i.Memory()[5] = 42
	if got := grow(62); got != 1 || len(i.Memory()) != 63<<16 {
		t.Errorf("grow(62) = %d, %d bytes", got, len(i.Memory()))
	}
	if got := grow(2); got != -1 || len(i.Memory()) != 63<<16 {
		t.Errorf("growing past the limit gives %d, %d bytes", got, len(i.Memory()))
	}
	if got := grow(65535); got != -1 {
		t.Errorf("growing by 4 GiB gives %d", got)
	}
	if got := grow(1); got != 63 || len(i.Memory()) != MemoryMax {
		t.Errorf("growing to the limit gives %d, %d bytes", got, len(i.Memory()))
	}
	if m := i.Memory(); m[5] != 42 || m[MemoryMax-1] != 0 || cap(m) != len(m) {
		t.Error("memory is not what it was, or not zero")
	}
	c := e.compile(t, GuestText("", "", "i64.const 0"))
	_, err := c.Instantiate(context.Background(), &Host{}, vm.Config{MemoryBytesMax: 1000, StartFuel: 1000})
	if !errcode.Is(err, vm.ErrMemoryLimit) {
		t.Errorf("a module over its limit: %v", err)
	}
}

func testInvalid(t *testing.T, e Engine) {
	code := Metered(t, GuestText("", `(func $broken i32.const 1 i64.const 2 i32.add drop)`, "i64.const 0"))
	if _, err := e.New().Compile(context.Background(), code); !errcode.Is(err, vm.ErrInvalid) {
		t.Errorf("error %v", err)
	}
}

func testStart(t *testing.T, e Engine) {
	ok := GuestText("", `(global $g (mut i32) (i32.const 0)) (func $s i32.const 7 global.set $g) (start $s)
		(func (export "_initialize") global.get $g i32.const 1 i32.add global.set $g)`, `global.get $g i64.extend_i32_u`)
	i := Instantiate(t, e.compile(t, ok), &Host{})
	if used := i.FuelUsed(); used < 4 || used > 40 {
		t.Errorf("starting took %d units", used)
	}
	if got, err := i.Call(vm.Process, 0, 0, Plenty); got != 8 || err != nil {
		t.Errorf("global is %d, %v", got, err)
	}
	for name, c := range map[string]struct {
		fields string
		kind   vm.Kind
		frame  string
	}{
		"start spins":      {`(func $s loop $l br $l end) (start $s)`, vm.Fuel, "s"},
		"start traps":      {`(func $s unreachable) (start $s)`, vm.Trap, "s"},
		"initialize spins": {`(func $init (export "_initialize") loop $l br $l end)`, vm.Fuel, "init"},
		"initialize calls": {`(func $init (export "_initialize") call $init)`, vm.Stack, "init"},
	} {
		t.Run(name, func(t *testing.T) {
			c1 := e.compile(t, GuestText("", c.fields, "i64.const 0"))
			_, err := c1.Instantiate(context.Background(), &Host{}, vm.Config{MemoryBytesMax: MemoryMax, StartFuel: 10_000_000})
			f := FaultOf(t, err, c.kind)
			e := errcode.Of(err)
			if e == nil || e.Code != vm.ErrStart || e.Hint == "" || e.Place != "function "+c.frame || f.Frames[0] != c.frame {
				t.Errorf("error %v", err)
			}
		})
	}
}

// Work has functions for a guest with loops, calls, unbalanced arms, bulk operations, growth and recursion; process(n) answers a checksum.
const Work = `(func $fib (param $n i32) (result i64)
    local.get $n i32.const 2 i32.lt_u
    if (result i64) local.get $n i64.extend_i32_u
    else local.get $n i32.const 1 i32.sub call $fib local.get $n i32.const 2 i32.sub call $fib i64.add end)
  (func $small (param $x i64) (result i64) local.get $x i64.const 6364136223846793005 i64.mul i64.const 1442695040888963407 i64.add)
  (func $mix (param $n i32) (result i64) (local $h i64) (local $i i32)
    block $out loop $next
      local.get $i local.get $n i32.ge_u br_if $out
      local.get $h call $small local.set $h
      block $c block $b block $a
        local.get $h i64.const 60 i64.shr_u i32.wrap_i64 br_table $a $b $c $c $a $b
      end local.get $h i64.const 3 i64.rotl local.set $h
      end i32.const 0 i32.const 40000 local.get $h i32.wrap_i64 i32.const 8191 i32.and memory.copy
      end
      local.get $h i64.const 1 i64.and i64.eqz
      if i32.const 40000 local.get $i i32.const 9000 memory.fill end
      local.get $i i32.const 1 i32.add local.set $i
      br $next end end
    local.get $h i32.const 16 i64.load i64.xor)`

// WorkProcess is the body of its process.
const WorkProcess = `local.get $a call $mix i32.const 15 call $fib i64.add i32.const 1 memory.grow i64.extend_i32_u i64.add`

// Slices of fuel, about the least and the most that engines take.
const (
	smallSlice = 2_000
	largeSlice = 500_000
)

// workFuel is what five calls of Work take on every engine and machine. It changes with meter.Version only.
const workFuel = 6_126_041

// testFuelIsDeterministic runs the same work with the smallest and the largest slices, with adaptive ones, under a busy collector
// and again: always the same result and the same count (I10).
func testFuelIsDeterministic(t *testing.T, e Engine) {
	c := e.compile(t, GuestText("", Work, WorkProcess))
	run := func(small, large int64) (uint64, []int64) {
		i := Instantiate(t, c, &Host{})
		e.Guest(i).Ledger.Slices(small, small, large)
		var used []int64
		var sum uint64
		for n := range uint32(5) {
			got, err := i.Call(vm.Process, n*1000, 0, Plenty)
			if err != nil {
				t.Fatal(err)
			}
			sum = sum*31 + got
			used = append(used, i.FuelUsed())
		}
		return sum, used
	}
	wantSum, want := run(smallSlice, smallSlice)
	check := func(what string, small, large int64) {
		if sum, used := run(small, large); sum != wantSum || !slices.Equal(used, want) {
			t.Errorf("%s: %#x, fuel %v; want %#x, %v", what, sum, used, wantSum, want)
		}
	}
	check("again", smallSlice, smallSlice)
	check("large slices", largeSlice, largeSlice)
	check("slices of 1", 1, 1)
	check("slices of 777", 777, 777)
	check("adaptive", smallSlice, largeSlice)
	stop := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() {
		for keep := [][]byte(nil); ; {
			select {
			case <-stop:
				return
			default:
				keep = append(keep[max(0, len(keep)-100):], make([]byte, 1<<16))
				runtime.GC()
			}
		}
	})
	check("under a busy collector", smallSlice, largeSlice)
	close(stop)
	wait.Wait()
	if want[4] != workFuel {
		t.Errorf("fuel %v, want %d in the end", want, workFuel)
	}
}

// testKillIsExact finds the fuel that a call needs, and gives it exactly that and one unit less, with slices of any size.
func testKillIsExact(t *testing.T, e Engine) {
	c := e.compile(t, GuestText("", Work, WorkProcess))
	i := Instantiate(t, c, &Host{})
	before := i.FuelUsed()
	if _, err := i.Call(vm.Process, 100, 0, Plenty); err != nil {
		t.Fatal(err)
	}
	need := i.FuelUsed() - before
	for _, slice := range []int64{1, 64, smallSlice, largeSlice} {
		i := Instantiate(t, c, &Host{})
		e.Guest(i).Ledger.Slices(slice, slice, slice)
		if _, err := i.Call(vm.Process, 100, 0, need); err != nil || i.FuelUsed()-before != need {
			t.Errorf("with slices of %d and the %d units it needs: %v, used %d", slice, need, err, i.FuelUsed()-before)
		}
		i = Instantiate(t, c, &Host{})
		e.Guest(i).Ledger.Slices(slice, slice, slice)
		_, err := i.Call(vm.Process, 100, 0, need-1)
		if FaultOf(t, err, vm.Fuel); i.FuelUsed()-before != need-1 {
			t.Errorf("with slices of %d and one unit less: used %d", slice, i.FuelUsed()-before)
		}
	}
}

// testLastCharge ends a call with a charge that is made without a check: what a long arm costs more than its sibling.
func testLastCharge(t *testing.T, e Engine) {
	long := strings.Repeat("global.get $g i64.const 3 i64.mul global.set $g ", 200)
	arm := e.compile(t, GuestText("", `(global $g (mut i64) (i64.const 1))`, "local.get $a if "+long+" end global.get $g"))
	i := Instantiate(t, arm, &Host{})
	if _, err := i.Call(vm.Process, 1, 0, Plenty); err != nil {
		t.Fatal(err)
	}
	need := i.FuelUsed()
	i = Instantiate(t, arm, &Host{})
	if _, err := i.Call(vm.Process, 1, 0, need); err != nil || i.FuelUsed() != need || need < 600 {
		t.Errorf("with the %d units it needs: %v, used %d", need, err, i.FuelUsed())
	}
	i = Instantiate(t, arm, &Host{})
	_, err := i.Call(vm.Process, 1, 0, need-1)
	if FaultOf(t, err, vm.Fuel); i.FuelUsed() != need-1 {
		t.Errorf("used %d of %d", i.FuelUsed(), need-1)
	}
}

// testKilledAtOnePlace kills a spinning guest that counts its turns in memory: the place must not depend on the slices.
func testKilledAtOnePlace(t *testing.T, e Engine) {
	spin := e.compile(t, GuestText("", "", `loop $l i32.const 8 i32.const 8 i64.load i64.const 1 i64.add i64.store br $l end i64.const 0`))
	turns := func(slice, fuel int64) uint64 {
		i := Instantiate(t, spin, &Host{})
		e.Guest(i).Ledger.Slices(slice, slice, slice)
		_, err := i.Call(vm.Process, 0, 0, fuel)
		FaultOf(t, err, vm.Fuel)
		if got := i.FuelUsed(); got != fuel {
			t.Errorf("a call killed for its fuel of %d used %d", fuel, got)
		}
		return uint64(i.Memory()[8]) | uint64(i.Memory()[9])<<8 | uint64(i.Memory()[10])<<16 | uint64(i.Memory()[11])<<24
	}
	for _, fuel := range []int64{0, 1, 10, 1000, 12345, 3_000_000} {
		want := turns(smallSlice, fuel)
		for _, slice := range []int64{1, 17, largeSlice} {
			if got := turns(slice, fuel); got != want {
				t.Errorf("fuel %d: %d turns with slices of %d, %d with %d", fuel, got, slice, want, smallSlice)
			}
		}
		if fuel == 12345 && (want < 12345/10 || want > 12345) {
			t.Errorf("%d turns for %d units", want, fuel)
		}
	}
}

// testSpinningGuestsStopNothing (I11) runs more spinning guests than there are processors, and meanwhile collections and a
// neighbour's calls, none of which may wait for the guests to end.
func testSpinningGuestsStopNothing(t *testing.T, e Engine) {
	spin := e.compile(t, GuestText("", "", `loop $l br $l end i64.const 0`))
	neighbour := e.start(t, &Host{}, "", "", `local.get $a i64.extend_i32_u`)
	const budget = int64(300_000_000) // 0.1 s or more
	spinners := 2*runtime.GOMAXPROCS(0) + 2
	var wait sync.WaitGroup
	var spinning atomic.Int32
	spinning.Store(int32(spinners))
	for range spinners {
		i := Instantiate(t, spin, &Host{})
		wait.Go(func() {
			_, err := i.Call(vm.Process, 0, 0, budget)
			spinning.Add(-1)
			if faultKind(err) != vm.Fuel || i.FuelUsed() != budget {
				t.Errorf("a spinner ended with %v after %d units", err, i.FuelUsed())
			}
		})
	}
	var worst time.Duration
	turns := uint32(0)
	for ; spinning.Load() > 0; turns++ {
		began := time.Now()
		runtime.GC()
		if got, err := neighbour.Call(vm.Process, turns, 0, Plenty); got != uint64(turns) || err != nil {
			t.Errorf("the neighbour answers %d, %v", got, err)
		}
		worst = max(worst, time.Since(began))
	}
	wait.Wait()
	t.Logf("%d turns beside %d spinners, the worst took %v", turns, spinners, worst)
	// Without yields the first collection would wait for all spinners: there would be one turn.
	if turns < 5 {
		t.Errorf("only %d turns beside spinning guests", turns)
	}
}

// testStackIsGivenBack recurses deep, again and again, out of the recursion by every way there is, and then too deep.
func testStackIsGivenBack(t *testing.T, e Engine) {
	i := e.start(t, &Host{}, "", `(func $down (param $n i32) (result i64)
	    local.get $n i32.const 1 i32.and
	    if local.get $n i32.eqz
	      if i64.const 1 return end
	      local.get $n i32.const 1 i32.sub call $down i64.const 1 i64.add return end
	    local.get $n i32.eqz
	    if (result i64) i64.const 1 else
	    local.get $n i32.const 1 i32.sub call $down i64.const 1 i64.add br 1 end)`, `local.get $a call $down`)
	for range 50 {
		if got, err := i.Call(vm.Process, 9000, 0, Plenty); got != 9001 || err != nil {
			t.Fatalf("%d, %v", got, err)
		}
	}
	_, err := i.Call(vm.Process, 10_100, 0, Plenty)
	FaultOf(t, err, vm.Stack)
}

// testStackBytes bounds what a recursion takes by the size of its frames too: 1 MiB in all, which the engine may double.
func testStackBytes(t *testing.T, e Engine) {
	for _, locals := range []int{0, 100, 1000, 20_000} {
		i := e.start(t, &Host{}, "", fmt.Sprintf(`(global $depth (mut i32) (i32.const 0))
			(func $down (locals %d i64) global.get $depth i32.const 1 i32.add global.set $depth call $down)
			(export "depth" (global $depth))`, locals), `call $down i64.const 0`)
		_, err := i.Call(vm.Process, 0, 0, Plenty)
		FaultOf(t, err, vm.Stack)
		depth := int(uint32(e.Global(i, "depth")))
		if want := meter.StackBytesMax / max(8*locals, meter.FrameBytesMin); depth > want || depth < want*9/10-1 {
			t.Errorf("with %d locals: %d calls deep, want about %d", locals, depth, want)
		}
	}
}

func faultKind(err error) vm.Kind {
	if f := (*vm.Fault)(nil); errors.As(err, &f) {
		return f.Kind
	}
	return 0
}
