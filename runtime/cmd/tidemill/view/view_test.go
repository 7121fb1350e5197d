package view

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/internal/clock"
	"github.com/tidemill/tidemill/runtime/checkpoint"
	"github.com/tidemill/tidemill/runtime/engine"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/telemetry"
)

func TestFormats(t *testing.T) {
	for got, want := range map[string]string{
		Count(0): "0", Count(999): "999", Count(1000): "1,000", Count(-1234567): "-1,234,567", Count(336776): "336,776",
		Bytes(0): "0 B", Bytes(1023): "1023 B", Bytes(1536): "1.5 KiB", Bytes(5 << 30): "5.0 GiB",
		Short(0): "0", Short(999): "999", Short(1000): "1k", Short(1234): "1.2k", Short(99_900): "100k", Short(2.5e6): "2.5M",
		Elapsed(12 * time.Millisecond): "12ms", Elapsed(3200 * time.Millisecond): "3.2s", Elapsed(125 * time.Second): "2m05s",
		Elapsed(3*time.Hour + 20*time.Minute): "3h20m", Elapsed(100 * time.Hour): "4d",
		Watermark(record.WatermarkNone): "none yet", Watermark(record.WatermarkEnd): "end", Watermark(1357034400_000000): "2013-01-01 10:00:00",
		Lag(record.WatermarkEnd, time.Now()): "", Lag(1357034400_000000, time.Unix(1357034460, 0)): "1m00s",
		Lag(1357034400_000000, time.Unix(0, 0)): "0ms",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// snapshot is of a job of a source, an operator and a sink that has read in records.
func snapshot(in int64) *telemetry.Snapshot {
	j := telemetry.NewJob("flights")
	s := j.Node("flights", telemetry.Source, 1)
	s.Subtasks[0].RecordsIn.Store(in)
	s.Subtasks[0].RecordsOut.Store(in)
	s.Subtasks[0].Bad.Store(2)
	s.Subtasks[0].Watermark.Store(1357034400_000000)
	s.Split("a", record.Position{}).Done.Store(true)
	s.Split("b", record.Position{})
	o := j.Node("delays", telemetry.Operator, 2)
	for _, sub := range o.Subtasks {
		sub.RecordsIn.Store(in / 2)
		sub.Meter.Fuel.Store(in * 1000)
		sub.Watermark.Store(1357034000_000000)
		sub.Late.Store(3)
		sub.StateBytes.Store(1 << 20)
		sub.Timers.Store(4)
	}
	k := j.Node("daily", telemetry.Sink, 1)
	k.Subtasks[0].RecordsIn.Store(in / 10)
	k.Subtasks[0].Watermark.Store(1357034200_000000)
	j.Completed(telemetry.Checkpoint{ID: 7, At: time.Unix(1357034400, 0), Duration: 12 * time.Millisecond, Bytes: 2048})
	j.Restored(5)
	return j.Snapshot()
}

func TestBoard(t *testing.T) {
	start := time.Unix(1357034400, 0)
	b := NewBoard(start)
	if b.Known() || !strings.Contains(b.Picture("running", 80), "starting") {
		t.Error("a board without a snapshot knows a job")
	}
	b.Update(start.Add(time.Second), snapshot(1000))
	b.Update(start.Add(time.Second+100*time.Millisecond), snapshot(1500)) // within the window: rates stay
	want := Totals{In: 1500, Out: 150, InRate: 1000, OutRate: 100, Late: 6, Bad: 2, Watermark: 1357034000_000000}
	if got := b.Totals(); got != want {
		t.Errorf("totals %+v, want %+v", got, want)
	}
	b.Update(start.Add(3*time.Second), snapshot(5000))
	if got := b.Totals().InRate; got != 2000 {
		t.Errorf("rate %v, want 2000 of 4,000 records in 2 s", got)
	}
	if got, want := b.Line(), "  3.0s  in 5,000 (2k/s)  out 500  watermark 2013-01-01 09:53:20  late 6  bad 2  checkpoint 7 (12ms, 2.0 KiB)"; got != want {
		t.Errorf("line\n%s\nwant\n%s", got, want)
	}
	want2 := `flights  running for 3.0s
in 5,000  2k/s   out 500  200/s   late 6   bad 2   restarts 0
checkpoints 1   last 7: 12ms, 2.0 KiB, 3.0s ago   gone on from 5

                   in/s  out/s  records            watermark    lag  fuel/record    state
source    flights           2k    5,000  2013-01-01 10:00:00   3.0s                        1 of 2 splits read, 2 bad
operator  delays     2k      0    5,000  2013-01-01 09:53:20  6m43s           2k  2.0 MiB  8 timers, 6 late
sink      daily     200             500  2013-01-01 09:56:40  3m23s
`
	if got := b.Picture("running", 200); got != want2 {
		t.Errorf("picture\n%s\nwant\n%s", got, want2)
	}
	for _, line := range strings.Split(b.Picture("running", 40), "\n") {
		if len(line) > 40 {
			t.Errorf("a line of %d columns in a terminal of 40", len(line))
		}
	}
	for width, want := range map[int]string{
		110: "operator  delays     2k      0    5,000  2013-01-01 09:53:20  6m43s  2.0 MiB  8 timers, 6 late",
		80:  "operator  delays     2k      0  2013-01-01 09:53:20  8 timers, 6 late",
		64:  "delays     2k      0  2013-01-01 09:53:20  8 timers, 6 late",
		48:  "delays     2k      0  2013-01-01 09:53:20  8 tim",
	} {
		if got := strings.Split(b.Picture("running", width), "\n")[6]; got != want {
			t.Errorf("%d columns:\n%s\nwant\n%s", width, got, want)
		}
	}
	b.Update(start.Add(5*time.Second), snapshot(100)) // another process counts anew
	if got := b.Totals().InRate; got != 50 {
		t.Errorf("rate after a restart %v, want 50", got)
	}
}

func TestText(t *testing.T) {
	m := &checkpoint.Manifest{Checkpoint: 3, Time: time.Unix(1357034400, 0), Splits: []checkpoint.Split{
		{Split: connectors.Split{ID: "a"}, Position: record.Position{Records: 1500, Done: true}}, {Position: record.Position{Records: 500}},
	}}
	done := &checkpoint.Manifest{Checkpoint: 4, Finished: true}
	for _, c := range []struct {
		event engine.Event
		want  string
	}{
		{engine.Restored{Manifest: m}, "going on from checkpoint 3 of 2013-01-01T10:00:00Z: 2,000 records read, 1 of 2 splits to their end"},
		{engine.Restored{Manifest: done}, ""},
		{engine.Completed{Manifest: m}, ""},
		{engine.Skipped{Skipped: checkpoint.Skipped{Checkpoint: 9, Damage: []checkpoint.Damage{{File: "x", Offset: 5, What: "wrong"}}}},
			"WARNING: checkpoint 9 is DAMAGED and is passed over: x, byte 5: wrong"},
		{engine.Restarting{Err: errors.New("boom"), Restart: 2, Pause: 200 * time.Millisecond}, "FAILED: boom\nrestart 2 in 200ms"},
	} {
		if got := Text(c.event); got != c.want {
			t.Errorf("%T: %q, want %q", c.event, got, c.want)
		}
	}
}

// buffer is a bytes.Buffer for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for start := time.Now(); !done(); time.Sleep(time.Millisecond) {
		if time.Since(start) > 10*time.Second {
			t.Fatalf("waited for %s", what)
		}
	}
}

