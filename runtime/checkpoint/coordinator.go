package checkpoint

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/tidemill/tidemill/internal/errcode"
)

// Options of a coordinator.
type Options struct {
	Identity
	Modules     map[string]string // node name -> digest of its module
	Parallelism int
	Interval    time.Duration // from the start of one periodic checkpoint to the start of the next; 0: none are taken
	Keep        int           // complete checkpoints that retention leaves, at least 1
}

// Limits of a chain, after which a subtask writes a base segment again. With deltas of a share c of the state, a base comes every
// ratio/c checkpoints, so all segments together are 1 + 1/ratio times what changed: 1.25 at 4, which leaves room for an entry's
// own overhead within 1.3 (P5). A restore then reads at most 1 + ratio times the state.
const (
	chainDeltaRatio = 4
	// chainSegmentsMax bounds the files that a restore opens and a manifest names where changes are few.
	chainSegmentsMax = 128
)

type phase int

const (
	notStarted phase = iota
	running          // no checkpoint in flight
	aligning         // a barrier is on its way
	writing          // the manifest is being written
	committing
	over // finished, stopped or failed
)

// Coordinator decides what happens in a job's checkpoints. At most one is in flight, from its barrier to the end of its commit.
// Any failure of a checkpoint fails the job. One goroutine uses it.
type Coordinator struct {
	opt      Options
	phase    phase
	now      time.Time // the greatest heard
	subtasks []Subtask // by task, then index
	ended    map[SubtaskID]bool
	sources  int
	stop     bool

	nextID       uint64
	last         *Manifest // newest complete checkpoint, or the restored one
	lastDigest   string
	restoredFrom uint64
	nextAt       time.Time // when the next periodic checkpoint is due

	flight   *Manifest // the checkpoint in flight, filled by acknowledgements
	started  time.Time
	base     map[SubtaskID][]string
	acks     map[SubtaskID]bool
	kept     []Kept // oldest first
	leftover []Leftover
}

// NewCoordinator makes a coordinator that waits for JobStarted.
func NewCoordinator(opt Options) *Coordinator {
	opt.Keep = max(opt.Keep, 1)
	return &Coordinator{opt: opt, ended: map[SubtaskID]bool{}}
}

// NextTick is the time at which a Tick is wanted; ok is false where none is.
func (c *Coordinator) NextTick() (at time.Time, ok bool) {
	return c.nextAt, c.phase == running && c.opt.Interval > 0
}

// Step takes one input and answers with what is to be done. An input that cannot happen, by a mistake of the caller, fails the job.
func (c *Coordinator) Step(in Input) []Command {
	if c.phase == over {
		return nil
	}
	if _, first := in.(JobStarted); first != (c.phase == notStarted) {
		return c.fail(fmt.Errorf("checkpoint coordinator: %T at the wrong time", in))
	}
	switch in := in.(type) {
	case JobStarted:
		return c.start(in)
	case Tick:
		c.hear(in.Now)
		return c.next()
	case Acknowledged:
		return c.acknowledged(in)
	case EndOfInput:
		return c.endOfInput(in)
	case StopRequested:
		c.stop = true
		return c.next()
	case ManifestDurable:
		return c.manifestDurable(in)
	case CommitDone:
		if c.phase != committing || in.Checkpoint != c.flight.Checkpoint {
			return c.fail(fmt.Errorf("checkpoint coordinator: commit of checkpoint %d is not awaited", in.Checkpoint))
		}
		return c.complete()
	case CheckpointFailed:
		return c.fail(checkpointFailed(in))
	}
	panic(fmt.Sprintf("checkpoint coordinator: unknown input %T", in))
}

// checkpointFailed keeps a coded cause in front: its class is the exit code.
func checkpointFailed(in CheckpointFailed) error {
	if errcode.Of(in.Err) != nil {
		return fmt.Errorf("checkpoint %d failed: %w", in.Checkpoint, in.Err)
	}
	return ErrFailed.Errorf("checkpoint %d failed", in.Checkpoint).Because(in.Err)
}

func (c *Coordinator) hear(now time.Time) {
	if now.After(c.now) {
		c.now = now
	}
}

func (c *Coordinator) fail(err error) []Command {
	c.phase = over
	return []Command{FailJob{Err: err}}
}

