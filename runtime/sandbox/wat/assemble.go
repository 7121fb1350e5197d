package wat

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/tidemill/tidemill/runtime/sandbox/wasm"
)

// Assemble turns a module's text into a binary, with a name section for the functions that have names.
func Assemble(src string) (binary []byte, err error) {
	n, err := parse(src)
	if err != nil {
		return nil, err
	}
	if n.head() != "module" {
		return nil, fmt.Errorf("a module begins with (module")
	}
	a := &assembler{types: map[string]int{}, functions: map[string]int{}, globals: map[string]int{},
		sections: map[wasm.SectionID]*section{}}
	defer func() {
		switch x := recover().(type) {
		case nil:
		case syntaxError:
			err = x
		default:
			panic(x)
		}
	}()
	a.collect(n.list[1:])
	for _, f := range n.list[1:] {
		a.field(f)
	}
	return a.binary(), nil
}

// Must is Assemble for text that is known to be right: it panics.
func Must(src string) []byte {
	b, err := Assemble(src)
	if err != nil {
		panic(fmt.Sprintf("%v in\n%s", err, src))
	}
	return b
}

type syntaxError string

func (e syntaxError) Error() string { return string(e) }

func fail(format string, args ...any) { panic(syntaxError(fmt.Sprintf(format, args...))) }

type section struct {
	count int
	body  []byte
	whole bool // the body is all there is: no count before it
}

type assembler struct {
	types     map[string]int // by name
	typeList  []string       // encoded
	functions map[string]int
	globals   map[string]int
	imports   int
	defined   int // functions so far
	names     []wasm.FuncName
	sections  map[wasm.SectionID]*section
	extra     []byte // whole sections, at the end

	// of the function under way
	locals map[string]int
	labels []string
}

func (a *assembler) add(id wasm.SectionID, item ...byte) {
	s := a.sections[id]
	if s == nil {
		s = &section{}
		a.sections[id] = s
	}
	s.count++
	s.body = append(s.body, item...)
}

// collect gives functions, types and globals their indices, so that they can be named before they are defined.
func (a *assembler) collect(fields []node) {
	globals := 0
	var defined []string
	for _, f := range fields {
		name := ""
		if len(f.list) > 1 && f.list[1].id() {
			name = f.list[1].text
		}
		switch f.head() {
		case "type":
			t, _ := a.signature(f.list[len(f.list)-1].list[1:])
			a.typeList = append(a.typeList, t)
			a.types[name] = len(a.typeList) - 1
		case "import":
			if fn := f.list[len(f.list)-1]; fn.head() == "func" {
				if len(fn.list) > 1 && fn.list[1].id() {
					a.functions[fn.list[1].text] = a.imports
				}
				a.imports++
			}
		case "func":
			defined = append(defined, name)
		case "global":
			a.globals[name] = globals
			globals++
		}
	}
	for i, name := range defined {
		if name != "" {
			a.functions[name] = a.imports + i
			a.names = append(a.names, wasm.FuncName{Index: uint32(a.imports + i), Name: name[1:]})
		}
	}
}

func (a *assembler) field(f node) {
	args := f.list[1:]
	if len(args) > 0 && args[0].id() && f.head() != "start" {
		args = args[1:]
	}
	switch f.head() {
	case "type":
	case "import":
		a.importField(args)
	case "func":
		a.function(args)
	case "table":
		args = a.inlineExport(args, wasm.ExternTable, 0)
		a.add(wasm.TableSection, append([]byte{byte(wasm.FuncRef)}, limits(args[:len(args)-1])...)...)
	case "memory":
		args = a.inlineExport(args, wasm.ExternMemory, 0)
		a.add(wasm.MemorySection, limits(args)...)
	case "global":
		a.global(args)
	case "export":
		a.export(args[0].text, args[1])
	case "start":
		a.sections[wasm.StartSection] = &section{body: wasm.AppendU32(nil, uint32(a.index(args[0], a.functions))), whole: true}
	case "elem":
		a.elem(args)
	case "data":
		a.data(args)
	case "custom":
		a.extra = wasm.AppendSection(a.extra, wasm.CustomSection, append(wasm.AppendName(nil, args[0].text), args[1].text...))
	case "section":
		id := wasm.SectionID(number(args[0].text))
		if _, there := a.sections[id]; there || id > wasm.DataCountSection {
			a.extra = wasm.AppendSection(a.extra, id, []byte(args[1].text))
		} else {
			a.sections[id] = &section{body: []byte(args[1].text), whole: true}
		}
	default:
		fail("unknown field %q", f.head())
	}
}

