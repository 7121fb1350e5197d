package meter

import "github.com/tidemill/tidemill/runtime/sandbox/wasm"

const (
	// Bulk operations on memory cost their static weight up to bulkBytesFree, beyond it one unit for each 16 bytes as well.
	bulkBytesFree  = 1024
	bulkBytesShift = 4
	// Those on tables: one unit an element.
	bulkElementsFree = 64
	// A page of memory that is added has to be zeroed, perhaps touched, perhaps copied once: 4,096 units, one for 16 bytes.
	pageShift = 12
)

// function emits the metered body of a function. Those it calls have been emitted, except along back edges.
func (r *rewriter) function(i uint32) (err error) {
	f := &r.functions[i]
	if r.instrs, err = r.m.Instructions(int(i), r.instrs[:0]); err != nil {
		return err
	}
	r.measure(f)
	f.cost = r.costs.entry
	f.charged = f.charged || f.cost > foldMax
	e := &emitter{rewriter: r, f: f, b: &r.m.Bodies[i], stackBytes: r.stackCharge(i)}
	e.fnType = r.m.TypeOf(r.m.ImportedFuncs + int(i))
	e.emit()
	f.body = e.out
	if f.charged {
		r.report.Charged++
	}
	if e.stackBytes > 0 {
		r.report.Counted++
	}
	return nil
}

type emitter struct {
	*rewriter
	f          *function
	b          *wasm.Body
	fnType     wasm.FuncType
	stackBytes int64
	out        []byte

	// scratch are two i32 locals behind those of the function, where it has operations that pay by a length.
	scratch uint32
	// nested has an entry for each open block of the original, the function's first: how many labels were added at or outside
	// of it.
	nested []uint32
	slow   []bool // whether the block is a loop with a second one around it
	loop   int    // loops seen
}

func (e *emitter) op(op wasm.Op)              { e.out = append(e.out, byte(op)) }
func (e *emitter) opU32(op wasm.Op, v uint32) { e.out = wasm.AppendU32(append(e.out, byte(op)), v) }
func (e *emitter) i64(v int64)                { e.out = wasm.AppendS64(append(e.out, byte(wasm.OpI64Const)), v) }
func (e *emitter) i32(v int32) {
	e.out = wasm.AppendS64(append(e.out, byte(wasm.OpI32Const)), int64(v))
}
func (e *emitter) ifVoid() { e.out = append(e.out, byte(wasm.OpIf), wasm.BlockVoid) }

// add adds v to a global.
func (e *emitter) add(global uint32, v int64) {
	e.opU32(wasm.OpGlobalGet, global)
	if v < 0 {
		e.i64(-v)
		e.op(wasm.OpI64Sub)
	} else {
		e.i64(v)
		e.op(wasm.OpI64Add)
	}
	e.opU32(wasm.OpGlobalSet, global)
}

// unlessNegative opens "if the global is not negative then nothing else": the hot arm comes first and is empty.
func (e *emitter) unlessNegative(global uint32) {
	e.opU32(wasm.OpGlobalGet, global)
	e.i64(0)
	e.op(wasm.OpI64GeS)
	e.ifVoid()
	e.op(wasm.OpElse)
}

// check asks for more fuel where the balance is below zero.
func (e *emitter) check() {
	e.unlessNegative(e.fuel)
	e.opU32(wasm.OpGlobalGet, e.fuel)
	e.opU32(wasm.OpCall, e.refuel)
	e.opU32(wasm.OpGlobalSet, e.fuel)
	e.op(wasm.OpEnd)
}

func (e *emitter) emit() {
	e.out = make([]byte, 0, (e.b.Code.End-e.b.Locals.Start)*3/2+64)
	e.locals()
	e.prologue()
	e.nested = append(e.nested, 0)
	e.slow = append(e.slow, false)
	for i := range e.instrs {
		e.instruction(i)
		if x := e.costs.extra[i]; x > 0 {
			e.add(e.fuel, -x)
		}
	}
}

