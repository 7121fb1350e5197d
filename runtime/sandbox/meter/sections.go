package meter

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode"

	"github.com/tidemill/tidemill/runtime/sandbox/wasm"
)

// order is that of the sections in a binary.
var order = [...]wasm.SectionID{wasm.TypeSection, wasm.ImportSection, wasm.FunctionSection, wasm.TableSection, wasm.MemorySection,
	wasm.GlobalSection, wasm.ExportSection, wasm.StartSection, wasm.ElementSection, wasm.DataCountSection, wasm.CodeSection,
	wasm.DataSection}

// binary puts the result together once all functions are emitted.
func (r *rewriter) binary() []byte {
	original := map[wasm.SectionID][]byte{}
	for _, s := range r.m.Sections {
		if s.ID != wasm.CustomSection {
			original[s.ID] = r.m.Bytes(s.Body)
		}
	}
	if runs := r.joined(); len(runs) > 0 {
		original[wasm.DataSection] = r.dataSection(runs)
		delete(original, wasm.DataCountSection) // no code names a segment
	}
	out := make([]byte, 0, len(r.m.Binary)*3/2+256)
	out = append(out, r.m.Binary[:8]...)
	for _, id := range order {
		if body := r.section(id, original[id]); body != nil {
			out = wasm.AppendSection(out, id, body)
		}
	}
	return wasm.AppendSection(out, wasm.CustomSection, r.nameSection())
}

// section is the new body of a section, nil where there is none.
func (r *rewriter) section(id wasm.SectionID, original []byte) []byte {
	switch id {
	case wasm.TypeSection:
		out := extend(original, len(r.addedTypes))
		for _, t := range r.addedTypes {
			out = appendType(out, t)
		}
		return out
	case wasm.ImportSection:
		out := extend(original, AddedImports)
		out = wasm.AppendName(wasm.AppendName(out, HostModule), Refuel)
		out = wasm.AppendU32(append(out, byte(wasm.ExternFunc)), r.refuelType)
		out = wasm.AppendName(wasm.AppendName(out, HostModule), Overflow)
		return wasm.AppendU32(append(out, byte(wasm.ExternFunc)), r.overflowType)
	case wasm.GlobalSection:
		return r.globalSection()
	case wasm.ExportSection:
		return r.exportSection()
	case wasm.StartSection:
		if r.m.Start < 0 {
			return nil
		}
		return wasm.AppendU32(nil, r.index(uint32(r.m.Start)))
	case wasm.ElementSection:
		if original == nil {
			return nil
		}
		return r.elementSection()
	case wasm.CodeSection:
		if original == nil {
			return nil
		}
		return r.codeSection()
	}
	return original
}

// extend is a vector with room declared for n more items, which the caller appends.
func extend(section []byte, n int) []byte {
	if section == nil {
		return wasm.AppendU32(nil, uint32(n))
	}
	count, size := binary.Uvarint(section)
	out := make([]byte, 0, len(section)+64)
	return append(wasm.AppendU32(out, uint32(count)+uint32(n)), section[size:]...)
}

func appendType(out []byte, t wasm.FuncType) []byte {
	out = wasm.AppendU32(append(out, 0x60), uint32(len(t.Params)))
	for _, p := range t.Params {
		out = append(out, byte(p))
	}
	out = wasm.AppendU32(out, uint32(len(t.Results)))
	for _, p := range t.Results {
		out = append(out, byte(p))
	}
	return out
}

func (r *rewriter) constExpr(out []byte, e wasm.ConstExpr) []byte {
	if e.Op == wasm.OpRefFunc {
		out = wasm.AppendU32(append(out, byte(e.Op)), r.index(e.Imm))
		return append(out, byte(wasm.OpEnd))
	}
	return append(out, r.m.Bytes(e.Span)...)
}

func (r *rewriter) globalSection() []byte {
	out := wasm.AppendU32(nil, uint32(len(r.m.Globals))+AddedGlobals)
	for _, g := range r.m.Globals {
		mutable := byte(0)
		if g.Mutable {
			mutable = 1
		}
		out = r.constExpr(append(out, byte(g.Type), mutable), g.Init)
	}
	for _, initial := range []int64{0, StackBytesMax} {
		out = append(out, byte(wasm.I64), 1, byte(wasm.OpI64Const))
		out = append(wasm.AppendS64(out, initial), byte(wasm.OpEnd))
	}
	return out
}

func (r *rewriter) exportSection() []byte {
	out := wasm.AppendU32(nil, uint32(len(r.m.Exports))+1)
	for _, e := range r.m.Exports {
		index := e.Index
		if e.Kind == wasm.ExternFunc {
			index = r.index(index)
		}
		out = append(wasm.AppendName(out, e.Name), byte(e.Kind))
		out = wasm.AppendU32(out, index)
	}
	out = append(wasm.AppendName(out, FuelGlobal), byte(wasm.ExternGlobal))
	return wasm.AppendU32(out, r.fuel)
}

func (r *rewriter) elementSection() []byte {
	out := wasm.AppendU32(nil, uint32(len(r.m.Elements)))
	for i := range r.m.Elements {
		e := &r.m.Elements[i]
		out = wasm.AppendU32(out, e.Flags)
		if e.Active() {
			if e.Flags&2 != 0 {
				out = wasm.AppendU32(out, e.Table)
			}
			out = r.constExpr(out, e.Place)
		}
		out = append(out, r.m.Bytes(e.Kind)...)
		out = wasm.AppendU32(out, uint32(e.Len()))
		for _, fn := range e.Funcs {
			out = wasm.AppendU32(out, r.index(fn))
		}
		for _, init := range e.Inits {
			out = r.constExpr(out, init)
		}
	}
	return out
}

func (r *rewriter) codeSection() []byte {
	size := 8
	for i := range r.functions {
		size += len(r.functions[i].body) + 4
	}
	out := wasm.AppendU32(make([]byte, 0, size), uint32(len(r.functions)))
	for i := range r.functions {
		out = wasm.AppendU32(out, uint32(len(r.functions[i].body)))
		out = append(out, r.functions[i].body...)
	}
	return out
}

// nameBytesMax is what a trap shows of a function's name.
const nameBytesMax = 200

// nameSection names every function, so that a trap tells them by the names and indices of the original.
func (r *rewriter) nameSection() []byte {
	names := make([]string, len(r.m.FuncTypes))
	for _, n := range r.m.FuncNames() {
		names[n.Index] = printable(n.Name)
	}
	body := wasm.AppendU32(nil, uint32(len(names)))
	for i, name := range names {
		if name == "" {
			name = fmt.Sprintf("function[%d]", i)
		}
		body = wasm.AppendName(wasm.AppendU32(body, r.index(uint32(i))), name)
	}
	const functionNames = 1
	return wasm.AppendSection(wasm.AppendName(nil, "name"), functionNames, body)
}

// printable makes a name safe for a line of a log.
func printable(name string) string {
	name = strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return '?'
		}
		return c
	}, name)
	if len(name) > nameBytesMax {
		name = strings.ToValidUTF8(name[:nameBytesMax], "") + "..."
	}
	return name
}
