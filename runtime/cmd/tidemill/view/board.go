package view

import (
	"fmt"
	"strings"
	"time"

	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/telemetry"
)

// Board knows the newest snapshot of a job and the rates since the one before. One goroutine uses it.
type Board struct {
	started time.Time
	now     time.Time
	last    *telemetry.Snapshot
	rates   map[string]rate // by node
	mark    mark
}

// rate is what a node does a second.
type rate struct{ in, out float64 }

// mark is what rates are counted from.
type mark struct {
	at    time.Time
	nodes map[string]telemetry.Counters
}

// rateWindow is the least time that a rate is an average of.
const rateWindow = 900 * time.Millisecond

// NewBoard returns a board of a job that started at a time.
func NewBoard(started time.Time) *Board {
	return &Board{started: started, now: started, rates: map[string]rate{}, mark: mark{at: started, nodes: map[string]telemetry.Counters{}}}
}

// Update takes a new snapshot.
func (b *Board) Update(now time.Time, s *telemetry.Snapshot) {
	b.now, b.last = now, s
	passed := now.Sub(b.mark.at)
	if passed < rateWindow {
		return
	}
	next := mark{at: now, nodes: map[string]telemetry.Counters{}}
	for _, n := range s.Nodes {
		before := b.mark.nodes[n.Name]
		if n.Total.RecordsIn < before.RecordsIn {
			before = telemetry.Counters{} // another process counts anew
		}
		b.rates[n.Name] = rate{
			in:  float64(n.Total.RecordsIn-before.RecordsIn) / passed.Seconds(),
			out: float64(n.Total.RecordsOut-before.RecordsOut) / passed.Seconds(),
		}
		next.nodes[n.Name] = n.Total
	}
	b.mark = next
}

// Totals are sums over a job.
type Totals struct {
	In, Out         int64 // read by sources, taken by sinks
	InRate, OutRate float64
	Late, Bad       int64
	Watermark       int64 // the least of all nodes but sources
}

// Known says that the job has nodes: it has been planned and restored.
func (b *Board) Known() bool { return b.last != nil && len(b.last.Nodes) > 0 }

// Totals returns the sums of the newest snapshot.
func (b *Board) Totals() Totals {
	t := Totals{Watermark: record.WatermarkEnd}
	if !b.Known() {
		t.Watermark = record.WatermarkNone
		return t
	}
	for _, n := range b.last.Nodes {
		r := b.rates[n.Name]
		t.Bad += n.Total.Bad
		switch n.Kind {
		case telemetry.Source:
			t.In += n.Total.RecordsIn
			t.InRate += r.in
		case telemetry.Sink:
			t.Out += n.Total.RecordsIn
			t.OutRate += r.in
			t.Watermark = min(t.Watermark, n.Watermark)
		default:
			t.Late += n.Total.Late
			t.Watermark = min(t.Watermark, n.Watermark)
		}
	}
	return t
}

// Line is the job in one line.
func (b *Board) Line() string {
	t := b.Totals()
	parts := []string{
		fmt.Sprintf("%6s", Elapsed(b.now.Sub(b.started))),
		fmt.Sprintf("in %s (%s/s)", Count(t.In), Short(t.InRate)),
		fmt.Sprintf("out %s", Count(t.Out)),
		"watermark " + Watermark(t.Watermark),
	}
	if t.Late > 0 {
		parts = append(parts, "late "+Count(t.Late))
	}
	if t.Bad > 0 {
		parts = append(parts, "bad "+Count(t.Bad))
	}
	if c := b.lastCheckpoint(); c != nil {
		parts = append(parts, fmt.Sprintf("checkpoint %d (%s, %s)", c.ID, Elapsed(c.Duration), Bytes(c.Bytes)))
	}
	return strings.Join(parts, "  ")
}

func (b *Board) lastCheckpoint() *telemetry.Checkpoint {
	if b.last == nil || len(b.last.Checkpoints) == 0 {
		return nil
	}
	return &b.last.Checkpoints[len(b.last.Checkpoints)-1]
}

// Picture is the job as lines of at most width columns.
func (b *Board) Picture(status string, width int) string {
	if !b.Known() {
		return clip(fmt.Sprintf("starting for %s", Elapsed(b.now.Sub(b.started))), width) + "\n"
	}
	t := b.Totals()
	rows := []string{fmt.Sprintf("%s  %s for %s", b.last.Job, status, Elapsed(b.now.Sub(b.started)))}
	rows = append(rows, fmt.Sprintf("in %s  %s/s   out %s  %s/s   late %s   bad %s   restarts %d", Count(t.In), Short(t.InRate),
		Count(t.Out), Short(t.OutRate), Count(t.Late), Count(t.Bad), b.last.Restarts))
	rows = append(rows, b.checkpointRow(), "")
	rows = append(rows, b.table(width)...)
	for i := range rows {
		rows[i] = clip(rows[i], width)
	}
	return strings.Join(rows, "\n") + "\n"
}

