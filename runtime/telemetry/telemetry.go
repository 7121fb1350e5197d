package telemetry

import (
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
)

// Kind of a node.
type Kind string

// The kinds of nodes.
const (
	Source   Kind = "source"
	Operator Kind = "operator"
	Sink     Kind = "sink"
)

// checkpointsKept is the number of completed checkpoints that a Job remembers for views.
const checkpointsKept = 32

// Job is the counters of one job. Safe for concurrent use.
type Job struct {
	Name     string
	Restarts atomic.Int64

	mu          sync.Mutex
	nodes       []*Node
	restored    uint64
	checkpoints []Checkpoint
	completed   int64
	failed      int64
}

// Checkpoint is a completed one.
type Checkpoint struct {
	ID       uint64        `json:"id"`
	At       time.Time     `json:"at"`
	Duration time.Duration `json:"duration_ns"` // from the trigger to the durable manifest
	Bytes    int64         `json:"bytes"`       // written for it: segments and manifest
}

// NewJob returns a job without nodes.
func NewJob(name string) *Job { return &Job{Name: name} }

// Node returns the counters of a node of so many subtasks; those of a node that is known already go on.
func (j *Job) Node(name string, kind Kind, subtasks int) *Node {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, n := range j.nodes {
		if n.Name == name && len(n.Subtasks) == subtasks {
			return n
		}
	}
	n := &Node{Name: name, Kind: kind, splits: map[string]*Split{}}
	for range subtasks {
		s := &Subtask{}
		s.Watermark.Store(record.WatermarkNone)
		n.Subtasks = append(n.Subtasks, s)
	}
	j.nodes = append(j.nodes, n)
	return n
}

// Restored notes the checkpoint that the job went on from.
func (j *Job) Restored(id uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.restored = id
}

// Completed notes a completed checkpoint.
func (j *Job) Completed(c Checkpoint) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.completed++
	if len(j.checkpoints) == checkpointsKept {
		j.checkpoints = append(j.checkpoints[:0], j.checkpoints[1:]...)
	}
	j.checkpoints = append(j.checkpoints, c)
}

// Aborted notes a checkpoint that did not complete.
func (j *Job) Aborted() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.failed++
}

// Node is the counters of a source, operator or sink.
type Node struct {
	Name     string
	Kind     Kind
	Subtasks []*Subtask

	mu     sync.Mutex
	splits map[string]*Split
}

// Subtask is the counters of one subtask of a node.
type Subtask struct {
	RecordsIn  atomic.Int64 // of a source: delivered by its readers, bad ones not among them
	RecordsOut atomic.Int64 // of a sink: handed to the writer
	BatchesIn  atomic.Int64
	Late       atomic.Int64 // event time <= watermark; delivered all the same
	Bad        atomic.Int64 // records and timers skipped or dead-lettered
	Watermark  atomic.Int64 // record.WatermarkNone, record.WatermarkEnd or us
	QueueRows  atomic.Int64 // rows waiting before the task, of its first node
	Stalled    atomic.Int64 // times the task stopped for want of credit, of its last node

	Cells      atomic.Int64 // -1 where the back-end cannot count them
	Timers     atomic.Int64
	StateBytes atomic.Int64 // memory held
	StoreBytes atomic.Int64
	StoreReads atomic.Int64
	Expired    atomic.Int64 // cells swept because they had expired

	Meter operator.Meter // what a guest did
}

// Split is the progress of one split of a source.
type Split struct {
	ID       string
	Restored record.Position // where it went on after the last restore; zero for the beginning
	Records  atomic.Int64    // delivered since the split's beginning, bad ones included
	Offset   atomic.Int64
	Done     atomic.Bool
}

// Split returns the progress of a split, which begins at a position.
func (n *Node) Split(id string, at record.Position) *Split {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := &Split{ID: id, Restored: at}
	s.Records.Store(at.Records)
	s.Offset.Store(at.Offset)
	s.Done.Store(at.Done)
	n.splits[id] = s
	return s
}

// Snapshot is a copy of a job's counters.
type Snapshot struct {
	Job         string         `json:"job"`
	Restarts    int64          `json:"restarts"`
	Restored    uint64         `json:"restored_checkpoint"` // 0: started anew
	Completed   int64          `json:"checkpoints_completed"`
	Failed      int64          `json:"checkpoints_failed"`
	Checkpoints []Checkpoint   `json:"checkpoints"` // the last ones, oldest first
	Nodes       []NodeSnapshot `json:"nodes"`       // in the order of the plan
}

// NodeSnapshot sums a node's subtasks.
type NodeSnapshot struct {
	Name      string            `json:"name"`
	Kind      Kind              `json:"kind"`
	Watermark int64             `json:"watermark"` // the least of its subtasks
	Total     Counters          `json:"total"`
	Subtasks  []SubtaskSnapshot `json:"subtasks"`
	Splits    []SplitSnapshot   `json:"splits,omitempty"` // by id
}

