package statetest

import (
	"fmt"
	"math"

	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
)

// changeTimers makes random changes to timers.
func (p *program) changeTimers() {
	for _, part := range p.parts {
		if part.keys.N > 0 {
			p.changeTimersOf(part, &part.keys, 1+p.r.IntN(200), p.reached)
		}
	}
}

func (p *program) changeTimersOf(part *part, keys *record.KeySet, n int, reached [2]int64) {
	c := &state.TimerChanges{TagOff: []int32{0}}
	for range n {
		k := p.r.IntN(keys.N)
		t := Timer{Domain: state.Domain(p.r.IntN(2)), Name: p.r.IntN(len(timerNames))}
		t.Time = p.reached[t.Domain] + int64(p.r.IntN(60)) - 10
		if p.r.IntN(3) == 0 {
			t.Tag = fmt.Sprint("tag\x00", p.r.IntN(3))
		}
		op := uint8(state.TimerSet)
		switch p.r.IntN(20) {
		case 0, 1:
			op = state.TimerDelete
		case 2:
			op = state.TimerDeleteTag
		case 3:
			op = state.TimerDeleteKey
		}
		c.Key, c.Name, c.Domain = append(c.Key, uint32(k)), append(c.Name, uint16(t.Name)), append(c.Domain, uint8(t.Domain))
		c.Op, c.Time = append(c.Op, op), append(c.Time, t.Time)
		c.Tags = append(c.Tags, t.Tag...)
		c.TagOff = append(c.TagOff, int32(len(c.Tags)))
		p.model.ChangeTimer(string(keys.Key(k)), op, t, reached)
	}
	p.must(part.b.ApplyTimers(keys, c, reached))
}

// advance moves one domain's time and fires what is due in rounds, with changes in between; sometimes it stops early.
func (p *program) advance() {
	domain := state.Domain(p.r.IntN(2))
	upTo := p.reached[domain] + int64(p.r.IntN(30))
	if p.r.IntN(40) == 0 {
		upTo = math.MaxInt64 / 2
	}
	stop := -1
	if p.r.IntN(5) == 0 {
		stop = p.r.IntN(4)
	}
	for _, part := range p.parts {
		for rounds := 0; rounds != stop && p.round(part, domain, upTo); rounds++ {
			if rounds > 10_000 {
				p.t.Fatal("rounds without end")
			}
		}
		p.checkNext(part, domain)
	}
	if upTo < 1<<40 {
		p.reached[domain] = upTo
	}
}

// mine is the due timers of the model whose keys a part owns.
func (p *program) mine(part *part, domain state.Domain, upTo int64) map[string]Timer {
	due := p.model.Due(domain, upTo)
	for key := range due {
		if g := record.KeyGroup(record.HashKey([]byte(key)), maxParallelism); g < part.groups[0] || g >= part.groups[1] {
			delete(due, key)
		}
	}
	return due
}

func (p *program) checkNext(part *part, domain state.Domain) {
	p.t.Helper()
	want, there := int64(math.MaxInt64), false
	for _, t := range p.mine(part, domain, math.MaxInt64) {
		want, there = min(want, t.Time), true
	}
	got, ok := part.b.NextTimer(domain)
	if ok != there || ok && got != want {
		p.t.Fatalf("the next timer of domain %d is at %d (%v), the model's at %d (%v)", domain, got, ok, want, there)
	}
}

// round takes one round, compares it, and fires some or all of it; it says whether there was one.
func (p *program) round(part *part, domain state.Domain, upTo int64) bool {
	most := []int{1, 7, 4096}[p.r.IntN(3)]
	var round state.Round
	n, err := part.b.Due(domain, upTo, most, &round)
	p.must(err)
	want := p.mine(part, domain, upTo)
	if n != round.Len() || n != min(most, len(want)) || n != round.Keys.N {
		p.t.Fatalf("a round has %d timers (%d entries, %d keys) of at most %d, the model has %d", n, round.Len(), round.Keys.N, most, len(want))
	}
	for i := range n {
		t, ok := want[string(round.Keys.Key(i))]
		tag := string(round.Tags[round.TagOff[i]:round.TagOff[i+1]])
		if !ok || t.Time != round.Time[i] || t.Name != int(round.Name[i]) || t.Tag != tag {
			p.t.Fatalf("timer %d of a round is name %d, time %d, tag %q; the model's is %+v (%v)", i, round.Name[i], round.Time[i], tag, t, ok)
		}
		if i > 0 && round.Time[i] < round.Time[i-1] {
			p.t.Fatalf("timer %d of a round is at %d, the one before at %d", i, round.Time[i], round.Time[i-1])
		}
	}
	if n == 0 {
		return false
	}
	from := 0
	for from < n {
		to := n
		if p.r.IntN(4) == 0 {
			to = from + 1 + p.r.IntN(n-from)
		}
		fire := func() {
			p.must(part.b.Fired(domain, &round, from, to))
			for i := from; i < to; i++ {
				key := string(round.Keys.Key(i))
				p.model.Fire(key, want[key])
			}
		}
		changes := p.r.IntN(6)
		if changes < 2 {
			fire()
		}
		if changes > 0 && changes < 4 {
			p.changeTimersOf(part, &round.Keys, 1+p.r.IntN(5), [2]int64{max(p.reached[0], min(upTo, 1<<40)), p.reached[1]})
		}
		if changes >= 2 {
			fire()
		}
		from = to
	}
	return true
}
