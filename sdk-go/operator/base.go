package operator

import (
	"math/rand/v2"

	"github.com/tidemill/tidemill/sdk-go/internal/engine"
)

// Base gives an operator that embeds it the clock, randomness and log that the host owns.
type Base struct{ core baseCore }

// Watermark is the watermark that the item under way sees: the last before its batch, or the one that makes the timer fire;
// NoTime before the first and EndOfTime after the last. A row is late where its event time is not after it.
func (b *Base) Watermark() Timestamp { return Timestamp(b.core.slot.Frame.Watermark) }

// ProcessingTime is the processing time, the same for all items of a frame. It never goes back.
func (b *Base) ProcessingTime() Timestamp { return Timestamp(b.core.slot.Frame.ProcessingTime) }

// Rand is a source of random numbers that the host seeds for each frame, so that a frame that runs again draws the same.
func (b *Base) Rand() *rand.Rand {
	c := &b.core
	if c.rand == nil {
		c.source = rand.NewPCG(0, 0)
		c.rand = rand.New(c.source)
		c.seeded = ^c.slot.Frame.Sequence
	}
	if f := &c.slot.Frame; c.seeded != f.Sequence {
		c.seeded = f.Sequence
		c.source.Seed(f.Seed, f.Sequence)
	}
	return c.rand
}

// Job, Operator and Subtask say where the operator runs: the job's name, its own name in the job, and the index of its subtask.
func (b *Base) Job() string { return b.core.slot.Request.Job }

// Operator is the operator's name in the job.
func (b *Base) Operator() string { return b.core.slot.Request.Operator }

// Subtask is the index of the subtask, from 0 to Parallelism()-1.
func (b *Base) Subtask() int { return b.core.slot.Request.Subtask }

// Parallelism is the number of subtasks.
func (b *Base) Parallelism() int { return b.core.slot.Request.Parallelism }

// Level says how much a line of the log matters.
type Level int

// The levels of the log.
const (
	Trace Level = iota
	Debug
	Info
	Warn
	Error
)

// Log writes a line to the operator's log, which the host limits in rate and cuts at 8 KiB. What is written stays written also
// where the item under way fails.
func (b *Base) Log(level Level, line string) { b.core.slot.Host.Log(int(level), line) }

type baseCore struct {
	slot   *engine.Slot
	source *rand.PCG
	rand   *rand.Rand
	seeded uint64 // sequence of the frame for which rand was seeded
}

func (c *baseCore) Declare(s *engine.Slot, _ engine.Declaration) error {
	c.slot = s
	return nil
}
