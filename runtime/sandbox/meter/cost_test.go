package meter

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/runtime/sandbox/wasm"
	"github.com/tidemill/tidemill/runtime/sandbox/wat"
)

// rewriteText runs the passes and keeps them for inspection; each is called after a function has been measured and emitted.
func rewriteText(t *testing.T, text string, each func(i uint32, r *rewriter)) *rewriter {
	t.Helper()
	m, err := wasm.Decode(wat.Must(text))
	if err != nil {
		t.Fatal(err)
	}
	r := newRewriter(m)
	order, err := r.analyse()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range order {
		if err := r.function(i); err != nil {
			t.Fatal(err)
		}
		if each != nil {
			each(i, r)
		}
	}
	return r
}

// charges writes down what a function of a text takes: entry, loops, extra charges and those of missing else arms.
func charges(t *testing.T, text string) string {
	t.Helper()
	var got string
	rewriteText(t, "(module (memory 1) (func (param i32) "+text+"))", func(_ uint32, r *rewriter) {
		got = fmt.Sprintf("entry %d", r.costs.entry)
		for _, l := range r.costs.loops {
			got += fmt.Sprintf(" loop %d", l)
		}
		for i, x := range r.costs.extra {
			if x > 0 {
				got += fmt.Sprintf(" extra@%d %d", i, x)
			}
		}
		for i, x := range r.costs.missing {
			if x > 0 {
				got += fmt.Sprintf(" missing@%d %d", i, x)
			}
		}
	})
	return got
}

