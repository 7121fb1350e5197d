package job

import (
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"github.com/tidemill/tidemill/connectors/spec"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/internal/vfs"
)

// Limits of a job (I8). Those of the file itself are of package spec.
const (
	ErrorsMax    = 20   // errors shown of one file
	nodesMax     = 1000 // sources, operators and sinks together
	inputsMax    = 64   // streams of one operator or sink
	keyColumnMax = 16
)

// Read reads a job file.
func Read(files vfs.FS, name string, env Environment) (*Job, error) {
	text, err := vfs.ReadFile(files, name)
	if err != nil {
		return nil, errRead.Errorf("%s cannot be read", name).At("%s", name).Because(err).Do("give the path of a job.yaml; `tidemill new` makes one")
	}
	return Parse(name, text, env)
}

// Parse reads the text of a job file; name is the file's path, for places and for relative paths. The error is an errcode.List
// of at most ErrorsMax errors in the order of the file.
func Parse(name string, text []byte, env Environment) (*Job, error) {
	doc, err := spec.Load(name, text, env.resolve)
	if err != nil {
		return nil, err
	}
	if err := replacePaths(doc, env.Paths); err != nil {
		return nil, err
	}
	p := &parser{job: &Job{File: name, Dir: filepath.Dir(name)}}
	values, errs := doc.Parse(Object)
	p.errs = errs
	p.read(values)
	order := p.checkGraph()
	if len(p.errs) > 0 {
		return nil, shown(name, p.errs).Err()
	}
	p.job.Operators = order
	return p.job, nil
}

// replacePaths changes the path of sources. The places of errors stay those of the file.
func replacePaths(doc *spec.Document, paths map[string]string) error {
	sources := doc.Root.Get("sources")
	for name, path := range paths {
		var source *spec.Node
		var known []string
		if sources != nil {
			source = sources.Get(name)
			for _, e := range sources.Entries {
				known = append(known, e.Name)
			}
		}
		if source == nil || source.Kind != spec.Mapping {
			return errUnknown.Errorf("there is no source %q%s", name, spec.Nearest(name, known)).At("%s", doc.Root.Place).
				Do("known: %s", strings.Join(known, ", "))
		}
		value := &spec.Node{Kind: spec.Scalar, Place: source.Place, Text: strings.ReplaceAll(path, "${", "$${"), Quoted: true}
		if at := source.Get("path"); at != nil {
			value.Place = at.Place
			*at = *value
			continue
		}
		source.Entries = append(source.Entries, spec.Entry{Name: "path", Place: source.Place, Node: value})
	}
	return nil
}

// shown sorts errors by place and cuts the list.
func shown(file string, errs errcode.List) errcode.List {
	at := func(e *errcode.Error) (line, column int) {
		parts := strings.Split(e.Place, ":")
		if len(parts) >= 3 {
			line, _ = strconv.Atoi(parts[len(parts)-2])
			column, _ = strconv.Atoi(parts[len(parts)-1])
		}
		return line, column
	}
	sort.SliceStable(errs, func(i, j int) bool {
		li, ci := at(errs[i])
		lj, cj := at(errs[j])
		return li < lj || li == lj && ci < cj
	})
	if more := len(errs) - ErrorsMax; more > 0 {
		errs = append(errs[:ErrorsMax:ErrorsMax], errMany.Errorf("%d more errors are not shown", more).At("%s", file).Do("mend these first"))
	}
	return errs
}

// parser turns parsed fields into a Job. Where a field was refused its getter gives a zero value, and the job is not used.
type parser struct {
	job    *Job
	errs   errcode.List
	broken bool // an input could not be read, so what is connected to what is not known
}

func (p *parser) fail(e *errcode.Error) { p.errs = append(p.errs, e) }

// path resolves a path relative to the job file.
func (p *parser) path(path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(p.job.Dir, path)
}

