package profile

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/sandbox/wasm"
)

// The limits of a module beside those of package abi and those that Limits holds. Each bounds something that the host allocates, or the time of a pass,
// for a module that has not run yet.
const (
	// Of one function: an engine compiles a function at a time, some of its steps not in linear time. At these limits wazero takes
	// 0.1 to 0.3 s for a function; CPython's largest has 65 loops, 743 blocks within each other and 3,074 targets.
	bodyBytesMax    = 4 << 20
	loopsMax        = 500
	nestingMax      = 5_000
	tableTargetsMax = 20_000 // of one br_table
	importsMax      = 1_000
	typesMax        = 100_000
	functionsMax    = 500_000
	globalsMax      = 100_000
	exportsMax      = 100_000
	segmentsMax     = 100_000 // of data, and of elements
	valuesMax       = 1_000   // parameters, or results, of one type
)

// PageBytes is the size of a page of linear memory.
const PageBytes = 1 << 16

// Version goes up whenever Check becomes stricter: verdicts of another version are not used.
const Version = 2

// Limits are those that a job may lower.
type Limits struct {
	MemoryBytesMax uint64 // of a guest's linear memory; the module must not ask for more at once
}

// The exports that WASI names: a reactor may have the first and must not have the second.
const (
	Initialize    = "_initialize"
	commandExport = "_start"
)

// Load is the export by which an interpreter takes the code of an operator; other modules have no use of it.
const Load = "tidemill_load"

var marker = abi.MarkerPrefix + strconv.Itoa(abi.Version)

type function struct {
	name string
	typ  wasm.FuncType
}

// exports are the functions that a module must export.
var exports = []function{
	{marker, parse(":")},
	{abi.ExportDescribe, parse(":I")},
	{abi.ExportOpen, parse("ii:I")},
	{abi.ExportReserve, parse("i:i")},
	{abi.ExportProcess, parse("ii:I")},
}

// optional are functions that a module may export.
var optional = []function{{Initialize, parse(":")}, {Load, parse("ii:I")}}

// Check decodes a module and says whether it keeps to the profile. The error is an *errcode.Error. Time and memory are linear in
// the size of the module.
func Check(binary []byte, limits Limits) (*wasm.Module, error) {
	if len(binary) > abi.ModuleBytesMax {
		return nil, ErrLimit.Errorf("the module has %d bytes, at most %d are allowed", len(binary), abi.ModuleBytesMax).
			Do("strip debug information, or leave data out of the module")
	}
	m, err := wasm.Decode(binary)
	if err != nil {
		return nil, Refused(err)
	}
	for _, check := range []func(*wasm.Module) error{checkCounts, checkTypes, checkImports, checkTables, checkMemories, checkExports, checkSegments} {
		if err := check(m); err != nil {
			return nil, err
		}
	}
	if err := checkMemoryLimit(m, limits); err != nil {
		return nil, err
	}
	return m, checkCode(m)
}

// Refused gives an error of packages wasm and meter its code and hint.
func Refused(err error) error {
	var e *wasm.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Kind {
	case wasm.Unsupported:
		return ErrFeature.Errorf("%s, which is not in the portable profile", e.Detail).At("%s", e.Place()).
			Do("build the module without %s; the profile is in abi/SPEC.md", e.Feature)
	case wasm.TooLarge:
		return ErrLimit.Errorf("%s", e.Detail).At("%s", e.Place()).Do("split what is too large; the limits are in abi/SPEC.md")
	case wasm.Reserved:
		return ErrReserved.Errorf("%s", e.Detail).At("%s", e.Place()).Do("rename it")
	}
	return ErrMalformed.Errorf("the module is malformed: %s", e.Detail).At("%s", e.Place()).
		Do("the file is damaged, cut short or not WebAssembly: build or copy it again")
}

func at(section wasm.SectionID, offset int) string {
	return (&wasm.Error{Section: section.String(), Func: wasm.NoFunc, Offset: offset}).Place()
}

