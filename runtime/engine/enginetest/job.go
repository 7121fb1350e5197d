package enginetest

import (
	"encoding/json"
	"fmt"
	"sort"
	"time"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/plan"
)

// SumsPlan is the job that most tests run: numbers -> mark -> (by key and window) sums -> out. The sources are read by
// parallelism subtasks, as are all others.
func SumsPlan(numbers *Numbers, out connectors.Sink, parallelism int) *plan.Plan {
	sums := func() operator.Operator { return &Sums{} }
	return &plan.Plan{
		Job: "sums", Digest: "sums", Parallelism: parallelism, MaxParallelism: 128,
		Checkpoint: plan.Checkpoint{Interval: 3 * time.Millisecond, Store: "store", Keep: 2},
		Nodes: []*plan.Node{
			{ID: 0, Name: "numbers", Parallelism: parallelism, Outputs: []operator.Output{{Port: "out", Schema: NumbersSchema}},
				Source: &plan.Source{Kind: "numbers", Connector: numbers,
					EventTime: &plan.EventTime{Column: 2, OutOfOrderness: time.Duration(numbers.Disorder) * time.Microsecond}}},
			{ID: 1, Name: "mark", Parallelism: parallelism, Inputs: []operator.Input{{Port: "in", Schema: NumbersSchema}},
				Outputs: []operator.Output{{Port: "out", Schema: MarkedSchema}}, Operator: &plan.Operator{Native: NewMark}},
			{ID: 2, Name: "sums", Parallelism: parallelism, Inputs: []operator.Input{{Port: "in", Schema: MarkedSchema, Keys: []int{0, 1}}},
				Outputs:  []operator.Output{{Port: "out", Schema: SumsSchema}},
				Operator: &plan.Operator{Native: sums, Key: SumsKey, States: plan.StateOptions{Backend: "memory"}}},
			{ID: 3, Name: "out", Parallelism: parallelism, Inputs: []operator.Input{{Port: "in", Schema: SumsSchema}},
				Sink: &plan.Sink{Kind: "ledger", Connector: out}},
		},
		Edges: []plan.Edge{
			{From: 0, To: 1, Ship: plan.Forward},
			{From: 1, To: 2, Ship: plan.Hash, Keys: []int{0, 1}},
			{From: 2, To: 3, Ship: plan.Forward},
		},
		Tasks: []plan.Task{{Nodes: []int{0, 1}, Parallelism: parallelism}, {Nodes: []int{2, 3}, Parallelism: parallelism}},
	}
}

// SumsRows is what SumsPlan publishes, by a model: sorted rows as JSON.
func SumsRows(n *Numbers) []string {
	type slot struct{ key, window int64 }
	count, sum := map[slot]int64{}, map[slot]int64{}
	for split := range n.Splits {
		for row := range n.Rows {
			if n.Bad != nil && n.Bad(split, row) || n.Null != nil && n.Null(split, row) {
				continue
			}
			v := n.At(split, row)
			s := slot{v.Key, v.At / Window}
			if v.At < 0 && v.At%Window != 0 {
				s.window--
			}
			count[s]++
			sum[s] += v.Value
		}
	}
	rows := []string{}
	for s := range count {
		rows = append(rows, fmt.Sprintf(`{"key":%d,"window":%d,"count":%d,"sum":%d}`, s.key, s.window, count[s], sum[s]))
	}
	sort.Strings(rows)
	return rows
}

// Letter decodes a published dead letter.
func Letter(row string) (map[string]any, error) {
	var m map[string]any
	err := json.Unmarshal([]byte(row), &m)
	return m, err
}
