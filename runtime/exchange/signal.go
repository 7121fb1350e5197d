package exchange

// Signal wakes the one goroutine that waits on it; wakes while it is awake are kept, as one. Safe for concurrent use.
type Signal struct{ c chan struct{} }

// NewSignal returns a signal.
func NewSignal() *Signal { return &Signal{c: make(chan struct{}, 1)} }

// Wake makes the next or current receive from C return.
func (s *Signal) Wake() {
	select {
	case s.c <- struct{}{}:
	default:
	}
}

// C delivers once after each Wake; several wakes may arrive as one.
func (s *Signal) C() <-chan struct{} { return s.c }
