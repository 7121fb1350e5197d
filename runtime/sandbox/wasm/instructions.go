package wasm

// Op is an opcode. Those behind the prefix 0xfc are 0xfc00 plus their number.
type Op uint16

// The opcodes that a pass over the code has to tell apart.
const (
	OpUnreachable  Op = 0x00
	OpNop          Op = 0x01
	OpBlock        Op = 0x02
	OpLoop         Op = 0x03
	OpIf           Op = 0x04
	OpElse         Op = 0x05
	OpEnd          Op = 0x0b
	OpBr           Op = 0x0c
	OpBrIf         Op = 0x0d
	OpBrTable      Op = 0x0e
	OpReturn       Op = 0x0f
	OpCall         Op = 0x10
	OpCallIndirect Op = 0x11
	OpDrop         Op = 0x1a
	OpSelect       Op = 0x1b
	OpSelectTyped  Op = 0x1c
	OpLocalGet     Op = 0x20
	OpLocalSet     Op = 0x21
	OpLocalTee     Op = 0x22
	OpGlobalGet    Op = 0x23
	OpGlobalSet    Op = 0x24
	OpTableGet     Op = 0x25
	OpTableSet     Op = 0x26
	OpI32Load      Op = 0x28
	OpI64Store32   Op = 0x3e
	OpMemorySize   Op = 0x3f
	OpMemoryGrow   Op = 0x40
	OpI32Const     Op = 0x41
	OpI64Const     Op = 0x42
	OpF32Const     Op = 0x43
	OpF64Const     Op = 0x44
	OpI32Eqz       Op = 0x45
	OpI32Ne        Op = 0x47
	OpI32LeU       Op = 0x4d
	OpI64Eqz       Op = 0x50
	OpI64GeS       Op = 0x59
	OpI32DivS      Op = 0x6d
	OpI32RemU      Op = 0x70
	OpI64Sub       Op = 0x7d
	OpI64Add       Op = 0x7c
	OpI64DivS      Op = 0x7f
	OpI64RemU      Op = 0x82
	OpI64ShrU      Op = 0x88
	OpI64Shl       Op = 0x86
	OpF32Sqrt      Op = 0x91
	OpF64Sqrt      Op = 0x9f
	OpI64ExtendI32 Op = 0xad // unsigned
	OpI64Extend32S Op = 0xc4
	OpRefNull      Op = 0xd0
	OpRefIsNull    Op = 0xd1
	OpRefFunc      Op = 0xd2

	OpMemoryInit Op = 0xfc08
	OpDataDrop   Op = 0xfc09
	OpMemoryCopy Op = 0xfc0a
	OpMemoryFill Op = 0xfc0b
	OpTableInit  Op = 0xfc0c
	OpElemDrop   Op = 0xfc0d
	OpTableCopy  Op = 0xfc0e
	OpTableGrow  Op = 0xfc0f
	OpTableSize  Op = 0xfc10
	OpTableFill  Op = 0xfc11
)

// BlockVoid is the byte of a block type without parameters and results.
const BlockVoid = 0x40

// NoType is the Imm of a block, loop or if whose type is written in place (no parameters, at most one result).
const NoType = ^uint32(0)

// Instr is one instruction. Its bytes end where the next one's begin.
type Instr struct {
	Offset uint32 // of its opcode, from the beginning of the binary
	// Imm is the label depth of br and br_if; the number of labels of br_table, the default excluded; the index that call,
	// ref.func, local.*, global.*, table.* name (the first of two); the type of call_indirect and of block, loop and if, or NoType;
	// the value type of ref.null and select with types.
	Imm uint32
	Op  Op
}

// Instructions decodes the body of a defined function (counted from 0 without imports), appending to buf. The last one is the
// function's end. Every index and label is in range. The error is an *Error.
func (m *Module) Instructions(fn int, buf []Instr) (list []Instr, err error) {
	defer catch(&err)
	b := &m.Bodies[fn]
	i := &instructionReader{
		reader: reader{b: m.Binary, pos: b.Code.Start, end: b.Code.End, section: CodeSection.String(), fn: m.ImportedFuncs + fn},
		m:      m,
		locals: int(b.LocalCount) + len(m.TypeOf(m.ImportedFuncs+fn).Params),
		labels: 1,
	}
	for i.labels > 0 {
		buf = append(buf, i.next())
	}
	if i.more() {
		i.failAt(i.pos, "goes on after the end of the function")
	}
	return buf, nil
}

// AppendTargets appends the label depths of a br_table of this module, the default one last.
func (m *Module) AppendTargets(dst []uint32, in Instr) []uint32 {
	r := &reader{b: m.Binary, pos: int(in.Offset) + 1, end: len(m.Binary)}
	for n := uint64(r.u32()) + 1; n > 0; n-- {
		dst = append(dst, r.u32())
	}
	return dst
}

type instructionReader struct {
	reader
	m      *Module
	locals int
	labels int // open ones, the function's included
	elses  []bool
}

