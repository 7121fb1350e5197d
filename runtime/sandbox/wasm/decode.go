package wasm

import (
	"bytes"
	"fmt"
	"math"
)

// LocalsMax is the number of locals of one function, parameters included, beyond which a module is refused. Engines have the
// same limit; without it five bytes could declare four billion.
const LocalsMax = 50_000

var header = []byte("\x00asm\x01\x00\x00\x00")

// Decode reads a binary. The error is an *Error. Instruction streams are found, not read: see Instructions.
func Decode(binary []byte) (m *Module, err error) {
	defer catch(&err)
	d := &decoder{Module: &Module{Binary: binary, Start: -1, DataCount: -1}}
	d.sections()
	return d.Module, nil
}

type decoder struct {
	*Module
	funcs int // defined, by the function section
}

func (d *decoder) sections() {
	r := begin(d.Binary)
	rank := 0
	for r.more() {
		at := r.pos
		s := r.sectionHead()
		if s.ID != CustomSection {
			if sectionRanks[s.ID] <= rank {
				r.failAt(at, "comes after a section that must follow it, or twice")
			}
			rank = sectionRanks[s.ID]
			sub := &reader{b: d.Binary, pos: s.Body.Start, end: s.Body.End, section: s.ID.String(), fn: NoFunc}
			d.section(s.ID, sub)
			sub.fn = NoFunc
			if sub.more() {
				sub.failAt(sub.pos, "has %d bytes too many", sub.end-sub.pos)
			}
		}
		d.Sections = append(d.Sections, s)
	}
	if len(d.Bodies) != d.funcs {
		r.section = "code"
		r.failAt(len(d.Binary), "has %d bodies for %d declared functions", len(d.Bodies), d.funcs)
	}
	if d.DataCount >= 0 && int64(len(d.Data)) != d.DataCount {
		r.section = "data"
		r.failAt(len(d.Binary), "has %d segments, the data count section says %d", len(d.Data), d.DataCount)
	}
}

// Sections reads the heads of a binary's sections: their ids, places and, of custom ones, names. It takes no time by what is in
// them and checks nothing of it, nor their order. The error is an *Error; the sections before it are returned with it.
func Sections(binary []byte) (list []Section, err error) {
	defer catch(&err)
	for r := begin(binary); r.more(); {
		list = append(list, r.sectionHead())
	}
	return list, nil
}

// DataSegments reads a data section alone, of a module with one memory of its own and no globals to name. The error is an *Error.
func DataSegments(binary []byte, section Section) (list []Data, err error) {
	defer catch(&err)
	d := &decoder{Module: &Module{Binary: binary, Memories: make([]Limits, 1)}}
	d.data(&reader{b: binary, pos: section.Body.Start, end: section.Body.End, section: section.ID.String(), fn: NoFunc})
	return d.Data, nil
}

// begin reads the header of a binary.
func begin(binary []byte) *reader {
	r := &reader{b: binary, end: len(binary), section: "header", fn: NoFunc}
	if len(binary) > math.MaxUint32 {
		r.failAt(0, "is larger than 4 GiB")
	}
	if first := binary[:min(8, len(binary))]; !bytes.Equal(first, header) {
		r.failAt(0, "is not a WebAssembly binary of version 1: it begins with %q, not with %q", first, header)
	}
	r.pos = 8
	return r
}

// sectionHead reads the head of a section and passes over what is in it.
func (r *reader) sectionHead() Section {
	at := r.pos
	id := SectionID(r.u8())
	if id == 13 {
		r.unsupported(at, "exceptions", "a tag section")
	}
	if id > DataCountSection {
		r.failAt(at, "there is no section with id %d", id)
	}
	r.section = id.String()
	n := r.u32()
	s := Section{ID: id, Body: Span{Start: r.pos}}
	r.bytes(n)
	s.Body.End = r.pos
	if id == CustomSection {
		sub := &reader{b: r.b, pos: s.Body.Start, end: s.Body.End, section: r.section, fn: NoFunc}
		s.Name = sub.name()
		s.Body.Start = sub.pos
	}
	return s
}

func (d *decoder) section(id SectionID, r *reader) {
	switch id {
	case TypeSection:
		d.types(r)
	case ImportSection:
		d.imports(r)
	case FunctionSection:
		d.funcs = r.count(1, "functions")
		for range d.funcs {
			d.FuncTypes = append(d.FuncTypes, r.index(len(d.Types), "type"))
		}
	case TableSection:
		for range r.count(3, "tables") {
			d.Tables = append(d.Tables, d.table(r))
		}
	case MemorySection:
		for range r.count(2, "memories") {
			d.Memories = append(d.Memories, r.limits())
		}
	case GlobalSection:
		for range r.count(4, "globals") {
			g := Global{Type: r.valType(), Mutable: r.mutability()}
			g.Init = d.constExpr(r)
			d.Globals = append(d.Globals, g)
		}
	case ExportSection:
		d.exports(r)
	case StartSection:
		d.Start = int64(r.index(len(d.FuncTypes), "function"))
	case ElementSection:
		for range r.count(2, "segments") {
			d.Elements = append(d.Elements, d.element(r))
		}
	case DataCountSection:
		d.DataCount = int64(r.u32())
	case CodeSection:
		for i := range r.count(3, "bodies") {
			d.body(r, i)
		}
	case DataSection:
		d.data(r)
	}
}

