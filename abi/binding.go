package abi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// Binding is a valid binding descriptor with its names resolved: ids of frames index its lists. It is immutable.
type Binding struct {
	FaultCell   uint32
	Key         []FieldType
	Inputs      []BoundInput
	Outputs     []BoundOutput
	States      []BoundState
	Timers      []BoundTimer
	Metrics     []BindMetric
	OnWatermark bool
	OnEnd       bool
}

// FieldType is a column by name and type, which carries the digits and scale of a decimal and the element of a list.
type FieldType struct {
	Name     string
	Type     Type
	Nullable bool
}

// BoundInput is what the guest reads of an input port.
type BoundInput struct {
	Columns   []int // indexes into the port's schema, in the guest's order
	EventTime bool
	Keyed     bool
	NeedsKey  bool
	Prefetch  []int // state ids, ascending
}

// BoundOutput is an output port.
type BoundOutput struct {
	Name      string
	Fields    []FieldType
	EventTime int // the column that is the event time, or -1
}

// BoundState is a state.
type BoundState struct {
	Name   string
	Kind   StateKind
	Keys   int         // the first Keys fields are the map key
	Fields []FieldType // map key, then value
	TTL    int64       // ms of processing time that a cell lives after its last write; 0: it does not expire
}

// BoundTimer is a timer name.
type BoundTimer struct {
	Name     string
	Many     bool
	DropPast bool
	Prefetch []int // state ids, ascending
}

// ParseDescription reads and checks the answer of tidemill_describe. The error is a *Violation.
func ParseDescription(data []byte) (*Description, error) {
	var d Description
	if err := parseJSON("description", data, &d); err != nil {
		return nil, err
	}
	if d.ABI != Version {
		return nil, Broken("abi %d, this host speaks %d", d.ABI, Version).In("description")
	}
	if len(d.Requires) > 0 {
		return nil, Broken("the module requires %q, which this host does not have", d.Requires[0]).In("description")
	}
	if len(d.Entries) == 0 {
		return nil, Broken("no entries").In("description")
	}
	names := nameSet{}
	for i := range d.Entries {
		e := &d.Entries[i]
		part := fmt.Sprintf("entries[%d]", i)
		if err := names.add(e.Name); err != nil {
			return nil, err.In("%s", part)
		}
		if err := e.check(); err != nil {
			return nil, err.In("%s (%s)", part, e.Name)
		}
	}
	return &d, nil
}

// Entry returns the entry of that name, or nil.
func (d *Description) Entry(name string) *Entry {
	for i := range d.Entries {
		if d.Entries[i].Name == name {
			return &d.Entries[i]
		}
	}
	return nil
}

// ParseOpenAnswer reads the answer of tidemill_open. The error is a *Violation; an *OpenError is an answer and not an error.
func ParseOpenAnswer(data []byte) (*OpenAnswer, error) {
	var a OpenAnswer
	if err := parseJSON("descriptor", data, &a); err != nil {
		return nil, err
	}
	switch {
	case (a.Descriptor == nil) == (a.Error == nil):
		return nil, Broken("an answer has either a descriptor or an error").In("descriptor")
	case a.Error != nil && (len(a.Error.Message) > ErrorMessageBytes || a.Error.Message == ""):
		return nil, Broken("an error message of %d bytes, 1 to %d are allowed", len(a.Error.Message), ErrorMessageBytes).In("descriptor")
	}
	if a.Error != nil {
		a.Error.Message = CleanText([]byte(a.Error.Message))
		a.Error.Param = CleanText([]byte(a.Error.Param))
		a.Error.Column = CleanText([]byte(a.Error.Column))
	}
	return &a, nil
}

