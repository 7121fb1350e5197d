package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
)

// chain decides how each edge ships and joins nodes into tasks. A node joins the task of the node before it where that saves an
// exchange and changes nothing: it has one input edge, both run as often, and rows stay in their subtask, which they do without a
// key, or with one where there is only one subtask.
func (p *Plan) chain() {
	inputs := make([]int, len(p.Nodes))
	for _, e := range p.Edges {
		inputs[e.To]++
	}
	keyed := p.keyedAfter()
	for i := range p.Edges {
		e := &p.Edges[i]
		from, to := p.Nodes[e.From], p.Nodes[e.To]
		alone := inputs[e.To] == 1 && from.Parallelism == to.Parallelism
		switch {
		case len(e.Keys) > 0 && !(alone && to.Parallelism == 1):
			e.Ship = Hash
		case alone:
			e.Ship, e.Keys = Forward, nil
		case keyed[e.To]:
			e.Ship = Pin
			if to.Parallelism > from.Parallelism && inputs[e.To] == 1 {
				p.Warnings = append(p.Warnings, fmt.Sprintf("%s: %s runs %d times and %s %d times: to keep the order before the key, "+
					"%d subtasks of %s stay idle", to.Place, to.Name, to.Parallelism, from.Name, from.Parallelism,
					to.Parallelism-from.Parallelism, to.Name))
			}
		default:
			e.Ship = Rebalance
		}
	}
	task := make([]int, len(p.Nodes))
	for id, n := range p.Nodes {
		task[id] = -1
		for _, e := range p.Edges {
			if e.To == id && e.Ship == Forward {
				task[id] = task[e.From]
			}
		}
		if task[id] < 0 {
			task[id] = len(p.Tasks)
			p.Tasks = append(p.Tasks, Task{Parallelism: n.Parallelism})
		}
		t := &p.Tasks[task[id]]
		t.Nodes = append(t.Nodes, id)
	}
}

// keyedAfter says of each node whether it or a node that it feeds has a key.
func (p *Plan) keyedAfter() []bool {
	keyed := make([]bool, len(p.Nodes))
	for id := len(p.Nodes) - 1; id >= 0; id-- {
		n := p.Nodes[id]
		keyed[id] = keyed[id] || n.Operator != nil && len(n.Operator.Key) > 0
		for _, e := range p.Edges {
			if e.To == id {
				keyed[e.From] = keyed[e.From] || keyed[id]
			}
		}
	}
	return keyed
}

// digest is over what a checkpoint means: which nodes there are, how they are connected, and what their keys and columns are. It
// leaves out what may change between runs of one job: parallelism, paths, rates, parameters, limits, the code of modules.
func (p *Plan) digest() string {
	h := sha256.New()
	fmt.Fprintf(h, "tidemill plan 1\njob %q groups %d\n", p.Job, p.MaxParallelism)
	for _, n := range p.Nodes {
		fmt.Fprintf(h, "node %q", n.Name)
		switch {
		case n.Source != nil:
			fmt.Fprintf(h, " source %q", n.Source.Kind)
			if n.Source.EventTime != nil {
				fmt.Fprintf(h, " event time %d", n.Source.EventTime.Column)
				if unit := n.Source.EventTime.Unit; unit > 1 {
					fmt.Fprintf(h, " in %d us", unit)
				}
			}
		case n.Operator != nil:
			fmt.Fprint(h, " operator")
			if n.Operator.Module != nil {
				fmt.Fprintf(h, " %q", n.Operator.Module.Entry)
			}
			digestFields(h, " key", n.Operator.Key)
		default:
			fmt.Fprintf(h, " sink %q", n.Sink.Kind)
		}
		fmt.Fprintln(h)
		for _, in := range n.Inputs {
			digestFields(h, fmt.Sprintf("in %q %v", in.Port, in.Keys), in.Schema.Fields)
		}
		for _, out := range n.Outputs {
			digestFields(h, fmt.Sprintf("out %q", out.Port), out.Schema.Fields)
		}
	}
	for _, e := range p.Edges {
		fmt.Fprintf(h, "edge %d.%d %d.%d\n", e.From, e.FromPort, e.To, e.ToPort)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func digestFields(w io.Writer, what string, fields []record.Field) {
	fmt.Fprint(w, what)
	for _, f := range fields {
		fmt.Fprintf(w, " %q:%d:%t", f.Name, f.Type, f.Nullable)
	}
	fmt.Fprintln(w)
}

// portName is an output port for people.
func (n *Node) portName(port int) string {
	if port == operator.DeadLetterPort {
		return n.Name + " (dead letters)"
	}
	if n.Source != nil {
		return n.Name
	}
	return n.Name + "." + n.Outputs[port].Port
}

// keyNames are the key columns of an input.
func keyNames(in *operator.Input) string {
	names := make([]string, len(in.Keys))
	for i, k := range in.Keys {
		names[i] = in.Schema.Fields[k].Name
	}
	return strings.Join(names, ", ")
}
