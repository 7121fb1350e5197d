package clock

import (
	"sync"
	"time"
)

// Manual is a clock that moves only when told to. Safe for concurrent use.
type Manual struct {
	mu     sync.Mutex
	now    time.Time
	timers []*manualTimer
}

// NewManual returns a clock that stands at the given time.
func NewManual(at time.Time) *Manual { return &Manual{now: at} }

// Now returns the time the clock was moved to last.
func (m *Manual) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// Advance moves the clock by d and delivers to every timer that is due, in order of their times.
func (m *Manual) Advance(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = m.now.Add(d)
	m.deliver()
}

// NewTimer returns a timer of this clock.
func (m *Manual) NewTimer(d time.Duration) Timer {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := &manualTimer{clock: m, ch: make(chan time.Time, 1), at: m.now.Add(d), armed: true}
	m.timers = append(m.timers, t)
	m.deliver()
	return t
}

// Waiting is the number of armed timers: a test waits for it before it advances.
func (m *Manual) Waiting() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.timers)
}

func (m *Manual) deliver() {
	for {
		next := -1
		for i, t := range m.timers {
			if !t.at.After(m.now) && (next < 0 || t.at.Before(m.timers[next].at)) {
				next = i
			}
		}
		if next < 0 {
			return
		}
		t := m.timers[next]
		m.timers = append(m.timers[:next], m.timers[next+1:]...)
		t.armed = false
		select {
		case t.ch <- t.at:
		default:
		}
	}
}

type manualTimer struct {
	clock *Manual
	ch    chan time.Time
	at    time.Time
	armed bool
}

func (t *manualTimer) C() <-chan time.Time { return t.ch }

func (t *manualTimer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	return t.disarm()
}

func (t *manualTimer) disarm() bool {
	was := t.armed
	for i, other := range t.clock.timers {
		if other == t {
			t.clock.timers = append(t.clock.timers[:i], t.clock.timers[i+1:]...)
			break
		}
	}
	t.armed = false
	return was
}

func (t *manualTimer) Reset(d time.Duration) {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	t.disarm()
	select {
	case <-t.ch:
	default:
	}
	t.at, t.armed = t.clock.now.Add(d), true
	t.clock.timers = append(t.clock.timers, t)
	t.clock.deliver()
}