func limit(section wasm.SectionID, offset int, what string, got, most uint64) *errcode.Error {
	return ErrLimit.Errorf("the module has %d %s, at most %d are allowed", got, what, most).At("%s", at(section, offset)).
		Do("split the module, or make it smaller; the limits are in abi/SPEC.md")
}

func checkCounts(m *wasm.Module) error {
	for _, c := range []struct {
		section wasm.SectionID
		what    string
		got     int
		most    int
	}{
		{wasm.TypeSection, "types", len(m.Types), typesMax},
		{wasm.ImportSection, "imports", len(m.Imports), importsMax},
		{wasm.FunctionSection, "functions", len(m.FuncTypes), functionsMax},
		{wasm.GlobalSection, "globals", m.GlobalCount(), globalsMax},
		{wasm.ExportSection, "exports", len(m.Exports), exportsMax},
		{wasm.ElementSection, "element segments", len(m.Elements), segmentsMax},
		{wasm.DataSection, "data segments", len(m.Data), segmentsMax},
	} {
		if c.got > c.most {
			return limit(c.section, sectionStart(m, c.section), c.what, uint64(c.got), uint64(c.most))
		}
	}
	return nil
}

func sectionStart(m *wasm.Module, id wasm.SectionID) int {
	for _, s := range m.Sections {
		if s.ID == id {
			return s.Body.Start
		}
	}
	return 0
}

func checkTypes(m *wasm.Module) error {
	for _, t := range m.Types {
		if n := max(len(t.Params), len(t.Results)); n > valuesMax {
			return limit(wasm.TypeSection, sectionStart(m, wasm.TypeSection), "parameters or results of one function",
				uint64(n), valuesMax)
		}
		for _, v := range append(slices.Clone(t.Params), t.Results...) {
			if v.IsRef() {
				return reference(at(wasm.TypeSection, sectionStart(m, wasm.TypeSection)), "a parameter or result of type %s", v)
			}
		}
	}
	for _, g := range m.Globals {
		if g.Type.IsRef() {
			return reference(at(wasm.GlobalSection, g.Init.Start), "a global of type %s", g.Type)
		}
	}
	return nil
}

func reference(place, format string, args ...any) error {
	return ErrFeature.Errorf(format+" uses reference types, which are not in the portable profile", args...).At("%s", place).
		Do("build the module without reference types; declaring the feature alone is harmless")
}

func checkImports(m *wasm.Module) error {
	for _, i := range m.Imports {
		place := at(wasm.ImportSection, i.Offset)
		if i.Kind != wasm.ExternFunc {
			return ErrImport.Errorf("imports the %s %q from %q, guests import functions only", i.Kind, i.Name, i.Module).
				At("%s", place).Do("define the %s in the module", i.Kind)
		}
		want, known := Imports[Import{i.Module, i.Name}]
		if !known {
			return ErrImport.Errorf("imports %q from %q, which the host does not offer", i.Name, i.Module).At("%s", place).
				Do("%s", importHint(i))
		}
		if got := m.Types[i.Type]; !got.Equal(want) {
			return ErrSignature.Errorf("imports %q from %q as %s, the host offers %s", i.Name, i.Module, got, want).
				At("%s", place).Do("build the module with a current SDK")
		}
	}
	return nil
}

// importHint tells what to do about an unknown import, by the nearest known name where one is near.
func importHint(i wasm.Import) string {
	switch {
	case i.Module == WASIModule && strings.HasPrefix(i.Name, "sock_"):
		return "guests have no sockets: move the network access to a connector"
	case i.Module != abi.ImportModule && i.Module != WASIModule:
		return "guests import from " + abi.ImportModule + " and " + WASIModule + " only"
	}
	var names []string
	for known := range Imports {
		if known.Module == i.Module {
			names = append(names, known.Name)
		}
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(distance(i.Name, a), distance(i.Name, b)), cmp.Compare(a, b))
	})
	if distance(i.Name, names[0]) <= 2 {
		return "did you mean " + names[0] + "?"
	}
	return "the functions that the host offers are listed in abi/SPEC.md"
}

