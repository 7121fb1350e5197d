package sandbox

import (
	"encoding/binary"
	"errors"
	"log/slog"

	"github.com/tidemill/tidemill/runtime/sandbox/guestlog"
	"github.com/tidemill/tidemill/runtime/sandbox/overlay"
)

// host is what one instance may call: its log, its clocks, its random numbers and, while a frame runs, the frame's state. It
// implements vm.Host.
type host struct {
	log   *guestlog.Log
	state *overlay.State // nil while no frame with keys runs

	wallMicros int64  // the frame's processing time
	monotonic  int64  // ns; only waits advance it
	random     uint64 // the state of the frame's generator
}

// begin sets clock and randomness for one call.
func (h *host) begin(wallMicros int64, seed uint64, state *overlay.State) {
	h.wallMicros, h.random, h.state = wallMicros, seed, state
}

// end closes what belonged to the call.
func (h *host) end() {
	h.state = nil
	h.log.Flush()
}

func (h *host) WallMicros() int64 { return h.wallMicros }

// MonotonicNanos begins at 1: Go's runtime takes a clock that stands at zero for a broken one.
func (h *host) MonotonicNanos() int64 { return 1 + h.monotonic }

// Wait advances the monotonic clock; a guest that sleeps goes on at once.
func (h *host) Wait(nanos int64) {
	if nanos > 0 && h.monotonic <= 1<<62-nanos {
		h.monotonic += nanos
	}
}

// Random fills p from the frame's generator (splitmix64): fast, well mixed and reproducible, and no source of secrets.
func (h *host) Random(p []byte) {
	for len(p) > 0 {
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], splitmix(&h.random))
		p = p[copy(p, word[:]):]
	}
}

// splitmix is one step of the generator of Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
func splitmix(state *uint64) uint64 {
	*state += 0x9e3779b97f4a7c15
	z := *state
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

func (h *host) Log(level int32, line []byte) { h.log.Line(slogLevel(level), line) }

func (h *host) Write(fd int32, p []byte) { h.log.Write(fd, p) }

func slogLevel(level int32) slog.Level {
	switch {
	case level <= 0:
		return slog.LevelDebug - 4
	case level == 1:
		return slog.LevelDebug
	case level == 2:
		return slog.LevelInfo
	case level == 3:
		return slog.LevelWarn
	}
	return slog.LevelError
}

func (h *host) StateGet(id, key uint32, mapKey, out []byte) (int32, error) {
	if h.state == nil {
		return 0, errNoState
	}
	return h.state.Get(id, key, mapKey, out)
}

func (h *host) StateScanOpen(id, key uint32, bounds []byte, flags uint32) (int32, error) {
	if h.state == nil {
		return 0, errNoState
	}
	return h.state.ScanOpen(id, key, bounds, flags)
}

func (h *host) StateScanNext(handle int32, out []byte) (int32, error) {
	if h.state == nil {
		return 0, errNoState
	}
	return h.state.ScanNext(handle, out)
}

func (h *host) StateApply(frame []byte) error {
	if h.state == nil {
		return errNoState
	}
	return h.state.Apply(frame)
}

var errNoState = errors.New("state is only there while a frame with keys runs")
