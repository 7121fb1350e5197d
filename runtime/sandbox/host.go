package sandbox

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/runtime/operator"
)

// host is what one instance may call: its log, its clocks, its random numbers and, while a frame runs, the frame's state. It
// implements vm.Host.
type host struct {
	log   *guestLog
	state *frameState // nil while no frame with keys runs

	wallMicros int64  // the frame's processing time
	monotonic  int64  // ns; only waits advance it
	random     uint64 // the state of the frame's generator
}

// begin sets clock and randomness for one call.
func (h *host) begin(wallMicros int64, seed uint64, state *frameState) {
	h.wallMicros, h.random, h.state = wallMicros, seed, state
}

// end closes what belonged to the call.
func (h *host) end() {
	h.state = nil
	h.log.flush()
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

func (h *host) Log(level int32, line []byte) { h.log.line(slogLevel(level), line) }

func (h *host) Write(fd int32, p []byte) { h.log.write(fd, p) }

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

// guestLog passes a guest's lines to the operator's log, at a limited rate (I8). It lives as long as the operator: a new instance
// does not get a new allowance.
type guestLog struct {
	to         *slog.Logger
	meter      *operator.Meter
	now        func() int64 // us
	linesASec  int
	allowance  int64 // lines, in millionths
	refilledAt int64

	out    [2][]byte // an unfinished line of standard output and error
	stderr []byte    // the first bytes that the call under way wrote to standard error, for a fault's message
}

// stderrBytesMax is how much of what a dying guest prints is kept: a Go panic's message comes first.
const stderrBytesMax = 2 << 10

func newGuestLog(to *slog.Logger, meter *operator.Meter, now func() int64, linesASec int) *guestLog {
	return &guestLog{to: to, meter: meter, now: now, linesASec: linesASec, allowance: int64(linesASec) * 1e6, refilledAt: now()}
}

// allow takes one line from the allowance, which refills with processing time and holds one second's lines.
func (g *guestLog) allow() bool {
	full := int64(g.linesASec) * 1e6
	if now := g.now(); now > g.refilledAt {
		elapsed := min(now-g.refilledAt, 1e6)
		g.allowance = min(full, g.allowance+elapsed*int64(g.linesASec))
		g.refilledAt = now
	}
	if g.allowance < 1e6 {
		g.meter.Dropped.Add(1)
		return false
	}
	g.allowance -= 1e6
	return true
}

func (g *guestLog) line(level slog.Level, line []byte) {
	if !g.allow() {
		return
	}
	g.to.Log(context.Background(), level, abi.CleanText(line[:min(len(line), abi.LogLineBytesMax)]))
}

// write gathers lines; a line longer than the limit is logged in pieces.
func (g *guestLog) write(fd int32, p []byte) {
	level, i := slog.LevelInfo, 0
	if fd == 2 {
		level, i = slog.LevelWarn, 1
		g.stderr = append(g.stderr, p[:min(len(p), stderrBytesMax-len(g.stderr))]...)
	}
	for len(p) > 0 {
		n := bytes.IndexByte(p, '\n')
		piece := p
		if n >= 0 {
			piece = p[:n]
		}
		room := abi.LogLineBytesMax - len(g.out[i])
		if n < 0 && len(piece) < room {
			g.out[i] = append(g.out[i], piece...)
			return
		}
		taken := min(len(piece), room)
		g.out[i] = append(g.out[i], piece[:taken]...)
		g.line(level, g.out[i])
		g.out[i] = g.out[i][:0]
		if p = p[taken:]; n == taken {
			p = p[1:]
		}
	}
}

// flush logs unfinished lines at the end of a call.
func (g *guestLog) flush() {
	g.stderr = g.stderr[:0]
	if len(g.out[0])+len(g.out[1]) == 0 {
		return
	}
	for i, level := range []slog.Level{slog.LevelInfo, slog.LevelWarn} {
		if len(g.out[i]) > 0 {
			g.line(level, g.out[i])
			g.out[i] = g.out[i][:0]
		}
	}
}

func (h *host) StateGet(id, key uint32, mapKey, out []byte) (int32, error) {
	if h.state == nil {
		return 0, errNoState
	}
	return h.state.get(id, key, mapKey, out)
}

func (h *host) StateScanOpen(id, key uint32, bounds []byte, flags uint32) (int32, error) {
	if h.state == nil {
		return 0, errNoState
	}
	return h.state.scanOpen(id, key, bounds, flags)
}

func (h *host) StateScanNext(handle int32, out []byte) (int32, error) {
	if h.state == nil {
		return 0, errNoState
	}
	return h.state.scanNext(handle, out)
}

func (h *host) StateApply(frame []byte) error {
	if h.state == nil {
		return errNoState
	}
	return h.state.apply(frame)
}

var errNoState = errors.New("state is only there while a frame with keys runs")