func (e *emitter) locals() {
	runs := e.b.LocalRuns
	e.scratch = uint32(len(e.fnType.Params)) + uint32(e.b.LocalCount)
	paying := false
	for _, in := range e.instrs {
		paying = paying || paysByLength(in.Op)
	}
	if !paying {
		e.out = append(wasm.AppendU32(e.out, runs), e.m.Bytes(e.b.Locals)...)
		return
	}
	e.out = append(wasm.AppendU32(e.out, runs+1), e.m.Bytes(e.b.Locals)...)
	e.out = append(e.out, 2, byte(wasm.I32))
}

func (e *emitter) prologue() {
	if e.stackBytes > 0 {
		e.add(e.stack, -e.stackBytes)
		e.unlessNegative(e.stack)
		e.opU32(wasm.OpCall, e.overflow)
		e.op(wasm.OpEnd)
	}
	if e.f.charged {
		e.add(e.fuel, -e.f.cost)
		e.check()
	}
	if e.stackBytes > 0 { // a block around the body, so that every way out gives the stack back
		e.op(wasm.OpBlock)
		switch results := e.fnType.Results; len(results) {
		case 0:
			e.out = append(e.out, wasm.BlockVoid)
		case 1:
			e.out = append(e.out, byte(results[0]))
		default:
			e.out = wasm.AppendS64(e.out, int64(e.resultType(results)))
		}
	}
}

func (e *emitter) instruction(i int) {
	in := e.instrs[i]
	switch in.Op {
	case wasm.OpBlock, wasm.OpIf:
		e.copy(i)
		e.push(false)
	case wasm.OpLoop:
		e.loopHead(i)
	case wasm.OpEnd:
		e.end(i)
	case wasm.OpBr, wasm.OpBrIf:
		e.opU32(in.Op, e.depth(in.Imm))
	case wasm.OpBrTable:
		e.costs.targets = e.m.AppendTargets(e.costs.targets[:0], in)
		e.opU32(in.Op, in.Imm)
		for _, t := range e.costs.targets {
			e.out = wasm.AppendU32(e.out, e.depth(t))
		}
	case wasm.OpReturn:
		if e.stackBytes > 0 {
			e.opU32(wasm.OpBr, e.depth(uint32(len(e.nested)-1)))
		} else {
			e.op(in.Op)
		}
	case wasm.OpCall, wasm.OpRefFunc:
		e.opU32(in.Op, e.index(in.Imm))
	case wasm.OpMemoryGrow:
		e.memoryGrow(i)
	default:
		if paysByLength(in.Op) {
			e.payLength(in.Op)
		}
		e.copy(i)
	}
}

// copy emits an instruction as it is.
func (e *emitter) copy(i int) {
	end := e.b.Code.End
	if i+1 < len(e.instrs) {
		end = int(e.instrs[i+1].Offset)
	}
	e.out = append(e.out, e.m.Binary[e.instrs[i].Offset:end]...)
}

func (e *emitter) push(slow bool) {
	added := e.nested[len(e.nested)-1]
	if slow {
		added++
	}
	e.nested = append(e.nested, added)
	e.slow = append(e.slow, slow)
}

// depth maps a label: the loops added between it and here lie in between too.
func (e *emitter) depth(d uint32) uint32 {
	top := len(e.nested) - 1
	return d + e.nested[top] - e.nested[top-int(d)]
}

