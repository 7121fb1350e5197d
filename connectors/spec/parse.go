package spec

import (
	"fmt"
	"strings"

	"github.com/tidemill/tidemill/internal/errcode"
)

// Parse reads the document as an object. All errors are returned, each with file:line:column; the values are complete only where
// there is none.
func (d *Document) Parse(o *Object) (Values, errcode.List) { return d.ParseNode(d.Root, o) }

// ParseNode reads one value of the document as an object.
func (d *Document) ParseNode(n *Node, o *Object) (Values, errcode.List) {
	p := &parse{resolve: d.resolve}
	v := p.object(n, o)
	return v, p.errs
}

// ParseText reads YAML text without references as an object: for programs and tests that hold options as text.
func ParseText(text string, o *Object) (Values, errcode.List) {
	d, err := Load("options", []byte(text), nil)
	if err != nil {
		return Values{}, errcode.Each(err)
	}
	return d.Parse(o)
}

type parse struct {
	resolve Resolve
	errs    errcode.List
}

func (p *parse) fail(err *errcode.Error) { p.errs = append(p.errs, err) }

func (p *parse) object(n *Node, o *Object) Values {
	v := Values{place: n.Place, fields: map[string]value{}}
	if n.Kind == Scalar && o.Selector != "" {
		n = &Node{Kind: Mapping, Place: n.Place, Entries: []Entry{{Name: o.Selector, Place: n.Place, Node: n}}}
	}
	if n.Kind != Mapping && n.Kind != Null {
		p.fail(ErrType.Errorf("found %s where a mapping of fields is expected", n.describe()).At("%s", n.Place).Do("write the fields as name: value, one to a line"))
		return v
	}
	before := len(p.errs)
	chosen := p.choose(n, o, &v)
	for _, e := range n.Entries {
		if o.Selector != "" && e.Name == o.Selector {
			continue
		}
		f := o.field(e.Name)
		if f == nil && chosen != nil {
			f = chosen.field(e.Name)
		}
		if f == nil {
			if chosen != nil || o.Selector == "" {
				p.unknown(e, o, chosen, v.choice)
			}
			continue // without a valid choice its fields cannot be told from mistakes
		}
		p.field(e, f, &v)
	}
	p.defaults(o, n.Place, &v)
	if chosen != nil {
		p.defaults(chosen, n.Place, &v)
	}
	if len(p.errs) == before { // a check of relations may rely on sound fields
		for _, object := range []*Object{o, chosen} {
			if object != nil && object.Check != nil {
				p.errs = append(p.errs, object.Check(v)...)
			}
		}
	}
	return v
}

// choose reads the selector and returns the declaration that it chooses, or nil.
func (p *parse) choose(n *Node, o *Object, v *Values) *Object {
	if o.Selector == "" {
		return nil
	}
	at := n.Get(o.Selector)
	choices := o.choices()
	names := make([]string, len(choices))
	for i := range choices {
		names[i] = choices[i].Name
	}
	if at == nil || at.Kind == Null {
		p.fail(ErrMissing.Errorf("%s is missing", o.Selector).At("%s", n.Place).Do("it is one of %s", orList(names)))
		return nil
	}
	text, ok := p.text(at, &Field{Name: o.Selector, Kind: String})
	if !ok {
		return nil
	}
	for i := range choices {
		if choices[i].Name == text {
			v.choice = text
			return choices[i].Object
		}
	}
	p.fail(ErrChoice.Errorf("there is no %s %q%s", o.What, text, Nearest(text, names)).At("%s", at.Place).
		Do("known: %s", strings.Join(names, ", ")))
	return nil
}

func (p *parse) unknown(e Entry, o, chosen *Object, choice string) {
	var names []string
	if o.Selector != "" {
		names = append(names, o.Selector)
	}
	for i := range o.Fields {
		names = append(names, o.Fields[i].Name)
	}
	of := ""
	if chosen != nil {
		for i := range chosen.Fields {
			names = append(names, chosen.Fields[i].Name)
		}
		of = fmt.Sprintf(" of %s %s", o.What, choice)
	}
	err := ErrUnknown.Errorf("unknown field %q%s%s", e.Name, of, Nearest(e.Name, names)).At("%s", e.Place)
	if len(names) > 0 {
		err = err.Do("known: %s", strings.Join(names, ", "))
	}
	p.fail(err)
}

func (p *parse) defaults(o *Object, place string, v *Values) {
	for i := range o.Fields {
		f := &o.Fields[i]
		if v.Set(f.Name) {
			continue
		}
		switch {
		case f.Required:
			if !p.reported(v, f.Name) {
				p.fail(ErrMissing.Errorf("%s is missing", f.Name).At("%s", place).Do("%s", f.hint()))
			}
		case f.Default != "" && f.Kind == Nested:
			v.fields[f.Name] = value{v: p.object(nestedDefault(f, place), f.Object)}
		case f.Default != "":
			d, err := f.scalar(f.Default)
			if err != nil {
				panic("spec: default of " + f.Name + ": " + err.Error())
			}
			v.fields[f.Name] = value{v: d}
		}
	}
}

// nestedDefault is the node that an absent object stands for: "{}" is the mapping without fields, other text the selector's value.
func nestedDefault(f *Field, place string) *Node {
	if f.Default == "{}" {
		return &Node{Kind: Mapping, Place: place}
	}
	return &Node{Kind: Scalar, Place: place, Text: f.Default}
}