func (p *parser) read(v spec.Values) {
	j := p.job
	j.Name, j.Parallelism, j.MaxParallelism = v.String("name"), int(v.Int("parallelism")), int(v.Int("max_parallelism"))
	c := v.Object("checkpoint")
	j.Checkpoint = Checkpoint{Interval: c.Duration("interval"), Store: p.path(c.String("store")), Keep: int(c.Int("keep"))}
	if c.Set("store") && j.Checkpoint.Store == "" {
		p.fail(c.Errorf(spec.ErrType, "store", "the store is empty").Do("name a folder for the checkpoints"))
	}
	for _, e := range v.Map("sources") {
		j.Sources = append(j.Sources, p.source(e))
	}
	for _, e := range v.Map("operators") {
		j.Operators = append(j.Operators, p.operator(e))
	}
	for _, e := range v.Map("sinks") {
		j.Sinks = append(j.Sinks, p.sink(e))
	}
	if n := len(j.Sources) + len(j.Operators) + len(j.Sinks); n > nodesMax {
		p.fail(errLimit.Errorf("the job has %d sources, operators and sinks; at most %d are allowed", n, nodesMax).At("%s", j.File))
	}
	p.parallel("the job", v, j.Parallelism)
}

func (p *parser) parallel(what string, v spec.Values, n int) {
	if n > p.job.MaxParallelism && p.job.MaxParallelism > 0 {
		p.fail(v.Errorf(errParallel, "parallelism", "%s has parallelism %d, and max_parallelism is %d", what, n, p.job.MaxParallelism).
			Do("lower parallelism, or raise max_parallelism before the job's first run: it is fixed for a job's life"))
	}
}

func (p *parser) source(e spec.MapEntry) *Source {
	v := e.Value.Object("source")
	s := &Source{
		Name: e.Name, Place: e.Place, Options: v, Parallelism: int(v.Int("parallelism")), Rate: v.Float("rate"), OnError: onError(v),
		BatchDelay: v.Duration("batch_delay"), WatermarkInterval: v.Duration("watermark_interval"),
		DiscoveryInterval: v.Duration("discovery_interval"),
	}
	if v.Set("event_time") {
		et := v.Object("event_time")
		s.EventTime = &EventTime{
			Column: Name{et.String("column"), et.Place("column")}, Unit: et.String("unit"),
			OutOfOrderness: et.Duration("out_of_orderness"), Idleness: et.Duration("idleness"),
		}
	}
	p.parallel(e.Name, v, s.Parallelism)
	return s
}

func onError(v spec.Values) OnError {
	o := v.Object("on_error")
	return OnError{Policy: Policy(o.Choice()), To: Name{o.String("to"), o.Place("to")}}
}

func (p *parser) operator(e spec.MapEntry) *Operator {
	v := e.Value.Object("operator")
	o := &Operator{
		Name: e.Name, Place: e.Place,
		Module:      Name{p.path(v.String("module")), v.Place("module")},
		Entry:       Name{v.String("entry"), v.Place("entry")},
		Inputs:      p.inputs(v.Tree("input"), true),
		Keys:        p.keys(v.Tree("key_by")),
		Parallelism: int(v.Int("parallelism")), OnError: onError(v),
	}
	if len(o.Inputs) == 0 {
		p.broken = true // refused already
	}
	p.params(o, v.Tree("params"))
	p.parallel(e.Name, v, o.Parallelism)
	s := v.Object("state")
	o.State = State{Backend: s.Choice(), StateBytesMax: s.Int("state_bytes_max"), HotBytesMax: s.Int("hot_bytes_max")}
	l := v.Object("limits")
	o.Limits = Limits{
		MemoryBytesMax: l.Int("memory_bytes_max"), FuelBase: l.Int("fuel_base"), FuelPerItem: l.Int("fuel_per_item"),
		TrapsPerMinute: int(l.Int("traps_per_minute")), RecycleBarrier: l.String("recycle") == "barrier",
	}
	return o
}

func (p *parser) sink(e spec.MapEntry) *Sink {
	v := e.Value.Object("sink")
	s := &Sink{Name: e.Name, Place: e.Place, Options: v, Inputs: p.inputs(v.Tree("input"), false), Parallelism: int(v.Int("parallelism"))}
	p.parallel(e.Name, v, s.Parallelism)
	return s
}

