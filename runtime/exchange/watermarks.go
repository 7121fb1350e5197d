package exchange

import "github.com/tidemill/tidemill/runtime/record"

// Watermarks merges the watermarks of several inputs. One goroutine uses it.
type Watermarks struct {
	at   []int64
	idle []bool
}

// Add adds an input, active and without a watermark, and returns its number.
func (w *Watermarks) Add() int {
	w.at = append(w.at, record.WatermarkNone)
	w.idle = append(w.idle, false)
	return len(w.at) - 1
}

// Set moves an input's watermark, never back, and makes the input active.
func (w *Watermarks) Set(i int, value int64) {
	w.at[i] = max(w.at[i], value)
	w.idle[i] = false
}

// SetIdle says that nothing is to be expected of an input for now.
func (w *Watermarks) SetIdle(i int) { w.idle[i] = true }

// Merge is the watermark of all inputs together: the least of the active ones. Ended inputs do not count until all have ended.
// Where all that have not ended are idle, it is the greatest of theirs, so that the order in which they fell idle does not matter.
func (w *Watermarks) Merge() (value int64, idle bool) {
	least, greatest := record.WatermarkEnd, record.WatermarkNone
	active, waiting := false, false
	for i, at := range w.at {
		switch {
		case at == record.WatermarkEnd:
		case w.idle[i]:
			waiting = true
			greatest = max(greatest, at)
		default:
			active = true
			least = min(least, at)
		}
	}
	if !active && waiting {
		return greatest, true
	}
	return least, false
}