func (c *Coordinator) start(in JobStarted) []Command {
	c.hear(in.Now)
	c.phase = running
	c.subtasks = slices.Clone(in.Subtasks)
	slices.SortFunc(c.subtasks, func(a, b Subtask) int { return compareIDs(a.ID, b.ID) })
	for i, s := range c.subtasks {
		if i > 0 && s.ID == c.subtasks[i-1].ID {
			return c.fail(fmt.Errorf("checkpoint coordinator: subtask %v started twice", s.ID))
		}
		if s.Source {
			c.sources++
		}
	}
	r := in.Recovery
	if c.sources == 0 || r == nil || r.NextID == 0 {
		return c.fail(fmt.Errorf("checkpoint coordinator: a job needs a source and a Recovery"))
	}
	c.nextID, c.last, c.lastDigest = r.NextID, r.Restored, r.Digest
	c.kept, c.leftover = slices.Clone(r.Kept), slices.Clone(r.Leftover)
	if r.Restored != nil {
		c.restoredFrom = r.Restored.Checkpoint
	}
	c.nextAt = c.now.Add(c.opt.Interval)
	return nil
}

func compareIDs(a, b SubtaskID) int {
	return cmp.Or(cmp.Compare(a.Task, b.Task), cmp.Compare(a.Index, b.Index))
}

func (c *Coordinator) subtask(id SubtaskID) *Subtask {
	i, found := slices.BinarySearchFunc(c.subtasks, id, func(s Subtask, id SubtaskID) int { return compareIDs(s.ID, id) })
	if !found {
		return nil
	}
	return &c.subtasks[i]
}

func (c *Coordinator) endOfInput(in EndOfInput) []Command {
	if s := c.subtask(in.Subtask); s == nil || !s.Source || c.ended[in.Subtask] {
		return c.fail(fmt.Errorf("checkpoint coordinator: unexpected end of input of subtask %v", in.Subtask))
	}
	c.ended[in.Subtask] = true
	return c.next()
}

// next starts a checkpoint where one is due and none is in flight. The end of all input goes before a stop, which goes before the
// interval.
func (c *Coordinator) next() []Command {
	if c.phase != running {
		return nil
	}
	switch {
	case len(c.ended) == c.sources:
		return c.inject(Final)
	case c.stop:
		return c.inject(Stop)
	case c.opt.Interval > 0 && !c.now.Before(c.nextAt):
		return c.inject(Periodic)
	}
	return nil
}

func (c *Coordinator) inject(kind Kind) []Command {
	c.phase = aligning
	c.started = c.now
	c.nextAt = c.now.Add(c.opt.Interval)
	c.acks = map[SubtaskID]bool{}
	c.base = map[SubtaskID][]string{}
	c.flight = &Manifest{
		Job: c.opt.Job, PlanDigest: c.opt.PlanDigest, Modules: c.opt.Modules, Parallelism: c.opt.Parallelism,
		MaxParallelism: c.opt.MaxParallelism, Checkpoint: c.nextID, Kind: kind, Finished: kind == Final, Time: c.now,
		RestoredFrom: c.restoredFrom,
	}
	if c.last != nil {
		c.flight.Previous = &Link{Checkpoint: c.last.Checkpoint, SHA256: c.lastDigest}
		c.flight.ProcessingTime = c.last.ProcessingTime
	}
	c.nextID++
	for _, s := range c.subtasks {
		for _, r := range s.States {
			if c.wantsBase(r) {
				c.base[s.ID] = append(c.base[s.ID], r.Node)
			}
		}
	}
	return []Command{InjectBarrier{Checkpoint: c.flight.Checkpoint, Kind: kind, Base: c.base}}
}

// wantsBase says whether a chain has to begin anew: there is none for exactly these key groups (a first checkpoint, or a restore
// at another parallelism, whose old segments mix groups of several subtasks), or it has become too long.
func (c *Coordinator) wantsBase(r StateRange) bool {
	if c.last == nil {
		return true
	}
	chain := c.last.exactChain(r.Node, r.Groups)
	if len(chain) == 0 || len(chain) >= chainSegmentsMax {
		return true
	}
	var base, deltas int64
	for _, s := range chain {
		if s.Base {
			base += s.Bytes
		} else {
			deltas += s.Bytes
		}
	}
	return deltas > chainDeltaRatio*base
}

func (c *Coordinator) acknowledged(in Acknowledged) []Command {
	subtask := c.subtask(in.Subtask)
	if c.phase != aligning || in.Checkpoint != c.flight.Checkpoint || subtask == nil || c.acks[in.Subtask] {
		return c.fail(fmt.Errorf("checkpoint coordinator: subtask %v acknowledged checkpoint %d, which is not awaited", in.Subtask,
			in.Checkpoint))
	}
	if err := c.addStates(subtask, in.Snapshot.States); err != nil {
		return c.fail(err)
	}
	c.acks[in.Subtask] = true
	m := c.flight
	m.Enumerators = append(m.Enumerators, in.Snapshot.Enumerators...)
	m.Splits = append(m.Splits, in.Snapshot.Splits...)
	m.Watermarks = append(m.Watermarks, in.Snapshot.Watermarks...)
	m.Committables = append(m.Committables, in.Snapshot.Committables...)
	m.Writers = append(m.Writers, in.Snapshot.Writers...)
	m.ProcessingTime = max(m.ProcessingTime, in.Snapshot.ProcessingTime)
	if len(c.acks) < len(c.subtasks) {
		return nil
	}
	m.normalize()
	if err := m.check(); err != nil {
		return c.fail(fmt.Errorf("checkpoint coordinator: checkpoint %d does not fit together: %w", m.Checkpoint, err))
	}
	c.phase = writing
	return []Command{WriteCheckpoint{Manifest: m}}
}

