package job

import (
	"sort"
	"strings"

	"github.com/tidemill/tidemill/connectors/spec"
	"github.com/tidemill/tidemill/internal/errcode"
)

// checkGraph checks names and what refers to them, and returns the operators with inputs before those that read them.
func (p *parser) checkGraph() []*Operator {
	p.checkNames()
	p.checkInputs()
	p.checkDeadLetters()
	if p.broken {
		return nil
	}
	p.checkUnused()
	return p.order()
}

// named is a source, operator or sink.
type named struct{ name, place string }

func (p *parser) all() []named {
	var list []named
	for _, s := range p.job.Sources {
		list = append(list, named{s.Name, s.Place})
	}
	for _, o := range p.job.Operators {
		list = append(list, named{o.Name, o.Place})
	}
	for _, s := range p.job.Sinks {
		list = append(list, named{s.Name, s.Place})
	}
	return list
}

func (p *parser) checkNames() {
	first := map[string]string{}
	for _, n := range p.all() {
		if err := checkName(n.name); err != nil {
			p.fail(errName.Errorf("%q cannot be a name", n.name).At("%s", n.place).Because(err))
			continue
		}
		if at, taken := first[n.name]; taken {
			p.broken = true
			p.fail(errName.Errorf("%s is the name of something at %s already", n.name, at).At("%s", n.place).
				Do("sources, operators and sinks have names of their own"))
			continue
		}
		first[n.name] = n.place
	}
}

// checkInputs checks that every input names a source or operator.
func (p *parser) checkInputs() {
	kinds := map[string]string{}
	var known []string
	for _, s := range p.job.Sources {
		kinds[s.Name] = "source"
		known = append(known, s.Name)
	}
	for _, o := range p.job.Operators {
		kinds[o.Name] = "operator"
		known = append(known, o.Name)
	}
	for _, s := range p.job.Sinks {
		kinds[s.Name] = "sink"
	}
	sort.Strings(known)
	check := func(inputs []Input) {
		for _, in := range inputs {
			switch kinds[in.From] {
			case "source":
				if in.Port == "" {
					continue
				}
				p.fail(errUnknown.Errorf("%s is a source and has no ports", in.From).At("%s", in.Place).Do("write %s", in.From))
			case "operator":
				continue
			case "sink":
				p.fail(errUnknown.Errorf("%s is a sink, and a sink has no output", in.From).At("%s", in.Place).
					Do("known: %s", strings.Join(known, ", ")))
			default:
				p.fail(errUnknown.Errorf("there is no source or operator %q%s", in.From, spec.Nearest(in.From, known)).At("%s", in.Place).
					Do("known: %s", strings.Join(known, ", ")))
			}
			p.broken = true
		}
	}
	for _, o := range p.job.Operators {
		check(o.Inputs)
	}
	for _, s := range p.job.Sinks {
		check(s.Inputs)
	}
}

func (p *parser) checkDeadLetters() {
	sinks := map[string]*Sink{}
	var known []string
	for _, s := range p.job.Sinks {
		sinks[s.Name] = s
		known = append(known, s.Name)
	}
	check := func(on OnError) {
		if on.Policy == "" || on.Policy == DeadLetter && on.To.Text == "" {
			p.broken = true // refused already
		}
		if on.Policy != DeadLetter || on.To.Text == "" {
			return
		}
		s := sinks[on.To.Text]
		switch {
		case s == nil:
			p.broken = true
			p.fail(errUnknown.Errorf("there is no sink %q%s", on.To.Text, spec.Nearest(on.To.Text, known)).At("%s", on.To.Place).
				Do("known: %s", strings.Join(known, ", ")))
		case len(s.Inputs) > 0:
			p.fail(errDeadLetter.Errorf("sink %s takes %s and so cannot take dead letters", s.Name, s.Inputs[0].Output()).At("%s", on.To.Place).
				Do("add a sink without an input for them: dead letters have columns of their own"))
		}
	}
	for _, s := range p.job.Sources {
		check(s.OnError)
	}
	for _, o := range p.job.Operators {
		check(o.OnError)
	}
}

// checkUnused refuses sources that nothing reads and sinks that nothing feeds: both are more likely a mistake than meant.
func (p *parser) checkUnused() {
	read, dead := map[string]bool{}, map[string]bool{}
	for _, o := range p.job.Operators {
		dead[o.OnError.To.Text] = true
		for _, in := range o.Inputs {
			read[in.From] = true
		}
	}
	for _, s := range p.job.Sinks {
		for _, in := range s.Inputs {
			read[in.From] = true
		}
	}
	for _, s := range p.job.Sources {
		dead[s.OnError.To.Text] = true
		if !read[s.Name] {
			p.fail(errUnused.Errorf("nothing reads source %s", s.Name).At("%s", s.Place).
				Do("name it as the input of an operator or sink, or remove it"))
		}
	}
	for _, s := range p.job.Sinks {
		if len(s.Inputs) == 0 && !dead[s.Name] {
			p.fail(errUnused.Errorf("sink %s has no input and takes nobody's dead letters", s.Name).At("%s", s.Place).
				Do("give it an input, or name it in an on_error"))
		}
	}
}

// order sorts the operators topologically, in the order of the file where that leaves a choice.
func (p *parser) order() []*Operator {
	byName := map[string]*Operator{}
	for _, o := range p.job.Operators {
		byName[o.Name] = o
	}
	const (
		unseen = iota
		open
		done
	)
	mark := map[*Operator]int{}
	var order, path []*Operator
	var visit func(o *Operator, at string) bool
	visit = func(o *Operator, at string) bool {
		switch mark[o] {
		case done:
			return true
		case open:
			p.fail(cycle(path, o, at))
			return false
		}
		mark[o] = open
		path = append(path, o)
		for _, in := range o.Inputs {
			if next := byName[in.From]; next != nil && !visit(next, in.Place) {
				return false
			}
		}
		path = path[:len(path)-1]
		mark[o] = done
		order = append(order, o)
		return true
	}
	for _, o := range p.job.Operators {
		if !visit(o, o.Place) {
			return nil
		}
	}
	return order
}

// cycle names the way round: path goes against the stream, so it is turned round.
func cycle(path []*Operator, closing *Operator, place string) *errcode.Error {
	first := 0
	for path[first] != closing {
		first++
	}
	names := []string{closing.Name}
	for i := len(path) - 1; i >= first; i-- {
		names = append(names, path[i].Name)
	}
	return errCycle.Errorf("operators feed each other in a circle: %s", strings.Join(names, " -> ")).At("%s", place).
		Do("take one of these inputs away: a job is a graph without circles")
}
