package vmtest

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tidemill/tidemill/runtime/sandbox/meter"
	"github.com/tidemill/tidemill/runtime/sandbox/wasm"
	"github.com/tidemill/tidemill/runtime/sandbox/wat"
)

// counted is the model that the meter is held against: the module with an addition before each instruction, so that an exported
// global says what exactly was executed, in the meter's units. It has nothing of the meter's regions, arms, folding or labels.
func counted(t testing.TB, binary []byte) []byte {
	t.Helper()
	m, err := wasm.Decode(binary)
	if err != nil {
		t.Fatal(err)
	}
	counter := uint32(m.GlobalCount())
	code := wasm.AppendU32(nil, uint32(len(m.Bodies)))
	for n, b := range m.Bodies {
		instrs, err := m.Instructions(n, nil)
		if err != nil {
			t.Fatal(err)
		}
		body := append(wasm.AppendU32(nil, b.LocalRuns), m.Bytes(b.Locals)...)
		for k, in := range instrs {
			if w := exactWeight(in.Op); w > 0 {
				body = wasm.AppendU32(append(body, byte(wasm.OpGlobalGet)), counter)
				body = append(wasm.AppendS64(append(body, byte(wasm.OpI64Const)), w), byte(wasm.OpI64Add))
				body = wasm.AppendU32(append(body, byte(wasm.OpGlobalSet)), counter)
			}
			end := b.Code.End
			if k+1 < len(instrs) {
				end = int(instrs[k+1].Offset)
			}
			body = append(body, binary[in.Offset:end]...)
		}
		code = append(wasm.AppendU32(code, uint32(len(body))), body...)
	}
	return withCounter(m, code)
}

// exactWeight is the table of abi/SPEC.md's fuel: an else and an end are no work.
func exactWeight(op wasm.Op) int64 {
	switch op {
	case wasm.OpNop, wasm.OpBlock, wasm.OpElse, wasm.OpEnd, wasm.OpDrop, wasm.OpLocalGet, wasm.OpLocalSet, wasm.OpLocalTee,
		wasm.OpI32Const, wasm.OpI64Const, wasm.OpF32Const, wasm.OpF64Const:
		return 0
	case wasm.OpLoop: // its weight is that of each turn, which this counter cannot see
		return 0
	case wasm.OpCall:
		return 3
	case wasm.OpCallIndirect, 0x6d, 0x6e, 0x6f, 0x70, 0x7f, 0x80, 0x81, 0x82, 0x91, 0x9f:
		return 6
	case wasm.OpMemoryGrow, wasm.OpMemoryCopy, wasm.OpMemoryFill, wasm.OpMemoryInit:
		return 32
	}
	return 1
}

// withCounter puts a module together anew with other code, one more global, and its export.
func withCounter(m *wasm.Module, code []byte) []byte {
	bodies := map[wasm.SectionID][]byte{wasm.CodeSection: code}
	for _, s := range m.Sections {
		if _, ours := bodies[s.ID]; !ours {
			bodies[s.ID] = m.Bytes(s.Body)
		}
	}
	more := func(section []byte, item []byte) []byte {
		if section == nil {
			section = []byte{0}
		}
		count, size := uint32(section[0]&0x7f), 1
		for section[size-1]&0x80 != 0 {
			count |= uint32(section[size]&0x7f) << (7 * size)
			size++
		}
		return append(append(wasm.AppendU32(nil, count+1), section[size:]...), item...)
	}
	bodies[wasm.GlobalSection] = more(bodies[wasm.GlobalSection], []byte{byte(wasm.I64), 1, byte(wasm.OpI64Const), 0, byte(wasm.OpEnd)})
	export := append(wasm.AppendName(nil, "counter"), byte(wasm.ExternGlobal))
	bodies[wasm.ExportSection] = more(bodies[wasm.ExportSection], wasm.AppendU32(export, uint32(m.GlobalCount())))
	out := append([]byte(nil), m.Binary[:8]...)
	for _, id := range []wasm.SectionID{wasm.TypeSection, wasm.ImportSection, wasm.FunctionSection, wasm.TableSection,
		wasm.MemorySection, wasm.GlobalSection, wasm.ExportSection, wasm.StartSection, wasm.ElementSection,
		wasm.DataCountSection, wasm.CodeSection, wasm.DataSection} {
		if b, has := bodies[id]; has {
			out = wasm.AppendSection(out, id, b)
		}
	}
	return out
}

// outcome is how a call of a module went.
type outcome struct {
	results []uint64
	trap    string
	global  int64 // value of an exported global afterwards
}

// runFresh makes an instance of a module and calls its run(x).
func runFresh(t testing.TB, l Linker, binary []byte, x uint64, global string) (o outcome) {
	t.Helper()
	m, err := l.Instantiate(binary, "")
	if err != nil {
		t.Fatal(err)
	}
	o.results, o.trap = m.Call("run", x)
	if global != "" {
		o.global = int64(m.Global(global))
	}
	return o
}

// testChargesCoverWhatRuns makes random programs of nested blocks, loops, arms, switches, calls and recursion. Metered, each must
// give the same result, be charged for at least what was executed, and not for much more.
func testChargesCoverWhatRuns(t *testing.T, e Engine) {
	programs := 150
	if testing.Short() {
		programs = 60
	}
	ratio := 0.0
	for n := range programs {
		seed := uint64(n)
		bulk := n%2 == 0 // pays by length, which the counter does not
		text := wat.Random(rand.New(rand.NewPCG(seed, 2)).IntN, bulk)
		binary := wat.Must(text)
		m, err := wasm.Decode(binary)
		if err != nil {
			t.Fatal(err)
		}
		rewritten, _, err := meter.Rewrite(m)
		if err != nil {
			t.Fatal(err)
		}
		granted := int64(0)
		l := e.Link(t, V2, func(balance int64) int64 {
			grant := max(1000, -balance)
			granted += grant
			return balance + grant
		})
		for x := range uint64(3) {
			want := runFresh(t, l, binary, x, "")
			exact := runFresh(t, l, counted(t, binary), x, "counter").global
			granted = 0
			got := runFresh(t, l, rewritten, x, meter.FuelGlobal)
			if got.trap != want.trap || !slices.Equal(got.results, want.results) {
				t.Fatalf("seed %d, run(%d): %+v metered, %+v as it is, of\n%s", seed, x, got, want, text)
			}
			used := granted - got.global
			if got.trap == "" && used < exact {
				t.Fatalf("seed %d, run(%d): charged %d, executed %d, of\n%s", seed, x, used, exact, text)
			}
			if !bulk {
				ratio = max(ratio, float64(used)/float64(exact+100))
			}
		}
		l.Close()
	}
	t.Logf("%d programs, at most %.1f times what was executed", programs, ratio)
	if ratio > 12 {
		t.Errorf("charged %.1f times what was executed", ratio)
	}
}