func number(s string) int64 {
	s = strings.ReplaceAll(s, "_", "")
	v, err := strconv.ParseInt(s, 0, 64)
	if err != nil {
		u, err := strconv.ParseUint(s, 0, 64)
		if err != nil {
			fail("%q is not a number", s)
		}
		v = int64(u)
	}
	return v
}

func (a *assembler) index(n node, names map[string]int) int {
	if n.id() {
		i, known := names[n.text]
		if !known {
			fail("unknown name %s", n.text)
		}
		return i
	}
	return int(number(n.text))
}

var valTypes = map[string]wasm.ValType{"i32": wasm.I32, "i64": wasm.I64, "f32": wasm.F32, "f64": wasm.F64,
	"funcref": wasm.FuncRef, "externref": wasm.ExternRef, "v128": 0x7b}

func valType(n node) byte {
	t, known := valTypes[n.text]
	if !known {
		fail("unknown type %q", n.text)
	}
	return byte(t)
}

// signature reads (param ...) and (result ...) fields, returning the encoded type and the parameters' names.
func (a *assembler) signature(fields []node) (encoded string, names []string) {
	var params, results []byte
	for _, f := range fields {
		for i := 1; i < len(f.list); i++ {
			if f.head() == "result" {
				results = append(results, valType(f.list[i]))
				continue
			}
			name := ""
			if f.list[i].id() {
				name = f.list[i].text
				i++
			}
			params, names = append(params, valType(f.list[i])), append(names, name)
		}
	}
	b := append(wasm.AppendU32([]byte{0x60}, uint32(len(params))), params...)
	return string(append(wasm.AppendU32(b, uint32(len(results))), results...)), names
}

// typeUse reads leading (type $t), (param ...) and (result ...) fields and returns the type's index.
func (a *assembler) typeUse(args []node) (index uint32, names []string, rest []node) {
	n := 0
	for n < len(args) && slices.Contains([]string{"type", "param", "result"}, args[n].head()) {
		n++
	}
	if n > 0 && args[0].head() == "type" {
		return uint32(a.index(args[0].list[1], a.types)), nil, args[n:]
	}
	t, names := a.signature(args[:n])
	i := slices.Index(a.typeList, t)
	if i < 0 {
		i = len(a.typeList)
		a.typeList = append(a.typeList, t)
	}
	return uint32(i), names, args[n:]
}

func (a *assembler) importField(args []node) {
	b := wasm.AppendName(wasm.AppendName(nil, args[0].text), args[1].text)
	what := args[2].list[1:]
	if len(what) > 0 && what[0].id() {
		what = what[1:]
	}
	switch args[2].head() {
	case "func":
		t, _, _ := a.typeUse(what)
		b = wasm.AppendU32(append(b, byte(wasm.ExternFunc)), t)
	case "memory":
		b = append(append(b, byte(wasm.ExternMemory)), limits(what)...)
	case "global":
		b = append(b, byte(wasm.ExternGlobal), valType(what[0]), 0)
	default:
		fail("cannot import a %s", args[2].head())
	}
	a.add(wasm.ImportSection, b...)
}

func limits(args []node) []byte {
	if len(args) == 1 {
		return wasm.AppendU32([]byte{0}, uint32(number(args[0].text)))
	}
	b := wasm.AppendU32([]byte{1}, uint32(number(args[0].text)))
	return wasm.AppendU32(b, uint32(number(args[1].text)))
}

func (a *assembler) inlineExport(args []node, kind wasm.ExternKind, index int) []node {
	for len(args) > 0 && args[0].head() == "export" {
		b := append(wasm.AppendName(nil, args[0].list[1].text), byte(kind))
		a.add(wasm.ExportSection, wasm.AppendU32(b, uint32(index))...)
		args = args[1:]
	}
	return args
}

func (a *assembler) export(name string, what node) {
	kinds := map[string]wasm.ExternKind{"func": wasm.ExternFunc, "table": wasm.ExternTable, "memory": wasm.ExternMemory,
		"global": wasm.ExternGlobal}
	spaces := map[string]map[string]int{"func": a.functions, "global": a.globals}
	b := append(wasm.AppendName(nil, name), byte(kinds[what.head()]))
	a.add(wasm.ExportSection, wasm.AppendU32(b, uint32(a.index(what.list[1], spaces[what.head()])))...)
}