func (b *Board) checkpointRow() string {
	c := b.lastCheckpoint()
	row := fmt.Sprintf("checkpoints %d", b.last.Completed)
	if b.last.Failed > 0 {
		row += fmt.Sprintf(" (%d failed)", b.last.Failed)
	}
	if c != nil {
		row += fmt.Sprintf("   last %d: %s, %s, %s ago", c.ID, Elapsed(c.Duration), Bytes(c.Bytes), Elapsed(max(b.now.Sub(c.At), 0)))
	}
	if b.last.Restored > 0 {
		row += fmt.Sprintf("   gone on from %d", b.last.Restored)
	}
	return row
}

// givenUp are the columns of the table that a narrow terminal does without, the least one first.
var givenUp = []int{7, 8, 6, 4, 0}

// notesWidth is the room for notes for which other columns are given up; longer notes are cut.
const notesWidth = 24

// table has a row a node; its columns are as wide as their widest cell, and as many as there is room for.
func (b *Board) table(width int) []string {
	rows := [][]string{{"", "", "in/s", "out/s", "records", "watermark", "lag", "fuel/record", "state", ""}}
	for _, n := range b.last.Nodes {
		rows = append(rows, b.nodeRow(&n))
	}
	widths := make([]int, len(rows[0]))
	for _, r := range rows {
		for i, cell := range r {
			widths[i] = max(widths[i], len(cell))
		}
	}
	for _, i := range givenUp {
		if taken(widths) <= width {
			break
		}
		widths[i] = 0
		for _, r := range rows {
			r[i] = ""
		}
	}
	lines := make([]string, len(rows))
	for k, r := range rows {
		var line strings.Builder
		for i, cell := range r {
			pad := strings.Repeat(" ", widths[i]-len(cell))
			if i < 2 || i == len(r)-1 { // names and notes to the left, numbers to the right
				line.WriteString(cell + pad)
			} else {
				line.WriteString(pad + cell)
			}
			if widths[i] > 0 {
				line.WriteString("  ")
			}
		}
		lines[k] = strings.TrimRight(line.String(), " ")
	}
	return lines
}

// taken is the room that a table needs.
func taken(widths []int) int {
	last := len(widths) - 1
	sum := min(widths[last], notesWidth)
	for _, w := range widths[:last] {
		if w > 0 {
			sum += w + 2
		}
	}
	return sum
}

func (b *Board) nodeRow(n *telemetry.NodeSnapshot) []string {
	r := b.rates[n.Name]
	row := []string{string(n.Kind), n.Name, Short(r.in), Short(r.out), Count(n.Total.RecordsIn), Watermark(n.Watermark),
		Lag(n.Watermark, b.now), "", "", strings.Join(notes(n), ", ")}
	switch n.Kind {
	case telemetry.Source:
		row[2] = "" // what a source takes in it hands out
	case telemetry.Sink:
		row[3] = ""
	default:
		if n.Total.Fuel > 0 && n.Total.RecordsIn > 0 {
			row[7] = Short(float64(n.Total.Fuel) / float64(n.Total.RecordsIn))
		}
		if n.Total.StateBytes > 0 {
			row[8] = Bytes(n.Total.StateBytes)
		}
	}
	return row
}

// notes are what is worth a word about a node.
func notes(n *telemetry.NodeSnapshot) []string {
	var notes []string
	if len(n.Splits) > 0 {
		done := 0
		for _, s := range n.Splits {
			if s.Done {
				done++
			}
		}
		notes = append(notes, fmt.Sprintf("%d of %d splits read", done, len(n.Splits)))
	}
	for _, v := range []struct {
		n    int64
		what string
	}{
		{n.Total.Cells, "cells"}, {n.Total.Timers, "timers"}, {n.Total.Late, "late"}, {n.Total.Bad, "bad"}, {n.Total.Traps, "traps"},
		{n.Total.QueueRows, "queued"}, {n.Total.Dropped, "log lines dropped"},
	} {
		if v.n > 0 {
			notes = append(notes, Count(v.n)+" "+v.what)
		}
	}
	if n.Total.StoreBytes > 0 {
		notes = append(notes, Bytes(n.Total.StoreBytes)+" on disk")
	}
	return notes
}

// clip cuts a line to a width in columns; all of it is ASCII.
func clip(line string, width int) string {
	if width > 0 && len(line) > width {
		return line[:width]
	}
	return line
}
