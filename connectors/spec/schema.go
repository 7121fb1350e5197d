package spec

import "fmt"

// JSONSchema returns the declaration as a JSON schema (draft 2020-12) without $schema, made of plain maps and slices: editors check
// and complete with it. It accepts what Parse accepts but for the Check functions, which it cannot express. Any scalar may be a
// reference "${...}".
func (o *Object) JSONSchema() map[string]any {
	if o.Selector == "" {
		properties, required := map[string]any{}, []any{}
		o.properties(properties, &required)
		return objectSchema(o.Doc, properties, required)
	}
	var forms, names []any
	for _, c := range o.choices() {
		properties, required := map[string]any{o.Selector: map[string]any{"const": c.Name, "description": c.Doc}}, []any{o.Selector}
		o.properties(properties, &required)
		c.Object.properties(properties, &required)
		forms = append(forms, objectSchema(c.Doc, properties, required))
		if len(required) == 1 {
			names = append(names, c.Name)
		}
	}
	if len(names) > 0 {
		forms = append(forms, map[string]any{"enum": names})
	}
	return described(map[string]any{"anyOf": forms}, o.Doc)
}

func objectSchema(doc string, properties map[string]any, required []any) map[string]any {
	s := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		s["required"] = required
	}
	return described(s, doc)
}

func described(s map[string]any, doc string) map[string]any {
	if doc != "" {
		s["description"] = doc
	}
	return s
}

// properties adds the schemas of the object's fields.
func (o *Object) properties(properties map[string]any, required *[]any) {
	for i := range o.Fields {
		f := &o.Fields[i]
		s := described(f.jsonSchema(), f.Doc)
		if f.Default != "" {
			s["default"] = f.defaultValue()
		}
		properties[f.Name] = s
		if f.Required {
			*required = append(*required, f.Name)
		}
	}
}

// defaultValue is the default as it would be written.
func (f *Field) defaultValue() any {
	if f.Kind == Nested && f.Default == "{}" {
		return map[string]any{}
	}
	if f.Kind == String || f.Kind == Enum {
		return f.Default
	}
	return (&Node{Kind: Scalar, Text: f.Default}).Value()
}

// reference is what stands for a value that is known later.
var reference = map[string]any{"type": "string", "pattern": `\$\{.+\}`}

// scalarText is any scalar: a string field takes them all, as written.
var scalarText = map[string]any{"type": []any{"string", "number", "boolean"}}

func (f *Field) jsonSchema() map[string]any {
	switch f.Kind {
	case Int, Float:
		s := map[string]any{"type": "number"}
		if f.Kind == Int {
			s["type"] = "integer"
		}
		if f.Min != "" {
			s["minimum"] = f.bound(f.Min)
		}
		if f.Max != "" {
			s["maximum"] = f.bound(f.Max)
		}
		// 100_000 is text to YAML 1.2, and a number to Parse.
		return either(s, map[string]any{"type": "string", "pattern": `^[-+]?[0-9]+(_[0-9]+)+$`}, reference)
	case Bool:
		return either(map[string]any{"type": "boolean"}, reference)
	case Duration:
		text := map[string]any{"type": "string", "pattern": `^[-+]?([0-9]*\.?[0-9]+(ns|us|µs|ms|s|m|h))+$`}
		return either(map[string]any{"const": 0}, text, reference)
	case Size:
		return either(map[string]any{"type": "integer", "minimum": 0},
			map[string]any{"type": "string", "pattern": `^[0-9_]+ *(B|[KMGT]i?B)?$`}, reference)
	case Enum:
		values := make([]any, len(f.Enum))
		for i, e := range f.Enum {
			values[i] = (&Node{Kind: Scalar, Text: e}).Value()
		}
		return either(map[string]any{"enum": values}, reference)
	case List:
		return either(scalarText, map[string]any{"type": "array", "items": scalarText})
	case Nested:
		return f.Object.JSONSchema()
	case Map:
		return map[string]any{"type": "object", "additionalProperties": described(f.Elem.jsonSchema(), f.Elem.Doc)}
	case Tree:
		return map[string]any{}
	}
	return either(scalarText)
}

// either is one of several schemas. The parts are shared between declarations, so a fresh map is made around them.
func either(forms ...map[string]any) map[string]any {
	list := make([]any, len(forms))
	for i, form := range forms {
		list[i] = form
	}
	return map[string]any{"anyOf": list}
}

// KindName is the type of a field's value for the reference.
func (f *Field) KindName() string {
	switch f.Kind {
	case Int:
		return "whole number"
	case Float:
		return "number"
	case Bool:
		return "true or false"
	case Duration:
		return "duration"
	case Size:
		return "size"
	case Enum:
		return orList(f.Enum)
	case List:
		return "text or list of texts"
	case Nested:
		return "mapping"
	case Map:
		return fmt.Sprintf("mapping of %s", f.Elem.Name)
	case Tree:
		return "anything"
	}
	if f.Secret {
		return "secret text"
	}
	return "text"
}
