package source

import (
	"sync"
	"time"

	"github.com/tidemill/tidemill/internal/clock"
	"github.com/tidemill/tidemill/runtime/record"
)

// Rate limits the records a second of one source over all its splits: a token bucket. Safe for concurrent use.
//
// Records are granted in quanta of about 10 ms, so that the rate is smooth without making batches of single rows, and what a
// late wake-up misses is made up within 100 ms.
type Rate struct {
	clock   clock.Clock
	rate    float64 // a second
	quantum float64
	burst   float64

	mu     sync.Mutex
	tokens float64
	filled time.Time
}

// NewRate returns a limit of so many records a second.
func NewRate(c clock.Clock, perSecond float64) *Rate {
	r := &Rate{clock: c, rate: perSecond, filled: c.Now()}
	r.quantum = min(max(perSecond/100, 1), record.RowsMax)
	r.burst = max(perSecond/10, r.quantum)
	return r
}

// take grants up to want records, or none and says after what time to ask again.
func (r *Rate) take(want int) (granted int, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock.Now()
	if d := now.Sub(r.filled); d > 0 {
		r.tokens = min(r.tokens+r.rate*d.Seconds(), r.burst)
		r.filled = now
	}
	need := min(r.quantum, float64(want))
	if r.tokens < need {
		return 0, max(time.Duration((need-r.tokens)/r.rate*float64(time.Second)), time.Microsecond)
	}
	granted = min(int(r.tokens), want)
	r.tokens -= float64(granted)
	return granted, 0
}

// giveBack returns what was granted and not read.
func (r *Rate) giveBack(n int) {
	if n <= 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tokens += float64(n)
}
