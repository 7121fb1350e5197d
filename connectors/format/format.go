// Package format is the contract between bytes and batches, and what its implementations share: the registry, the declaration of
// the options `format` and `schema`, and the text forms of values.
//
// A Decoder fills columns directly: no value becomes an interface, and a good record allocates nothing. It is given chunks that
// begin at a record and cuts them into records itself, so that the same decoder serves files (large chunks, a record may be cut
// off at the end) and messages (one record each). Whatever the chunks, the rows are the same. A record that cannot be decoded
// becomes a connectors.BadRecord with its column, value, line and byte offset, and leaves no trace in the batch (I13).
//
// The formats themselves are packages below this one (csv, json, raw) and register here.
package format

import (
	"fmt"
	"sort"
	"strings"
	"sync"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/connectors/spec"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/record"
)

// Type is a format that job.yaml can name.
type Type struct {
	Name      string // format: <Name>
	Doc       string
	Example   string // of the option `format`, as in job.yaml
	Extension string // of files, without the dot
	Options   *spec.Object
	// Schema is what an absent schema stands for; nil where the schema must be given.
	Schema *record.Schema
	// Decoding prepares reading rows of a schema.
	Decoding func(options spec.Values, schema *record.Schema) (*Decoding, error)
	// Encoding prepares writing rows of a schema.
	Encoding func(options spec.Values, schema *record.Schema) (Encoder, error)
}

// Decoding is a format set up for one schema. It is safe for concurrent use.
type Decoding struct {
	// Header says that data begins with a line that is no record and that New needs.
	Header bool
	// Lines says that every record is a line, so that data can be cut at any line end.
	Lines bool
	// Quote is the character between two of which a line end does not end a record; 0 where Lines is set.
	Quote byte
	// New makes a decoder; header is the first line where Header is set.
	New func(header []byte) (Decoder, error)
}

// Chunk is a run of bytes that begins at the first byte of a record.
type Chunk struct {
	Data   []byte
	Offset int64 // of Data[0] in the split: becomes Batch.Pos
	Line   int64 // 1-based line of Data[0]; 0 where unknown
	Final  bool  // nothing follows: what is left at the end of Data is a record too
}

// Progress is what a call of Decode did.
type Progress struct {
	Bytes   int   // used up; the rest of the chunk begins at a record again
	Lines   int64 // line ends in them
	Records int   // rows and bad records in them
}

// Decoder turns bytes into rows. One goroutine uses it.
type Decoder interface {
	// Decode takes at most max records of the chunk: each becomes a row of dst, with Pos, or goes to bad, so it never fails. It stops
	// early only where the chunk has no further whole record.
	Decode(c Chunk, dst *record.Batch, max int, bad *[]connectors.BadRecord) Progress
}

// Encoder turns rows into bytes. It is safe for concurrent use.
type Encoder interface {
	// Header is what begins each file, with its line end; nil for none.
	Header() []byte
	// Append appends rows [from, to) of a batch of the schema, each with its line end.
	Append(dst []byte, b *record.Batch, from, to int) []byte
}

var registry struct {
	sync.Mutex
	types map[string]*Type
}

// Register makes a format known. It panics where the name is taken: that is a mistake of the program.
func Register(t Type) {
	registry.Lock()
	defer registry.Unlock()
	if registry.types == nil {
		registry.types = map[string]*Type{}
	}
	if registry.types[t.Name] != nil {
		panic("format: " + t.Name + " is registered twice")
	}
	registry.types[t.Name] = &t
}

// Lookup returns the format of that name, or nil.
func Lookup(name string) *Type {
	registry.Lock()
	defer registry.Unlock()
	return registry.types[name]
}

// Types lists the registered formats, by name.
func Types() []*Type {
	registry.Lock()
	defer registry.Unlock()
	list := make([]*Type, 0, len(registry.types))
	for _, t := range registry.types {
		list = append(list, t)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return list
}

// Options is the declaration of a `format` option: a name, or a mapping with `type` and the format's own options.
var Options = &spec.Object{
	Doc: "How records are written as bytes.", Selector: "type", What: "format",
	Choices: func() []spec.Choice {
		var list []spec.Choice
		for _, t := range Types() {
			list = append(list, spec.Choice{Name: t.Name, Doc: t.Doc, Object: t.Options})
		}
		return list
	},
}

// SchemaField is the declaration of a `schema` option, to be read with Schema.
var SchemaField = spec.Field{
	Name: "schema", Kind: spec.Map, Elem: &spec.Field{Name: "type", Kind: spec.String, Doc: "column type"},
	Doc: "The columns to read, by name, and their types; a ? after the type allows null. Other columns are ignored. Types are " +
		"bool, i8, i16, i32, i64, f32, f64, date32, timestamp, timestamp_tz, utf8, binary; decimal128(P,S), an exact number of P digits " +
		"(1 to 38) of which S stand behind the point; and list<T> of any of these. Within { } a decimal128 needs quotes: its name has a comma.",
}

// Schema reads the `schema` option of a connector whose records are in format t.
func Schema(options spec.Values, t *Type) (*record.Schema, error) {
	if !options.Set("schema") {
		if t.Schema != nil {
			return t.Schema, nil
		}
		return nil, options.Errorf(ErrSchema, "schema", "format %s needs a schema", t.Name).
			Do("write schema: {column: type, ...}")
	}
	return ParseSchema(options.Map("schema"), "type")
}

// ParseSchema makes a schema from the entries of a Map option whose element, called elem, holds types like "i32" or "utf8?".
func ParseSchema(entries []spec.MapEntry, elem string) (*record.Schema, error) {
	var list errcode.List
	fields := make([]record.Field, 0, len(entries))
	for _, e := range entries {
		name, nullable := e.Value.String(elem), false
		if n := len(name); n > 0 && name[n-1] == '?' {
			name, nullable = name[:n-1], true
		}
		typ, ok := record.ParseType(name)
		if !ok {
			list = append(list, e.Value.Errorf(ErrSchema, elem, "column %s: there is no type %q%s", e.Name, name,
				spec.Nearest(name, record.TypeNames())).Do("%s", typeHint(name)))
			continue
		}
		fields = append(fields, record.Field{Name: e.Name, Type: typ, Nullable: nullable})
	}
	if err := list.Err(); err != nil {
		return nil, err
	}
	s, err := record.NewSchema(fields)
	if err != nil {
		return nil, ErrSchema.Errorf("the schema is wrong").Because(err)
	}
	return s, nil
}

// typeHint says which types there are, or what is wrong with one that is nearly right.
func typeHint(name string) string {
	switch {
	case strings.HasPrefix(name, "decimal128(") && !strings.Contains(name, ")"):
		return `within { } a type that contains a comma needs quotes: "decimal128(12,2)"`
	case strings.HasPrefix(name, "decimal"):
		return fmt.Sprintf("write decimal128(P,S) without spaces: P digits, 1 to %d, of which S stand behind the point, 0 to P", record.DecimalDigits)
	case strings.HasPrefix(name, "list<list"):
		return "a list holds any type but lists"
	case strings.HasPrefix(name, "list<") && strings.Contains(name, "?"):
		return "an element of a list is never null: a ? may stand after the list only"
	}
	hint := "types: "
	for i, n := range record.TypeNames() {
		if i > 0 {
			hint += ", "
		}
		hint += n
	}
	return hint + ", decimal128(P,S), and list<T> of one of these; a ? after one allows null"
}
