package meter

import (
	"fmt"

	"github.com/tidemill/tidemill/runtime/sandbox/wasm"
)

// Version is that of the rewriting: bytes metered by another version are not used. It goes up with every change of what Rewrite
// emits, and so does the fuel count of a run.
const Version = 3

// The names that a metered module adds. A module that already has them is refused.
const (
	HostModule = "tidemill_meter"      // module of the two imports
	Refuel     = "refuel"              // (balance i64) -> i64, the new balance; called with one below zero
	Overflow   = "stack_exhausted"     // () -> (), does not return
	FuelGlobal = "tidemill_meter_fuel" // exported mutable i64 global, 0 at first
)

// The limits of the call stack. A call takes the bytes of its declared values, at least FrameBytesMin: calls without any nest
// StackCallsMax deep, and a few more.
const (
	StackBytesMax = 1 << 20
	StackCallsMax = 10_000
	FrameBytesMin = StackBytesMax / StackCallsMax
)

// Report says what Rewrite did.
type Report struct {
	Functions int `json:"functions"` // defined by the module
	Charged   int `json:"charged"`   // with a charge at their entry; the others are charged at their call sites
	Counted   int `json:"counted"`   // that take from the stack's budget
	Loops     int `json:"loops"`
	BytesIn   int `json:"bytes_in"`
	BytesOut  int `json:"bytes_out"`
}

// Rewrite returns the metered form of a module. The error is a *wasm.Error: a malformed body, or a reserved name. Time and memory
// are linear in the size of the module.
func Rewrite(m *wasm.Module) ([]byte, Report, error) {
	if err := reserved(m); err != nil {
		return nil, Report{}, err
	}
	r := newRewriter(m)
	order, err := r.analyse()
	if err != nil {
		return nil, Report{}, err
	}
	for _, i := range order {
		if err := r.function(i); err != nil {
			return nil, Report{}, err
		}
	}
	out := r.binary()
	r.report.Functions = len(r.functions)
	r.report.BytesIn, r.report.BytesOut = len(m.Binary), len(out)
	return out, r.report, nil
}

func reserved(m *wasm.Module) error {
	fail := func(section wasm.SectionID, offset int, name string) error {
		return &wasm.Error{Section: section.String(), Func: wasm.NoFunc, Offset: offset, Kind: wasm.Reserved,
			Detail: fmt.Sprintf("the name %q is reserved for the host", name)}
	}
	for _, i := range m.Imports {
		if i.Module == HostModule {
			return fail(wasm.ImportSection, i.Offset, i.Module)
		}
	}
	for _, e := range m.Exports {
		if e.Name == FuelGlobal {
			return fail(wasm.ExportSection, e.Offset, e.Name)
		}
	}
	return nil
}

// rewriter holds one run. Function indices in it are those of defined functions, counted from 0.
type rewriter struct {
	m         *wasm.Module
	report    Report
	functions []function
	instrs    []wasm.Instr // of the function under way, reused
	costs     costs        // likewise

	refuel, overflow uint32 // function indices in the result
	fuel, stack      uint32 // global indices in the result
	refuelType       uint32
	overflowType     uint32
	resultTypes      map[string]uint32 // types without parameters, for the block around a counted function's body
	addedTypes       []wasm.FuncType
	namesData        bool // an instruction names a data segment
}

// function is what the passes learn about one function.
type function struct {
	callees []uint32 // defined functions called directly
	loops   int
	calls   bool // has a call that can reach a defined function
	entered bool // exported or the start function: no call site to charge
	taken   bool // can be called indirectly
	cycle   bool // a back edge of the call graph leads here
	charged bool // takes its cost at its entry
	cost    int64
	reach   int64 // stack bytes of this call and of the uncounted ones below it; 0 once counted
	body    []byte
}

// AddedGlobals is the number of globals that a metered module has more, behind its own: the fuel balance and the stack's budget.
const AddedGlobals = 2

// AddedImports is the number of imports that a metered module has more, and by which the indices of its own functions grow.
const AddedImports = 2

func newRewriter(m *wasm.Module) *rewriter {
	r := &rewriter{
		m:           m,
		functions:   make([]function, len(m.Bodies)),
		refuel:      uint32(m.ImportedFuncs),
		overflow:    uint32(m.ImportedFuncs) + 1,
		fuel:        uint32(m.GlobalCount()),
		stack:       uint32(m.GlobalCount()) + 1,
		resultTypes: map[string]uint32{},
	}
	r.refuelType = r.addType(wasm.FuncType{Params: []wasm.ValType{wasm.I64}, Results: []wasm.ValType{wasm.I64}})
	r.overflowType = r.addType(wasm.FuncType{})
	return r
}

func (r *rewriter) addType(t wasm.FuncType) uint32 {
	r.addedTypes = append(r.addedTypes, t)
	return uint32(len(r.m.Types) + len(r.addedTypes) - 1)
}

// resultType is the index of a type without parameters and with these results.
func (r *rewriter) resultType(results []wasm.ValType) uint32 {
	key := fmt.Sprint(results)
	i, known := r.resultTypes[key]
	if !known {
		i = r.addType(wasm.FuncType{Results: results})
		r.resultTypes[key] = i
	}
	return i
}

// index maps a function index of the original to the result.
func (r *rewriter) index(fn uint32) uint32 {
	if fn < uint32(r.m.ImportedFuncs) {
		return fn
	}
	return fn + AddedImports
}
