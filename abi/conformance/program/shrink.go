package program

import "slices"

// Without is the case without n of its steps.
func (c *Case) Without(at, n int) Case {
	less := *c
	less.Steps = slices.Delete(slices.Clone(c.Steps), at, at+n)
	return ParseCase(less.Bytes())
}

// Simpler is candidate n of the cases that are one simplification away: without a command, or with a program in the place of the
// command that holds it. False where there are no more.
func (c *Case) Simpler(n int) (Case, bool) {
	less := *c
	less.Steps = slices.Clone(c.Steps)
	programs := []*[]byte{&less.OnWatermark, &less.OnEnd}
	for i := range less.Steps {
		programs = append(programs, &less.Steps[i].Program)
	}
	for _, p := range programs {
		list := simpler(*p)
		if n < len(list) {
			*p = list[n]
			return ParseCase(less.Bytes()), true
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
			if c.Op == Repeat {
				list = append(list, with(inner))
			}
			head := c.Bytes[:len(c.Bytes)-len(inner)-1]
			for _, less := range simpler(inner) {
				list = append(list, with(appendProgram(slices.Clone(head), less)))
			}
		}
		at = end
	}
}