func (a *assembler) global(args []node) {
	index := 0
	if s := a.sections[wasm.GlobalSection]; s != nil {
		index = s.count
	}
	args = a.inlineExport(args, wasm.ExternGlobal, index)
	var b []byte
	if args[0].head() == "mut" {
		b = []byte{valType(args[0].list[1]), 1}
	} else {
		b = []byte{valType(args[0]), 0}
	}
	a.add(wasm.GlobalSection, append(b, a.initialiser(args[1])...)...)
}

// initialiser reads one instruction in brackets.
func (a *assembler) initialiser(n node) []byte {
	list := n.list
	if n.head() == "raw" {
		list = []node{n}
	}
	return append(a.code(list), byte(wasm.OpEnd))
}

func (a *assembler) elem(args []node) {
	flags := byte(1)
	var b []byte
	if len(args) > 0 && args[0].isList {
		flags, b = 0, a.initialiser(args[0])
		args = args[1:]
	} else {
		b = []byte{0} // functions
	}
	if len(args) > 0 && args[0].text == "func" {
		args = args[1:]
	}
	b = wasm.AppendU32(append([]byte{flags}, b...), uint32(len(args)))
	for _, f := range args {
		b = wasm.AppendU32(b, uint32(a.index(f, a.functions)))
	}
	a.add(wasm.ElementSection, b...)
}

func (a *assembler) data(args []node) {
	b := []byte{1}
	if args[0].isList {
		b = append([]byte{0}, a.initialiser(args[0])...)
		args = args[1:]
	}
	content := ""
	for _, s := range args {
		content += s.text
	}
	a.add(wasm.DataSection, wasm.AppendName(b, content)...)
}

func (a *assembler) function(args []node) {
	args = a.inlineExport(args, wasm.ExternFunc, a.imports+a.defined)
	a.defined++
	t, names, args := a.typeUse(args)
	a.add(wasm.FunctionSection, wasm.AppendU32(nil, t)...)
	a.locals = map[string]int{}
	for i, n := range names {
		a.locals[n] = i
	}
	count := int(a.typeList[t][1]) // fewer than 128 parameters, all in the type
	var runs []byte
	declared := 0
	for len(args) > 0 && (args[0].head() == "local" || args[0].head() == "locals") {
		if args[0].head() == "locals" { // many of one type, in one declaration
			n := int(number(args[0].list[1].text))
			runs = append(wasm.AppendU32(runs, uint32(n)), valType(args[0].list[2]))
			count += n
			declared++
			args = args[1:]
			continue
		}
		for i := 1; i < len(args[0].list); i++ {
			if args[0].list[i].id() {
				a.locals[args[0].list[i].text] = count
				i++
			}
			runs = append(runs, 1, valType(args[0].list[i]))
			count++
			declared++
		}
		args = args[1:]
	}
	body := append(wasm.AppendU32(nil, uint32(declared)), runs...)
	a.labels = nil
	body = append(append(body, a.code(args)...), byte(wasm.OpEnd))
	a.add(wasm.CodeSection, append(wasm.AppendU32(nil, uint32(len(body))), body...)...)
}

// code reads flat instructions.
func (a *assembler) code(list []node) []byte {
	var b []byte
	for len(list) > 0 {
		b, list = a.instruction(b, list[0], list[1:])
	}
	return b
}

func (a *assembler) instruction(b []byte, n node, rest []node) ([]byte, []node) {
	if n.isList {
		if n.head() != "raw" {
			fail("instructions are flat, found (%s", n.head())
		}
		for _, v := range n.list[1:] {
			b = append(b, byte(number(v.text)))
		}
		return b, rest
	}
	switch n.text {
	case "block", "loop", "if":
		b = append(b, map[string]byte{"block": 2, "loop": 3, "if": 4}[n.text])
		name := ""
		if len(rest) > 0 && rest[0].id() {
			name, rest = rest[0].text, rest[1:]
		}
		a.labels = append(a.labels, name)
		return a.blockType(b, rest)
	case "end":
		a.labels = a.labels[:max(len(a.labels)-1, 0)]
		return append(b, byte(wasm.OpEnd)), rest
	case "br_table":
		k := 0
		for k < len(rest) && !rest[k].isList && (rest[k].id() || rest[k].text[0] <= '9') {
			k++
		}
		b = wasm.AppendU32(append(b, byte(wasm.OpBrTable)), uint32(k-1))
		for _, l := range rest[:k] {
			b = wasm.AppendU32(b, a.label(l))
		}
		return b, rest[k:]
	case "call_indirect":
		t, _, rest := a.typeUse(rest)
		return append(wasm.AppendU32(append(b, byte(wasm.OpCallIndirect)), t), 0), rest
	}
	i, known := instructions[n.text]
	if !known {
		fail("unknown instruction %q", n.text)
	}
	return a.immediate(append(b, i.code...), i.imm, rest)
}

