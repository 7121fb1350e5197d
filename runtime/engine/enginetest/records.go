package enginetest

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/internal/vfs"
	"github.com/tidemill/tidemill/runtime/engine"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/plan"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/source"
	"github.com/tidemill/tidemill/runtime/task"
)

// withDeadLetters adds a dead-letter sink to SumsPlan, fed by a node over an exchange.
func withDeadLetters(p *plan.Plan, from int, letters *Ledger) *plan.Plan {
	p.Nodes[from].OnError = plan.OnError{Policy: plan.DeadLetter, To: len(p.Nodes)}
	p.Edges = append(p.Edges, plan.Edge{From: from, FromPort: operator.DeadLetterPort, To: len(p.Nodes), Ship: plan.Rebalance})
	p.Tasks = append(p.Tasks, plan.Task{Nodes: []int{len(p.Nodes)}, Parallelism: 1})
	p.Nodes = append(p.Nodes, &plan.Node{ID: len(p.Nodes), Name: "letters", Parallelism: 1,
		Inputs: []operator.Input{{Port: "in", Schema: operator.DeadLetterSchema}}, Sink: &plan.Sink{Kind: "ledger", Connector: letters}})
	return p
}

func testBadRecords(t *testing.T, s suite) {
	n := &Numbers{Seed: 6, Splits: 3, Rows: 2000, Keys: 30, Step: 3, Disorder: 100,
		Bad:  func(split, row int) bool { return (split*7+row)%301 == 3 },
		Null: func(split, row int) bool { return (split+row)%777 == 5 && (split*7+row)%301 != 3 }}
	bad, null := 0, 0
	for split := range n.Splits {
		for row := range n.Rows {
			if n.Bad(split, row) {
				bad++
			} else if n.Null(split, row) {
				null++
			}
		}
	}
	_, err := run(t, s.newEngine(vfs.NewMem()), SumsPlan(n, NewLedger(), 2), engine.Options{})
	requireCode(t, err, task.ErrRejected)
	for _, want := range []string{"source numbers", "split ", "position "} {
		if e := errcode.Of(err); !strings.Contains(e.Place, want) {
			t.Errorf("place %q does not name %q", e.Place, want)
		}
	}

	out := NewLedger()
	p := SumsPlan(n, out, 2)
	p.Nodes[0].OnError.Policy = plan.Skip
	r, err := run(t, s.newEngine(vfs.NewMem()), p, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	requireRows(t, out, SumsRows(n))
	if c := r.Counters.Nodes[0].Total; c.Bad != int64(bad+null) {
		t.Errorf("%d counted as bad, want %d", c.Bad, bad+null)
	}

	out, letters := NewLedger(), NewLedger()
	if _, err = run(t, s.newEngine(vfs.NewMem()), withDeadLetters(SumsPlan(n, out, 2), 0, letters), engine.Options{}); err != nil {
		t.Fatal(err)
	}
	requireRows(t, out, SumsRows(n))
	requireLetters(t, n, letters, bad+null)
}

func requireLetters(t *testing.T, n *Numbers, letters *Ledger, want int) {
	t.Helper()
	rows := letters.Rows()
	if len(rows) != want {
		t.Fatalf("%d dead letters, want %d", len(rows), want)
	}
	for _, row := range rows {
		l, err := Letter(row)
		if err != nil {
			t.Fatal(err)
		}
		var split int
		if _, err := fmt.Sscan(l["split"].(string), &split); err != nil {
			t.Fatal(err)
		}
		at := int(l["position"].(float64))
		switch {
		case n.Bad(split, at):
			if l["record"] != fmt.Sprintf("bad %d/%d", split, at) || l["line"] != float64(at+1) || l["error"] != "it is bad" {
				t.Errorf("letter %v", l)
			}
		case n.Null(split, at):
			if l["code"] != source.ErrNoEventTime.ID || !strings.Contains(l["record"].(string), fmt.Sprintf(`"value":%d,"at":null`, n.At(split, at).Value)) {
				t.Errorf("letter %v", l)
			}
		default:
			t.Errorf("record %d of split %d is good: %v", at, split, l)
		}
	}
}

// picky rejects every value that is a multiple of 100, row by row.
type picky struct{ Mark }

func (p *picky) Process(port int, b *record.Batch) error {
	var keep []int32
	for i := range b.Rows {
		if b.Columns[1].Int(i)%100 != 0 {
			keep = append(keep, int32(i))
		} else if err := p.ctx.Reject(&operator.Rejection{Cause: errors.New("a round number"), Port: port, Row: b.Slice(i, i+1)}); err != nil {
			return err
		}
	}
	return p.Mark.Process(port, b.Take(keep))
}

func testRejections(t *testing.T, s suite) {
	n := &Numbers{Seed: 8, Splits: 2, Rows: 3000, Keys: 30, Step: 3, Disorder: 100}
	round := func(split, row int) bool { return n.At(split, row).Value%100 == 0 }
	model := &Numbers{Seed: n.Seed, Splits: n.Splits, Rows: n.Rows, Keys: n.Keys, Step: n.Step, Disorder: n.Disorder, Bad: round}
	want := 0
	for split := range n.Splits {
		for row := range n.Rows {
			if round(split, row) {
				want++
			}
		}
	}
	newPlan := func(out *Ledger) *plan.Plan {
		p := SumsPlan(n, out, 2)
		p.Nodes[1].Operator.Native = func() operator.Operator { return &picky{} }
		return p
	}
	_, err := run(t, s.newEngine(vfs.NewMem()), newPlan(NewLedger()), engine.Options{})
	requireCode(t, err, task.ErrRejected)

	out, letters := NewLedger(), NewLedger()
	r, err := run(t, s.newEngine(vfs.NewMem()), withDeadLetters(newPlan(out), 1, letters), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	requireRows(t, out, SumsRows(model))
	if got := len(letters.Rows()); got != want || r.Counters.Nodes[1].Total.Bad != int64(want) {
		t.Errorf("%d letters and %d counted, want %d", got, r.Counters.Nodes[1].Total.Bad, want)
	}
	for _, row := range letters.Rows() {
		l, err := Letter(row)
		if err != nil {
			t.Fatal(err)
		}
		var split int
		if _, err := fmt.Sscan(l["split"].(string), &split); err != nil {
			t.Fatal(err)
		}
		if l["node"] != "mark" || l["port"] != "in" || !round(split, int(l["position"].(float64))) {
			t.Errorf("letter %v", l)
		}
	}
}
