package statetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
)

// timer is one change of a timer of key 0.
type timer struct {
	set  uint8 // operation
	name uint16
	time int64
	tag  string
}

func setTimer(t *testing.T, b state.Backend, keys *record.KeySet, changes ...timer) {
	t.Helper()
	must(t, b.ApplyTimers(keys, timerChanges(changes...), [2]int64{10, 10}))
}

func timerChanges(changes ...timer) *state.TimerChanges {
	c := &state.TimerChanges{TagOff: []int32{0}}
	for _, s := range changes {
		c.Key, c.Name, c.Domain, c.Op = append(c.Key, 0), append(c.Name, s.name), append(c.Domain, uint8(state.EventTime)), append(c.Op, s.set)
		c.Time, c.Tags = append(c.Time, s.time), append(c.Tags, s.tag...)
		c.TagOff = append(c.TagOff, int32(len(c.Tags)))
	}
	return c
}

// runRules is rule 4 of the ABI, a case a sentence: names a (one), b (many), c (one, drops what is past), with event time at 10
// when the timers are set. fired is what one advance to 100 fires, "name time tag" each.
func runRules(t *testing.T, open Opener) {
	const set, del, delTag, delKey = state.TimerSet, state.TimerDelete, state.TimerDeleteTag, state.TimerDeleteKey
	for _, c := range []struct {
		rule    string
		before  []timer // set before the advance
		inside  []timer // set when the first timer fires
		fired   string
		pending int64 // timers left
	}{
		{rule: "time, then name in declaration order, then tag",
			before: []timer{{set, 1, 30, "x"}, {set, 1, 30, ""}, {set, 0, 30, "y"}, {set, 1, 20, "z"}, {set, 0, 200, ""}},
			fired:  "b 20 z, a 30 y, b 30 , b 30 x", pending: 1},
		{rule: "a timer at the very time fires", before: []timer{{set, 0, 100, ""}, {set, 0, 101, "t"}}, fired: "a 100 ", pending: 1},
		{rule: "one per name and tag: setting replaces, later and earlier",
			before: []timer{{set, 0, 50, ""}, {set, 0, 60, ""}, {set, 0, 60, "t"}, {set, 0, 40, "t"}}, fired: "a 40 t, a 60 "},
		{rule: "a replacement beyond the advance does not fire", before: []timer{{set, 0, 50, ""}, {set, 0, 160, ""}}, pending: 1},
		{rule: "many: one per time", before: []timer{{set, 1, 50, ""}, {set, 1, 60, ""}, {set, 1, 50, ""}}, fired: "b 50 , b 60 "},
		{rule: "past: next fires with the next advance", before: []timer{{set, 0, 10, ""}, {set, 1, -5, ""}}, fired: "b -5 , a 10 "},
		{rule: "past: drop drops what is reached", before: []timer{{set, 2, 10, ""}, {set, 2, 11, "t"}}, fired: "c 11 t"},
		{rule: "a dropped setting replaces nothing", before: []timer{{set, 2, 50, ""}, {set, 2, 9, ""}}, fired: "c 50 "},
		{rule: "set inside for what is reached fires in the same advance, later",
			before: []timer{{set, 0, 20, ""}, {set, 0, 30, "t"}}, inside: []timer{{set, 1, 15, ""}, {set, 1, 200, ""}}, fired: "a 20 , b 15 , a 30 t", pending: 1},
		{rule: "set again inside fires again", before: []timer{{set, 0, 20, ""}}, inside: []timer{{set, 0, 20, ""}}, fired: "a 20 , a 20 "},
		{rule: "dropped inside when the advance has reached it", before: []timer{{set, 0, 20, ""}}, inside: []timer{{set, 2, 100, ""}, {set, 2, 101, "t"}},
			fired: "a 20 ", pending: 1},
		{rule: "deleting counts at once, also for one already due",
			before: []timer{{set, 0, 20, ""}, {set, 1, 30, ""}, {set, 1, 40, ""}}, inside: []timer{{del, 1, 30, ""}}, fired: "a 20 , b 40 "},
		{rule: "replacing counts at once, also for one already due",
			before: []timer{{set, 0, 20, ""}, {set, 0, 30, "t"}}, inside: []timer{{set, 0, 130, "t"}}, fired: "a 20 ", pending: 1},
		{rule: "delete all of name and tag", before: []timer{{set, 1, 30, ""}, {set, 1, 40, ""}, {set, 1, 40, "t"}, {delTag, 1, 0, ""}}, fired: "b 40 t"},
		{rule: "delete all of key", before: []timer{{set, 0, 30, ""}, {set, 1, 40, ""}, {delKey, 0, 0, ""}, {set, 0, 50, ""}}, fired: "a 50 "},
		{rule: "deleting what is absent does nothing", before: []timer{{del, 0, 30, ""}, {delTag, 1, 0, "t"}, {delKey, 0, 0, ""}, {set, 1, 30, ""}, {del, 1, 31, ""}},
			fired: "b 30 "},
		{rule: "of one per name and tag the time of a deletion does not matter", before: []timer{{set, 0, 30, ""}, {del, 0, 99, ""}}},
	} {
		for _, apart := range []bool{false, true} { // with a checkpoint after each setting
			t.Run(fmt.Sprintf("%s, apart %v", c.rule, apart), func(t *testing.T) {
				names := []state.TimerDecl{{Name: "a"}, {Name: "b", Many: true}, {Name: "c", DropPast: true}}
				b := open(t, state.Options{})
				must(t, b.Declare(nil, names))
				keys := keysOf(1)
				if !apart {
					setTimer(t, b, keys, c.before...)
				}
				for i := 0; apart && i < len(c.before); i++ {
					setTimer(t, b, keys, c.before[i])
					checkpointOf(t, b, false)
				}
				var fired []string
				var round state.Round
				for len(fired) < 10 {
					n, err := b.Due(state.EventTime, 100, 5, &round)
					must(t, err)
					if n == 0 {
						break
					}
					if n > 1 {
						t.Fatalf("a round has %d timers of one key", n)
					}
					first := len(fired) == 0
					fired = append(fired, fmt.Sprintf("%s %d %s", names[round.Name[0]].Name, round.Time[0], round.Tags))
					if first { // what a frame changes is applied, then what it fired is taken out
						must(t, b.ApplyTimers(keys, timerChanges(c.inside...), [2]int64{100, 10}))
					}
					must(t, b.Fired(state.EventTime, &round, 0, 1))
				}
				if got := strings.Join(fired, ", "); got != c.fired || b.Stats().Timers != c.pending {
					t.Fatalf("%q fired, %d are left; want %q and %d", got, b.Stats().Timers, c.fired, c.pending)
				}
				segment := checkpointOf(t, b, true)
				if left := restored(t, open, segment); left.Declare(nil, names) != nil || left.Stats().Timers != c.pending || segment.Len() != int(c.pending) {
					t.Fatalf("%d timers are restored of %v", left.Stats().Timers, slices.Clip(dump(segment)))
				}
			})
		}
	}
}