// reported says that a field was written, and refused already.
func (p *parse) reported(v *Values, name string) bool {
	for _, n := range v.written {
		if n == name {
			return true
		}
	}
	return false
}

func (p *parse) field(e Entry, f *Field, v *Values) {
	if e.Node.Kind == Null {
		if f.Required {
			p.fail(ErrMissing.Errorf("%s has no value", f.Name).At("%s", e.Node.Place).Do("%s", f.hint()))
		}
		v.written = append(v.written, f.Name)
		return
	}
	v.written = append(v.written, f.Name)
	if got, ok := p.value(e.Node, f); ok {
		v.fields[f.Name] = value{v: got, place: e.Node.Place}
	}
}

func (p *parse) value(n *Node, f *Field) (any, bool) {
	switch f.Kind { // what has an error inside is kept: its caller may find more errors in the rest of it
	case Nested:
		return p.object(n, f.Object), true
	case Tree:
		return p.tree(n, f), true
	case Map:
		return p.entries(n, f)
	case List:
		if n.Kind == Sequence {
			return p.list(n, f)
		}
	}
	if n.Kind != Scalar {
		p.fail(ErrType.Errorf("found %s where %s wants a value", n.describe(), f.Name).At("%s", n.Place).Do("%s", f.hint()))
		return nil, false
	}
	text, ok := p.text(n, f)
	if !ok {
		return nil, false
	}
	v, err := f.scalar(text)
	if err != nil {
		shown := text
		if f.Secret {
			shown = masked
		}
		p.fail(ErrType.Errorf("%s is %q", f.Name, shown).At("%s", n.Place).Because(err).Do("%s", f.hint()))
		return nil, false
	}
	if f.Secret {
		return Secret{func() string { return v.(string) }}, true
	}
	return v, true
}

func (p *parse) list(n *Node, f *Field) (any, bool) {
	list := make([]string, 0, len(n.Items))
	one := *f
	one.Kind = String
	for _, item := range n.Items {
		v, ok := p.value(item, &one)
		if !ok {
			return nil, false
		}
		list = append(list, v.(string))
	}
	return list, true
}

func (p *parse) entries(n *Node, f *Field) (any, bool) {
	if n.Kind != Mapping {
		p.fail(ErrType.Errorf("found %s where %s wants a mapping", n.describe(), f.Name).At("%s", n.Place).Do("%s", f.hint()))
		return nil, false
	}
	entries := make([]MapEntry, 0, len(n.Entries))
	for _, e := range n.Entries {
		elem := *f.Elem
		one := Values{place: e.Place, fields: map[string]value{}}
		if e.Node.Kind == Null && elem.Kind != Nested {
			p.fail(ErrMissing.Errorf("%s %s has no value", elem.Name, e.Name).At("%s", e.Place).Do("%s", f.hint()))
			continue
		}
		if v, ok := p.value(e.Node, &elem); ok {
			one.fields[elem.Name] = value{v: v, place: e.Node.Place}
		}
		entries = append(entries, MapEntry{Name: e.Name, Place: e.Place, Value: one})
	}
	return entries, true
}

// hint says what a field is for, as the reference does.
func (f *Field) hint() string { return f.Name + ": " + strings.TrimSuffix(f.Doc, ".") }

// text returns a scalar with its references resolved.
func (p *parse) text(n *Node, f *Field) (string, bool) {
	if n.Kind != Scalar {
		p.fail(ErrType.Errorf("found %s where %s wants a value", n.describe(), f.Name).At("%s", n.Place).Do("%s", f.hint()))
		return "", false
	}
	if strings.ContainsRune(n.Text, 0) {
		p.fail(ErrType.Errorf("%s holds a NUL", f.Name).At("%s", n.Place).Do("%s", f.hint()))
		return "", false
	}
	if !strings.Contains(n.Text, "${") {
		return n.Text, true
	}
	if !f.Secret && strings.Contains(n.Text, "${secret:") {
		p.fail(ErrSecret.Errorf("%s may not hold a secret: its value is shown in logs and errors", f.Name).At("%s", n.Place).
			Do("secrets are for the options of a connector that the reference marks as secret"))
		return "", false
	}
	if p.resolve == nil {
		return n.Text, true
	}
	text, err := p.resolve(n.Text)
	if err != nil {
		p.fail(ErrReference.Errorf("%s cannot be resolved", f.Name).At("%s", n.Place).Because(err).
			Do("set the variable or secret, or give a default: ${NAME:-default}"))
		return "", false
	}
	return text, true
}

func (p *parse) tree(n *Node, f *Field) *Node {
	out := &Node{Kind: n.Kind, Place: n.Place, Quoted: n.Quoted}
	switch n.Kind {
	case Scalar:
		out.Text, _ = p.text(n, f)
		if strings.HasPrefix(n.Text, "${") && strings.IndexByte(n.Text, '}') == len(n.Text)-1 {
			out.Quoted = false // a flow mapping needs the quotes around a reference: the value has the type that it looks like
		}
	case Sequence:
		for _, item := range n.Items {
			out.Items = append(out.Items, p.tree(item, f))
		}
	case Mapping:
		for _, e := range n.Entries {
			out.Entries = append(out.Entries, Entry{Name: e.Name, Place: e.Place, Node: p.tree(e.Node, f)})
		}
	}
	return out
}
