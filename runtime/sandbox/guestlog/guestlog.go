// Package guestlog passes what a guest logs and prints to the log of its operator: cleaned, cut to lines, and at a limited rate (I8).
package guestlog

import (
	"bytes"
	"context"
	"log/slog"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/runtime/operator"
)

// Log passes a guest's lines to the operator's log, at a limited rate (I8). It lives as long as the operator: a new instance
// does not get a new allowance.
type Log struct {
	to         *slog.Logger
	meter      *operator.Meter
	now        func() int64 // us
	linesASec  int
	allowance  int64 // lines, in millionths
	refilledAt int64

	out    [2][]byte // an unfinished line of standard output and error
	stderr []byte    // the first bytes that the call under way wrote to standard error, for a fault's message
	stack  bool      // the call under way writes the stack of a Go program that dies to standard error
}

// stderrBytesMax is how much of what a dying guest prints is kept: a Go panic's message comes first.
const stderrBytesMax = 2 << 10

// New returns a log with the allowance of a second.
func New(to *slog.Logger, meter *operator.Meter, now func() int64, linesASec int) *Log {
	return &Log{to: to, meter: meter, now: now, linesASec: linesASec, allowance: int64(linesASec) * 1e6, refilledAt: now()}
}

// Stderr is the beginning of what the call under way has written to standard error.
func (g *Log) Stderr() []byte { return g.stderr }

// allow takes one line from the allowance, which refills with processing time and holds one second's lines.
func (g *Log) allow() bool {
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

// Line logs a line.
func (g *Log) Line(level slog.Level, line []byte) {
	if !g.allow() {
		return
	}
	g.to.Log(context.Background(), level, abi.CleanText(line[:min(len(line), abi.LogLineBytesMax)]))
}

// Write takes what is written to file descriptor 1 or 2: it gathers lines; a line longer than the limit is logged in pieces.
func (g *Log) Write(fd int32, p []byte) {
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
		g.printed(level, g.out[i])
		g.out[i] = g.out[i][:0]
		if p = p[taken:]; n == taken {
			p = p[1:]
		}
	}
}

// Flush logs unfinished lines at the end of a call.
func (g *Log) Flush() {
	g.stderr = g.stderr[:0]
	for i, level := range []slog.Level{slog.LevelInfo, slog.LevelWarn} {
		if len(g.out[i]) > 0 {
			g.printed(level, g.out[i])
			g.out[i] = g.out[i][:0]
		}
	}
	g.stack = false
}

// printed logs a line of standard output or error. Of a Go program that dies, only what it says before its stack is for everybody.
func (g *Log) printed(level slog.Level, line []byte) {
	if level == slog.LevelWarn {
		g.stack = g.stack || bytes.HasPrefix(line, []byte("goroutine ")) || bytes.HasPrefix(line, []byte("runtime stack:"))
		if g.stack || len(line) == 0 {
			level = slog.LevelDebug
		}
	}
	g.Line(level, line)
}