// distance is the number of single-character edits between two names; those longer than 100 bytes are far from every known one.
func distance(a, b string) int {
	if len(a) > 100 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		left := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := left
			if a[i] != b[j] {
				d = 1 + min(left, row[j], row[j+1])
			}
			left, row[j+1] = row[j+1], d
		}
	}
	return row[len(b)]
}

func checkTables(m *wasm.Module) error {
	for i, t := range m.Tables {
		place := at(wasm.TableSection, t.Offset)
		switch {
		case i > 0:
			return reference(place, "a second table")
		case t.Elem != wasm.FuncRef:
			return reference(place, "a table of %s", t.Elem)
		case t.Min > abi.TableElementsMax:
			return ErrLimit.Errorf("the table has %d elements, at most %d are allowed", t.Min, abi.TableElementsMax).At("%s", place).
				Do("a table holds the functions that are called indirectly: split the module")
		}
	}
	for i := range m.Elements {
		e := &m.Elements[i]
		if e.Elem != wasm.FuncRef || len(e.Inits) > 0 {
			return reference(at(wasm.ElementSection, e.Offset), "an element segment of expressions or external references")
		}
	}
	return nil
}

func checkMemories(m *wasm.Module) error {
	if len(m.Memories) != 1 { // an imported one is refused as an import
		return ErrMemory.Errorf("the module has %d memories, it must have exactly one", len(m.Memories)).
			At("%s", at(wasm.MemorySection, sectionStart(m, wasm.MemorySection))).Do("build the module with an SDK")
	}
	return nil
}

func checkMemoryLimit(m *wasm.Module, limits Limits) error {
	memory := m.Memories[0]
	if bytes := uint64(memory.Min) * PageBytes; bytes > limits.MemoryBytesMax {
		return ErrLimit.Errorf("the module asks for %d bytes of memory at once, the limit is %d", bytes, limits.MemoryBytesMax).
			At("%s", at(wasm.MemorySection, memory.Offset)).Do("raise the operator's memory limit, or make the module smaller")
	}
	return nil
}

// checkSegments requires what would otherwise fail when an instance is made: that segments lie within what they initialise. Their
// places are constants, because guests import no globals.
func checkSegments(m *wasm.Module) error {
	outside := func(section wasm.SectionID, offset, index int, what string) error {
		return ErrSegment.Errorf("segment %d leads out of the %s that it initialises", index, what).
			At("%s", at(section, offset)).Do("the linker that made the module is at fault: build the module again")
	}
	for i, d := range m.Data {
		if end := uint64(d.Place.Imm) + uint64(d.Init.End-d.Init.Start); d.Active && end > uint64(m.Memories[0].Min)*PageBytes {
			return outside(wasm.DataSection, d.Offset, i, "memory")
		}
	}
	for i := range m.Elements {
		e := &m.Elements[i]
		if e.Active() && uint64(e.Place.Imm)+uint64(e.Len()) > uint64(m.Tables[e.Table].Min) {
			return outside(wasm.ElementSection, e.Offset, i, "table")
		}
	}
	return nil
}

func checkExports(m *wasm.Module) error {
	byName := map[string]wasm.Export{}
	var versions []string
	for _, e := range m.Exports {
		byName[e.Name] = e
		if v, is := strings.CutPrefix(e.Name, abi.MarkerPrefix); is {
			versions = append(versions, v)
		}
	}
	if e, is := byName[commandExport]; is {
		return ErrCommand.Errorf("the module exports %q: it is a command, which runs once and ends", commandExport).
			At("%s", at(wasm.ExportSection, e.Offset)).
			Do("build a reactor: for Go -buildmode=c-shared, for C -mexec-model=reactor, for Rust a cdylib")
	}
	place := at(wasm.ExportSection, sectionStart(m, wasm.ExportSection))
	if _, speaks := byName[marker]; !speaks {
		e := ErrVersion.Errorf("the module does not export %q and so does not say that it is an operator", marker)
		if len(versions) > 0 {
			e = ErrVersion.Errorf("the module speaks version %s of the ABI", strings.Join(versions, " and "))
		}
		return e.At("%s", place).Do("this host speaks version %d: build the module with an SDK for it", abi.Version)
	}
	for _, want := range exports {
		if err := checkFunction(m, byName, want.name, want.typ, place); err != nil {
			return err
		}
	}
	for _, may := range optional {
		if _, has := byName[may.name]; has {
			if err := checkFunction(m, byName, may.name, may.typ, place); err != nil {
				return err
			}
		}
	}
	if e, has := byName[abi.ExportMemory]; !has || e.Kind != wasm.ExternMemory {
		return ErrExport.Errorf("the module does not export its memory as %q", abi.ExportMemory).At("%s", place).
			Do("build the module with an SDK, or export the memory under that name")
	}
	return nil
}