func (d *decoder) types(r *reader) {
	for range r.count(3, "types") {
		at := r.pos
		switch form := r.u8(); form {
		case 0x60:
		case 0x4e, 0x4f, 0x50, 0x5e, 0x5f:
			r.unsupported(at, "GC", "type form %#x", form)
		default:
			r.failAt(at, "a type begins with %#x, not with 0x60", form)
		}
		d.Types = append(d.Types, FuncType{Params: r.valTypes(), Results: r.valTypes()})
	}
}

func (d *decoder) imports(r *reader) {
	for range r.count(4, "imports") {
		i := Import{Offset: r.pos}
		i.Module, i.Name = r.name(), r.name()
		at := r.pos
		switch kind := r.u8(); kind {
		case 0:
			i.Type = r.index(len(d.Types), "type")
			d.FuncTypes = append(d.FuncTypes, i.Type)
			d.ImportedFuncs++
		case 1:
			i.Kind, i.Table = ExternTable, d.table(r)
			d.Tables = append(d.Tables, i.Table)
			d.ImportedTables++
		case 2:
			i.Kind = ExternMemory
			d.Memories = append(d.Memories, r.limits())
			d.ImportedMemories++
		case 3:
			i.Kind = ExternGlobal
			r.valType()
			r.mutability()
			d.ImportedGlobals++
		case 4:
			r.unsupported(at, "exceptions", "an imported tag")
		default:
			r.failAt(at, "there is no import of kind %#x", kind)
		}
		d.Imports = append(d.Imports, i)
	}
}

func (d *decoder) table(r *reader) Limits {
	at := r.pos
	t := r.valType()
	if !t.IsRef() {
		r.failAt(at, "a table of %s: its elements must be references", t)
	}
	l := r.limits()
	l.Elem, l.Offset = t, at
	return l
}

func (d *decoder) exports(r *reader) {
	n := r.count(3, "exports")
	seen := make(map[string]bool, n)
	for range n {
		e := Export{Offset: r.pos}
		e.Name = r.name()
		if seen[e.Name] {
			r.failAt(e.Offset, "exports %q twice", e.Name)
		}
		seen[e.Name] = true
		at := r.pos
		e.Kind = ExternKind(r.u8())
		switch e.Kind {
		case ExternFunc:
			e.Index = r.index(len(d.FuncTypes), "function")
		case ExternTable:
			e.Index = r.index(len(d.Tables), "table")
		case ExternMemory:
			e.Index = r.index(len(d.Memories), "memory")
		case ExternGlobal:
			e.Index = r.index(d.GlobalCount(), "global")
		case 4:
			r.unsupported(at, "exceptions", "an exported tag")
		default:
			r.failAt(at, "there is no export of kind %#x", byte(e.Kind))
		}
		d.Exports = append(d.Exports, e)
	}
}

// element reads a segment. Flags: bit 0 passive or declarative, bit 1 an explicit table (or declarative), bit 2 expressions.
func (d *decoder) element(r *reader) Element {
	e := Element{Offset: r.pos, Elem: FuncRef}
	e.Flags = r.u32()
	if e.Flags > 7 {
		r.failAt(e.Offset, "there is no element segment with flags %#x", e.Flags)
	}
	if e.Active() {
		if e.Flags&2 != 0 {
			e.Table = r.index(len(d.Tables), "table")
		} else if len(d.Tables) == 0 {
			r.failAt(e.Offset, "initialises table 0, there is none")
		}
		e.Place = d.constExpr(r)
	}
	if e.Flags&3 != 0 {
		at := r.pos
		if e.Flags&4 == 0 {
			if k := r.u8(); k != 0 {
				r.failAt(at, "there is no element kind %#x", k)
			}
		} else if e.Elem = r.valType(); !e.Elem.IsRef() {
			r.failAt(at, "an element segment of %s: elements must be references", e.Elem)
		}
		e.Kind = Span{at, r.pos}
	}
	if e.Flags&4 == 0 {
		e.Funcs = make([]uint32, r.count(1, "elements"))
		for i := range e.Funcs {
			e.Funcs[i] = r.index(len(d.FuncTypes), "function")
		}
		return e
	}
	for range r.count(2, "elements") {
		e.Inits = append(e.Inits, d.constExpr(r))
	}
	return e
}

