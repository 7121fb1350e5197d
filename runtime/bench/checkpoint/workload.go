package main

import (
	"fmt"

	"github.com/tidemill/tidemill/runtime/bench/measure"
	"github.com/tidemill/tidemill/runtime/checkpoint"
)

// The state: a key of 8 bytes and 8 numbers each.
const (
	numbers  = 8
	rowBytes = 8 + 8*numbers
	keys     = 100 << 20 / rowBytes
	window   = keys / 20 // keys in use at a time
)

// workload says which key a record has, as a function of its number: first each key once, then random ones in a window of a
// twentieth of the keys, which slides by as much in perSecond records. So a second touches a tenth, wherever it begins.
type workload struct{ records, perSecond int64 }

func (w workload) key(number int64) int64 {
	if number < keys {
		return number
	}
	x := uint64(number) * 0x9e3779b97f4a7c15
	x = (x ^ x>>29) * 0xbf58476d1ce4e5b9
	slid := int64(float64(number-keys) / float64(w.perSecond) * window)
	return (slid + int64((x^x>>32)%window)) % keys
}

// expected is what the sink says after a run, from an array in place of state.
func (w workload) expected() string {
	counts := make([]int64, keys)
	var s sum
	for number := range w.records {
		key := w.key(number)
		counts[key]++
		s.add(1, counts[key])
	}
	return s.String()
}

// changed is how many keys have a record in [from, to).
func (w workload) changed(from, to int64) int64 {
	seen, n := make([]bool, keys), int64(0)
	for number := from; number < to; number++ {
		if key := w.key(number); !seen[key] {
			seen[key] = true
			n++
		}
	}
	return n
}

// sizes compares what checkpoints wrote with what had changed.
type sizes struct{ deltas, share, written measure.Spread }

func (s sizes) String() string {
	return fmt.Sprintf("changed between checkpoints: %.1f %% of the keys (%.1f to %.1f); bytes of a delta / changed bytes: %.3f (%.3f to %.3f); "+
		"a run's deltas and bases / changed bytes: %.3f", 100*s.share.Median, 100*s.share.Min, 100*s.share.Max,
		s.deltas.Median, s.deltas.Min, s.deltas.Max, s.written.Median)
}

// sizesOf takes the checkpoints of several runs. Those within the load of the state do not count, nor does the one after it.
func sizesOf(w workload, taken []*checkpoint.Manifest) sizes {
	var deltas, shares, written []float64
	var runChanged, runOwn int64
	for i, m := range taken {
		if i == 0 || m.Checkpoint <= taken[i-1].Checkpoint {
			if runChanged > 0 {
				written = append(written, float64(runOwn)/float64(runChanged))
			}
			_, runOwn = m.Bytes()
			runChanged = w.changed(0, read(m)) * rowBytes
			continue
		}
		_, own := m.Bytes()
		from := read(taken[i-1])
		bytes := w.changed(from, read(m)) * rowBytes
		runChanged, runOwn = runChanged+bytes, runOwn+own
		if from < keys || bytes == 0 || isBase(m) {
			continue
		}
		deltas = append(deltas, float64(own)/float64(bytes))
		shares = append(shares, float64(bytes)/rowBytes/keys)
	}
	if runChanged > 0 {
		written = append(written, float64(runOwn)/float64(runChanged))
	}
	return sizes{measure.SpreadOf(deltas), measure.SpreadOf(shares), measure.SpreadOf(written)}
}

// read is how many records are before the checkpoint.
func read(m *checkpoint.Manifest) (n int64) {
	for _, s := range m.Splits {
		n += s.Position.Records
	}
	return n
}

// isBase says whether the checkpoint wrote all state anew.
func isBase(m *checkpoint.Manifest) bool {
	for _, s := range m.Segments {
		if s.Checkpoint == m.Checkpoint && s.Base {
			return true
		}
	}
	return false
}