func checkFunction(m *wasm.Module, byName map[string]wasm.Export, name string, want wasm.FuncType, place string) error {
	e, has := byName[name]
	if !has {
		return ErrExport.Errorf("the module does not export the function %q", name).At("%s", place).
			Do("build the module with an SDK")
	}
	place = at(wasm.ExportSection, e.Offset)
	if e.Kind != wasm.ExternFunc {
		return ErrExport.Errorf("the export %q is a %s, it must be a function", name, e.Kind).At("%s", place).
			Do("build the module with an SDK")
	}
	if got := m.TypeOf(int(e.Index)); !got.Equal(want) {
		return ErrExport.Errorf("the export %q is %s, it must be %s", name, got, want).At("%s", place).
			Do("build the module with an SDK")
	}
	return nil
}

// complexity says what of a function's control flow an engine would take too long to compile, and where that is.
func complexity(instrs []wasm.Instr) (what string, at int) {
	loops, depth := 0, 0
	for i, in := range instrs {
		switch in.Op {
		case wasm.OpBlock, wasm.OpIf:
			depth++
		case wasm.OpLoop:
			depth++
			loops++
		case wasm.OpEnd:
			depth--
		case wasm.OpBrTable:
			if in.Imm > tableTargetsMax {
				return fmt.Sprintf("a br_table of %d targets, at most %d are allowed", in.Imm, tableTargetsMax), i
			}
		}
		switch {
		case loops > loopsMax:
			return fmt.Sprintf("more than %d loops", loopsMax), i
		case depth > nestingMax:
			return fmt.Sprintf("more than %d blocks within each other", nestingMax), i
		}
	}
	return "", 0
}

// checkCode reads every body for what the decoder cannot refuse: it also serves tests of the whole of WebAssembly 2.0.
func checkCode(m *wasm.Module) error {
	var instrs []wasm.Instr
	for i, b := range m.Bodies {
		place := func(offset int) string {
			return (&wasm.Error{Section: wasm.CodeSection.String(), Func: m.ImportedFuncs + i, Offset: offset}).Place()
		}
		if size := b.Code.End - b.Code.Start; size > bodyBytesMax {
			return ErrLimit.Errorf("a function has %d bytes of code, at most %d are allowed", size, bodyBytesMax).
				At("%s", place(b.Code.Start)).Do("split the function")
		}
		if b.RefLocal != 0 {
			return reference(place(b.Locals.Start), "a local of type %s", b.RefLocal)
		}
		var err error
		if instrs, err = m.Instructions(i, instrs[:0]); err != nil {
			return Refused(err)
		}
		if what, at := complexity(instrs); what != "" {
			return ErrLimit.Errorf("a function has %s", what).At("%s", place(int(instrs[at].Offset))).Do("split the function")
		}
		for _, in := range instrs {
			switch in.Op {
			case wasm.OpTableGet, wasm.OpTableSet, wasm.OpTableGrow, wasm.OpTableSize, wasm.OpTableFill,
				wasm.OpRefNull, wasm.OpRefIsNull, wasm.OpRefFunc:
				return reference(place(int(in.Offset)), "opcode %#x", int(in.Op))
			case wasm.OpSelectTyped:
				if wasm.ValType(in.Imm).IsRef() {
					return reference(place(int(in.Offset)), "a select of %s", wasm.ValType(in.Imm))
				}
			}
		}
	}
	return nil
}
