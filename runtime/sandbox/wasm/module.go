package wasm

// SectionID is the id of a section.
type SectionID byte

// The sections, by id. Their order in a binary is that of their ids, except that DataCount comes before Code.
const (
	CustomSection SectionID = iota
	TypeSection
	ImportSection
	FunctionSection
	TableSection
	MemorySection
	GlobalSection
	ExportSection
	StartSection
	ElementSection
	CodeSection
	DataSection
	DataCountSection
)

var sectionNames = [...]string{"custom", "type", "import", "function", "table", "memory", "global", "export", "start",
	"element", "code", "data", "data count"}

// sectionRanks gives each section its place in the prescribed order.
var sectionRanks = [...]int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 10}

func (id SectionID) String() string { return sectionNames[id] }

// ValType is the type of a value, as its byte in the binary.
type ValType byte

// The value types.
const (
	I32       ValType = 0x7f
	I64       ValType = 0x7e
	F32       ValType = 0x7d
	F64       ValType = 0x7c
	FuncRef   ValType = 0x70
	ExternRef ValType = 0x6f
)

func (t ValType) String() string {
	switch t {
	case I32:
		return "i32"
	case I64:
		return "i64"
	case F32:
		return "f32"
	case F64:
		return "f64"
	case FuncRef:
		return "funcref"
	case ExternRef:
		return "externref"
	}
	return "?"
}

// IsRef reports whether values of the type are references.
func (t ValType) IsRef() bool { return t == FuncRef || t == ExternRef }

// FuncType is the signature of a function.
type FuncType struct {
	Params  []ValType
	Results []ValType
}

// String formats as "(i32, i32) -> i64".
func (t FuncType) String() string {
	list := func(types []ValType) string {
		s := "("
		for i, v := range types {
			if i > 0 {
				s += ", "
			}
			s += v.String()
		}
		return s + ")"
	}
	s := list(t.Params)
	switch len(t.Results) {
	case 0:
		return s
	case 1:
		return s + " -> " + t.Results[0].String()
	}
	return s + " -> " + list(t.Results)
}

// Equal reports whether both have the same parameters and results.
func (t FuncType) Equal(u FuncType) bool {
	return string(valBytes(t.Params)) == string(valBytes(u.Params)) && string(valBytes(t.Results)) == string(valBytes(u.Results))
}

func valBytes(types []ValType) []byte {
	b := make([]byte, len(types))
	for i, t := range types {
		b[i] = byte(t)
	}
	return b
}

// ExternKind says which index space an import or an export belongs to.
type ExternKind byte

// The kinds of imports and exports.
const (
	ExternFunc ExternKind = iota
	ExternTable
	ExternMemory
	ExternGlobal
)

var externNames = [...]string{"function", "table", "memory", "global"}

func (k ExternKind) String() string { return externNames[k] }

// Span is a range of bytes of the binary.
type Span struct{ Start, End int }

// Section is one section. Body excludes its id, its length and, of a custom section, its name.
type Section struct {
	ID   SectionID
	Name string
	Body Span
}

// Import is one import. Type is the index of its signature where it is a function.
type Import struct {
	Module, Name string
	Kind         ExternKind
	Type         uint32
	Table        Limits // where it is a table
	Offset       int
}

// Limits are those of a table (elements) or a memory (pages of 64 KiB).
type Limits struct {
	Min    uint32
	Max    uint32 // valid if HasMax
	HasMax bool
	Elem   ValType // of a table
	Offset int
}

// ConstExpr is an initialiser: one instruction and its end.
type ConstExpr struct {
	Op   Op
	Imm  uint32 // the index of global.get or ref.func, the value of i32.const
	Span        // the end opcode included
}

// Global is one global that the module defines.
type Global struct {
	Type    ValType
	Mutable bool
	Init    ConstExpr
}

// Export is one export.
type Export struct {
	Name   string
	Kind   ExternKind
	Index  uint32
	Offset int
}

// Element is one element segment.
type Element struct {
	Flags  uint32
	Table  uint32
	Elem   ValType
	Kind   Span        // the element kind or type as written, empty where the flags imply it
	Place  ConstExpr   // of an active segment
	Funcs  []uint32    // where the segment lists function indices
	Inits  []ConstExpr // where it lists expressions
	Offset int
}

// Active reports whether the segment is copied into its table at instantiation.
func (e *Element) Active() bool { return e.Flags&1 == 0 }

// Len is the number of elements.
func (e *Element) Len() int { return len(e.Funcs) + len(e.Inits) }

// Data is one data segment.
type Data struct {
	Active bool
	Place  ConstExpr // of an active segment
	Init   Span
	Offset int
}

// Body is the code of one function that the module defines.
type Body struct {
	Locals     Span    // run-length encoded declarations, their count excluded
	LocalRuns  uint32  // the number of declarations
	LocalCount uint64  // locals declared, parameters excluded
	RefLocal   ValType // the type of a local that is a reference, 0 where none is
	Code       Span    // instructions, the final end included
}

// Module is a decoded binary. An index space lists imports first; Imported* say how many those are.
type Module struct {
	Binary   []byte
	Sections []Section // in file order

	Types     []FuncType
	Imports   []Import
	FuncTypes []uint32 // type of each function, imports first
	Tables    []Limits // imports first
	Memories  []Limits // imports first
	Globals   []Global // those defined
	Exports   []Export
	Start     int64 // function index, -1 without a start section
	Elements  []Element
	DataCount int64 // -1 without a data count section
	Bodies    []Body
	Data      []Data

	ImportedFuncs    int
	ImportedTables   int
	ImportedMemories int
	ImportedGlobals  int
}

// GlobalCount is the size of the index space of globals.
func (m *Module) GlobalCount() int { return m.ImportedGlobals + len(m.Globals) }

// TypeOf is the signature of a function by its index.
func (m *Module) TypeOf(fn int) FuncType { return m.Types[m.FuncTypes[fn]] }

// Bytes are the bytes of a span.
func (m *Module) Bytes(s Span) []byte { return m.Binary[s.Start:s.End] }
