package plan

import (
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
)

// Description is a plan as JSON.
type Description struct {
	Job            string            `json:"job"`
	Digest         string            `json:"digest"`
	Parallelism    int               `json:"parallelism"`
	MaxParallelism int               `json:"max_parallelism"`
	Checkpoint     CheckpointOptions `json:"checkpoint"`
	Tasks          []TaskDescription `json:"tasks"`
	Edges          []EdgeDescription `json:"edges"`
	Warnings       []string          `json:"warnings,omitempty"`
}

// CheckpointOptions say when and where.
type CheckpointOptions struct {
	IntervalMs int64  `json:"interval_ms"`
	Store      string `json:"store"`
	Keep       int    `json:"keep"`
}

// TaskDescription is a chain.
type TaskDescription struct {
	Parallelism int               `json:"parallelism"`
	Nodes       []NodeDescription `json:"nodes"`
}

// NodeDescription is a source, operator or sink.
type NodeDescription struct {
	Name      string            `json:"name"`
	Kind      string            `json:"kind"` // source, operator, sink
	Place     string            `json:"place"`
	Connector string            `json:"connector,omitempty"`
	Module    string            `json:"module,omitempty"`
	Digest    string            `json:"module_digest,omitempty"`
	Entry     string            `json:"entry,omitempty"`
	Params    map[string]any    `json:"params,omitempty"`
	Key       []abi.Field       `json:"key,omitempty"`
	Inputs    []PortDescription `json:"inputs,omitempty"`
	Outputs   []PortDescription `json:"outputs,omitempty"`
	States    []string          `json:"states,omitempty"`
	Timers    []string          `json:"timers,omitempty"`
	OnError   string            `json:"on_error,omitempty"`
}

// PortDescription is a port.
type PortDescription struct {
	Port   string      `json:"port"`
	KeyBy  []string    `json:"key_by,omitempty"`
	Schema []abi.Field `json:"schema"`
}

// EdgeDescription is an edge.
type EdgeDescription struct {
	From string `json:"from"`
	To   string `json:"to"`
	Port string `json:"port"`
	Ship string `json:"ship"`
}

// Describe returns the plan as JSON has it. Options of connectors are not in it: they may hold secrets (I12).
func (p *Plan) Describe() *Description {
	d := &Description{
		Job: p.Job, Digest: p.Digest, Parallelism: p.Parallelism, MaxParallelism: p.MaxParallelism, Warnings: p.Warnings,
		Checkpoint: CheckpointOptions{p.Checkpoint.Interval.Milliseconds(), p.Checkpoint.Store, p.Checkpoint.Keep},
	}
	for _, t := range p.Tasks {
		td := TaskDescription{Parallelism: t.Parallelism}
		for _, id := range t.Nodes {
			td.Nodes = append(td.Nodes, p.describeNode(p.Nodes[id]))
		}
		d.Tasks = append(d.Tasks, td)
	}
	for _, e := range p.Edges {
		d.Edges = append(d.Edges, EdgeDescription{
			From: p.Nodes[e.From].portName(e.FromPort), To: p.Nodes[e.To].Name, Port: p.Nodes[e.To].Inputs[e.ToPort].Port, Ship: e.Ship.String(),
		})
	}
	return d
}

func (p *Plan) describeNode(n *Node) NodeDescription {
	d := NodeDescription{Name: n.Name, Place: n.Place, Inputs: describeInputs(n.Inputs)}
	for _, o := range n.Outputs {
		d.Outputs = append(d.Outputs, PortDescription{Port: o.Port, Schema: fieldsOf(o.Schema.Fields)})
	}
	switch {
	case n.Source != nil:
		d.Kind, d.Connector = "source", n.Source.Kind
	case n.Sink != nil:
		d.Kind, d.Connector = "sink", n.Sink.Kind
	default:
		d.Kind, d.Key, d.Params = "operator", fieldsOf(n.Operator.Key), n.Operator.Params
		if m := n.Operator.Module; m != nil {
			d.Module, d.Digest, d.Entry = m.Path, m.Digest, m.Entry
		}
		if b := n.Operator.Descriptor; b != nil {
			for _, s := range b.States {
				d.States = append(d.States, s.Name+" ("+s.Kind+")")
			}
			for _, t := range b.Timers {
				d.Timers = append(d.Timers, t.Name)
			}
		}
	}
	if n.Sink == nil {
		d.OnError = [...]string{"fail", "skip", "dead_letter"}[n.OnError.Policy]
		if n.OnError.Policy == DeadLetter {
			d.OnError += " to " + p.Nodes[n.OnError.To].Name
		}
	}
	return d
}

