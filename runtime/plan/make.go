package plan

import (
	"context"
	"fmt"
	"strings"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/connectors/spec"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/job"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
)

// Make turns a job into a plan. It opens what it must look at (headers of sources, modules) and writes nothing. env is given to
// connectors, with name, folder and parallelism filled in. All errors that can be found at once are returned at once, as an
// errcode.List; what depends on a node in error is not looked at.
func Make(ctx context.Context, j *job.Job, modules Modules, env connectors.Env) (*Plan, error) {
	m := &maker{ctx: ctx, job: j, modules: modules, env: env, nodes: map[string]*Node{}, timed: map[*Node]bool{}}
	m.plan = &Plan{
		Job: j.Name, Parallelism: j.Parallelism, MaxParallelism: j.MaxParallelism,
		Checkpoint: Checkpoint{Interval: j.Checkpoint.Interval, Store: j.Checkpoint.Store, Keep: j.Checkpoint.Keep},
	}
	for _, s := range j.Sources {
		m.note(m.source(s))
	}
	for _, o := range j.Operators {
		m.note(m.operator(o))
	}
	for _, s := range j.Sinks {
		m.note(m.sink(s))
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := m.errs.Err(); err != nil {
		return nil, err
	}
	m.deadLetters()
	m.warnings()
	m.plan.chain()
	m.plan.Digest = m.plan.digest()
	return m.plan, nil
}

// MakeOperator plans one operator and the sources that it reads, at parallelism 1, for trying it out alone. It has no tasks.
func MakeOperator(ctx context.Context, j *job.Job, name string, modules Modules, env connectors.Env) (*Plan, error) {
	m := &maker{ctx: ctx, job: j, modules: modules, env: env, nodes: map[string]*Node{}, timed: map[*Node]bool{}}
	m.plan = &Plan{Job: j.Name, Parallelism: 1, MaxParallelism: j.MaxParallelism}
	var of *job.Operator
	var names []string
	for _, o := range j.Operators {
		names = append(names, o.Name)
		if o.Name == name {
			of = o
		}
	}
	if of == nil {
		return nil, errPort.Errorf("the job has no operator %q%s", name, spec.Nearest(name, names)).At("%s", j.File).Do("its operators are %s", listed(names))
	}
	read := map[string]bool{}
	for _, in := range of.Inputs {
		read[in.From] = true
	}
	for _, s := range j.Sources {
		if read[s.Name] {
			m.note(m.source(s))
			delete(read, s.Name)
		}
	}
	for _, in := range of.Inputs {
		if read[in.From] {
			return nil, errPort.Errorf("operator %s reads operator %s, and alone it can only read sources", name, in.From).At("%s", in.Place).
				Do("try operator %s, or give this one a source in a job of its own", in.From)
		}
	}
	m.note(m.operator(of))
	if err := m.errs.Err(); err != nil {
		return nil, err
	}
	return m.plan, nil
}

// maker holds what is known while a plan is made.
type maker struct {
	ctx     context.Context
	job     *job.Job
	modules Modules
	env     connectors.Env
	plan    *Plan
	nodes   map[string]*Node // those without an error
	timed   map[*Node]bool   // those whose records have an event time
	errs    errcode.List
}

// errUpstream says that a node was not looked at because one before it has an error, which has been noted.
var errUpstream = fmt.Errorf("an input has an error")

// note keeps the errors of a node, so that the nodes after it are looked at too.
func (m *maker) note(err error) {
	if err == nil || err == errUpstream {
		return
	}
	m.errs = append(m.errs, errcode.Each(err)...)
}

func (m *maker) add(n *Node) *Node {
	n.ID = len(m.plan.Nodes)
	m.plan.Nodes = append(m.plan.Nodes, n)
	m.nodes[n.Name] = n
	return n
}

// parallelism is that of a node: its own, or the job's.
func (m *maker) parallelism(own int) int {
	if own == 0 {
		return m.job.Parallelism
	}
	return own
}

func (m *maker) envOf(name string, parallelism int) connectors.Env {
	e := m.env
	e.Name, e.Dir, e.Parallelism = name, m.job.Dir, parallelism
	return e
}

// placed gives an error of a connector a code and the place of its entry where it has none of its own.
func placed(err error, name, place string) error {
	coded := errcode.Each(err)
	if coded == nil {
		return errConnector.Errorf("%s cannot be set up", name).At("%s", place).Because(err)
	}
	for _, e := range coded {
		if e.Place == "" {
			e.Place = place
		}
	}
	return err
}

func (m *maker) source(s *job.Source) error {
	p := m.parallelism(s.Parallelism)
	kind := connectors.LookupSource(s.Options.Choice())
	c, err := kind.New(m.ctx, m.envOf(s.Name, p), s.Options)
	if err != nil {
		return placed(err, s.Name, s.Place)
	}
	schema, err := c.Schema(m.ctx)
	if err != nil {
		return placed(err, s.Name, s.Place)
	}
	et, err := eventTime(s, schema)
	if err != nil {
		return err
	}
	n := &Node{
		Name: s.Name, Place: s.Place, Parallelism: p, Outputs: []operator.Output{{Port: "out", Schema: schema}},
		OnError: policy(s.OnError),
		Source: &Source{
			Kind: kind.Name, Connector: c, Rate: s.Rate, EventTime: et,
			BatchDelay: s.BatchDelay, WatermarkInterval: s.WatermarkInterval, DiscoveryInterval: s.DiscoveryInterval,
		},
	}
	m.timed[n] = et != nil
	m.add(n)
	return nil
}

// policy is a node's policy; deadLetters sets the sink.
func policy(on job.OnError) OnError {
	switch on.Policy {
	case job.Skip:
		return OnError{Policy: Skip}
	case job.DeadLetter:
		return OnError{Policy: DeadLetter}
	}
	return OnError{Policy: Fail}
}

// unitUs is a unit of time in microseconds.
var unitUs = map[string]int64{"s": 1_000_000, "ms": 1_000, "us": 1}

func eventTime(s *job.Source, schema *record.Schema) (*EventTime, error) {
	if s.EventTime == nil {
		return nil, nil
	}
	et := s.EventTime
	i := schema.Index(et.Column.Text)
	if i < 0 {
		return nil, unknownColumn(schema, et.Column, "for the event time of "+s.Name)
	}
	switch t := schema.Fields[i].Type; t {
	case record.Timestamp, record.TimestampTZ, record.Date32:
		if et.Unit != "" {
			return nil, errType.Errorf("event time column %q is %v and has no unit", et.Column.Text, t).At("%s", et.Column.Place).Do("remove unit")
		}
	case record.I64:
		if et.Unit == "" {
			return nil, errType.Errorf("event time column %q is i64, and its unit is not said", et.Column.Text).At("%s", et.Column.Place).
				Do("add unit: with s, ms or us")
		}
	default:
		return nil, errType.Errorf("event time cannot come from column %q: it is %v", et.Column.Text, t).At("%s", et.Column.Place).
			Do("use a timestamp, timestamp_tz or date32 column, or i64 with a unit")
	}
	return &EventTime{Column: i, Unit: unitUs[et.Unit], OutOfOrderness: et.OutOfOrderness, Idleness: et.Idleness}, nil
}

func unknownColumn(schema *record.Schema, column job.Name, what string) error {
	names := make([]string, len(schema.Fields))
	for i, f := range schema.Fields {
		names[i] = f.Name
	}
	return errColumn.Errorf("there is no column %q %s%s", column.Text, what, spec.Nearest(column.Text, names)).At("%s", column.Place).
		Do("the columns are %s", listed(names))
}

// listed shows names, at most thirty of them.
func listed(names []string) string {
	const most = 30
	if len(names) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
	}
	return strings.Join(names, ", ")
}

