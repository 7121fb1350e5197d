package checkpoint

import (
	"cmp"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/runtime/checkpoint/segment"
	"github.com/tidemill/tidemill/runtime/record"
)

// Kind is why a checkpoint is taken, and what sources do at its barrier.
type Kind string

// The kinds. "savepoint" is reserved.
const (
	Periodic Kind = "periodic" // sources go on after the barrier
	Stop     Kind = "stop"     // sources emit nothing after the barrier: no END, no maximal watermark
	Final    Kind = "final"    // all sources have ended: the maximal watermark and END have gone before the barrier
)

// Manifest is one checkpoint: everything needed to go on from it. Its slices are in the order that normalize gives, so that
// equal checkpoints are equal bytes.
type Manifest struct {
	Job            string            `json:"job"`
	PlanDigest     string            `json:"plan_digest"`
	Modules        map[string]string `json:"modules,omitempty"` // node name -> digest of its module
	Parallelism    int               `json:"parallelism"`
	MaxParallelism int               `json:"max_parallelism"`

	Checkpoint   uint64    `json:"checkpoint"` // counts up from 1 over the life of a store; never used twice
	Kind         Kind      `json:"kind"`
	Finished     bool      `json:"finished"` // the job has ended: there is nothing to go on with
	Time         time.Time `json:"time"`     // UTC, when the barrier started
	RestoredFrom uint64    `json:"restored_from,omitempty"`
	Previous     *Link     `json:"previous,omitempty"`

	ProcessingTime int64                    `json:"processing_time"` // us, the greatest that an operator has seen
	Enumerators    []Enumerator             `json:"enumerators,omitempty"`
	Splits         []Split                  `json:"splits,omitempty"`
	Watermarks     []Watermark              `json:"watermarks,omitempty"`
	Segments       []Segment                `json:"segments,omitempty"`
	Committables   []connectors.Committable `json:"committables,omitempty"`
	Writers        []Writer                 `json:"writers,omitempty"`
}

// Link names a manifest by content.
type Link struct {
	Checkpoint uint64 `json:"checkpoint"`
	SHA256     string `json:"sha256"` // of the whole file, hex
}

// Enumerator is the state of a source's split enumerator.
type Enumerator struct {
	Source string `json:"source"`
	State  []byte `json:"state,omitempty"`
	Done   bool   `json:"done"`
}

// Split is how far one split of a source has been read; one that was discovered and not yet read has the zero Position.
type Split struct {
	Source    string           `json:"source"`
	Split     connectors.Split `json:"split"`
	Position  record.Position  `json:"position"`
	Watermark int64            `json:"watermark"` // record.WatermarkNone where there is none yet
	Subtask   int              `json:"subtask"`   // that reads or has read it, -1 for none yet: it goes on with it after a restore
}

// Watermark is the watermark of one subtask of a source, operator or sink; record.WatermarkEnd where it has passed END.
type Watermark struct {
	Node      string `json:"node"`
	Subtask   int    `json:"subtask"`
	Watermark int64  `json:"watermark"`
}

// Writer is what the sink writer of a subtask needs to go on.
type Writer struct {
	Sink    string `json:"sink"`
	Subtask int    `json:"subtask"`
	State   []byte `json:"state"`
}

// What package segment defines and this package's functions speak of.
type (
	Segment   = segment.Ref    // names a durable segment file
	SegmentOf = segment.Of     // what a segment holds
	Damage    = segment.Damage // one thing that is wrong with one file of a store
)

// Chain returns the segments that hold state of a node's key groups in [groups[0], groups[1]), oldest first. A segment may hold
// other groups besides: whoever reads it passes them over.
func (m *Manifest) Chain(node string, groups [2]int) []Segment {
	var chain []Segment
	for _, s := range m.Segments {
		if s.Node == node && s.Groups[0] < groups[1] && groups[0] < s.Groups[1] {
			chain = append(chain, s)
		}
	}
	slices.SortStableFunc(chain, func(a, b Segment) int { return cmp.Compare(a.Checkpoint, b.Checkpoint) })
	return chain
}

// exactChain returns the chain of exactly these groups, nil where the node's chains are cut otherwise.
func (m *Manifest) exactChain(node string, groups [2]int) []Segment {
	chain := m.Chain(node, groups)
	for _, s := range chain {
		if s.Groups != groups {
			return nil
		}
	}
	return chain
}

// Bytes is the size of all segments that the checkpoint names; own is the part that was written for it.
func (m *Manifest) Bytes() (all, own int64) {
	for _, s := range m.Segments {
		all += s.Bytes
		if s.Checkpoint == m.Checkpoint {
			own += s.Bytes
		}
	}
	return all, own
}