func parseJSON(part string, data []byte, to any) error {
	if len(data) > DescriptorBytesMax {
		return Broken("%d bytes, at most %d", len(data), DescriptorBytesMax).In("%s", part)
	}
	if !utf8.Valid(data) {
		return Broken("not valid UTF-8").In("%s", part)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(to); err != nil {
		return Broken("not the JSON of SPEC.md: %v", err).In("%s", part)
	}
	if rest := bytes.TrimSpace(data[d.InputOffset():]); len(rest) > 0 {
		return Broken("%d bytes after the JSON value", len(rest)).In("%s", part)
	}
	return nil
}

// nameSet collects names that must be distinct. A name is a word that is safe in job.yaml, file names and metrics: a letter or
// underscore, then letters, digits, underscores and hyphens, NameBytesMax at most.
type nameSet map[string]bool

func (s nameSet) add(name string) *Violation {
	if !isWord(name) {
		return Broken("name %q is not a letter or underscore followed by letters, digits, '_' and '-' (at most %d)", clip(name), NameBytesMax)
	}
	if s[name] {
		return Broken("name %q appears twice", name)
	}
	s[name] = true
	return nil
}

func isWord(name string) bool {
	if name == "" || len(name) > NameBytesMax {
		return false
	}
	for i, r := range []byte(name) {
		letter := r == '_' || (r|0x20 >= 'a' && r|0x20 <= 'z')
		if !letter && (i == 0 || (r != '-' && (r < '0' || r > '9'))) {
			return false
		}
	}
	return true
}

// clip shortens a guest's text for an error message.
func clip(s string) string {
	if len(s) > NameBytesMax {
		return s[:NameBytesMax] + "..."
	}
	return s
}

func (e *Entry) check() *Violation {
	switch e.Kind {
	case EntryOperator:
	case EntryScalar, EntryTable, EntryAggregate:
		return Reserved(FeatureFunctions + " (" + e.Kind + ")")
	default:
		return Broken("unknown kind %q", clip(e.Kind))
	}
	if n := len(e.Inputs); n == 0 || n > InputPortsMax {
		return Broken("%d input ports, 1 to %d are allowed", n, InputPortsMax)
	}
	names := nameSet{}
	for i := range e.Inputs {
		port := &e.Inputs[i]
		if err := names.add(port.Name); err != nil {
			return err.In("inputs[%d]", i)
		}
		if _, err := fieldTypes(port.Columns); err != nil {
			return err.In("inputs[%d]", i)
		}
	}
	if len(e.Outputs) > OutputPortsMax {
		return Broken("%d output ports, at most %d", len(e.Outputs), OutputPortsMax)
	}
	names = nameSet{}
	for i, name := range e.Outputs {
		if err := names.add(name); err != nil {
			return err.In("outputs[%d]", i)
		}
	}
	names = nameSet{}
	for i := range e.Params {
		p := &e.Params[i]
		if err := names.add(p.Name); err != nil {
			return err.In("params[%d]", i)
		}
		if err := p.check(); err != nil {
			return err.In("params[%d] (%s)", i, p.Name)
		}
	}
	return nil
}

// fieldTypes resolves the types of fields and checks their names.
func fieldTypes(fields []Field) ([]FieldType, *Violation) {
	if len(fields) > ColumnsMax {
		return nil, Broken("%d columns, at most %d", len(fields), ColumnsMax)
	}
	out := make([]FieldType, len(fields))
	seen := make(map[string]bool, len(fields))
	for i, f := range fields {
		if f.Name == "" || len(f.Name) > NameBytesMax || hasControl(f.Name) {
			return nil, Broken("column name %q (1 to %d bytes without control characters)", clip(f.Name), NameBytesMax).In("column %d", i)
		}
		if seen[f.Name] {
			return nil, Broken("column %q appears twice", f.Name)
		}
		seen[f.Name] = true
		t, err := ParseType(f.Type)
		if err != nil {
			return nil, err.In("column %q", f.Name)
		}
		out[i] = FieldType{Name: f.Name, Type: t, Nullable: f.Nullable}
	}
	return out, nil
}

// keyTypes is fieldTypes for the fields of a key.
func keyTypes(fields []Field) ([]FieldType, *Violation) {
	types, err := fieldTypes(fields)
	if err != nil {
		return nil, err
	}
	for _, f := range types {
		if f.Type.Kind() == List {
			return nil, Broken("a list cannot be part of a key").In("column %q", f.Name)
		}
	}
	return types, nil
}

func hasControl(s string) bool {
	for _, r := range s {
		if unicode.IsControl(r) {
			return true
		}
	}
	return false
}

// Bind checks a descriptor against the request that it answers and resolves its names. The error is a *Violation.
func Bind(request *OpenRequest, d *Descriptor) (*Binding, error) {
	if request.Slot != 0 {
		return nil, Reserved(FeatureSlots).In("open")
	}
	b := &Binding{FaultCell: d.FaultCell}
	for _, step := range []func(*OpenRequest, *Descriptor) *Violation{
		b.bindKey, b.bindStates, b.bindInputs, b.bindOutputs, b.bindTimers, b.bindMetrics, b.bindCallbacks,
	} {
		if err := step(request, d); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (b *Binding) bindKey(request *OpenRequest, _ *Descriptor) *Violation {
	key, err := keyTypes(request.Key)
	if err != nil {
		return err.In("key")
	}
	b.Key = key
	return nil
}

func (b *Binding) bindInputs(request *OpenRequest, d *Descriptor) *Violation {
	if len(d.Inputs) != len(request.Inputs) {
		return Broken("%d ports, the operator has %d", len(d.Inputs), len(request.Inputs)).In("inputs")
	}
	for i := range d.Inputs {
		input, port := &d.Inputs[i], &request.Inputs[i]
		bound := BoundInput{EventTime: input.EventTime, Keyed: port.Keyed, NeedsKey: input.NeedsKey}
		err := bound.bind(input, port)
		if err == nil {
			bound.Prefetch, err = b.prefetch(input.Prefetch)
		}
		if err == nil && !port.Keyed && (input.NeedsKey || len(input.Prefetch) > 0) {
			err = Broken("the port reads its key or state, so it must be given key_by")
		}
		if err != nil {
			return err.In("inputs[%d] (%s)", i, port.Port)
		}
		b.Inputs = append(b.Inputs, bound)
	}
	return nil
}

func (bound *BoundInput) bind(input *BindInput, port *OpenInput) *Violation {
	if input.RowKinds {
		return Reserved(FeatureRowKinds)
	}
	if len(input.Columns) == 1 && input.Columns[0] == "*" {
		for i := range port.Schema {
			bound.Columns = append(bound.Columns, i)
		}
		return nil
	}
	index := make(map[string]int, len(port.Schema))
	for i := range port.Schema {
		index[port.Schema[i].Name] = i
	}
	for _, name := range input.Columns {
		at, ok := index[name]
		if !ok {
			return Broken("column %q is not in the input, or named twice", clip(name))
		}
		delete(index, name)
		bound.Columns = append(bound.Columns, at)
	}
	return nil
}

func (b *Binding) prefetch(names []string) ([]int, *Violation) {
	wanted := make(map[string]bool, len(names))
	for _, name := range names {
		if wanted[name] {
			return nil, Broken("prefetch names state %q twice", clip(name))
		}
		wanted[name] = true
	}
	var ids []int
	for i := range b.States {
		if wanted[b.States[i].Name] {
			delete(wanted, b.States[i].Name)
			ids = append(ids, i)
		}
	}
	for _, name := range names {
		if wanted[name] {
			return nil, Broken("prefetch names %q, which is not a state", clip(name))
		}
	}
	return ids, nil
}

func (b *Binding) bindOutputs(_ *OpenRequest, d *Descriptor) *Violation {
	if len(d.Outputs) > OutputPortsMax {
		return Broken("%d ports, at most %d", len(d.Outputs), OutputPortsMax).In("outputs")
	}
	names := nameSet{}
	for i := range d.Outputs {
		o := &d.Outputs[i]
		err := names.add(o.Name)
		var bound BoundOutput
		if err == nil {
			bound, err = bindOutput(o)
		}
		if err != nil {
			return err.In("outputs[%d]", i)
		}
		b.Outputs = append(b.Outputs, bound)
	}
	return nil
}

func bindOutput(o *BindOutput) (BoundOutput, *Violation) {
	bound := BoundOutput{Name: o.Name, EventTime: -1}
	switch o.Kind {
	case "", PortAppend:
	case PortRetract:
		return bound, Reserved(FeatureRetract)
	case PortUpsert:
		return bound, Reserved(FeatureUpsert)
	default:
		return bound, Broken("unknown kind %q", clip(o.Kind))
	}
	var err *Violation
	if bound.Fields, err = fieldTypes(o.Schema); err != nil {
		return bound, err
	}
	if len(bound.Fields) == 0 {
		return bound, Broken("the schema has no columns")
	}
	if o.EventTime == "" {
		return bound, nil
	}
	for i, f := range bound.Fields {
		if f.Name != o.EventTime {
			continue
		}
		if (f.Type != Timestamp && f.Type != TimestampTZ) || f.Nullable {
			return bound, Broken("the event time column %q must be a timestamp that is not nullable", f.Name)
		}
		bound.EventTime = i
		return bound, nil
	}
	return bound, Broken("the event time column %q is not in the schema", clip(o.EventTime))
}

func (b *Binding) bindStates(request *OpenRequest, d *Descriptor) *Violation {
	if len(d.States) > StatesMax {
		return Broken("%d states, at most %d", len(d.States), StatesMax).In("states")
	}
	names := nameSet{}
	for i := range d.States {
		s := &d.States[i]
		err := names.add(s.Name)
		var bound BoundState
		if err == nil {
			bound, err = bindState(s)
		}
		if err == nil && !anyKeyed(request) {
			err = Broken("state %q needs a keyed input: give one key_by", s.Name)
		}
		if err != nil {
			return err.In("states[%d]", i)
		}
		b.States = append(b.States, bound)
	}
	return nil
}

func anyKeyed(request *OpenRequest) bool {
	for i := range request.Inputs {
		if request.Inputs[i].Keyed {
			return true
		}
	}
	return false
}

// ttlMost is the longest time to live in milliseconds: what every reader of JSON has as an exact number.
const ttlMost = 1 << 53

func bindState(s *BindState) (BoundState, *Violation) {
	bound := BoundState{Name: s.Name, Keys: len(s.Key), TTL: s.TTLms}
	switch s.Scope {
	case "", ScopeKey:
	case ScopeOperator:
		return bound, Reserved(FeatureBroadcast)
	default:
		return bound, Broken("unknown scope %q", clip(s.Scope))
	}
	if s.TTLms < 0 || s.TTLms > ttlMost {
		return bound, Broken("ttl_ms is %d, 1 to %d are allowed", s.TTLms, int64(ttlMost))
	}
	for _, k := range []StateKind{StateValue, StateList, StateMap} {
		if s.Kind == k.String() {
			bound.Kind = k
		}
	}
	switch {
	case bound.Kind == 0:
		return bound, Broken("unknown kind %q", clip(s.Kind))
	case (bound.Kind == StateMap) != (len(s.Key) > 0):
		return bound, Broken("a %s state with %d map key columns", bound.Kind, len(s.Key))
	case len(s.Value) == 0:
		return bound, Broken("no value columns")
	}
	key, err := keyTypes(s.Key)
	if err != nil {
		return bound, err.In("key")
	}
	value, err := fieldTypes(s.Value)
	if err != nil {
		return bound, err.In("value")
	}
	bound.Fields = append(key, value...)
	return bound, nil
}

func (b *Binding) bindTimers(request *OpenRequest, d *Descriptor) *Violation {
	if len(d.Timers) > TimerNamesMax {
		return Broken("%d names, at most %d", len(d.Timers), TimerNamesMax).In("timers")
	}
	names := nameSet{}
	for i := range d.Timers {
		t := &d.Timers[i]
		bound := BoundTimer{Name: t.Name, Many: t.Mode == TimerMany, DropPast: t.Past == PastDrop}
		err := names.add(t.Name)
		switch {
		case err != nil:
		case t.Mode != TimerReplace && t.Mode != TimerMany:
			err = Broken("unknown mode %q", clip(t.Mode))
		case t.Past != "" && t.Past != PastNext && t.Past != PastDrop:
			err = Broken("unknown past %q", clip(t.Past))
		case !anyKeyed(request):
			err = Broken("timer %q needs a keyed input: give one key_by", t.Name)
		default:
			bound.Prefetch, err = b.prefetch(t.Prefetch)
		}
		if err != nil {
			return err.In("timers[%d]", i)
		}
		b.Timers = append(b.Timers, bound)
	}
	return nil
}

func (b *Binding) bindMetrics(_ *OpenRequest, d *Descriptor) *Violation {
	if len(d.Metrics) > MetricsMax {
		return Broken("%d metrics, at most %d", len(d.Metrics), MetricsMax).In("metrics")
	}
	names := nameSet{}
	for i := range d.Metrics {
		m := &d.Metrics[i]
		err := names.add(m.Name)
		if err == nil && m.Kind != MetricCounter && m.Kind != MetricGauge {
			err = Broken("unknown kind %q", clip(m.Kind))
		}
		if err != nil {
			return err.In("metrics[%d]", i)
		}
	}
	b.Metrics = d.Metrics
	return nil
}

func (b *Binding) bindCallbacks(_ *OpenRequest, d *Descriptor) *Violation {
	if d.Watermark {
		return Reserved(FeatureWatermarks).In("descriptor")
	}
	for i, c := range d.Callbacks {
		switch {
		case c == CallbackWatermark && !b.OnWatermark:
			b.OnWatermark = true
		case c == CallbackEnd && !b.OnEnd:
			b.OnEnd = true
		default:
			return Broken("%q is unknown or appears twice", clip(c)).In("callbacks[%d]", i)
		}
	}
	return nil
}
