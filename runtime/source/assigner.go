package source

import (
	"context"
	"fmt"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/runtime/exchange"
	"github.com/tidemill/tidemill/runtime/record"
)

// Assigner knows all splits of a source and who reads them. Safe for concurrent use.
//
// In a bounded source a subtask is given one split at a time, so that a fast one reads more of them; in an unbounded source, whose
// splits may never end, each is given away as soon as it is known.
type Assigner struct {
	cfg     *Config
	signals []*exchange.Signal // of the subtasks' tasks
	blank   blank
	moves   atomic.Int64 // counts what may change hold, beside the watermarks themselves

	mu         sync.Mutex
	enumerator []byte // state of the enumerator after the discovery that added the last of splits
	discovered bool   // a discovery has come back
	done       bool
	splits     map[string]*entry
	order      []*entry
	unfinished int
	waiting    []*entry // not taken yet; those that a restored job had begun come first
}

type entry struct {
	Split
	owner    int // the only subtask that may take it; -1: whoever asks first
	finished bool
}

// NewAssigner returns an assigner that goes on from a restored state (nil: from the beginning). restoredParallelism is that of the
// job that wrote it.
func NewAssigner(cfg *Config, signals []*exchange.Signal, restored *State, restoredParallelism int) *Assigner {
	a := &Assigner{cfg: cfg, signals: signals, splits: map[string]*entry{}, blank: blank{filled: make([]atomic.Bool, len(cfg.Schema.Fields))}}
	if restored == nil {
		return a
	}
	a.enumerator, a.done, a.discovered = restored.Enumerator, restored.Done, restored.Done
	splits := append([]Split{}, restored.Splits...)
	sort.SliceStable(splits, func(i, k int) bool { return begun(&splits[i]) && !begun(&splits[k]) })
	for _, s := range splits {
		if restoredParallelism != cfg.Parallelism {
			s.Subtask = -1
		}
		a.add(s).owner = s.Subtask
	}
	if !cfg.Connector.Bounded() {
		a.spread()
	}
	return a
}

func begun(s *Split) bool {
	return !s.Position.Done && (s.Subtask >= 0 || s.Position != record.Position{})
}

// add takes in a split; a split known already is passed over.
func (a *Assigner) add(s Split) *entry {
	if e, known := a.splits[s.Split.ID]; known {
		return e
	}
	e := &entry{Split: s, owner: -1, finished: s.Position.Done}
	a.splits[s.Split.ID] = e
	a.order = append(a.order, e)
	if !e.finished {
		a.unfinished++
		a.waiting = append(a.waiting, e)
	}
	return e
}

// spread gives every waiting split of an unbounded source to the subtask that has the fewest.
func (a *Assigner) spread() {
	load := make([]int, a.cfg.Parallelism)
	for _, e := range a.order {
		if e.owner >= 0 && !e.finished {
			load[e.owner]++
		}
	}
	for _, e := range a.waiting {
		if e.owner >= 0 {
			continue
		}
		least := 0
		for i := range load {
			if load[i] < load[least] {
				least = i
			}
		}
		e.owner = least
		load[least]++
	}
}

// Run discovers splits until there are no more or ctx ends.
func (a *Assigner) Run(ctx context.Context) error {
	a.mu.Lock()
	state, done := a.enumerator, a.done
	a.mu.Unlock()
	if done {
		return nil
	}
	enumerator, err := a.cfg.Connector.Enumerator(ctx, state)
	if err != nil {
		return readError(a.cfg.Name, "", err)
	}
	defer enumerator.Close()
	pause := a.cfg.DiscoveryInterval
	if a.cfg.Connector.Bounded() {
		pause = 0
	}
	for {
		if done, err = a.discover(ctx, enumerator); err != nil || done {
			return err
		}
		if !a.cfg.Connector.Bounded() && pause == 0 {
			return nil
		}
		timer := a.cfg.Clock.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C():
		}
	}
}

