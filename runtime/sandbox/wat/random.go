package wat

import (
	"fmt"
	"strings"
)

type program struct {
	strings.Builder
	intN   func(n int) int
	labels int
	left   int // statements to write in this function
	bulk   bool
}

const functionsOfProgram = 5

// Random writes a random program: nested blocks, loops, arms, switches, calls and recursion, and bulk operations where wanted. It
// exports "run", (i32) -> i32. Every loop turn and every call counts down a global, so each program ends. intN(n) is a random number
// below n; the same numbers give the same program.
func Random(intN func(n int) int, bulk bool) string {
	p := &program{intN: intN, bulk: bulk}
	p.WriteString("(module (memory 1) (table 5 funcref) (type $f (func (param i32) (result i32)))\n(global $turns (mut i32) (i32.const 400))\n")
	p.WriteString("(elem (i32.const 0) $f0 $f1 $f2 $f3 $f4)\n")
	p.WriteString(`(func (export "run") (param i32) (result i32) local.get 0 call $f0)` + "\n")
	for n := range functionsOfProgram {
		fmt.Fprintf(p, "(func $f%d (type $f) (local $x i32)\n", n)
		p.WriteString("local.get 0 i32.const 40503 i32.mul i32.const 7 i32.add local.set 1\n")
		p.countdown(0)
		p.labels, p.left = 1, p.intN(40)
		p.block()
		p.WriteString("local.get 1)\n")
	}
	p.WriteString(")")
	return p.String()
}

// countdown leaves the function when the turns are used up. From depth labels within, as a branch to the function's own label.
func (p *program) countdown(depth int) {
	fmt.Fprintf(p, "global.get $turns i32.const 1 i32.sub global.set $turns\n")
	fmt.Fprintf(p, "local.get 1 global.get $turns i32.const 0 i32.lt_s br_if %d drop\n", depth)
}

func (p *program) block() {
	for n := p.intN(6); n >= 0 && p.left > 0; n-- {
		p.left--
		p.statement()
	}
}

// condition pushes a bit of x.
func (p *program) condition() {
	fmt.Fprintf(p, "local.get 1 i32.const %d i32.shr_u i32.const 1 i32.and\n", p.intN(16))
}

func (p *program) step() {
	fmt.Fprintf(p, "local.get 1 i32.const 1103515245 i32.mul i32.const %d i32.add local.set 1\n", p.intN(1000))
}

// target is a label that takes no value: any but the function's.
func (p *program) target() (int, bool) { return p.intN(max(p.labels-1, 1)), p.labels > 1 }

func (p *program) nested(opener string) {
	p.WriteString(opener + "\n")
	p.labels++
	if opener == "loop" {
		p.countdown(p.labels - 1)
	}
	p.block()
}

func (p *program) end() {
	p.labels--
	p.WriteString("end\n")
}

func (p *program) statement() {
	switch kind := p.intN(14); kind {
	case 0, 1:
		for range p.intN(60) + 1 {
			p.step()
		}
	case 2:
		p.nested("block")
		p.end()
	case 3, 4:
		p.nested("loop")
		p.condition()
		p.WriteString("br_if 0\n")
		p.end()
	case 5, 6:
		p.condition()
		p.nested("if")
		if kind == 6 {
			p.WriteString("else\n")
			p.block()
		}
		p.end()
	case 7:
		if l, ok := p.target(); ok {
			p.condition()
			fmt.Fprintf(p, "br_if %d\n", l)
		}
	case 8:
		if l, ok := p.target(); ok {
			p.condition()
			fmt.Fprintf(p, "if br %d end\n", l+1)
		}
	case 9:
		if p.labels > 1 {
			fmt.Fprintf(p, "local.get 1 i32.const 5 i32.shr_u i32.const 7 i32.and br_table")
			for range p.intN(6) + 1 {
				l, _ := p.target()
				fmt.Fprintf(p, " %d", l)
			}
			p.WriteString("\n")
		}
	case 10:
		fmt.Fprintf(p, "local.get 1 call $f%d local.set 1\n", p.intN(functionsOfProgram))
	case 11:
		fmt.Fprintf(p, "local.get 1 local.get 1 i32.const %d i32.and call_indirect (type $f) local.set 1\n", p.intN(4))
	case 13: // left from within only
		p.nested("block")
		p.nested("loop")
		p.condition()
		p.WriteString("br_if 1 br 0\n")
		p.end()
		p.WriteString("unreachable\n")
		p.end()
	case 12:
		switch choice := p.intN(4); {
		case choice < 2 && !p.bulk:
		case choice == 0:
			fmt.Fprintf(p, "i32.const 0 i32.const %d i32.const %d memory.copy\n", p.intN(30000), p.intN(30000))
		case choice == 1:
			fmt.Fprintf(p, "i32.const 5 local.get 1 i32.const %d memory.fill\n", p.intN(3000))
		case choice == 2:
			p.condition()
			p.WriteString("if local.get 1 return end\n")
		case choice == 3:
			p.step()
			p.WriteString("i32.const 99 i32.load local.get 1 i32.add local.set 1\n")
		}
	}
}
