package conformance

import (
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/tidemill/tidemill/abi/conformance/program"
)

// Plan says how a case is run. Whatever it says, the results must be the same.
type Plan struct {
	Guests     []*Guest // the first runs until a checkpoint restores, the next from there on, and so around
	Subtasks   []int    // likewise
	Columnar   bool     // guests that have one run the operator that takes columns
	Restore    bool     // every checkpoint is restored by new back-ends and instances
	Rollback   int      // before it is restored, so many steps are run whose effects are lost
	Base       bool     // every checkpoint has all state, not what has changed
	Badger     bool     // state lies in Badger, else in memory
	RowsMax    int      // rows of a batch
	Cut        uint64   // seed for where frames are cut; 0: nowhere
	EachFrame  bool     // each frame has an instance of its own
	FrameBytes int      // of a frame, at most; 0 is the default
	Stop       bool     // a refused item ends the job, as by the policy fail; else it is skipped
}

// String is the plan for people.
func (p *Plan) String() string {
	var languages []string
	for _, g := range p.Guests {
		languages = append(languages, g.Language)
	}
	text := fmt.Sprintf("%s, subtasks %v, batches of %d", strings.Join(languages, " then "), p.Subtasks, p.RowsMax)
	for _, o := range []struct {
		on   bool
		text string
	}{
		{p.Columnar, "by columns"}, {p.Restore, fmt.Sprintf("restored at checkpoints after %d lost steps", p.Rollback)}, {p.Base, "whole checkpoints"},
		{p.Badger, "Badger"}, {p.Cut != 0, fmt.Sprintf("cut by seed %d", p.Cut)}, {p.EachFrame, "an instance a frame"},
		{p.FrameBytes != 0, fmt.Sprintf("frames of %d bytes", p.FrameBytes)}, {p.Stop, "stopping at the first refusal"},
	} {
		if o.on {
			text += ", " + o.text
		}
	}
	return text
}

// rowsMax is the most rows of a batch.
const rowsMax = 4096

// Plain is the plan that does nothing special.
func Plain(g *Guest) Plan { return Plan{Guests: []*Guest{g}, Subtasks: []int{1}, RowsMax: rowsMax} }

// DrawPlan draws a plan for a case over some of the guests.
func DrawPlan(rng *rand.Rand, c *program.Case, guests []*Guest) Plan {
	one := func(in int) bool { return rng.IntN(in) == 0 }
	p := Plain(guests[rng.IntN(len(guests))])
	p.RowsMax = []int{1, 2, 7, 64, rowsMax}[rng.IntN(5)]
	if one(2) {
		p.Cut = 1 + rng.Uint64()>>1
	}
	p.EachFrame, p.Columnar = one(16), one(4)
	if p.Stop = one(8); p.Stop {
		return p
	}
	if one(3) {
		p.FrameBytes = max(frameBytesMin, answerShare*Expect(c, &p).model.ItemBytes)
	}
	p.Subtasks = []int{1 + rng.IntN(3)}
	if one(2) {
		p.Restore, p.Base, p.Rollback = true, one(2), rng.IntN(3)
		p.Subtasks = append(p.Subtasks, 1+rng.IntN(3))
		for range 1 + rng.IntN(2) {
			p.Guests = append(p.Guests, guests[rng.IntN(len(guests))])
		}
		p.Badger = one(16)
	}
	return p
}

// Small frames have room for the largest item of a case: where an SDK ends a frame early, its last item must still fit, and it may
// count more bytes than an answer will have.
const (
	frameBytesMin = 16 << 10
	answerShare   = 4
)