// normalize sorts what has no order of its own.
func (m *Manifest) normalize() {
	m.Time = m.Time.UTC().Round(0)
	slices.SortFunc(m.Enumerators, func(a, b Enumerator) int { return cmp.Compare(a.Source, b.Source) })
	slices.SortFunc(m.Splits, func(a, b Split) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.Split.ID, b.Split.ID))
	})
	slices.SortFunc(m.Watermarks, func(a, b Watermark) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Subtask, b.Subtask))
	})
	slices.SortFunc(m.Segments, func(a, b Segment) int {
		return cmp.Or(cmp.Compare(a.Node, b.Node), cmp.Compare(a.Groups[0], b.Groups[0]), cmp.Compare(a.Checkpoint, b.Checkpoint))
	})
	slices.SortStableFunc(m.Committables, func(a, b connectors.Committable) int {
		return cmp.Or(cmp.Compare(a.Sink, b.Sink), cmp.Compare(a.Subtask, b.Subtask))
	})
	slices.SortStableFunc(m.Writers, func(a, b Writer) int {
		return cmp.Or(cmp.Compare(a.Sink, b.Sink), cmp.Compare(a.Subtask, b.Subtask))
	})
}

// check finds what no manifest may say: it runs before one is written and after one is read.
func (m *Manifest) check() error {
	switch {
	case m.Job == "" || m.PlanDigest == "":
		return fmt.Errorf("it names no job or no plan")
	case m.Checkpoint == 0:
		return fmt.Errorf("it has no checkpoint id")
	case m.MaxParallelism < 1 || m.Parallelism < 1 || m.Parallelism > m.MaxParallelism:
		return fmt.Errorf("parallelism %d of at most %d", m.Parallelism, m.MaxParallelism)
	case m.Kind != Periodic && m.Kind != Stop && m.Kind != Final:
		return fmt.Errorf("kind %q is not known", m.Kind)
	case m.Finished != (m.Kind == Final):
		return fmt.Errorf("kind %q with finished=%t", m.Kind, m.Finished)
	case m.Previous != nil && m.Previous.Checkpoint >= m.Checkpoint, m.RestoredFrom >= m.Checkpoint:
		return fmt.Errorf("checkpoint %d follows a later one", m.Checkpoint)
	}
	for i := range m.Splits {
		s := &m.Splits[i]
		if !utf8.ValidString(s.Split.ID) || !utf8.ValidString(s.Position.Token) {
			return fmt.Errorf("split %q of source %q has an id or token that is not UTF-8: JSON would change it", s.Split.ID, s.Source)
		}
		if i > 0 && m.Splits[i-1].Source == s.Source && m.Splits[i-1].Split.ID == s.Split.ID {
			return fmt.Errorf("split %q of source %q appears twice", s.Split.ID, s.Source)
		}
	}
	for i := 1; i < len(m.Enumerators); i++ {
		if m.Enumerators[i-1].Source == m.Enumerators[i].Source {
			return fmt.Errorf("the enumerator of source %q appears twice", m.Enumerators[i].Source)
		}
	}
	return m.checkSegments()
}

func (m *Manifest) checkSegments() error {
	for i := range m.Segments {
		s := &m.Segments[i]
		if s.Groups[0] < 0 || s.Groups[0] >= s.Groups[1] || s.Groups[1] > m.MaxParallelism {
			return fmt.Errorf("segment %s has key groups %v of %d", s.File, s.Groups, m.MaxParallelism)
		}
		if name, ok := ParseName(s.File); !ok || name.Kind != FileSegment || name.Checkpoint != s.Checkpoint ||
			s.Checkpoint > m.Checkpoint || s.Checkpoint == 0 {
			return fmt.Errorf("segment %q of checkpoint %d has a name that does not fit", s.File, s.Checkpoint)
		}
		if len(s.XXH3) != 32 || s.Bytes <= 0 || s.Entries < 0 {
			return fmt.Errorf("segment %s has no size or no checksum", s.File)
		}
		if i == 0 || m.Segments[i-1].Node != s.Node {
			continue
		}
		switch p := &m.Segments[i-1]; {
		case p.Groups == s.Groups && (s.Base || s.Checkpoint <= p.Checkpoint):
			return fmt.Errorf("segment %s cannot follow %s in a chain", s.File, p.File)
		case p.Groups != s.Groups && s.Groups[0] < p.Groups[1]:
			return fmt.Errorf("segments %s and %s overlap", p.File, s.File)
		}
	}
	return nil
}