func (i *instructionReader) next() Instr {
	in := Instr{Offset: uint32(i.pos)}
	op := i.u8()
	in.Op = Op(op)
	switch {
	case in.Op <= OpReturn:
		i.control(&in, op)
	case in.Op <= OpSelectTyped:
		i.parametric(&in, op)
	case in.Op >= OpLocalGet && in.Op <= OpLocalTee:
		in.Imm = i.index(i.locals, "local")
	case in.Op == OpGlobalGet || in.Op == OpGlobalSet:
		in.Imm = i.index(i.m.GlobalCount(), "global")
	case in.Op == OpTableGet || in.Op == OpTableSet:
		in.Imm = i.index(len(i.m.Tables), "table")
	case in.Op >= OpI32Load && in.Op <= OpI64Store32:
		i.memory(in)
		i.u32() // alignment
		i.u32() // offset
	case in.Op == OpMemorySize || in.Op == OpMemoryGrow:
		i.memory(in)
		i.zeroMemory()
	case in.Op == OpI32Const:
		i.signed(32)
	case in.Op == OpI64Const:
		i.signed(64)
	case in.Op == OpF32Const:
		i.bytes(4)
	case in.Op == OpF64Const:
		i.bytes(8)
	case in.Op >= OpI32Eqz && in.Op <= OpI64Extend32S || in.Op == OpRefIsNull:
	case in.Op == OpRefNull:
		in.Imm = uint32(i.refType())
	case in.Op == OpRefFunc:
		in.Imm = i.index(len(i.m.FuncTypes), "function")
	case op == 0xfc:
		i.prefixed(&in)
	default:
		i.unknown(in, op)
	}
	return in
}

func (i *instructionReader) unknown(in Instr, op byte) {
	if f := featureOf(op); f != "" {
		i.unsupported(int(in.Offset), f, "opcode %#x", op)
	}
	i.failAt(int(in.Offset), "there is no opcode %#x", op)
}

// featureOf names the proposal that an opcode belongs to, where it is a known one outside WebAssembly 2.0 without SIMD.
func featureOf(op byte) string {
	switch op {
	case 0x06, 0x07, 0x08, 0x09, 0x0a, 0x18, 0x19, 0x1f:
		return "exceptions"
	case 0x12, 0x13:
		return "tail calls"
	case 0x14, 0x15, 0xd3, 0xd4, 0xd5, 0xd6:
		return "typed references"
	case 0xfb:
		return "GC"
	case 0xfd:
		return "SIMD"
	case 0xfe:
		return "threads"
	}
	return ""
}

func (i *instructionReader) control(in *Instr, op byte) {
	switch in.Op {
	case OpUnreachable, OpNop, OpReturn:
	case OpBlock, OpLoop, OpIf:
		in.Imm = i.blockType()
		i.labels++
		i.elses = append(i.elses, in.Op == OpIf)
	case OpElse:
		if n := len(i.elses); n == 0 || !i.elses[n-1] {
			i.failAt(int(in.Offset), "else without if")
		} else {
			i.elses[n-1] = false
		}
	case OpEnd:
		i.labels--
		if n := len(i.elses); n > 0 {
			i.elses = i.elses[:n-1]
		}
	case OpBr, OpBrIf:
		in.Imm = i.index(i.labels, "label")
	case OpBrTable:
		n := i.count(1, "labels")
		in.Imm = uint32(n)
		for range n + 1 {
			i.index(i.labels, "label")
		}
	default:
		i.unknown(*in, op)
	}
}

func (i *instructionReader) parametric(in *Instr, op byte) {
	switch in.Op {
	case OpDrop, OpSelect:
	case OpCall:
		in.Imm = i.index(len(i.m.FuncTypes), "function")
	case OpCallIndirect:
		in.Imm = i.index(len(i.m.Types), "type")
		i.index(len(i.m.Tables), "table")
	case OpSelectTyped:
		if n := i.count(1, "types"); n != 1 {
			i.failAt(int(in.Offset), "select names %d types, it must be one", n)
		}
		in.Imm = uint32(i.valType())
	default:
		i.unknown(*in, op)
	}
}

func (i *instructionReader) prefixed(in *Instr) {
	sub := i.u32()
	if sub > 0x11 {
		i.failAt(int(in.Offset), "there is no opcode 0xfc %#x", sub)
	}
	in.Op = 0xfc00 | Op(sub)
	switch in.Op {
	case OpMemoryInit:
		i.memory(*in)
		in.Imm = i.dataSegment()
		i.zeroMemory()
	case OpDataDrop:
		in.Imm = i.dataSegment()
	case OpMemoryCopy:
		i.memory(*in)
		i.zeroMemory()
		i.zeroMemory()
	case OpMemoryFill:
		i.memory(*in)
		i.zeroMemory()
	case OpTableInit:
		in.Imm = i.index(len(i.m.Elements), "element segment")
		i.index(len(i.m.Tables), "table")
	case OpElemDrop:
		in.Imm = i.index(len(i.m.Elements), "element segment")
	case OpTableCopy:
		in.Imm = i.index(len(i.m.Tables), "table")
		i.index(len(i.m.Tables), "table")
	case OpTableGrow, OpTableSize, OpTableFill:
		in.Imm = i.index(len(i.m.Tables), "table")
	}
}

func (i *instructionReader) dataSegment() uint32 {
	if i.m.DataCount < 0 {
		i.failAt(i.pos, "names a data segment, but there is no data count section")
	}
	return i.index(int(i.m.DataCount), "data segment")
}

func (i *instructionReader) memory(in Instr) {
	if len(i.m.Memories) == 0 {
		i.failAt(int(in.Offset), "uses a memory, there is none")
	}
}

// zero reads the index of the only memory, which the binary format of version 2.0 writes as one zero byte.
func (i *instructionReader) zeroMemory() {
	at := i.pos
	if b := i.u8(); b != 0 {
		i.failAt(at, "the index of a memory must be a single zero byte, not %#x", b)
	}
}

// blockType reads a block type: void, one value type, or a type index as a positive 33-bit number.
func (i *instructionReader) blockType() uint32 {
	at := i.pos
	if c := i.u8(); c == BlockVoid {
		return NoType
	}
	i.pos = at
	if c := i.b[at]; c&0xc0 == 0x40 { // one byte, negative
		i.valType()
		return NoType
	}
	v := i.signed(33)
	if v < 0 || v >= int64(len(i.m.Types)) {
		i.failAt(at, "type %d of a block is out of range, there are %d", v, len(i.m.Types))
	}
	return uint32(v)
}
