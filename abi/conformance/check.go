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
