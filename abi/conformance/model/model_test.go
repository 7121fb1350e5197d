package model

import (
	"math/rand/v2"
	"testing"

	"github.com/tidemill/tidemill/abi/conformance/program"
)

// TestDrawnCasesExpire: cases that are drawn reach what expires. Cells of each kind are written, outlive some ticks, and are gone after
// others, before rows of their key.
func TestDrawnCasesExpire(t *testing.T) {
	var lived, gone [3]int // rows that find old cells, and that find cells gone: brief, fading, mist
	for seed := range uint64(27) {
		c := program.DrawCase(rand.New(rand.NewPCG(seed, 1)), program.Drawings[int(seed)%len(program.Drawings)])
		m := New(&c)
		for pos := range c.Steps {
			switch s := &c.Steps[pos]; s.Kind {
			case program.Tick:
				m.Tick(s.To)
			case program.Watermark:
				m.Advance(s.To)
			case program.Row:
				k := m.keyed(s.Key)
				was := cells(k, m.now)
				left := k.copy()
				left.expire(m.now)
				for i, n := range cells(left, m.now) {
					if n > 0 {
						lived[i]++
					}
					if n < was[i] {
						gone[i]++
					}
				}
				m.Row(s, int64(pos))
			}
		}
	}
	t.Logf("rows that found old cells: %v, that found cells gone: %v", lived, gone)
	for i := range lived {
		if lived[i] < 20 || gone[i] < 8 {
			t.Errorf("state %d: %d rows found old cells, %d found cells gone: too few", i, lived[i], gone[i])
		}
	}
}

// cells counts the cells that were written before now.
func cells(k *keyed, now int64) (n [3]int) {
	count := func(state int, c *cell) {
		if c.written < now {
			n[state]++
		}
	}
	if k.values[2] != nil {
		count(0, k.values[2])
	}
	for i := range k.lists[2] {
		count(1, &k.lists[2][i])
	}
	for _, c := range k.maps[3] {
		count(2, &c)
	}
	return n
}
