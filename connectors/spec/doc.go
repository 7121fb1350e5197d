// Package spec declares configuration: a list of fields with types, defaults, limits and one line of documentation each. From the
// one declaration come the parser (errors with line and column and the nearest known name), the validation, the JSON schema and
// the reference page, so they cannot disagree. job.yaml itself, connectors and formats all use it.
//
//	options := &spec.Object{Fields: []spec.Field{
//		{Name: "path", Kind: spec.List, Required: true, Doc: "Files to read."},
//		{Name: "rate", Kind: spec.Float, Default: "0", Min: "0", Unit: "records a second", Doc: "0 is as fast as it goes."},
//	}}
//	doc, err := spec.Load("job.yaml", text, resolve)
//	values, errs := doc.Parse(options)
//	values.Strings("path")
//
// An object may have a selector, a field whose value chooses further fields: that is how `connector: file` or
// `format: {type: csv, header: true}` bring options of their own.
//
// Values refer to the environment or to secrets by "${...}"; the package finds the references and the caller's Resolve replaces
// them. A secret is only allowed in a field that is declared Secret, and such a value is a Secret, which no format verb and no
// marshaller prints (I12).
//
// Declarations and Values are immutable: safe for concurrent use. The package does no I/O.
package spec