func describeInputs(inputs []operator.Input) []PortDescription {
	var list []PortDescription
	for _, in := range inputs {
		port := PortDescription{Port: in.Port, Schema: fieldsOf(in.Schema.Fields)}
		for _, k := range in.Keys {
			port.KeyBy = append(port.KeyBy, in.Schema.Fields[k].Name)
		}
		list = append(list, port)
	}
	return list
}

// Print writes the plan for people: one paragraph a task, its chain as a tree, with what each node takes and emits.
func (p *Plan) Print(w io.Writer) {
	fmt.Fprintf(w, "job %s: parallelism %d, %d key groups, plan %.12s\n", p.Job, p.Parallelism, p.MaxParallelism, p.Digest)
	fmt.Fprintf(w, "checkpoints every %s in %s, the last %d kept\n", short(p.Checkpoint.Interval), p.Checkpoint.Store, p.Checkpoint.Keep)
	for i, t := range p.Tasks {
		fmt.Fprintf(w, "\ntask %d, %s\n", i+1, times(t.Parallelism, "subtask"))
		p.printNode(w, t.Nodes[0], 1)
	}
	if len(p.Warnings) > 0 {
		fmt.Fprintln(w)
	}
	for _, warning := range p.Warnings {
		fmt.Fprintf(w, "warning: %s\n", warning)
	}
}

func times(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func short(d time.Duration) string {
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return s
}

// Expires says for people how long what is written to a state lives: ", expires after 24h"; nothing where that is for ever.
func Expires(s *abi.BindState) string {
	switch {
	case s.TTLms == 0:
		return ""
	case s.TTLms > math.MaxInt64/int64(time.Millisecond):
		return fmt.Sprintf(", expires after %d ms", s.TTLms)
	}
	return ", expires after " + short(time.Duration(s.TTLms)*time.Millisecond)
}

// printNode writes a node and, below it, those chained to it.
func (p *Plan) printNode(w io.Writer, id, depth int) {
	n := p.Nodes[id]
	indent := strings.Repeat("  ", depth)
	switch {
	case n.Source != nil:
		fmt.Fprintf(w, "%ssource %s (%s)\n", indent, n.Name, n.Source.Kind)
	case n.Sink != nil:
		fmt.Fprintf(w, "%ssink %s (%s)\n", indent, n.Name, n.Sink.Kind)
	default:
		fmt.Fprintf(w, "%soperator %s%s\n", indent, n.Name, moduleNote(n.Operator))
	}
	for _, e := range p.Edges {
		if e.To == id {
			in := &n.Inputs[e.ToPort]
			fmt.Fprintf(w, "%s  <- %s: %s%s\n", indent, p.Nodes[e.From].portName(e.FromPort), e.Ship, keyNote(n, in))
		}
	}
	if n.Source != nil && n.Source.EventTime != nil {
		et := n.Source.EventTime
		fmt.Fprintf(w, "%s  event time %s, out of order by up to %s\n", indent, n.Outputs[0].Schema.Fields[et.Column].Name, short(et.OutOfOrderness))
	}
	if o := n.Operator; o != nil && o.Descriptor != nil {
		for _, s := range o.Descriptor.States {
			fmt.Fprintf(w, "%s  state %s: %s of %s (%s%s)\n", indent, s.Name, s.Kind, fieldList(s.Key, s.Value), o.States.Backend, Expires(&s))
		}
		for _, t := range o.Descriptor.Timers {
			fmt.Fprintf(w, "%s  timer %s\n", indent, t.Name)
		}
	}
	for _, o := range n.Outputs {
		fmt.Fprintf(w, "%s  -> %s %s\n", indent, o.Port, o.Schema)
	}
	for _, e := range p.Edges {
		if e.From == id && e.Ship == Forward {
			p.printNode(w, e.To, depth+1)
		}
	}
}

func moduleNote(o *Operator) string {
	if o.Module == nil {
		return ""
	}
	return fmt.Sprintf(" (%s of %s, %.12s)", o.Module.Entry, o.Module.Path, o.Module.Digest)
}

func keyNote(n *Node, in *operator.Input) string {
	note := ""
	if len(in.Keys) > 0 {
		note = " by " + keyNames(in)
	}
	if len(n.Inputs) > 1 {
		note += " to port " + in.Port
	}
	return note
}

func fieldList(key, value []abi.Field) string {
	list := func(fields []abi.Field) string {
		names := make([]string, len(fields))
		for i, f := range fields {
			t, _ := record.ParseType(f.Type)
			names[i] = record.Field{Name: f.Name, Type: t, Nullable: f.Nullable}.String()
		}
		return strings.Join(names, ", ")
	}
	if len(key) > 0 {
		return "{" + list(key) + "} to {" + list(value) + "}"
	}
	return "{" + list(value) + "}"
}
