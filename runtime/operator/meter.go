package operator

import "sync/atomic"

// Meter counts what an operator did. The operator's goroutine writes it, others read it at any time.
type Meter struct {
	Fuel      atomic.Int64 // units used by guest code
	Frames    atomic.Int64
	Traps     atomic.Int64 // traps, exhausted fuel and invalid answers
	Rejected  atomic.Int64 // records and timers rejected
	Instances atomic.Int64 // instances opened
	Dropped   atomic.Int64 // log lines over the rate limit

	custom atomic.Pointer[[]Reading]
}

// Reading is a metric that a guest declared.
type Reading struct {
	Name  string
	Gauge bool // else a counter
	Doc   string
	Value *atomic.Uint64 // a counter's count, a gauge's float64 bits
}

// Declare sets the guest's own metrics; values of names declared before are kept.
func (m *Meter) Declare(readings []Reading) {
	old := m.Custom()
	for i := range readings {
		readings[i].Value = new(atomic.Uint64)
		for _, o := range old {
			if o.Name == readings[i].Name && o.Gauge == readings[i].Gauge {
				readings[i].Value = o.Value
			}
		}
	}
	m.custom.Store(&readings)
}

// Custom returns the guest's own metrics, in declaration order. The slice is shared: do not change it.
func (m *Meter) Custom() []Reading {
	if p := m.custom.Load(); p != nil {
		return *p
	}
	return nil
}