// inputs reads `a`, `a.port`, a list of these, and where ports is set a mapping of port to either.
func (p *parser) inputs(n *spec.Node, ports bool) []Input {
	if n == nil {
		return nil
	}
	var list []Input
	switch {
	case n.Kind == spec.Mapping && ports:
		for _, e := range n.Entries {
			for _, in := range p.streams(e.Node) {
				in.To = e.Name
				list = append(list, in)
			}
		}
	case n.Kind == spec.Mapping:
		p.broken = true
		p.fail(errInput.Errorf("a sink has one input port, and here is a mapping of ports").At("%s", n.Place).Do("write operator.port or a list"))
	default:
		list = p.streams(n)
	}
	if len(list) > inputsMax {
		p.fail(errLimit.Errorf("%d inputs; at most %d are allowed", len(list), inputsMax).At("%s", n.Place))
		return list[:inputsMax]
	}
	return list
}

func (p *parser) streams(n *spec.Node) []Input {
	const want = "write a source, operator.port, or a list of these"
	switch {
	case n.Kind == spec.Scalar && n.Text != "":
		from, port, dotted := strings.Cut(n.Text, ".")
		if dotted && (port == "" || from == "" || strings.Contains(port, ".")) {
			p.broken = true
			p.fail(errInput.Errorf("%q is no input", n.Text).At("%s", n.Place).Do(want))
			return nil
		}
		return []Input{{From: from, Port: port, Place: n.Place}}
	case n.Kind == spec.Sequence && len(n.Items) > 0:
		var list []Input
		seen := map[string]bool{}
		for _, item := range n.Items {
			if item.Kind != spec.Scalar {
				p.broken = true
				p.fail(errInput.Errorf("an input in a list must be a name").At("%s", item.Place).Do(want))
				continue
			}
			if seen[item.Text] {
				p.fail(errInput.Errorf("input %s is given twice", item.Text).At("%s", item.Place).Do("remove one"))
			}
			seen[item.Text] = true
			list = append(list, p.streams(item)...)
		}
		return list
	}
	p.broken = true
	p.fail(errInput.Errorf("there is no input here").At("%s", n.Place).Do(want))
	return nil
}

func (p *parser) keys(n *spec.Node) []Key {
	if n == nil {
		return nil
	}
	if n.Kind != spec.Mapping {
		return []Key{{Place: n.Place, Columns: p.columns(n)}}
	}
	var keys []Key
	for _, e := range n.Entries {
		keys = append(keys, Key{Port: e.Name, Place: e.Place, Columns: p.columns(e.Node)})
	}
	return keys
}

func (p *parser) columns(n *spec.Node) []Name {
	items := n.Items
	if n.Kind == spec.Scalar {
		items = []*spec.Node{n}
	}
	var columns []Name
	seen := map[string]bool{}
	for _, item := range items {
		switch {
		case item.Kind != spec.Scalar || item.Text == "":
			p.fail(errKey.Errorf("a key column must be a name").At("%s", item.Place).Do("write key_by: [column, ...]"))
		case seen[item.Text]:
			p.fail(errKey.Errorf("key column %s is given twice", item.Text).At("%s", item.Place).Do("remove one"))
		default:
			seen[item.Text] = true
			columns = append(columns, Name{item.Text, item.Place})
		}
	}
	switch {
	case len(items) == 0:
		p.fail(errKey.Errorf("key_by names no column").At("%s", n.Place).Do("write key_by: [column, ...], or leave it out"))
	case len(items) > keyColumnMax:
		p.fail(errLimit.Errorf("the key has %d columns; at most %d are allowed", len(items), keyColumnMax).At("%s", n.Place))
	}
	return columns
}

func (p *parser) params(o *Operator, n *spec.Node) {
	if n == nil {
		return
	}
	if n.Kind != spec.Mapping {
		p.fail(spec.ErrType.Errorf("params is a mapping of names to values").At("%s", n.Place).Do("write params: {name: value}"))
		return
	}
	o.Params, o.ParamPlaces = make(map[string]any, len(n.Entries)), make(map[string]string, len(n.Entries))
	for _, e := range n.Entries {
		o.Params[e.Name], o.ParamPlaces[e.Name] = e.Node.Value(), e.Node.Place
	}
}
