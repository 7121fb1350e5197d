package meter

import (
	"slices"

	"github.com/tidemill/tidemill/runtime/sandbox/wasm"
)

const (
	// foldMax is the cost up to which a loop-free function is charged at its call sites. Larger ones would be charged where
	// they are called but much of them is not executed.
	foldMax = 100
	// imbalanceMax is how much longer than its sibling an arm may be before it takes the difference itself. Smaller values
	// cost more instructions, larger ones charge more that is not executed.
	imbalanceMax = 96
)

// weight is the cost of an instruction by itself, in units. What only moves values between locals and the operand stack costs
// nothing: engines keep both in registers.
func (r *rewriter) weight(in wasm.Instr) int64 {
	switch op := in.Op; {
	case op == wasm.OpCall:
		if fn := int(in.Imm) - r.m.ImportedFuncs; fn >= 0 && !r.functions[fn].charged {
			return 3 + r.functions[fn].cost
		}
		return 3
	case op == wasm.OpCallIndirect:
		return 6
	case op == wasm.OpNop, op == wasm.OpBlock, op == wasm.OpElse, op == wasm.OpEnd, op == wasm.OpDrop,
		op >= wasm.OpLocalGet && op <= wasm.OpLocalTee, op >= wasm.OpI32Const && op <= wasm.OpF64Const:
		return 0
	case op >= wasm.OpI32DivS && op <= wasm.OpI32RemU, op >= wasm.OpI64DivS && op <= wasm.OpI64RemU,
		op == wasm.OpF32Sqrt, op == wasm.OpF64Sqrt:
		return 6
	case op == wasm.OpTableGet, op == wasm.OpTableSet:
		return 4
	case op == wasm.OpMemoryGrow, op >= wasm.OpMemoryInit:
		return 32
	}
	return 1
}

// costs are the charges of one function.
type costs struct {
	entry int64
	loops []int64 // by the order of their loop instructions
	// extra is what is charged without a check behind an instruction, by its index: at the beginning of an arm that is longer
	// than its sibling, or behind the end of a block that a br_table reaches. missing is the same for the else arm that an if,
	// by its index, does not have.
	extra   []int64
	missing []int64

	partner []int32 // for an end, its opener; for a loop, its number
	switchy []bool  // block openers that a br_table reaches
	open    []int32
	labels  []label
	targets []uint32
}

// label is a block whose end has been passed, on the way backwards, and whose beginning has not.
type label struct {
	loop      bool
	after     int64 // cost from the end of the block on: what a branch to it leads to
	exit      int64 // of a loop: the longest way on from leaving it, charged outside
	hasElse   bool
	elseCost  int64
	elseIndex int
}

// measure computes the charges of a function in one pass backwards. ahead is the length of the longest path from the current
// instruction to the next charge: an extra charge, a loop head, or leaving the function. Ways out of a loop belong to the region
// around it, so that every turn of a loop costs the loop's own region only.
func (r *rewriter) measure(f *function) {
	c, list := &r.costs, r.instrs
	c.prepare(r, f)
	ahead := int64(0)
	for i := len(list) - 1; i >= 0; i-- {
		in := list[i]
		w := r.weight(in)
		switch in.Op {
		case wasm.OpEnd:
			ahead = c.end(list, i, ahead)
		case wasm.OpBlock:
			c.pop()
		case wasm.OpLoop:
			l := c.pop()
			c.loops[c.partner[i]] = ahead + w
			ahead = l.exit
		case wasm.OpIf:
			ahead = c.branch(i, ahead) + w
		case wasm.OpElse:
			l := &c.labels[len(c.labels)-1]
			l.hasElse, l.elseCost, l.elseIndex = true, ahead, i
			ahead = l.after
		case wasm.OpBr:
			ahead = c.target(in.Imm) + w
		case wasm.OpBrIf:
			taken := c.target(in.Imm)
			if ahead > taken+imbalanceMax {
				c.extra[i] = ahead - taken
				ahead = taken
			}
			ahead = max(ahead, taken) + w
		case wasm.OpBrTable:
			c.targets = r.m.AppendTargets(c.targets[:0], in)
			ahead = 0
			for _, t := range c.targets {
				ahead = max(ahead, c.target(t))
			}
			ahead += w
		case wasm.OpReturn, wasm.OpUnreachable:
			ahead = w
		default:
			ahead += w
		}
	}
	c.entry = ahead + 1
}

// prepare resets the charges and finds, forwards, where each block begins and which of them a br_table reaches.
func (c *costs) prepare(r *rewriter, f *function) {
	n := len(r.instrs)
	c.loops, c.extra, c.missing = zeroed(c.loops, f.loops), zeroed(c.extra, n), zeroed(c.missing, n)
	c.partner, c.switchy = zeroed(c.partner, n), zeroed(c.switchy, n)
	c.open, c.labels = c.open[:0], c.labels[:0]
	loops := int32(0)
	for i, in := range r.instrs {
		switch in.Op {
		case wasm.OpLoop:
			c.partner[i] = loops
			loops++
			c.open = append(c.open, int32(i))
		case wasm.OpBlock, wasm.OpIf:
			c.open = append(c.open, int32(i))
		case wasm.OpEnd:
			c.partner[i] = -1 // the function's
			if n := len(c.open); n > 0 {
				c.partner[i] = c.open[n-1]
				c.open = c.open[:n-1]
			}
		case wasm.OpBrTable:
			if in.Imm < 2 {
				continue // no more than an if
			}
			c.targets = r.m.AppendTargets(c.targets[:0], in)
			for _, t := range c.targets {
				if int(t) < len(c.open) {
					c.switchy[c.open[len(c.open)-1-int(t)]] = true
				}
			}
		}
	}
}

// zeroed is a slice of n zeros, in the memory of s where that is large enough.
func zeroed[T any](s []T, n int) []T {
	s = slices.Grow(s[:0], n)[:n]
	clear(s)
	return s
}

func (c *costs) pop() label {
	l := c.labels[len(c.labels)-1]
	c.labels = c.labels[:len(c.labels)-1]
	return l
}

// end opens a label, backwards, and returns what lies ahead inside the block.
func (c *costs) end(list []wasm.Instr, i int, ahead int64) int64 {
	l := label{after: ahead}
	switch opener := c.partner[i]; {
	case opener < 0:
	case list[opener].Op == wasm.OpLoop:
		l.loop, l.exit = true, ahead
		ahead = 0
	case c.switchy[opener] && ahead > imbalanceMax:
		c.extra[i] = ahead
		l.after, ahead = 0, 0
	}
	c.labels = append(c.labels, l)
	return ahead
}

// target is the cost of the way from a branch to the next charge. A branch to a loop meets its head; one out of a loop adds what
// follows to the loop's exit, which is charged outside.
func (c *costs) target(depth uint32) int64 {
	t := len(c.labels) - 1 - int(depth)
	if c.labels[t].loop {
		return 0
	}
	after := c.labels[t].after
	for k := t + 1; k < len(c.labels); k++ {
		if c.labels[k].loop {
			c.labels[k].exit = max(c.labels[k].exit, after)
			return 0
		}
	}
	return after
}

// branch closes an if: then is the cost of its first arm.
func (c *costs) branch(i int, then int64) int64 {
	l := c.pop()
	other := l.after
	if l.hasElse {
		other = l.elseCost
	}
	switch {
	case then > other+imbalanceMax:
		c.extra[i] = then - other
		return other
	case other > then+imbalanceMax && l.hasElse:
		c.extra[l.elseIndex] = other - then
		return then
	case other > then+imbalanceMax:
		c.missing[i] = other - then
		return then
	}
	return max(then, other)
}
