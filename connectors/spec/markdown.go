package spec

import (
	"fmt"
	"strings"
)

// AppendMarkdown appends the reference of an object's fields: a table, and under it a section for each mapping that is not explained
// elsewhere. level is the depth of the headings of such sections; a nested object of which known returns a link is not written
// out.
func (o *Object) AppendMarkdown(dst []byte, level int, known func(*Object) string) []byte {
	var b strings.Builder
	o.markdown(&b, level, "", known)
	return append(dst, b.String()...)
}

func (o *Object) markdown(b *strings.Builder, level int, path string, known func(*Object) string) {
	table(b, o.Fields, known)
	for i := range o.Fields {
		f := &o.Fields[i]
		object, name := f.Object, path+f.Name
		if f.Kind == Map && f.Elem.Kind == Nested {
			object, name = f.Elem.Object, path+f.Name+".*"
		}
		if object == nil || known(object) != "" {
			continue
		}
		fmt.Fprintf(b, "%s `%s`\n\n", strings.Repeat("#", level), name)
		if object.Doc != "" {
			fmt.Fprintf(b, "%s\n\n", object.Doc)
		}
		object.markdown(b, level+1, name+".", known)
		for _, c := range object.choices() {
			fmt.Fprintf(b, "%s `%s: %s`\n\n%s\n\n", strings.Repeat("#", level+1), object.Selector, c.Name, c.Doc)
			c.Object.markdown(b, level+2, name+".", known)
		}
	}
}

func table(b *strings.Builder, fields []Field, known func(*Object) string) {
	if len(fields) == 0 {
		return
	}
	b.WriteString("| field | type | default | |\n|---|---|---|---|\n")
	for i := range fields {
		f := &fields[i]
		kind := f.KindName()
		if f.Kind == Nested {
			if link := known(f.Object); link != "" {
				kind = link
			}
		}
		standard := ""
		switch {
		case f.Required:
			standard = "required"
		case f.Default != "":
			standard = "`" + f.Default + "`"
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s%s |\n", f.Name, kind, standard, cell(f.Doc), cell(f.limits()))
	}
	b.WriteString("\n")
}

// limits says in words what Min and Max bound.
func (f *Field) limits() string {
	unit := ""
	if f.Unit != "" {
		unit = " " + f.Unit
	}
	switch {
	case f.Min != "" && f.Max != "":
		return fmt.Sprintf(" %s to %s%s.", f.Min, f.Max, unit)
	case f.Min != "":
		return fmt.Sprintf(" At least %s%s.", f.Min, unit)
	case f.Max != "":
		return fmt.Sprintf(" At most %s%s.", f.Max, unit)
	}
	return ""
}

// cell keeps text from ending a cell of a table, and patterns from being taken for emphasis.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "*", `\*`, "<", `\<`).Replace(s)
}
