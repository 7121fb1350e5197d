package conformance

import (
	"fmt"

	"github.com/tidemill/tidemill/abi/conformance/program"
)

// Check runs a case by a plan and compares it with the model: nil, or what is wrong.
func Check(c *program.Case, plan *Plan) error {
	seen, err := Run(c, plan)
	if err != nil {
		return err
	}
	if d := Expect(c, plan).Difference(seen, plan); d != "" {
		return fmt.Errorf("%s", d)
	}
	return nil
}

// Shrink makes a case that a check fails smaller as long as it fails: it leaves out steps, then commands, at any depth.
func Shrink(c program.Case, fails func(*program.Case) bool) program.Case {
	for smaller := true; smaller; {
		smaller = false
		for size := len(c.Steps); size > 0; size /= 2 {
			for at := 0; at+size <= len(c.Steps); {
				if without := c.Without(at, size); fails(&without) {
					c, smaller = without, true
				} else {
					at += size
				}
			}
		}
		for n := 0; ; {
			less, found := c.Simpler(n)
			if !found {
				break
			}
			if fails(&less) {
				c, smaller = less, true
			} else {
				n++
			}
		}
	}
	return c
}