func (a *assembler) blockType(b []byte, rest []node) ([]byte, []node) {
	switch {
	case len(rest) > 0 && rest[0].head() == "result":
		return append(b, valType(rest[0].list[1])), rest[1:]
	case len(rest) > 0 && rest[0].head() == "type":
		return wasm.AppendS64(b, int64(a.index(rest[0].list[1], a.types))), rest[1:]
	}
	return append(b, wasm.BlockVoid), rest
}

func (a *assembler) label(n node) uint32 {
	if !n.id() {
		return uint32(number(n.text))
	}
	for i := len(a.labels) - 1; i >= 0; i-- {
		if a.labels[i] == n.text {
			return uint32(len(a.labels) - 1 - i)
		}
	}
	fail("unknown label %s", n.text)
	return 0
}

func (a *assembler) immediate(b []byte, imm immediate, rest []node) ([]byte, []node) {
	switch imm {
	case none:
		return b, rest
	case zeroByte:
		return append(b, 0), rest
	case zeroTwice:
		return append(b, 0, 0), rest
	case memarg:
		offset := uint32(0)
		if len(rest) > 0 && strings.HasPrefix(rest[0].text, "offset=") {
			offset, rest = uint32(number(rest[0].text[len("offset="):])), rest[1:]
		}
		return wasm.AppendU32(append(b, 0), offset), rest
	}
	n := rest[0]
	rest = rest[1:]
	switch imm {
	case label:
		b = wasm.AppendU32(b, a.label(n))
	case function:
		b = wasm.AppendU32(b, uint32(a.index(n, a.functions)))
	case local:
		b = wasm.AppendU32(b, uint32(a.index(n, a.locals)))
	case global:
		b = wasm.AppendU32(b, uint32(a.index(n, a.globals)))
	case segment, elemTable:
		b = append(wasm.AppendU32(b, uint32(number(n.text))), 0)
	case segmentOnly:
		b = wasm.AppendU32(b, uint32(number(n.text)))
	case constI32:
		b = wasm.AppendS64(b, int64(int32(number(n.text))))
	case constI64:
		b = wasm.AppendS64(b, number(n.text))
	case constF32, constF64:
		v, err := strconv.ParseFloat(n.text, 64)
		if err != nil {
			fail("%q is not a number", n.text)
		}
		if imm == constF32 {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(v)))
		} else {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
		}
	}
	return b, rest
}

func (a *assembler) binary() []byte {
	out := []byte("\x00asm\x01\x00\x00\x00")
	types := &section{count: len(a.typeList), body: []byte(strings.Join(a.typeList, ""))}
	if types.count > 0 {
		a.sections[wasm.TypeSection] = types
	}
	if s := a.sections[wasm.DataSection]; s != nil {
		a.sections[wasm.DataCountSection] = &section{count: s.count}
	}
	for _, id := range []wasm.SectionID{wasm.TypeSection, wasm.ImportSection, wasm.FunctionSection, wasm.TableSection,
		wasm.MemorySection, wasm.GlobalSection, wasm.ExportSection, wasm.StartSection, wasm.ElementSection,
		wasm.DataCountSection, wasm.CodeSection, wasm.DataSection} {
		s := a.sections[id]
		if s == nil {
			continue
		}
		body := s.body
		if !s.whole {
			body = append(wasm.AppendU32(nil, uint32(s.count)), body...)
		}
		out = wasm.AppendSection(out, id, body)
	}
	out = append(out, a.extra...)
	if len(a.names) > 0 {
		names := wasm.AppendU32(nil, uint32(len(a.names)))
		for _, n := range a.names {
			names = wasm.AppendName(wasm.AppendU32(names, n.Index), n.Name)
		}
		out = wasm.AppendSection(out, wasm.CustomSection, wasm.AppendSection(wasm.AppendName(nil, "name"), 1, names))
	}
	return out
}
