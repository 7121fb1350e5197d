package program

import "slices"

// Shrink makes a case for which fails is true smaller as long as it stays true: it leaves out steps, then what rows need not have, then
// commands at any depth.
func (c *Case) Shrink(fails func(*Case) bool) Case {
	best := *c
	try := func(less Case) bool {
		less = ParseCase(less.Bytes())
		if !fails(&less) {
			return false
		}
		best = less
		return true
	}
	for smaller := true; smaller; {
		smaller = false
		for size := len(best.Steps); size > 0; size /= 2 {
			for at := 0; at+size <= len(best.Steps); {
				if try(best.without(at, size)) {
					smaller = true
				} else {
					at += size
				}
			}
		}
		for n := 0; ; {
			less, found := best.simpler(n)
			if !found {
				break
			}
			if try(less) {
				smaller = true
			} else {
				n++
			}
		}
	}
	return best
}

// without is the case without n of its steps.
func (c *Case) without(at, n int) Case {
	less := *c
	less.Steps = slices.Delete(slices.Clone(c.Steps), at, at+n)
	return less
}

// simpler is candidate n of the cases that are one simplification away: without the values of a row, without a command, or with a
// program in the place of the command that holds it. False where there are no more.
func (c *Case) simpler(n int) (Case, bool) {
	less := *c
	less.Steps = slices.Clone(c.Steps)
	programs := []*[]byte{&less.OnWatermark, &less.OnEnd}
	for i := range less.Steps {
		s := &less.Steps[i]
		if s.Kind != Row {
			continue
		}
		programs = append(programs, &s.Program)
		const kindKeyTime, nothing = 3, 3 // bytes; and a mask of no fields, and a null
		if len(s.head) == kindKeyTime+nothing {
			continue
		}
		if n == 0 {
			s.head = append(slices.Clone(s.head[:kindKeyTime]), make([]byte, nothing)...)
			return less, true
		}
		n--
	}
	for _, p := range programs {
		list := simpler(*p)
		if n < len(list) {
			*p = list[n]
			return less, true
		}
		n -= len(list)
	}
	return Case{}, false
}

// simpler are the programs that are one simplification away.
func simpler(program []byte) (list [][]byte) {
	at := 0
	for r := NewReader(program); ; {
		c, ok := r.Next()
		if !ok {
			return list
		}
		end := len(program) - r.Left()
		with := func(middle []byte) []byte { return slices.Concat(program[:at], middle, program[end:]) }
		list = append(list, with(nil))
		if inner := c.Program; len(inner) > 0 {
			list = append(list, with(inner))
			head := c.Bytes[:len(c.Bytes)-len(inner)-1]
			for _, less := range simpler(inner) {
				list = append(list, with(appendProgram(slices.Clone(head), less)))
			}
		}
		at = end
	}
}