func TestLines(t *testing.T) {
	var out buffer
	c := clock.NewManual(time.Unix(1357034400, 0))
	l := NewLines(&out, c, time.Second, func() *telemetry.Snapshot { return snapshot(1000) })
	for i := range 3 {
		waitFor(t, "a line", func() bool {
			c.Advance(time.Second)
			return strings.Count(out.String(), "in 1,000") > i
		})
	}
	l.Event(engine.Restarting{Err: errors.New("boom"), Restart: 1, Pause: time.Second})
	fmt.Fprintln(l, "a log line")
	l.Stopping()
	l.Close()
	if got := out.String(); !strings.Contains(got, "FAILED: boom\nrestart 1 in 1.0s\n") || !strings.Contains(got, "a log line\nstopping: ") {
		t.Errorf("lines: %s", got)
	}
	silent := NewLines(&out, c, 0, nil)
	silent.Close()
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		line  string
		width int
		want  string
	}{
		{"", 3, ""}, {"abc", 3, "abc"}, {"abcd", 3, "abc|d"}, {"äöüßé", 2, "äö|üß|é"}, {"ab", 0, "a|b"},
	} {
		if got := strings.Join(wrap(c.line, c.width), "|"); got != c.want {
			t.Errorf("%q in %d: %q, want %q", c.line, c.width, got, c.want)
		}
	}
}

func TestLive(t *testing.T) {
	var out buffer
	c := clock.NewManual(time.Unix(1357034400, 0))
	l := NewLive(&out, c, func() *telemetry.Snapshot { return snapshot(1000) })
	l.program.Send(tea.WindowSizeMsg{Width: 120, Height: 40})
	waitFor(t, "a picture", func() bool {
		c.Advance(redraw)
		return strings.Contains(out.String(), "operator  delays")
	})
	l.Event(engine.Restarting{Err: errors.New("boom"), Restart: 1, Pause: time.Second})
	fmt.Fprint(l, "half a ")
	fmt.Fprint(l, "line\n")
	waitFor(t, "the log above the picture", func() bool { return strings.Contains(out.String(), "half a line") })
	fmt.Fprintln(l, strings.Repeat("x", 119)+"y") // as wide as the terminal
	waitFor(t, "a line in two pieces", func() bool { return strings.Contains(out.String(), strings.Repeat("x", 119)+"\x1b[K\r\ny\x1b[K") })
	if strings.Contains(out.String(), "\x1b[2J") {
		t.Error("the screen was cleared at the start")
	}
	l.program.Send(tea.WindowSizeMsg{Width: 60, Height: 40})
	waitFor(t, "a clear screen", func() bool { return strings.Contains(out.String(), "\x1b[2J") })
	l.Stopping()
	waitFor(t, "the status", func() bool {
		c.Advance(redraw)
		return strings.Contains(out.String(), "flights  stopping")
	})
	l.Close()
	if got := out.String(); !strings.Contains(got, "restart 1 in 1.0s") || !strings.Contains(got, "flights  ran for") {
		t.Errorf("live view: %q", got)
	}
}
