package embedded

import (
	"sync"

	"github.com/tidemill/tidemill/runtime/checkpoint"
	"github.com/tidemill/tidemill/runtime/state"
	"github.com/tidemill/tidemill/runtime/task"
)

// host takes the reports of one subtask to the attempt's loop.
type host struct {
	attempt *attempt
	subtask *subtask

	mu     sync.Mutex
	states []checkpoint.StateSnapshot // written for the checkpoint in flight
}

// Inputs of the loop beside those of the coordinator.
type (
	acknowledged struct {
		from     *subtask
		snapshot *task.Snapshot
		states   []checkpoint.StateSnapshot
	}
	failed struct{ err error }
)

// Acknowledge implements task.Host.
func (h *host) Acknowledge(s *task.Snapshot) {
	h.mu.Lock()
	states := h.states
	h.states = nil
	h.mu.Unlock()
	h.attempt.input(acknowledged{from: h.subtask, snapshot: s, states: states})
}

// Refuse implements task.Host.
func (h *host) Refuse(id uint64, err error) {
	h.attempt.input(checkpoint.CheckpointFailed{Checkpoint: id, Err: err})
}

// EndOfInput implements task.Host.
func (h *host) EndOfInput() { h.attempt.input(checkpoint.EndOfInput{Subtask: h.subtask.id}) }

// stateWriter writes the state of one operator of a subtask to segments.
type stateWriter struct {
	host *host
	of   checkpoint.StateRange
}

// WantsBase implements task.StateWriter.
func (w *stateWriter) WantsBase(id uint64) bool {
	b := w.host.attempt.barrier.Load()
	return b == nil || b.Checkpoint != id || b.WantsBase(w.host.subtask.id, w.of.Node)
}

// Write implements task.StateWriter.
func (w *stateWriter) Write(id uint64, base bool, frozen state.Frozen) error {
	job := w.host.attempt.job
	segment, err := checkpoint.WriteSegment(job.store, checkpoint.SegmentOf{
		Checkpoint: id, Node: w.of.Node, Groups: w.of.Groups, MaxParallelism: job.plan.MaxParallelism, Base: base,
	}, frozen.Write)
	if err != nil {
		return err
	}
	w.host.mu.Lock()
	defer w.host.mu.Unlock()
	w.host.states = append(w.host.states, checkpoint.StateSnapshot{Node: w.of.Node, Base: base, Segment: segment})
	return nil
}
