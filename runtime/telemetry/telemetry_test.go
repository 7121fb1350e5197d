package telemetry

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"

	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
)

func TestSnapshotSums(t *testing.T) {
	j := NewJob("job")
	src := j.Node("src", Source, 2)
	op := j.Node("op", Operator, 3)
	src.Subtasks[0].RecordsIn.Store(5)
	src.Subtasks[1].RecordsIn.Store(7)
	src.Subtasks[0].Watermark.Store(100)
	src.Subtasks[1].Watermark.Store(40)
	sp := src.Split("b", record.Position{Records: 3, Offset: 30})
	sp.Records.Add(4)
	src.Split("a", record.Position{Records: 9, Done: true})
	for i, s := range op.Subtasks {
		s.Cells.Store(int64(i))
		s.Meter.Fuel.Add(10)
		s.Watermark.Store(record.WatermarkEnd)
	}
	op.Subtasks[1].Cells.Store(-1) // cannot be counted there, so not in total
	op.Subtasks[2].Meter.Declare([]operator.Reading{{Name: "lag", Gauge: true}})
	op.Subtasks[2].Meter.Custom()[0].Value.Store(math.Float64bits(1.5))

	s := j.Snapshot()
	if s.Job != "job" || len(s.Nodes) != 2 || s.Nodes[0].Name != "src" || s.Nodes[0].Kind != Source {
		t.Fatalf("%+v", s)
	}
	if n := s.Nodes[0]; n.Total.RecordsIn != 12 || n.Watermark != 40 || n.Subtasks[1].Counters.RecordsIn != 7 || n.Subtasks[0].Watermark != 100 {
		t.Errorf("%+v", n)
	}
	if got := fmt.Sprintf("%+v", s.Nodes[0].Splits); got != "[{ID:a Restored:{Offset:0 Records:9 Token: Done:true} Records:9 Offset:0 Done:true} "+
		"{ID:b Restored:{Offset:30 Records:3 Token: Done:false} Records:7 Offset:30 Done:false}]" {
		t.Errorf("splits %s", got)
	}
	if n := s.Nodes[1]; n.Total.Cells != -1 || n.Total.Fuel != 30 || n.Watermark != record.WatermarkEnd {
		t.Errorf("%+v", n)
	}
	if c := s.Nodes[1].Subtasks[2].Custom; len(c) != 1 || c[0].Name != "lag" || math.Float64frombits(c[0].Bits) != 1.5 {
		t.Errorf("custom %+v", c)
	}
	if text, err := json.Marshal(s); err != nil || !strings.Contains(string(text), `"records_in":12`) {
		t.Errorf("%s, %v", text, err)
	}
}

// A restarted job goes on with the same nodes; at another parallelism they are new ones.
func TestNodesGoOn(t *testing.T) {
	j := NewJob("job")
	n := j.Node("src", Source, 2)
	if w := n.Subtasks[0].Watermark.Load(); w != record.WatermarkNone {
		t.Errorf("watermark %d before the first", w)
	}
	if j.Node("src", Source, 2) != n {
		t.Error("the node was forgotten")
	}
	if j.Node("other", Source, 2) == n {
		t.Error("two nodes are one")
	}
}

func TestCheckpointsAreBounded(t *testing.T) {
	j := NewJob("job")
	for id := range uint64(100) {
		j.Completed(Checkpoint{ID: id + 1})
	}
	j.Aborted()
	j.Restored(7)
	s := j.Snapshot()
	if s.Completed != 100 || s.Failed != 1 || s.Restored != 7 || len(s.Checkpoints) != checkpointsKept || s.Checkpoints[checkpointsKept-1].ID != 100 ||
		s.Checkpoints[0].ID != 100-checkpointsKept+1 {
		t.Errorf("%+v", s)
	}
}

func TestConcurrentUse(t *testing.T) {
	j := NewJob("job")
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			for k := range 200 {
				n := j.Node("n", Operator, 4)
				n.Subtasks[i].RecordsIn.Add(1)
				n.Split(fmt.Sprint(i), record.Position{}).Records.Add(1)
				j.Completed(Checkpoint{ID: uint64(k)})
				j.Snapshot()
			}
		})
	}
	group.Wait()
	if got := j.Snapshot().Nodes[0].Total.RecordsIn; got != 800 {
		t.Errorf("%d records", got)
	}
}