// addStates adds to the manifest the chains of a subtask's states: a base alone, or what was there and the delta.
func (c *Coordinator) addStates(s *Subtask, states []StateSnapshot) error {
	if len(states) != len(s.States) {
		return fmt.Errorf("checkpoint coordinator: subtask %v reported %d of its %d states", s.ID, len(states), len(s.States))
	}
	for _, r := range s.States {
		i := slices.IndexFunc(states, func(x StateSnapshot) bool { return x.Node == r.Node })
		if i < 0 || !states[i].Base && slices.Contains(c.base[s.ID], r.Node) {
			return fmt.Errorf("checkpoint coordinator: subtask %v did not write state of %q as it was told", s.ID, r.Node)
		}
		if !states[i].Base {
			c.flight.Segments = append(c.flight.Segments, c.last.exactChain(r.Node, r.Groups)...)
		}
		segment := states[i].Segment
		if segment == nil {
			continue
		}
		if segment.Node != r.Node || segment.Groups != r.Groups || segment.Checkpoint != c.flight.Checkpoint ||
			segment.Base != states[i].Base {
			return fmt.Errorf("checkpoint coordinator: subtask %v reported segment %s, which is not that of %q", s.ID, segment.File, r.Node)
		}
		c.flight.Segments = append(c.flight.Segments, *segment)
	}
	return nil
}

func (c *Coordinator) manifestDurable(in ManifestDurable) []Command {
	if c.phase != writing || in.Checkpoint != c.flight.Checkpoint {
		return c.fail(fmt.Errorf("checkpoint coordinator: manifest of checkpoint %d is not awaited", in.Checkpoint))
	}
	c.last, c.lastDigest = c.flight, in.Digest
	if len(c.flight.Committables) == 0 {
		return c.complete()
	}
	c.phase = committing
	return []Command{Commit{Checkpoint: in.Checkpoint, Committables: c.flight.Committables}}
}

// complete ends the checkpoint in flight.
func (c *Coordinator) complete() []Command {
	m := c.flight
	c.flight, c.base, c.acks = nil, nil, nil
	commands := []Command{CheckpointComplete{Manifest: m, Started: c.started}}
	if expire, any := c.retain(m); any {
		commands = append(commands, expire)
	}
	switch m.Kind {
	case Final:
		c.phase = over
		return append(commands, JobFinished{Checkpoint: m.Checkpoint})
	case Stop:
		c.phase = over
		return append(commands, JobStopped{Checkpoint: m.Checkpoint})
	case Periodic:
		c.phase = running
		return append(commands, c.next()...)
	}
	panic(fmt.Sprintf("checkpoint coordinator: unknown kind %q", m.Kind))
}

// retain counts a complete checkpoint and says what has expired: the checkpoints before the newest Keep, their segments that no
// kept one names, and leftovers as old as they.
func (c *Coordinator) retain(m *Manifest) (expire Expire, any bool) {
	kept := Kept{Checkpoint: m.Checkpoint}
	for _, s := range m.Segments {
		kept.Segments = append(kept.Segments, s.File)
	}
	c.kept = append(c.kept, kept)
	if len(c.kept) < c.opt.Keep {
		return expire, false
	}
	expired := c.kept[:len(c.kept)-c.opt.Keep]
	c.kept = slices.Clone(c.kept[len(expired):])
	named := map[string]bool{}
	for _, k := range c.kept {
		for _, file := range k.Segments {
			named[file] = true
		}
	}
	for _, k := range expired {
		expire.Manifests = append(expire.Manifests, ManifestName(k.Checkpoint))
		for _, file := range k.Segments {
			if !named[file] {
				named[file] = true // once
				expire.Others = append(expire.Others, file)
			}
		}
	}
	young := c.leftover[:0]
	for _, l := range c.leftover {
		if l.Checkpoint >= c.kept[0].Checkpoint {
			young = append(young, l)
		} else if name, _ := ParseName(l.File); name.Kind == FileManifest {
			expire.Manifests = append(expire.Manifests, l.File)
		} else {
			expire.Others = append(expire.Others, l.File)
		}
	}
	c.leftover = young
	slices.Sort(expire.Others)
	return expire, len(expire.Manifests)+len(expire.Others) > 0
}