// stream is an output that an input is bound to.
type stream struct {
	node  *Node
	port  int
	input job.Input
}

func (s *stream) schema() *record.Schema { return s.node.Outputs[s.port].Schema }

// eventTimeColumn is the column that holds the event time, where there is one.
func (s *stream) eventTimeColumn() string {
	switch {
	case s.node.Source != nil && s.node.Source.EventTime != nil:
		return s.schema().Fields[s.node.Source.EventTime.Column].Name
	case s.node.Operator != nil:
		return s.node.Operator.Descriptor.Outputs[s.port].EventTime
	}
	return ""
}

// streams finds the outputs that inputs name.
func (m *maker) streams(inputs []job.Input) ([]*stream, error) {
	var found []*stream
	var errs errcode.List
	upstream := false
	for _, in := range inputs {
		n := m.nodes[in.From]
		if n == nil {
			upstream = true
			continue
		}
		s, err := n.output(in)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		found = append(found, s)
	}
	if err := errs.Err(); err != nil {
		return nil, err
	}
	if upstream {
		return nil, errUpstream
	}
	return found, nil
}

func (n *Node) output(in job.Input) (*stream, *errcode.Error) {
	ports := make([]string, len(n.Outputs))
	for i, o := range n.Outputs {
		ports[i] = o.Port
		if o.Port == in.Port || in.Port == "" && len(n.Outputs) == 1 {
			return &stream{n, i, in}, nil
		}
	}
	switch {
	case len(ports) == 0:
		return nil, errPort.Errorf("%s has no output ports", n.Name).At("%s", in.Place)
	case in.Port == "":
		return nil, errPort.Errorf("%s has several output ports and none is named", n.Name).At("%s", in.Place).
			Do("write %s.port with one of the ports %s", n.Name, listed(ports))
	}
	return nil, errPort.Errorf("%s has no output port %q%s", n.Name, in.Port, spec.Nearest(in.Port, ports)).At("%s", in.Place).
		Do("its ports are %s", listed(ports))
}

