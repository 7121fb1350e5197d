package view

import (
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/tidemill/tidemill/internal/clock"
	"github.com/tidemill/tidemill/runtime/engine"
	"github.com/tidemill/tidemill/runtime/telemetry"
)

// redraw is the time from picture to picture.
const redraw = 100 * time.Millisecond

// Live is a View that redraws a picture on a terminal; events and logs scroll by above it.
type Live struct {
	program *tea.Program
	closed  chan struct{}
	width   *atomic.Int64 // of the terminal, in columns

	mu   sync.Mutex
	rest string // of a log line that has not ended
}

// NewLive starts a view on a terminal.
func NewLive(out io.Writer, c clock.Clock, snapshot func() *telemetry.Snapshot) *Live {
	m := &model{clock: c, snapshot: snapshot, board: NewBoard(c.Now()), status: "running"}
	m.width.Store(120)
	l := &Live{
		width: &m.width,
		// Keys and signals stay with the process: Ctrl-C stops the job in order.
		program: tea.NewProgram(m, tea.WithOutput(out), tea.WithInput(nil), tea.WithoutSignalHandler(), tea.WithoutCatchPanics()),
		closed:  make(chan struct{}),
	}
	go func() {
		defer close(l.closed)
		_, _ = l.program.Run() // it fails where the terminal is gone: the job goes on without a picture
	}()
	return l
}

// Event implements View.
func (l *Live) Event(e engine.Event) {
	if text := Text(e); text != "" {
		l.above(text)
	}
}

// above prints lines above the picture, in pieces that do not fill a line of the terminal: what is left of the picture after them
// on their lines is cleared.
func (l *Live) above(text string) {
	var pieces []string
	for line := range strings.SplitSeq(text, "\n") {
		pieces = append(pieces, wrap(line, int(l.width.Load())-1)...)
	}
	l.program.Println(strings.Join(pieces, "\n"))
}

// wrap cuts a line into pieces of at most width characters.
func wrap(line string, width int) []string {
	var pieces []string
	from, n := 0, 0
	for i := range line {
		if n == max(width, 1) {
			pieces = append(pieces, line[from:i])
			from, n = i, 0
		}
		n++
	}
	return append(pieces, line[from:])
}

// Write implements View.
func (l *Live) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest += string(p)
	if end := strings.LastIndexByte(l.rest, '\n'); end >= 0 {
		l.above(l.rest[:end])
		l.rest = l.rest[end+1:]
	}
	return len(p), nil
}

// Stopping implements View.
func (l *Live) Stopping() { l.program.Send(stopping{}) }

// Close implements View.
func (l *Live) Close() {
	l.program.Send(finish{})
	<-l.closed
}

type (
	tick     struct{}
	stopping struct{}
	finish   struct{}
)

// model is the picture's state in bubbletea's terms.
type model struct {
	clock    clock.Clock
	snapshot func() *telemetry.Snapshot
	board    *Board
	status   string
	width    atomic.Int64
	sized    bool // the terminal has said how wide it is
}

func (m *model) wait() tea.Cmd {
	return func() tea.Msg {
		<-m.clock.NewTimer(redraw).C()
		return tick{}
	}
}

// Init implements tea.Model.
func (m *model) Init() tea.Cmd { return m.wait() }

// Update implements tea.Model.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		before, known := m.width.Swap(int64(msg.Width)), m.sized
		m.sized = true
		if known && int64(msg.Width) < before {
			return m, tea.ClearScreen // the terminal has broken the lines of the last picture
		}
	case stopping:
		m.status = "stopping (again to end at once)"
	case tick:
		m.board.Update(m.clock.Now(), m.snapshot())
		return m, m.wait()
	case finish:
		m.status = "ran"
		m.board.Update(m.clock.Now(), m.snapshot())
		return m, tea.Quit
	}
	return m, nil
}

// View implements tea.Model.
func (m *model) View() string { return m.board.Picture(m.status, int(m.width.Load())) }
