package statetest

import (
	"fmt"
	"testing"

	"github.com/tidemill/tidemill/runtime/state"
)

// Run runs the suite.
func Run(t *testing.T, open Opener) {
	t.Run("programs", func(t *testing.T) {
		seeds, steps := 16, 250
		if testing.Short() {
			seeds = 6
		}
		for seed := range seeds {
			t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
				expires := seed%2 == 1
				seed := seed / 2
				keys := []int{1, 3, 40, 400}[seed%4]
				o := state.Options{}
				if seed/4%2 == 0 { // forget all that may be forgotten, at every turn
					o.HotBytesMax = 1
				}
				p := newProgram(t, open, o, uint64(seed), keys, expires)
				for range steps {
					p.step()
				}
				p.verify()
				p.finish(false)
			})
		}
	})
	for _, c := range []struct {
		name string
		run  func(*testing.T, Opener)
	}{{"schemas", runSchemas}, {"undeclared", runUndeclared}, {"limit", runLimit}, {"rule 4", runRules},
		{"expiry", runExpiry}, {"expiry declared anew", runExpiryChanged}, {"expiry frees", runExpiryFrees}, {"expiry over segments", runExpiryChain}} {
		t.Run(c.name, func(t *testing.T) { c.run(t, open) })
	}
}