// loopHead emits
//
//	loop $slow
//	  if balance - cost < 0: balance = refuel(balance - cost) + cost
//	  loop
//	    balance -= cost
//	    if balance < 0: balance += cost, go to $slow
//	    body
//
// The balance that refuel sees includes the charge under way, as at a function's entry, and that charge is made once, by the
// head, so the count does not depend on when the slices end. A loop with parameters cannot be left for the outer one with
// operands beneath, and has the plain check at its head.
func (e *emitter) loopHead(i int) {
	in, cost := e.instrs[i], e.costs.loops[e.loop]
	e.loop++
	if in.Imm != wasm.NoType && len(e.m.Types[in.Imm].Params) > 0 {
		e.copy(i)
		e.push(false)
		e.add(e.fuel, -cost)
		e.check()
		return
	}
	e.copy(i)
	e.opU32(wasm.OpGlobalGet, e.fuel)
	e.i64(cost)
	e.op(wasm.OpI64GeS)
	e.ifVoid()
	e.op(wasm.OpElse)
	e.opU32(wasm.OpGlobalGet, e.fuel)
	e.i64(cost)
	e.op(wasm.OpI64Sub)
	e.opU32(wasm.OpCall, e.refuel)
	e.i64(cost)
	e.op(wasm.OpI64Add)
	e.opU32(wasm.OpGlobalSet, e.fuel)
	e.op(wasm.OpEnd)
	e.copy(i)
	e.push(true)
	e.add(e.fuel, -cost)
	e.unlessNegative(e.fuel)
	e.add(e.fuel, cost)
	e.opU32(wasm.OpBr, 2)
	e.op(wasm.OpEnd)
}

func (e *emitter) end(i int) {
	if opener := e.costs.partner[i]; opener >= 0 && e.costs.missing[opener] > 0 {
		e.op(wasm.OpElse)
		e.add(e.fuel, -e.costs.missing[opener])
	}
	e.op(wasm.OpEnd)
	top := len(e.nested) - 1
	if e.slow[top] {
		e.op(wasm.OpEnd)
	}
	e.nested, e.slow = e.nested[:top], e.slow[:top]
	if top == 0 && e.stackBytes > 0 { // that was the end of the block around the body
		e.add(e.stack, e.stackBytes)
		e.op(wasm.OpEnd)
	}
}

// paysByLength reports whether an operation's cost grows with its topmost operand, a length or a number of pages.
func paysByLength(op wasm.Op) bool {
	switch op {
	case wasm.OpMemoryGrow, wasm.OpMemoryInit, wasm.OpMemoryCopy, wasm.OpMemoryFill,
		wasm.OpTableInit, wasm.OpTableCopy, wasm.OpTableGrow, wasm.OpTableFill:
		return true
	}
	return false
}

// payLength charges a bulk operation for the length on top of the operand stack, where that is more than what is free.
func (e *emitter) payLength(op wasm.Op) {
	free, shift := int32(bulkBytesFree), int64(bulkBytesShift)
	if op >= wasm.OpTableInit {
		free, shift = bulkElementsFree, 0
	}
	e.opU32(wasm.OpLocalTee, e.scratch)
	e.opU32(wasm.OpLocalGet, e.scratch)
	e.i32(free)
	e.op(wasm.OpI32LeU)
	e.ifVoid()
	e.op(wasm.OpElse)
	e.payScratch(wasm.OpI64ShrU, shift)
	e.op(wasm.OpEnd)
}

// payScratch charges the number in the scratch local, shifted, and checks.
func (e *emitter) payScratch(shift wasm.Op, by int64) {
	e.opU32(wasm.OpGlobalGet, e.fuel)
	e.opU32(wasm.OpLocalGet, e.scratch)
	e.op(wasm.OpI64ExtendI32)
	e.i64(by)
	e.op(shift)
	e.op(wasm.OpI64Sub)
	e.opU32(wasm.OpGlobalSet, e.fuel)
	e.check()
}

// memoryGrow charges for pages once they are there: trying for more than the limit allows is a guest's way to learn the limit.
func (e *emitter) memoryGrow(i int) {
	result := e.scratch + 1
	e.opU32(wasm.OpLocalTee, e.scratch)
	e.copy(i)
	e.opU32(wasm.OpLocalTee, result)
	e.opU32(wasm.OpLocalGet, result)
	e.i32(-1)
	e.op(wasm.OpI32Ne)
	e.ifVoid()
	e.payScratch(wasm.OpI64Shl, pageShift)
	e.op(wasm.OpEnd)
}
