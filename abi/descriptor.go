package abi

// Description is the answer of tidemill_describe: what a module holds, as JSON.
type Description struct {
	ABI      int      `json:"abi"`
	SDK      SDK      `json:"sdk"`
	Entries  []Entry  `json:"entries"`
	Requires []string `json:"requires,omitempty"` // features of the host it cannot do without; an unknown one is refused by name
}

// SDK names what built the module.
type SDK struct {
	Name     string `json:"name"` // go, rust, python
	Version  string `json:"version"`
	Language string `json:"language,omitempty"` // compiler and version, for inspect
}

// EntryOperator is the only kind of entry of version 1 that is implemented; scalar, table and aggregate are reserved.
const (
	EntryOperator  = "operator"
	EntryScalar    = "scalar"
	EntryTable     = "table"
	EntryAggregate = "aggregate"
)

// Entry is one thing a module offers.
type Entry struct {
	Name    string      `json:"name"`
	Kind    string      `json:"kind"`
	Doc     string      `json:"doc,omitempty"`
	Params  []Param     `json:"params,omitempty"`
	Inputs  []InputPort `json:"inputs"`
	Outputs []string    `json:"outputs,omitempty"` // names, for inspect; schemas come with the binding descriptor
}

// InputPort is a port by name and the columns it cannot do without, for inspect and early errors.
type InputPort struct {
	Name    string  `json:"name"`
	Keyed   bool    `json:"keyed"`             // must be given key_by
	Columns []Field `json:"columns,omitempty"` // what the row type asks for; open decides
}

// Param is a parameter with its type (bool, int, float, string, duration_ms) and default.
type Param struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Default  any    `json:"default,omitempty"`
	Required bool   `json:"required,omitempty"`
	Doc      string `json:"doc,omitempty"`
}

// Field is a column by name. Type is a name of TypeNames, of a decimal128 with digits and scale, of a list with its element:
// `decimal128(12,2)`, `list<utf8>`.
type Field struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Nullable bool   `json:"nullable,omitempty"`
}

// OpenRequest is the argument of tidemill_open, as JSON.
type OpenRequest struct {
	Slot        int            `json:"slot"`
	Entry       string         `json:"entry"`
	Job         string         `json:"job"`
	Operator    string         `json:"operator"`
	Subtask     int            `json:"subtask"`
	Parallelism int            `json:"parallelism"`
	Params      map[string]any `json:"params,omitempty"`
	Inputs      []OpenInput    `json:"inputs"`
	Key         []Field        `json:"key,omitempty"` // the key columns, alike on every keyed port
	Limits      OpenLimits     `json:"limits"`
}

// OpenInput is the resolved input of one port, in the order of Entry.Inputs.
type OpenInput struct {
	Port      string  `json:"port"`
	Schema    []Field `json:"schema"`
	EventTime string  `json:"event_time,omitempty"` // the column that event time was taken from, where it is still a column
	Keyed     bool    `json:"keyed"`
}

// OpenLimits tells the guest what it must stay under.
type OpenLimits struct {
	FrameBytes int `json:"frame_bytes"` // an answer, after passthrough is materialised
	Rows       int `json:"rows"`        // of an input frame
	CellBytes  int `json:"cell_bytes"`
	KeyBytes   int `json:"key_bytes"`
}

// OpenAnswer is the answer of tidemill_open, as JSON: a descriptor or an error.
type OpenAnswer struct {
	Descriptor *Descriptor `json:"descriptor,omitempty"`
	Error      *OpenError  `json:"error,omitempty"`
}

// OpenError says what is wrong with the parameters or inputs.
type OpenError struct {
	Message string `json:"message"`
	Param   string `json:"param,omitempty"`  // the parameter at fault
	Column  string `json:"column,omitempty"` // the input column at fault, "port.column"
}

// Descriptor binds one slot: what the guest reads, emits and keeps. Ids used in frames are indexes into these lists.
type Descriptor struct {
	FaultCell uint32       `json:"fault_cell,omitempty"` // address, 0 = none
	Inputs    []BindInput  `json:"inputs"`
	Outputs   []BindOutput `json:"outputs"`
	States    []BindState  `json:"states,omitempty"`
	Timers    []BindTimer  `json:"timers,omitempty"`
	Metrics   []BindMetric `json:"metrics,omitempty"`
	Callbacks []string     `json:"callbacks,omitempty"` // "watermark", "end"
	Watermark bool         `json:"watermark,omitempty"` // reserved: declares its own watermarks
}

// Callbacks that a descriptor may ask for.
const (
	CallbackWatermark = "watermark"
	CallbackEnd       = "end"
)

// BindInput says what the guest reads of one input port.
type BindInput struct {
	Columns   []string `json:"columns"`              // in the order the guest wants them; ["*"] = all
	EventTime bool     `json:"event_time,omitempty"` // wants the event time array
	RowKinds  bool     `json:"row_kinds,omitempty"`  // reserved: wants row kinds
	NeedsKey  bool     `json:"needs_key"`            // wants the typed key columns
	Prefetch  []string `json:"prefetch,omitempty"`   // states to send with every frame of this port
}

// Row kinds of an output port.
const (
	PortAppend  = "append"
	PortRetract = "retract" // reserved
	PortUpsert  = "upsert"  // reserved
)

// BindOutput is an output port.
type BindOutput struct {
	Name      string  `json:"name"`
	Schema    []Field `json:"schema"`
	Kind      string  `json:"kind,omitempty"`       // append where empty
	EventTime string  `json:"event_time,omitempty"` // a column of the schema that becomes the event time; empty: the item's, or an own array
}

// Scopes of a state.
const (
	ScopeKey      = "key"
	ScopeOperator = "operator" // reserved: broadcast state
)

// BindState is a state by name.
type BindState struct {
	Name  string  `json:"name"`
	Kind  string  `json:"kind"` // value, list, map
	Scope string  `json:"scope,omitempty"`
	Key   []Field `json:"key,omitempty"` // map: the columns of the map key
	Value []Field `json:"value"`
	TTLms int64   `json:"ttl_ms,omitempty"` // of processing time that a cell lives after its last write; 0 = for ever
}

// Modes of a timer name.
const (
	TimerReplace = "replace" // one timer a (key, domain, name, tag)
	TimerMany    = "many"    // one a (key, domain, name, tag, time)
	PastNext     = "next"    // a timer set for <= the watermark fires with the next advance
	PastDrop     = "drop"    // it is dropped
)

// BindTimer is a timer name.
type BindTimer struct {
	Name     string   `json:"name"`
	Mode     string   `json:"mode"`
	Past     string   `json:"past,omitempty"`     // next where empty
	Prefetch []string `json:"prefetch,omitempty"` // states to send with frames in which it fires
}

// BindMetric is a metric that the guest reports.
type BindMetric struct {
	Name string `json:"name"`
	Kind string `json:"kind"` // counter, gauge
	Doc  string `json:"doc,omitempty"`
}

// TypeNames are the names of types in JSON and in job.yaml ("timestamp_tz" is what sources give for times with a zone). What
// stands behind the names of decimal128 and list, as in `decimal128(12,2)` and `list<utf8>`, is not in it.
var TypeNames = map[Type]string{
	Bool: "bool", I8: "i8", I16: "i16", I32: "i32", I64: "i64", F32: "f32", F64: "f64", Decimal128: "decimal128",
	Date32: "date32", Time64: "time64", Timestamp: "timestamp", TimestampTZ: "timestamp_tz", UTF8: "utf8", Binary: "binary",
	List: "list", Struct: "struct", Map: "map", FixedBinary: "fixed_binary", Dictionary: "dictionary",
}
