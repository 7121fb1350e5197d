package embedded

import (
	"context"
	"errors"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/runtime/checkpoint"
	"github.com/tidemill/tidemill/runtime/engine"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/sink"
	"github.com/tidemill/tidemill/runtime/source"
)

// openPublishers opens the committers of all sinks.
func (a *attempt) openPublishers(ctx context.Context) error {
	for _, n := range a.job.plan.Nodes {
		if n.Sink == nil {
			continue
		}
		p, err := sink.OpenPublisher(ctx, n.Name, n.Sink.Connector)
		if err != nil {
			return err
		}
		a.publishers[n.Name] = p
	}
	return nil
}

// recover finds the checkpoint to go on from, and brings the output of all sinks to what it promises.
func (a *attempt) recover(ctx context.Context, fresh bool) (err error) {
	j := a.job
	if fresh {
		if err := a.requireNoOutput(ctx); err != nil {
			return err // before the checkpoints that belong to the output are set aside
		}
		a.recovery, err = checkpoint.Fresh(j.store)
	} else {
		a.recovery, err = checkpoint.Recover(j.store, a.identity())
	}
	if err != nil {
		return err
	}
	for _, s := range a.recovery.Skipped {
		j.tell(engine.Skipped{Skipped: s})
	}
	m := a.recovery.Restored
	if m == nil {
		if err := a.requireNoOutput(ctx); err != nil {
			return err
		}
	} else {
		j.options.Telemetry.Restored(m.Checkpoint)
		j.result.Last = m.Checkpoint
		j.tell(engine.Restored{Manifest: m})
	}
	return a.recoverSinks(ctx)
}

func (a *attempt) identity() checkpoint.Identity {
	p := a.job.plan
	id := checkpoint.Identity{Job: p.Job, PlanDigest: p.Digest, MaxParallelism: p.MaxParallelism}
	for _, n := range p.Nodes {
		id.Nodes = append(id.Nodes, n.Name)
	}
	return id
}

// finished says that the restored checkpoint is the end of the job.
func (a *attempt) finished() bool {
	return a.recovery.Restored != nil && a.recovery.Restored.Finished
}

// requireNoOutput refuses to begin at the beginning over the output of another job.
func (a *attempt) requireNoOutput(ctx context.Context) error {
	for _, p := range a.publishers {
		if err := p.RequireEmpty(ctx); err != nil {
			return err
		}
	}
	return nil
}

// recoverSinks lets each publisher bring its output to what the restored checkpoint promises (I2).
func (a *attempt) recoverSinks(ctx context.Context) error {
	for name, p := range a.publishers {
		var id uint64
		var pending []connectors.Committable
		if m := a.recovery.Restored; m != nil {
			id = m.Checkpoint
			for _, c := range m.Committables {
				if c.Sink == name {
					pending = append(pending, c)
				}
			}
		}
		if err := p.Recover(ctx, id, pending, a.restoredWriters(name, 0, 1)); err != nil {
			return err
		}
	}
	return nil
}

func (a *attempt) closePublishers() error {
	var errs []error
	for _, p := range a.publishers {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}

// restoredSource is what the checkpoint knows of a source, and the parallelism that it had; nil where it knows nothing.
func (a *attempt) restoredSource(name string) (*source.State, int) {
	m := a.recovery.Restored
	if m == nil {
		return nil, 0
	}
	s := &source.State{}
	for _, e := range m.Enumerators {
		if e.Source == name {
			s.Enumerator, s.Done = e.State, e.Done
		}
	}
	for _, sp := range m.Splits {
		if sp.Source == name {
			s.Splits = append(s.Splits, source.Split{Split: sp.Split, Position: sp.Position, Watermark: sp.Watermark, Subtask: sp.Subtask})
		}
	}
	return s, len(a.watermarksOf(name))
}

func (a *attempt) watermarksOf(node string) map[int]int64 {
	found := map[int]int64{}
	for _, w := range a.recovery.Restored.Watermarks {
		if w.Node == node {
			found[w.Subtask] = w.Watermark
		}
	}
	return found
}

// restoredWatermark is where a subtask's event time goes on. At another parallelism it is the least of all subtasks: subtasks
// behind an exchange all have the same one at a barrier, and a source's splits change hands.
func (a *attempt) restoredWatermark(node string, subtask, parallelism int) int64 {
	if a.recovery.Restored == nil {
		return record.WatermarkNone
	}
	had := a.watermarksOf(node)
	if len(had) == 0 {
		return record.WatermarkNone
	}
	if len(had) == parallelism {
		return had[subtask]
	}
	least := record.WatermarkEnd
	for _, w := range had {
		least = min(least, w)
	}
	return least
}

// restoredWriters are the states of sink writers that fall to a subtask.
func (a *attempt) restoredWriters(sink string, subtask, parallelism int) [][]byte {
	var states [][]byte
	if m := a.recovery.Restored; m != nil {
		for _, w := range m.Writers {
			if w.Sink == sink && w.Subtask%parallelism == subtask {
				states = append(states, w.State)
			}
		}
	}
	return states
}
