package spec

import (
	"fmt"
	"sort"

	"github.com/tidemill/tidemill/internal/errcode"
)

// Kind is the type of a field's value.
type Kind int

// The kinds, with what is written in YAML and how Values gives it back.
const (
	String   Kind = iota // any scalar, as it is written: Values.String
	Int                  // a whole number: Values.Int
	Float                // a number: Values.Float
	Bool                 // true or false: Values.Bool
	Duration             // "30s", "24h", "100ms", or 0: Values.Duration
	Size                 // a number of bytes, "64KiB", "128MiB", "1GB": Values.Int
	Enum                 // one of Field.Enum: Values.String
	List                 // strings, or one string: Values.Strings
	Nested               // Field.Object: Values.Object
	Map                  // names of the user's choice to values of Field.Elem, in the order written: Values.Map
	Tree                 // anything; the caller walks it: Values.Tree
)

// Field is one option.
type Field struct {
	Name string
	Kind Kind
	// Doc is what the reference says: sentences, with full stops.
	Doc string
	// Default is what an absent field stands for, written as in YAML; "" is none, and then Values.Set is false. For a Nested
	// field it is "{}" (every field has its own default) or the selector's value.
	Default  string
	Required bool
	// Unit is named in the reference and in range errors: "records a second".
	Unit string
	// Min and Max bound Int, Float, Duration and Size, written as in YAML; "" is no bound.
	Min, Max string
	// Enum lists what an Enum may be.
	Enum []string
	// Secret marks a String whose value must never be shown; only such fields may use ${secret:name}.
	Secret bool
	// Object is the declaration of a Nested field.
	Object *Object
	// Elem is the declaration of each value of a Map; its Name says what the names stand for ("column").
	Elem *Field
	// Check tests a scalar's text further; its error becomes the cause of an error at the value's place.
	Check func(text string) error
}

// Object is a mapping with known fields.
type Object struct {
	Doc    string
	Fields []Field
	// Selector, where not "", names a field of its own: its value chooses one of Choices, whose fields are added. Where only the
	// selector is to be given, a scalar stands for the mapping: `format: json` is `format: {type: json}`.
	Selector string
	// What is what the choices are, for people ("connector", "format").
	What string
	// Choices is called at every use, so that what registers itself late is known.
	Choices func() []Choice
	// Check tests a parsed object as a whole: relations between fields. Errors it returns are best made by Values.Errorf.
	Check func(Values) errcode.List
}

// Choice is one value of a selector.
type Choice struct {
	Name   string
	Doc    string
	Object *Object
}

// Validate reports a mistake in a declaration: duplicate names, a default that does not parse, missing parts. Declarations are
// package variables, so a test calls it once for each.
func (o *Object) Validate() error {
	seen := map[string]bool{}
	if o.Selector != "" {
		if o.Choices == nil || o.What == "" {
			return fmt.Errorf("selector %s has no choices or no word for them", o.Selector)
		}
		seen[o.Selector] = true
	}
	for i := range o.Fields {
		f := &o.Fields[i]
		if f.Name == "" || seen[f.Name] {
			return fmt.Errorf("field %d (%q) has no name or one that is taken", i, f.Name)
		}
		seen[f.Name] = true
		if f.Doc == "" {
			return fmt.Errorf("field %s has no documentation", f.Name)
		}
		if err := f.validate(); err != nil {
			return fmt.Errorf("field %s: %w", f.Name, err)
		}
	}
	for _, c := range o.choices() {
		for i := range c.Object.Fields {
			if seen[c.Object.Fields[i].Name] {
				return fmt.Errorf("field %s of %s is a field of every %s", c.Object.Fields[i].Name, c.Name, o.What)
			}
		}
		if err := c.Object.Validate(); err != nil {
			return fmt.Errorf("%s %s: %w", o.What, c.Name, err)
		}
	}
	return nil
}

func (f *Field) validate() error {
	switch {
	case f.Kind == Enum && len(f.Enum) == 0:
		return fmt.Errorf("an enum without values")
	case f.Kind == Nested && f.Object == nil:
		return fmt.Errorf("a nested object without a declaration")
	case f.Kind == Map && f.Elem == nil:
		return fmt.Errorf("a map without an element")
	case f.Secret && (f.Kind != String || f.Default != ""):
		return fmt.Errorf("a secret must be a string without a default")
	case f.Required && f.Default != "":
		return fmt.Errorf("required, and yet it has a default")
	}
	for _, text := range []string{f.Min, f.Max, f.Default} {
		if text == "" || f.Kind == Nested {
			continue
		}
		bounds := *f
		if text != f.Default {
			bounds.Min, bounds.Max = "", ""
		}
		if _, err := bounds.scalar(text); err != nil {
			return fmt.Errorf("%q: %w", text, err)
		}
	}
	if f.Kind == Nested {
		return f.Object.Validate()
	}
	if f.Kind == Map {
		return f.Elem.validate()
	}
	return nil
}

// choices returns the choices of the selector, sorted by name.
func (o *Object) choices() []Choice {
	if o.Selector == "" {
		return nil
	}
	list := append([]Choice(nil), o.Choices()...)
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return list
}

func (o *Object) field(name string) *Field {
	for i := range o.Fields {
		if o.Fields[i].Name == name {
			return &o.Fields[i]
		}
	}
	return nil
}