func (d *decoder) body(r *reader, i int) {
	r.fn = d.ImportedFuncs + i
	if i >= d.funcs {
		r.failAt(r.pos, "has more bodies than the %d declared functions", d.funcs)
	}
	n := r.u32()
	start := r.pos
	r.bytes(n)
	b := Body{}
	s := &reader{b: r.b, pos: start, end: r.pos, section: r.section, fn: r.fn}
	b.LocalRuns = uint32(s.count(2, "local declarations"))
	b.Locals.Start = s.pos
	for range b.LocalRuns {
		at := s.pos
		b.LocalCount += uint64(s.u32())
		if total := b.LocalCount + uint64(len(d.TypeOf(r.fn).Params)); total > LocalsMax {
			panic(&Error{Section: s.section, Func: s.fn, Offset: at, Kind: TooLarge,
				Detail: fmt.Sprintf("a function has %d locals and parameters, at most %d are allowed", total, LocalsMax)})
		}
		if t := s.valType(); t.IsRef() {
			b.RefLocal = t
		}
	}
	b.Locals.End = s.pos
	b.Code = Span{s.pos, s.end}
	d.Bodies = append(d.Bodies, b)
}

// data reads the segments. Flags: 0 active in memory 0, 1 passive, 2 active in the memory named.
func (d *decoder) data(r *reader) {
	for range r.count(2, "segments") {
		s := Data{Offset: r.pos}
		flags := r.u32()
		switch flags {
		case 0:
			if len(d.Memories) == 0 {
				r.failAt(s.Offset, "initialises memory 0, there is none")
			}
		case 1:
		case 2:
			r.index(len(d.Memories), "memory")
		default:
			r.failAt(s.Offset, "there is no data segment with flags %#x", flags)
		}
		if s.Active = flags != 1; s.Active {
			s.Place = d.constExpr(r)
		}
		n := r.u32()
		at := r.pos
		r.bytes(n)
		s.Init = Span{at, r.pos}
		d.Data = append(d.Data, s)
	}
}

// constExpr reads an initialiser: exactly one constant instruction and end.
func (d *decoder) constExpr(r *reader) ConstExpr {
	e := ConstExpr{Span: Span{Start: r.pos}}
	op := r.u8()
	e.Op = Op(op)
	switch e.Op {
	case OpI32Const:
		e.Imm = uint32(r.signed(32))
	case OpI64Const:
		r.signed(64)
	case OpF32Const:
		r.bytes(4)
	case OpF64Const:
		r.bytes(8)
	case OpGlobalGet:
		e.Imm = r.index(d.GlobalCount(), "global") // those read so far
	case OpRefNull:
		r.refType()
	case OpRefFunc:
		e.Imm = r.index(len(d.FuncTypes), "function")
	default:
		if f := featureOf(op); f != "" {
			r.unsupported(e.Start, f, "opcode %#x in an initialiser", op)
		}
		r.failAt(e.Start, "opcode %#x is not allowed in an initialiser", op)
	}
	at := r.pos
	if end := r.u8(); Op(end) != OpEnd {
		r.failAt(at, "an initialiser has more than one instruction")
	}
	e.End = r.pos
	return e
}

func (r *reader) valType() ValType {
	at := r.pos
	switch t := ValType(r.u8()); t {
	case I32, I64, F32, F64, FuncRef, ExternRef:
		return t
	case 0x7b:
		r.unsupported(at, "SIMD", "value type v128")
	case 0x63, 0x64:
		r.unsupported(at, "typed references", "value type %#x", byte(t))
	case 0x65, 0x66, 0x67, 0x68, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x71, 0x72, 0x73:
		r.unsupported(at, "GC", "value type %#x", byte(t))
	case 0x69, 0x74:
		r.unsupported(at, "exceptions", "value type %#x", byte(t))
	default:
		r.failAt(at, "there is no value type %#x", byte(t))
	}
	return 0
}

func (r *reader) valTypes() []ValType {
	n := r.count(1, "values")
	if n == 0 {
		return nil
	}
	types := make([]ValType, n)
	for i := range types {
		types[i] = r.valType()
	}
	return types
}

func (r *reader) refType() ValType {
	at := r.pos
	t := r.valType()
	if !t.IsRef() {
		r.failAt(at, "%s is not a reference type", t)
	}
	return t
}

func (r *reader) mutability() bool {
	at := r.pos
	b := r.u8()
	if b > 1 {
		r.failAt(at, "a global is mutable or not (1 or 0), not %#x", b)
	}
	return b == 1
}

func (r *reader) limits() Limits {
	l := Limits{Offset: r.pos}
	switch flags := r.u8(); flags {
	case 0, 1:
		l.HasMax = flags == 1
	case 2, 3:
		r.unsupported(l.Offset, "threads", "a shared memory or table")
	case 4, 5, 6, 7:
		r.unsupported(l.Offset, "memory64", "a 64-bit memory or table")
	default:
		r.failAt(l.Offset, "there are no limits with flags %#x", flags)
	}
	l.Min = r.u32()
	if l.HasMax {
		l.Max = r.u32()
	}
	return l
}
