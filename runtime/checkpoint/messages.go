package checkpoint

import (
	"time"

	"github.com/tidemill/tidemill/connectors"
)

// SubtaskID names a subtask: the index of its task in the plan, and its own.
type SubtaskID struct {
	Task, Index int
}

// Subtask is a subtask that takes part in checkpoints.
type Subtask struct {
	ID     SubtaskID
	Source bool         // it reads splits: it will report EndOfInput
	States []StateRange // one for each of its nodes that has keyed state
}

// StateRange is the key groups [first, end) of a node that a subtask owns.
type StateRange struct {
	Node   string
	Groups [2]int
}

// Input is something that happened. Inputs come in any order that can happen; after FailJob, JobFinished or JobStopped all are
// ignored.
type Input interface{ input() }

// JobStarted is the first input: all subtasks run, restored from Recovery.Restored where there is one.
type JobStarted struct {
	Now      time.Time
	Subtasks []Subtask
	Recovery *Recovery
}

// Tick says what time it is. Coordinator.NextTick says when the next one is wanted; others do no harm.
type Tick struct{ Now time.Time }

// Acknowledged says that a subtask has passed a barrier and that everything in its snapshot is durable: segments committed to
// the store, sink output flushed.
type Acknowledged struct {
	Checkpoint uint64
	Subtask    SubtaskID
	Snapshot   Snapshot
}

// EndOfInput says that the splits of a source subtask have been read to their ends, no more will come, and it has sent END on.
// The subtask goes on acknowledging barriers.
type EndOfInput struct{ Subtask SubtaskID }

// StopRequested asks for a last checkpoint and then the end.
type StopRequested struct{}

// ManifestDurable is the result of WriteCheckpoint.
type ManifestDurable struct {
	Checkpoint uint64
	Digest     string // from WriteManifest
}

// CommitDone is the result of Commit.
type CommitDone struct{ Checkpoint uint64 }

// CheckpointFailed is the other result of everything asked for: a barrier, a segment, a manifest or a commit failed.
type CheckpointFailed struct {
	Checkpoint uint64
	Err        error
}

func (JobStarted) input()       {}
func (Tick) input()             {}
func (Acknowledged) input()     {}
func (EndOfInput) input()       {}
func (StopRequested) input()    {}
func (ManifestDurable) input()  {}
func (CommitDone) input()       {}
func (CheckpointFailed) input() {}

// Snapshot is one subtask's part of a checkpoint.
type Snapshot struct {
	Enumerators    []Enumerator // from the subtask that runs one
	Splits         []Split      // also those discovered and not yet assigned, from whoever holds them; each once in a checkpoint
	Watermarks     []Watermark
	ProcessingTime int64 // us, 0 where the subtask has none
	States         []StateSnapshot
	Committables   []connectors.Committable
	Writers        []Writer
}

// StateSnapshot is the outcome of writing a node's frozen state.
type StateSnapshot struct {
	Node    string
	Base    bool     // everything was written, not only changes
	Segment *Segment // nil where there was no entry
}

// Command is something to do. Commands of one Step are carried out in their order; those with a result report it as an Input.
type Command interface{ command() }

// InjectBarrier starts a checkpoint: every subtask is to report Acknowledged, or anyone CheckpointFailed.
type InjectBarrier struct {
	Checkpoint uint64
	Kind       Kind
	Base       map[SubtaskID][]string // nodes that write everything (Freeze(true)); all others write changes
}

// WantsBase says whether the node of a subtask is to write everything.
func (b *InjectBarrier) WantsBase(subtask SubtaskID, node string) bool {
	for _, n := range b.Base[subtask] {
		if n == node {
			return true
		}
	}
	return false
}

// WriteCheckpoint asks for WriteManifest, then ManifestDurable.
type WriteCheckpoint struct{ Manifest *Manifest }

// Commit asks to publish committables, in their order, then CommitDone.
type Commit struct {
	Checkpoint   uint64
	Committables []connectors.Committable
}

// CheckpointComplete tells that a checkpoint is durable and published, for metrics and the live view.
type CheckpointComplete struct {
	Manifest *Manifest
	Started  time.Time
}

// Expire asks for Store.Delete. There is no result: a failure is a warning, what stays behind is found again at the next start.
type Expire struct {
	Manifests []string // file names, oldest first
	Others    []string
}

// JobFinished says that the final checkpoint is complete; JobStopped that the last one before a stop is.
type JobFinished struct{ Checkpoint uint64 }

// JobStopped says that the job may be ended; the store has everything to go on with.
type JobStopped struct{ Checkpoint uint64 }

// FailJob says that the job has to be ended; it may be restored.
type FailJob struct{ Err error }

func (InjectBarrier) command()      {}
func (WriteCheckpoint) command()    {}
func (Commit) command()             {}
func (CheckpointComplete) command() {}
func (Expire) command()             {}
func (JobFinished) command()        {}
func (JobStopped) command()         {}
func (FailJob) command()            {}