// SubtaskSnapshot is a copy of one subtask's counters.
type SubtaskSnapshot struct {
	Watermark int64    `json:"watermark"`
	Counters  Counters `json:"counters"`
	Custom    []Custom `json:"custom,omitempty"`
}

// Counters are the numbers of a subtask, or sums over subtasks.
type Counters struct {
	RecordsIn  int64 `json:"records_in"`
	RecordsOut int64 `json:"records_out"`
	BatchesIn  int64 `json:"batches_in"`
	Late       int64 `json:"late"`
	Bad        int64 `json:"bad"`
	QueueRows  int64 `json:"queue_rows"`
	Stalled    int64 `json:"stalled"`
	Cells      int64 `json:"cells"`
	Timers     int64 `json:"timers"`
	StateBytes int64 `json:"state_bytes"`
	StoreBytes int64 `json:"store_bytes"`
	StoreReads int64 `json:"store_reads"`
	Expired    int64 `json:"expired"`
	Fuel       int64 `json:"fuel"`
	Frames     int64 `json:"frames"`
	Traps      int64 `json:"traps"`
	Instances  int64 `json:"instances"`
	Dropped    int64 `json:"log_lines_dropped"`
}

// Custom is a guest's own metric: a counter's count or a gauge's value.
type Custom struct {
	Name  string `json:"name"`
	Doc   string `json:"doc,omitempty"`
	Gauge bool   `json:"gauge,omitempty"`
	Bits  uint64 `json:"bits"` // a counter's count, a gauge's float64 bits
}

// SplitSnapshot is a copy of a split's progress.
type SplitSnapshot struct {
	ID       string          `json:"id"`
	Restored record.Position `json:"restored"`
	Records  int64           `json:"records"`
	Offset   int64           `json:"offset"`
	Done     bool            `json:"done"`
}

// Snapshot copies everything.
func (j *Job) Snapshot() *Snapshot {
	j.mu.Lock()
	s := &Snapshot{Job: j.Name, Restarts: j.Restarts.Load(), Restored: j.restored, Completed: j.completed, Failed: j.failed,
		Checkpoints: append([]Checkpoint{}, j.checkpoints...)}
	nodes := append([]*Node{}, j.nodes...)
	j.mu.Unlock()
	for _, n := range nodes {
		s.Nodes = append(s.Nodes, n.snapshot())
	}
	return s
}

func (n *Node) snapshot() NodeSnapshot {
	out := NodeSnapshot{Name: n.Name, Kind: n.Kind, Watermark: record.WatermarkEnd}
	for _, s := range n.Subtasks {
		c := SubtaskSnapshot{Watermark: s.Watermark.Load(), Counters: s.counters()}
		for _, r := range s.Meter.Custom() {
			c.Custom = append(c.Custom, Custom{Name: r.Name, Doc: r.Doc, Gauge: r.Gauge, Bits: r.Value.Load()})
		}
		out.Watermark = min(out.Watermark, c.Watermark)
		out.Total.add(&c.Counters)
		out.Subtasks = append(out.Subtasks, c)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.splits {
		out.Splits = append(out.Splits, SplitSnapshot{ID: s.ID, Restored: s.Restored, Records: s.Records.Load(),
			Offset: s.Offset.Load(), Done: s.Done.Load()})
	}
	sort.Slice(out.Splits, func(i, k int) bool { return out.Splits[i].ID < out.Splits[k].ID })
	return out
}

func (s *Subtask) counters() Counters {
	return Counters{
		RecordsIn: s.RecordsIn.Load(), RecordsOut: s.RecordsOut.Load(), BatchesIn: s.BatchesIn.Load(), Late: s.Late.Load(),
		Bad: s.Bad.Load(), QueueRows: s.QueueRows.Load(), Stalled: s.Stalled.Load(), Cells: s.Cells.Load(), Timers: s.Timers.Load(),
		StateBytes: s.StateBytes.Load(), StoreBytes: s.StoreBytes.Load(), StoreReads: s.StoreReads.Load(), Expired: s.Expired.Load(),
		Fuel:   s.Meter.Fuel.Load(),
		Frames: s.Meter.Frames.Load(), Traps: s.Meter.Traps.Load(), Instances: s.Meter.Instances.Load(), Dropped: s.Meter.Dropped.Load(),
	}
}

func (c *Counters) add(o *Counters) {
	c.RecordsIn += o.RecordsIn
	c.RecordsOut += o.RecordsOut
	c.BatchesIn += o.BatchesIn
	c.Late += o.Late
	c.Bad += o.Bad
	c.QueueRows += o.QueueRows
	c.Stalled += o.Stalled
	if c.Cells >= 0 && o.Cells >= 0 {
		c.Cells += o.Cells
	} else {
		c.Cells = -1
	}
	c.Timers += o.Timers
	c.StateBytes += o.StateBytes
	c.StoreBytes += o.StoreBytes
	c.StoreReads += o.StoreReads
	c.Expired += o.Expired
	c.Fuel += o.Fuel
	c.Frames += o.Frames
	c.Traps += o.Traps
	c.Instances += o.Instances
	c.Dropped += o.Dropped
}
