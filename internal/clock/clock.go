// Package clock is the only source of time for everything a record or a checkpoint passes through, so that tests and the
// simulation can hold and move it.
package clock

import "time"

// Clock tells the time and wakes its callers. Implementations are safe for concurrent use.
type Clock interface {
	// Now is the current time; it may go back on a real machine, callers that need otherwise keep the maximum.
	Now() time.Time
	// NewTimer delivers once on C after d. A zero or negative d delivers at once.
	NewTimer(d time.Duration) Timer
}

// Timer is a one-shot timer.
type Timer interface {
	C() <-chan time.Time
	// Stop prevents a delivery that has not happened; it reports whether it did.
	Stop() bool
	// Reset makes the timer deliver after d from now, whatever its state; a delivery not yet received is dropped.
	Reset(d time.Duration)
}

// System is the machine's clock.
var System Clock = system{}

type system struct{}

func (system) Now() time.Time { return time.Now() }

func (system) NewTimer(d time.Duration) Timer { return systemTimer{time.NewTimer(d)} }

type systemTimer struct{ t *time.Timer }

func (t systemTimer) C() <-chan time.Time   { return t.t.C }
func (t systemTimer) Stop() bool            { return t.t.Stop() }
func (t systemTimer) Reset(d time.Duration) { t.t.Reset(d) }