// TestCharges compares with sums done by hand. n stands for that many units of work; a function's entry has 1 of its own.
func TestCharges(t *testing.T) {
	work := func(n int) string { return strings.Repeat("i32.const 0 i32.eqz drop ", n) }
	for _, c := range []struct{ text, want string }{
		{"", "entry 1"},
		{work(10), "entry 11"},
		{"block " + work(10) + " end " + work(5), "entry 16"},
		{"loop " + work(10) + " end " + work(5), "entry 6 loop 11"},
		{"loop " + work(7) + " loop " + work(10) + " end " + work(5) + " end", "entry 1 loop 13 loop 11"},
		// The way out of a loop is charged outside of it, and the longest one counts.
		{"block block loop local.get 0 br_if 1 local.get 0 br_if 2 br 0 end end " + work(50) + " end " + work(9), "entry 60 loop 4"},
		{"block loop local.get 0 br_if 1 br 0 end unreachable end " + work(50), "entry 51 loop 3"},
		{"local.get 0 if " + work(20) + " else " + work(30) + " end", "entry 32"},
		{"local.get 0 if " + work(20) + " end " + work(7), "entry 29"},
		// An arm that is much longer takes the difference itself.
		{"local.get 0 if " + work(200) + " else " + work(30) + " end " + work(7), "entry 39 extra@1 170"},
		{"local.get 0 if " + work(30) + " else " + work(200) + " end " + work(7), "entry 39 extra@92 170"},
		{"local.get 0 if " + work(200) + " end", "entry 2 extra@1 200"},
		{"local.get 0 if " + work(4) + " return end " + work(200), "entry 7 missing@1 195"},
		{"local.get 0 br_if 0 " + work(200), "entry 2 extra@1 200"},
		{"block local.get 0 br_if 0 " + work(200) + " end " + work(30), "entry 32 extra@2 200"},
		{"block " + work(10) + " br 0 " + work(99) + " end", "entry 12"},
		{work(10) + "return " + work(99), "entry 12"},
		{"unreachable " + work(99), "entry 2"},
		// A switch: behind the end that a br_table reaches a long case is charged by itself.
		{"block block block local.get 0 br_table 0 1 2 end " + work(200) + " br 1 end " + work(20) + " end", "entry 22 extra@5 201"},
		{"i32.const 0 i32.const 0 i32.div_u drop i32.const 0 memory.grow drop", "entry 39"},
	} {
		if got := charges(t, c.text); got != c.want {
			name := c.text
			if len(name) > 60 {
				name = name[:60] + "..."
			}
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// TestFolding has small functions charged where they are called: twice 10 units and what the calls take.
func TestFolding(t *testing.T) {
	work := func(n int) string { return strings.Repeat("i32.const 0 i32.eqz drop ", n) }
	r := rewriteText(t, `(module (table 2 funcref) (elem (i32.const 0) $taken)
		(func $small `+work(9)+`)
		(func $outer call $small call $small)
		(func $large `+work(100)+`)
		(func $loops loop end)
		(func $taken `+work(5)+`)
		(func $exported (export "e") call $outer call $large call $loops call $taken)
		(func $cycle call $cycle))`, nil)
	for i, want := range []struct {
		charged bool
		cost    int64
	}{{false, 10}, {false, 1 + 2*(3+10)}, {true, 101}, {true, 1}, {true, 6}, {true, 1 + 3 + 27 + 3 + 3 + 3}, {true, 4}} {
		if f := r.functions[i]; f.charged != want.charged || f.cost != want.cost {
			t.Errorf("function %d: charged %t, cost %d; want %+v", i, f.charged, f.cost, want)
		}
	}
}

// TestEveryPathIsPaid walks random ways through random functions, at every branch one or the other way: at no point may more have
// been executed than was charged.
func TestEveryPathIsPaid(t *testing.T) {
	for seed := range uint64(100) {
		text := wat.Random(rand.New(rand.NewPCG(seed, 2)).IntN, true)
		rewriteText(t, text, func(i uint32, r *rewriter) {
			w := newWalker(r)
			rng := rand.New(rand.NewPCG(seed, uint64(i)))
			for range 40 {
				if at, charged, executed := w.walk(rng); executed > charged {
					t.Fatalf("seed %d, function %d, instruction %d: charged %d, executed %d, of\n%s", seed, i, at, charged, executed, text)
				}
			}
		})
	}
}

// walker follows the control flow of one function, by the specification and not by the meter's labels.
type walker struct {
	r     *rewriter
	ends  []int // of block, loop and if: the index of its end
	elses []int // of if: the index of its else, or 0
	loops []int // of loop: its number
}

func newWalker(r *rewriter) *walker {
	n := len(r.instrs)
	w := &walker{r: r, ends: make([]int, n), elses: make([]int, n), loops: make([]int, n)}
	var open []int
	loops := 0
	for i, in := range r.instrs {
		switch in.Op {
		case wasm.OpLoop:
			w.loops[i] = loops
			loops++
			open = append(open, i)
		case wasm.OpBlock, wasm.OpIf:
			open = append(open, i)
		case wasm.OpElse:
			w.elses[open[len(open)-1]] = i
		case wasm.OpEnd:
			if len(open) > 0 {
				w.ends[open[len(open)-1]] = i
				open = open[:len(open)-1]
			}
		}
	}
	return w
}

// walk takes one way until it leaves the function, has more executed than charged, or has gone on long enough.
func (w *walker) walk(rng *rand.Rand) (at int, charged, executed int64) {
	var open []int // openers of the blocks around, outermost first
	charged = w.r.costs.entry
	pc, turns := 0, 0
	branch := func(depth uint32) bool { // false: it leaves the function
		target := len(open) - 1 - int(depth)
		if target < 0 {
			return false
		}
		opener := open[target]
		if w.r.instrs[opener].Op == wasm.OpLoop {
			open, pc = open[:target], opener // its instruction is the head
			return true
		}
		open, pc = open[:target], w.ends[opener]+1
		charged += w.r.costs.extra[pc-1]
		return true
	}
	for ; turns < 2000; turns++ {
		in := w.r.instrs[pc]
		executed += w.r.weight(in)
		at = pc
		if in.Op == wasm.OpLoop {
			charged += w.r.costs.loops[w.loops[pc]]
		}
		if executed > charged {
			return at, charged, executed
		}
		next := pc + 1
		switch in.Op {
		case wasm.OpBlock, wasm.OpLoop:
			open = append(open, pc)
		case wasm.OpIf:
			open = append(open, pc)
			switch {
			case rng.IntN(2) == 0:
				charged += w.r.costs.extra[pc]
			case w.elses[pc] != 0:
				next = w.elses[pc] + 1
				charged += w.r.costs.extra[w.elses[pc]]
			default:
				charged += w.r.costs.missing[pc]
				next = w.ends[pc]
			}
		case wasm.OpElse: // the end of the first arm
			next = w.ends[open[len(open)-1]]
		case wasm.OpEnd:
			if len(open) == 0 {
				return at, charged, executed
			}
			open = open[:len(open)-1]
			charged += w.r.costs.extra[pc]
		case wasm.OpBr, wasm.OpBrTable, wasm.OpBrIf:
			depth := in.Imm
			if in.Op == wasm.OpBrTable {
				targets := w.r.m.AppendTargets(nil, in)
				depth = targets[rng.IntN(len(targets))]
			}
			if in.Op == wasm.OpBrIf && rng.IntN(2) == 0 {
				charged += w.r.costs.extra[pc]
				break
			}
			if !branch(depth) {
				return at, charged, executed
			}
			continue
		case wasm.OpReturn, wasm.OpUnreachable:
			return at, charged, executed
		}
		pc = next
	}
	return at, charged, executed
}

func TestReservedNames(t *testing.T) {
	for _, text := range []string{
		`(module (import "tidemill_meter" "refuel" (func (param i64) (result i64))))`,
		`(module (import "tidemill_meter" "anything" (func)))`,
		`(module (func $f) (export "tidemill_meter_fuel" (func $f)))`,
	} {
		m, err := wasm.Decode(wat.Must(text))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := Rewrite(m); err == nil || !strings.Contains(err.Error(), "reserved") {
			t.Errorf("%s: error %v", text, err)
		}
	}
	m, err := wasm.Decode(wat.Must(`(module (func))`))
	if err != nil {
		t.Fatal(err)
	}
	once, _, err := Rewrite(m)
	if err != nil {
		t.Fatal(err)
	}
	if m, err = wasm.Decode(once); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Rewrite(m); err == nil {
		t.Error("a metered module is metered again")
	}
}

// TestNames checks that every function keeps its name or gets its index, printable, and that other custom sections are dropped.
func TestNames(t *testing.T) {
	text := `(module (import "env" "f" (func)) (func $a nop) (func nop) (func $` + strings.Repeat("n", 300) + ` nop) (custom ".debug_info" "secret"))`
	m, err := wasm.Decode(wat.Must(text))
	if err != nil {
		t.Fatal(err)
	}
	out, report, err := Rewrite(m)
	if err != nil {
		t.Fatal(err)
	}
	if m, err = wasm.Decode(out); err != nil {
		t.Fatal(err)
	}
	want := []wasm.FuncName{{Index: 0, Name: "function[0]"}, {Index: 3, Name: "a"}, {Index: 4, Name: "function[2]"},
		{Index: 5, Name: strings.Repeat("n", 200) + "..."}}
	if got := m.FuncNames(); !slices.Equal(got, want) {
		t.Errorf("names %+v", got)
	}
	if strings.Contains(string(out), "secret") {
		t.Error("a debug section is kept")
	}
	if got := printable("a\nb\x1b[31m\u202e"); got != "a?b?[31m?" {
		t.Errorf("printable: %q", got)
	}
	if report.Functions != 3 || report.BytesOut != len(out) {
		t.Errorf("report %+v", report)
	}
}

// TestDataIsJoined compares memory after instantiation, put together here, before and after.
func TestDataIsJoined(t *testing.T) {
	for _, c := range []struct {
		text     string
		segments int // afterwards
	}{
		{`(memory 1) (data (i32.const 8) "ab") (data (i32.const 10) "cd") (data (i32.const 20) "e") (data (i32.const 60) "f")`, 2},
		{`(memory 1) (data (i32.const 8) "ab") (data (i32.const 42) "cd") (data (i32.const 77) "e")`, 2},
		{`(memory 1) (data (i32.const 12) "ab") (data (i32.const 8) "cd") (data (i32.const 16) "e")`, 1},
		{`(memory 1) (data (i32.const 8) "ab") (data (i32.const 9) "cd")`, 2},
		{`(memory 1) (data (i32.const 65534) "ab") (data (i32.const 65536) "c")`, 2},
		{`(memory 1) (data (i32.const 8) "ab") (data "passive") (data (i32.const 10) "c")`, 3},
		{`(memory 1) (func data.drop 0) (data (i32.const 8) "ab") (data (i32.const 10) "c")`, 2},
		{`(import "env" "memory" (memory 1)) (data (i32.const 8) "ab") (data (i32.const 10) "c")`, 2},
		{`(memory 0) (data (i32.const 0) "") (data (i32.const 0) "")`, 1},
	} {
		m, err := wasm.Decode(wat.Must("(module " + c.text + ")"))
		if err != nil {
			t.Fatal(err)
		}
		out, _, err := Rewrite(m)
		if err != nil {
			t.Fatal(err)
		}
		after, err := wasm.Decode(out)
		if err != nil {
			t.Fatal(err)
		}
		memory := func(m *wasm.Module) string {
			b := make([]byte, 1<<17)
			for _, d := range m.Data {
				if d.Active {
					copy(b[d.Place.Imm:], m.Bytes(d.Init))
				}
			}
			return string(b)
		}
		if len(after.Data) != c.segments || memory(m) != memory(after) {
			t.Errorf("%s: %d segments, want %d; same memory: %t", c.text, len(after.Data), c.segments, memory(m) == memory(after))
		}
	}
}

// TestDeepCallGraph has a chain of 100,000 functions, and one of blocks: neither may be walked by recursion.
func TestDeepCallGraph(t *testing.T) {
	const n = 100_000
	types := []byte{1, 0x60, 0, 0}
	functions, code := wasm.AppendU32(nil, n), wasm.AppendU32(nil, n)
	for i := range uint32(n) {
		functions = append(functions, 0)
		body := append(wasm.AppendU32([]byte{0, byte(wasm.OpCall)}, (i+1)%n), byte(wasm.OpEnd))
		code = append(wasm.AppendU32(code, uint32(len(body))), body...)
	}
	b := wasm.AppendSection([]byte("\x00asm\x01\x00\x00\x00"), wasm.TypeSection, types)
	b = wasm.AppendSection(b, wasm.FunctionSection, functions)
	b = wasm.AppendSection(b, wasm.CodeSection, code)
	m, err := wasm.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	_, report, err := Rewrite(m)
	if err != nil || report.Functions != n {
		t.Errorf("%+v, %v", report, err)
	}
	// One cycle: the stack must be counted on it at least once each 64 KiB of frames.
	if least := n * FrameBytesMin / uncountedBytesMax; report.Counted < least {
		t.Errorf("%d functions count, want %d or more", report.Counted, least)
	}
}

func FuzzRewrite(f *testing.F) {
	for seed := range uint64(5) {
		f.Add(wat.Must(wat.Random(rand.New(rand.NewPCG(seed, 2)).IntN, true)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := wasm.Decode(b)
		if err != nil {
			return
		}
		out, _, err := Rewrite(m)
		if err != nil {
			return
		}
		metered, err := wasm.Decode(out)
		if err != nil {
			t.Fatalf("the result is not a module: %v", err)
		}
		for i := range metered.Bodies {
			if _, err := metered.Instructions(i, nil); err != nil {
				t.Fatalf("the result is not a module: %v", err)
			}
		}
	})
}
