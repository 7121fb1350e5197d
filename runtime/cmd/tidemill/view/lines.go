package view

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/tidemill/tidemill/internal/clock"
	"github.com/tidemill/tidemill/runtime/engine"
	"github.com/tidemill/tidemill/runtime/telemetry"
)

// View shows a job until it is closed. Methods are safe for concurrent use.
type View interface {
	// Event tells of something that happened.
	Event(engine.Event)
	// Stopping says that the job has been asked to stop.
	Stopping()
	// Write shows lines of a log, whole ones.
	io.Writer
	// Close returns when nothing will be written any more.
	Close()
}

// Lines is a View of plain lines.
type Lines struct {
	clock    clock.Clock
	snapshot func() *telemetry.Snapshot
	done     chan struct{}
	closed   chan struct{}

	mu    sync.Mutex
	out   io.Writer
	board *Board
}

// NewLines starts a view that writes a line every interval, and one for each event that matters. An interval of 0 writes events
// only.
func NewLines(out io.Writer, c clock.Clock, interval time.Duration, snapshot func() *telemetry.Snapshot) *Lines {
	l := &Lines{clock: c, snapshot: snapshot, done: make(chan struct{}), closed: make(chan struct{}), out: out, board: NewBoard(c.Now())}
	go l.run(interval)
	return l
}

func (l *Lines) run(interval time.Duration) {
	defer close(l.closed)
	if interval <= 0 {
		<-l.done
		return
	}
	timer := l.clock.NewTimer(interval)
	defer timer.Stop()
	for {
		select {
		case <-timer.C():
			l.line()
			timer.Reset(interval)
		case <-l.done:
			return
		}
	}
}

func (l *Lines) line() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.board.Update(l.clock.Now(), l.snapshot())
	if l.board.Known() {
		fmt.Fprintln(l.out, l.board.Line())
	}
}

// Event implements View.
func (l *Lines) Event(e engine.Event) {
	if text := Text(e); text != "" {
		l.mu.Lock()
		defer l.mu.Unlock()
		fmt.Fprintln(l.out, text)
	}
}

// Stopping implements View.
func (l *Lines) Stopping() {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintln(l.out, "stopping: a last checkpoint is taken; a second signal ends the process at once")
}

// Write implements View.
func (l *Lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

// Close implements View.
func (l *Lines) Close() {
	close(l.done)
	<-l.closed
}