func (a *Assigner) discover(ctx context.Context, enumerator connectors.Enumerator) (bool, error) {
	splits, done, err := enumerator.Discover(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return true, nil //nolint:nilerr // the job is ending: that is not the source's error
		}
		return false, readError(a.cfg.Name, "", err)
	}
	state, err := enumerator.Snapshot()
	if err != nil {
		return false, readError(a.cfg.Name, "", err)
	}
	a.mu.Lock()
	for _, s := range splits {
		a.add(Split{Split: s, Watermark: record.WatermarkNone, Subtask: -1})
	}
	a.enumerator, a.done, a.discovered = state, done, true
	if !a.cfg.Connector.Bounded() {
		a.spread()
	}
	a.mu.Unlock()
	a.wake()
	return done, nil
}

// wake makes all subtasks look at what they may do now, their watermark included.
func (a *Assigner) wake() {
	a.moves.Add(1)
	for _, s := range a.signals {
		s.Wake()
	}
}

// take gives a subtask the splits that it is to read next: all of its own, and one more where it reads none of a bounded source.
func (a *Assigner) take(subtask, reading int) (given []Split) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) == 0 {
		return nil
	}
	kept := a.waiting[:0]
	free := a.cfg.Connector.Bounded() && reading == 0
	own := false // a split of its own is preferred to any other
	for _, e := range a.waiting {
		own = own || e.owner == subtask
	}
	for _, e := range a.waiting {
		if e.owner != subtask && (own || !free || e.owner >= 0) {
			kept = append(kept, e)
			continue
		}
		free = false
		e.owner, e.Subtask = subtask, subtask
		given = append(given, e.Split)
	}
	clear(a.waiting[len(kept):])
	a.waiting = kept
	if len(given) > 0 && a.cfg.Connector.Bounded() {
		a.wake() // these splits hold the watermarks of others no more
	}
	return given
}

// report notes the watermark of a split that is being read.
func (a *Assigner) report(id string, watermark int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.splits[id].Watermark = max(a.splits[id].Watermark, watermark)
}

// finish notes that a split has been handed out to its end.
func (a *Assigner) finish(s Split) {
	a.mu.Lock()
	e := a.splits[s.Split.ID]
	e.Split, e.finished = s, true
	a.unfinished--
	last := a.done && a.unfinished == 0
	a.mu.Unlock()
	if last {
		a.wake()
	}
}

// ended says that every split of the source has been handed out to its end and no more will come.
func (a *Assigner) ended() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.done && a.unfinished == 0
}

// known says that splits have been discovered at least once.
func (a *Assigner) known() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.discovered
}

// hold is what the watermark of a bounded source's subtask must not pass: the least of splits that nobody reads yet, or of all
// unfinished splits for a subtask that reads none.
func (a *Assigner) hold(reading int) int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.done {
		return record.WatermarkNone
	}
	least := record.WatermarkEnd
	if reading > 0 {
		for i := len(a.waiting) - 1; i >= 0 && least != record.WatermarkNone; i-- {
			least = min(least, a.waiting[i].Watermark)
		}
		return least
	}
	for _, e := range a.order {
		if !e.finished {
			least = min(least, e.Watermark)
		}
	}
	return least
}

// Snapshot is the assigner's part of a checkpoint. It is taken before any subtask passes the barrier; what subtasks then report of
// their splits replaces what it says of them, see Merge.
func (a *Assigner) Snapshot() State {
	a.mu.Lock()
	defer a.mu.Unlock()
	s := State{Enumerator: a.enumerator, Done: a.done, Splits: make([]Split, 0, len(a.order))}
	for _, e := range a.order {
		s.Splits = append(s.Splits, e.Split)
	}
	return s
}

// Merge puts what subtasks reported at the barrier over what the assigner knew when it was triggered: a split that a subtask
// has begun, or that was discovered, since then is as the subtask says.
func (s *State) Merge(reported []Split) error {
	index := make(map[string]int, len(s.Splits))
	for i := range s.Splits {
		index[s.Splits[i].Split.ID] = i
	}
	seen := make(map[string]bool, len(reported))
	for _, r := range reported {
		if seen[r.Split.ID] {
			return fmt.Errorf("split %s was reported by two subtasks", r.Split.ID)
		}
		seen[r.Split.ID] = true
		if i, known := index[r.Split.ID]; known {
			s.Splits[i] = r
		} else {
			s.Splits = append(s.Splits, r)
		}
	}
	return nil
}
