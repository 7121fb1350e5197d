package timers

import "github.com/tidemill/tidemill/runtime/state/cells"

// keyHeap is a 4-ary heap of keys by time: the four children of an entry are one or two cache lines.
type keyHeap []keyEntry

type keyEntry struct {
	time int64
	head cells.Ref
}

func (h *keyHeap) push(e keyEntry) {
	s := append(*h, e)
	*h = s
	i := len(s) - 1
	for i > 0 {
		parent := (i - 1) / 4
		if s[parent].time <= e.time {
			break
		}
		s[i] = s[parent]
		i = parent
	}
	s[i] = e
}

// pop removes the first entry.
func (h *keyHeap) pop() {
	s := *h
	last := len(s) - 1
	e := s[last]
	*h = s[:last]
	if last > 0 {
		s[:last].sink(0, e)
	}
}

// sink places e at i or below.
func (h keyHeap) sink(i int, e keyEntry) {
	for {
		first := 4*i + 1
		if first >= len(h) {
			break
		}
		least := first
		for c := first + 1; c < min(first+4, len(h)); c++ {
			if h[c].time < h[least].time {
				least = c
			}
		}
		if e.time <= h[least].time {
			break
		}
		h[i] = h[least]
		i = least
	}
	h[i] = e
}

// order makes a heap of entries in any order.
func (h keyHeap) order() {
	for i := (len(h) - 2) / 4; i >= 0 && len(h) > 1; i-- {
		h.sink(i, h[i])
	}
}
