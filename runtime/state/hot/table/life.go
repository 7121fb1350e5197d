package table

import (
	"math"

	"github.com/tidemill/tidemill/runtime/state"
)

// Clock is the processing time of a back-end in us, which its tables share.
type Clock struct{ Now int64 }

// NewClock makes a clock by which nothing has expired.
func NewClock() *Clock { return &Clock{Now: math.MinInt64} }

// Life is how long the rows of a table live. A row has its expiry in it, so that it keeps the one that it was written with, whatever
// is declared later.
type Life struct {
	Clock *Clock
	TTL   int64 // us, of rows written now; 0: for ever
	// Ends says that there may be rows with an expiry. Where there are none, nothing here costs more than reading it.
	Ends bool
	// Swept counts the rows that were taken out because they had expired.
	Swept int64
	debt  int
}

// declare takes a state's TTL.
func (l *Life) declare(ttl int64) {
	l.TTL = ttl
	l.Ends = l.Ends || ttl > 0
}

// Expiry is that of a row written now, where the table has a TTL.
func (l *Life) Expiry() int64 {
	if now := l.Clock.Now; now <= math.MaxInt64-l.TTL {
		return now + l.TTL
	}
	return math.MaxInt64
}

// Stamp gives a row that has just been encoded its expiry, where the table has a TTL.
func (l *Life) Stamp(row []byte) []byte {
	if l.TTL == 0 {
		return row
	}
	return state.AppendExpiry(row, l.Expiry())
}

// Restored notes a row that was written by an earlier run.
func (l *Life) Restored(row []byte) {
	if !l.Ends {
		_, l.Ends = state.Expiry(row)
	}
}

// Over says whether a row has expired.
func (l *Life) Over(row []byte) bool { return l.Ends && expired(row, l.Clock.Now) }

func expired(row []byte, now int64) bool {
	at, ok := state.Expiry(row)
	return ok && at <= now
}

// Cutoff is the time of a checkpoint, for the goroutine that writes it.
type Cutoff struct {
	ends bool
	now  int64
}

// Cutoff is the time of a checkpoint that is taken now.
func (l *Life) Cutoff() Cutoff { return Cutoff{l.Ends, l.Clock.Now} }

// Ends says whether there may be rows with an expiry.
func (c Cutoff) Ends() bool { return c.ends }

// Over says whether a row had expired.
func (c Cutoff) Over(row []byte) bool { return c.ends && expired(row, c.now) }

// What has expired is taken out chunk by chunk of a table's arena (256 KiB), as the table is written to: for each sweepBytes by
// which it has grown, and for each sweepBytes/changeDebt changes, one chunk is looked through. A pass over the arena so ends before
// the table has grown by half its size, which bounds what has expired and is still there by what is live.
const (
	sweepBytes = 64 << 10
	changeDebt = 16
)

// SweepMost bounds what a table takes out of one chunk at a time. The next Sweep is of the same chunk then.
const SweepMost = 2048

// Owe notes changes to a table, and the bytes that it has grown by, and returns how many chunks are to be swept for them.
func (l *Life) Owe(changes int, bytes int64) int {
	l.debt += changes*changeDebt + int(max(bytes, 0))
	n := l.debt / sweepBytes
	l.debt %= sweepBytes
	return n
}