// union checks that the streams of a port have one schema and returns it.
func union(streams []*stream) (*record.Schema, error) {
	first := streams[0].schema()
	for _, s := range streams[1:] {
		if !s.schema().Equal(first) {
			return nil, errUnion.Errorf("%s has %s, and %s has %s", streams[0].input.Output(), first, s.input.Output(), s.schema()).
				At("%s", s.input.Place).Do("the streams of one port must have the same columns in the same order")
		}
	}
	return first, nil
}

// connect adds the edges of a port.
func (m *maker) connect(streams []*stream, to *Node, port int) {
	for _, s := range streams {
		m.plan.Edges = append(m.plan.Edges, Edge{From: s.node.ID, FromPort: s.port, To: to.ID, ToPort: port, Keys: to.Inputs[port].Keys})
	}
}

func (m *maker) sink(s *job.Sink) error {
	own := s.Parallelism
	if own == 0 && len(s.Inputs) == 0 {
		own = 1 // dead letters are few, and one file of them is easier to read than several
	}
	p := m.parallelism(own)
	streams, err := m.streams(s.Inputs)
	if err != nil {
		return err
	}
	schema := operator.DeadLetterSchema
	if len(streams) > 0 {
		if schema, err = union(streams); err != nil {
			return err
		}
	}
	kind := connectors.LookupSink(s.Options.Choice())
	c, err := kind.New(m.ctx, m.envOf(s.Name, p), s.Options)
	if err != nil {
		return placed(err, s.Name, s.Place)
	}
	if checker, ok := c.(connectors.SchemaChecker); ok {
		if err := checker.CheckSchema(schema); err != nil {
			return placed(err, s.Name, s.Place)
		}
	}
	n := m.add(&Node{
		Name: s.Name, Place: s.Place, Parallelism: p, Inputs: []operator.Input{{Port: "in", Schema: schema}},
		Sink: &Sink{Kind: kind.Name, Connector: c},
	})
	m.connect(streams, n, 0)
	return nil
}

// deadLetters connects the nodes whose policy is dead_letter to their sinks.
func (m *maker) deadLetters() {
	bind := func(node string, on job.OnError) {
		if on.Policy == job.DeadLetter {
			n, to := m.nodes[node], m.nodes[on.To.Text]
			n.OnError.To = to.ID
			m.plan.Edges = append(m.plan.Edges, Edge{From: n.ID, FromPort: operator.DeadLetterPort, To: to.ID})
		}
	}
	for _, s := range m.job.Sources {
		bind(s.Name, s.OnError)
	}
	for _, o := range m.job.Operators {
		bind(o.Name, o.OnError)
	}
}

// warnings names the outputs that go nowhere.
func (m *maker) warnings() {
	read := map[[2]int]bool{}
	for _, e := range m.plan.Edges {
		read[[2]int{e.From, e.FromPort}] = true
	}
	for _, n := range m.plan.Nodes {
		for i, o := range n.Outputs {
			if !read[[2]int{n.ID, i}] {
				m.plan.Warnings = append(m.plan.Warnings, fmt.Sprintf("%s: nothing reads %s.%s: its records are dropped", n.Place, n.Name, o.Port))
			}
		}
	}
}
