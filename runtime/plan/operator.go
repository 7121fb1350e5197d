package plan

import (
	"fmt"
	"math"
	"sort"
	"strings"
	"time"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/connectors/spec"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/job"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/sandbox"
)

// operator loads an operator's module, binds its ports and opens it once to learn what it emits and keeps.
func (m *maker) operator(o *job.Operator) error {
	loaded, err := m.modules.Load(m.ctx, o.Module.Text)
	if err != nil {
		return modulePlaced(err, o)
	}
	entry, err := chooseEntry(loaded, o)
	if err != nil {
		return err
	}
	module := *loaded // another operator may use another entry
	module.Entry = entry.Name
	params, paramErrs := bindParams(entry, o)
	streams, err := m.streams(o.Inputs)
	if err != nil {
		return joinErrors(paramErrs, err)
	}
	ports, err := bindPorts(entry, o, streams)
	if err != nil {
		return joinErrors(paramErrs, err)
	}
	inputs, key, err := bindKeys(entry, o, ports)
	if err != nil || len(paramErrs) > 0 {
		return joinErrors(paramErrs, err)
	}
	n := &Node{
		Name: o.Name, Place: o.Place, Parallelism: m.parallelism(o.Parallelism), Inputs: inputs, OnError: policy(o.OnError),
		Operator: &Operator{
			Module: &module, Params: params, Key: key,
			States: StateOptions{Backend: o.State.Backend, HotBytesMax: o.State.HotBytesMax, StateBytesMax: o.State.StateBytesMax},
			Limits: Limits{
				MemoryBytesMax: o.Limits.MemoryBytesMax, FuelBase: o.Limits.FuelBase, FuelPerItem: o.Limits.FuelPerItem,
				TrapsPerMinute: o.Limits.TrapsPerMinute, RecycleInstance: o.Limits.RecycleBarrier,
			},
		},
	}
	if err := m.open(n, o); err != nil {
		return err
	}
	if err := m.checkEventTime(n, o, ports); err != nil {
		return err
	}
	m.add(n)
	for i := range ports {
		m.connect(ports[i], n, i)
	}
	return nil
}

// joinErrors returns the errors of a list and one more; errUpstream only where there is nothing else to say.
func joinErrors(list errcode.List, err error) error {
	if len(list) == 0 {
		return err
	}
	return append(list, errcode.Each(err)...).Err()
}

// modulePlaced gives an error of a module the place of the operator that names it, and keeps its code.
func modulePlaced(err error, o *job.Operator) error {
	return within(err, fmt.Sprintf("operator %s, module %s", o.Name, o.Module.Text), o.Module.Place)
}

// within says of which node an error is. It keeps the code, which is the more precise one, and the place inside the module.
func within(err error, what, place string) error {
	inner := errcode.Of(err)
	if inner == nil {
		return errModule.Errorf("%s cannot be used", what).At("%s", place).Because(err)
	}
	if inner.Place != "" {
		place += ": " + inner.Place
	}
	return &errcode.Error{Code: inner.Code, Message: what + ": " + inner.Message, Place: place, Hint: inner.Hint, Cause: inner.Cause}
}

func chooseEntry(m *Module, o *job.Operator) (*abi.Entry, error) {
	var names []string
	for i := range m.Describe.Entries {
		e := &m.Describe.Entries[i]
		if e.Kind != abi.EntryOperator {
			continue
		}
		if e.Name == o.Entry.Text {
			return e, nil
		}
		names = append(names, e.Name)
	}
	switch {
	case len(names) == 0:
		return nil, errEntry.Errorf("module %s has no operator", o.Module.Text).At("%s", o.Module.Place)
	case o.Entry.Text == "" && len(names) == 1:
		return chooseEntry(m, &job.Operator{Module: o.Module, Entry: job.Name{Text: names[0]}})
	case o.Entry.Text == "":
		return nil, errEntry.Errorf("module %s has several operators and none is chosen", o.Module.Text).At("%s", o.Module.Place).
			Do("write entry: with one of %s", listed(names))
	}
	return nil, errEntry.Errorf("module %s has no operator %q%s", o.Module.Text, o.Entry.Text, spec.Nearest(o.Entry.Text, names)).
		At("%s", o.Entry.Place).Do("its operators are %s", listed(names))
}

// bindParams checks the parameters against what the entry declares and returns them with defaults filled in.
func bindParams(entry *abi.Entry, o *job.Operator) (map[string]any, errcode.List) {
	var errs errcode.List
	params := map[string]any{}
	var names []string
	for i := range entry.Params {
		p := &entry.Params[i]
		names = append(names, p.Name)
		v, given := o.Params[p.Name]
		switch {
		case given && v != nil:
			converted, ok := convertParam(p.Type, v)
			if !ok {
				errs = append(errs, errParam.Errorf("parameter %s of operator %s is a %s, and here is %s", p.Name, o.Name, paramTypes[p.Type],
					shownParam(v)).At("%s", o.ParamPlaces[p.Name]).Do("%s", paramHints[p.Type]))
				continue
			}
			params[p.Name] = converted
		case p.Required:
			errs = append(errs, errParam.Errorf("parameter %s of operator %s is missing", p.Name, o.Name).At("%s", o.Place).
				Do("add it under params: it is a %s", paramTypes[p.Type]))
		case p.Default != nil:
			params[p.Name] = p.Default
		}
	}
	for _, name := range sortedNames(o.Params) {
		if indexOf(names, name) < 0 {
			hint := "the operator has no parameters"
			if len(names) > 0 {
				hint = "its parameters are " + listed(names)
			}
			errs = append(errs, errParam.Errorf("operator %s has no parameter %q%s", o.Name, name, spec.Nearest(name, names)).
				At("%s", o.ParamPlaces[name]).Do("%s", hint))
		}
	}
	return params, errs
}

func sortedNames(m map[string]any) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

func indexOf(names []string, name string) int {
	for i, n := range names {
		if n == name {
			return i
		}
	}
	return -1
}

// paramTypes are the types of parameters for people; paramHints say how to write one.
var (
	paramTypes = map[string]string{
		abi.ParamBool: "truth value", abi.ParamInt: "whole number", abi.ParamFloat: "number", abi.ParamString: "text", abi.ParamDuration: "duration",
	}
	paramHints = map[string]string{
		abi.ParamBool: "write true or false", abi.ParamInt: "write a whole number", abi.ParamFloat: "write a number", abi.ParamString: "write a text",
		abi.ParamDuration: "write a duration in whole milliseconds: 500ms, 30s, 24h",
	}
)

func shownParam(v any) string {
	switch v := v.(type) {
	case string:
		return fmt.Sprintf("%.60q", v)
	case map[string]any:
		return "a mapping"
	case []any:
		return "a list"
	}
	return fmt.Sprint(v)
}

// convertParam turns a value as YAML has it into what the guest is given as JSON.
func convertParam(kind string, v any) (any, bool) {
	switch kind {
	case abi.ParamBool:
		b, ok := v.(bool)
		return b, ok
	case abi.ParamInt:
		i, ok := v.(int64)
		return i, ok
	case abi.ParamFloat:
		switch v := v.(type) {
		case float64:
			return v, !math.IsNaN(v) && !math.IsInf(v, 0)
		case int64:
			return float64(v), true
		}
	case abi.ParamString:
		switch v := v.(type) {
		case string:
			return v, true
		case bool, int64, float64:
			return fmt.Sprint(v), true
		}
	case abi.ParamDuration:
		switch v := v.(type) {
		case int64: // of what unit?
			return v, v == 0
		case string:
			d, err := time.ParseDuration(v)
			return d.Milliseconds(), err == nil && d >= 0 && d%time.Millisecond == 0
		}
	}
	return nil, false
}

// bindPorts returns the streams of each input port.
func bindPorts(entry *abi.Entry, o *job.Operator, streams []*stream) ([][]*stream, error) {
	names := make([]string, len(entry.Inputs))
	for i, in := range entry.Inputs {
		names[i] = in.Name
	}
	ports := make([][]*stream, len(names))
	for _, s := range streams {
		i := indexOf(names, s.input.To)
		switch {
		case s.input.To == "" && len(names) == 1:
			i = 0
		case s.input.To == "":
			return nil, errPort.Errorf("operator %s has the input ports %s, and this input names none", o.Name, listed(names)).
				At("%s", s.input.Place).Do("write input: {%s: ...}", names[0])
		case i < 0:
			return nil, errPort.Errorf("operator %s has no input port %q%s", o.Name, s.input.To, spec.Nearest(s.input.To, names)).
				At("%s", s.input.Place).Do("its input ports are %s", listed(names))
		}
		ports[i] = append(ports[i], s)
	}
	for i := range ports {
		if len(ports[i]) == 0 {
			return nil, errPort.Errorf("input port %q of operator %s is left without input", names[i], o.Name).At("%s", o.Place).
				Do("write input: {%s: source}", names[i])
		}
	}
	return ports, nil
}

// bindKeys resolves the inputs of all ports with their key columns, and the key that they agree on.
func bindKeys(entry *abi.Entry, o *job.Operator, ports [][]*stream) ([]operator.Input, []record.Field, error) {
	inputs := make([]operator.Input, len(ports))
	var key []record.Field
	keyedBy := ""
	for i := range ports {
		port := &entry.Inputs[i]
		schema, err := union(ports[i])
		if err != nil {
			return nil, nil, err
		}
		in := operator.Input{Port: port.Name, Schema: schema, EventTime: ports[i][0].eventTimeColumn()}
		for _, s := range ports[i][1:] {
			if s.eventTimeColumn() != in.EventTime {
				in.EventTime = ""
			}
		}
		columns := keyOf(o.Keys, port.Name)
		switch {
		case port.Keyed && columns == nil:
			return nil, nil, errKey.Errorf("input port %q of operator %s has a key, and key_by names none", port.Name, o.Name).
				At("%s", o.Place).Do("write key_by: [column, ...]")
		case !port.Keyed && columns != nil && columns.Port != "":
			return nil, nil, errKey.Errorf("input port %q of operator %s has no key", port.Name, o.Name).At("%s", columns.Place).
				Do("remove it from key_by")
		}
		if port.Keyed {
			fields := []record.Field{}
			for _, c := range columns.Columns {
				k := schema.Index(c.Text)
				if k < 0 {
					return nil, nil, unknownColumn(schema, c, fmt.Sprintf("for the key of %s", o.Name))
				}
				if schema.Fields[k].Type.Kind() == record.List {
					return nil, nil, errKey.Errorf("column %s is %v, and a list cannot be part of a key", c.Text, schema.Fields[k].Type).
						At("%s", c.Place).Do("key by another column")
				}
				in.Keys = append(in.Keys, k)
				fields = append(fields, schema.Fields[k])
			}
			if key, err = agree(key, fields, keyedBy, port.Name, columns); err != nil {
				return nil, nil, err
			}
			keyedBy = port.Name
		}
		inputs[i] = in
	}
	return inputs, key, checkKeyUse(entry, o, keyedBy)
}

// checkKeyUse refuses a key_by that no port takes.
func checkKeyUse(entry *abi.Entry, o *job.Operator, keyedBy string) error {
	for _, k := range o.Keys {
		if k.Port == "" && keyedBy == "" {
			return errKey.Errorf("operator %s has no input port with a key", o.Name).At("%s", k.Place).Do("remove key_by")
		}
		known := k.Port == ""
		var names []string
		for _, in := range entry.Inputs {
			known = known || in.Name == k.Port
			names = append(names, in.Name)
		}
		if !known {
			return errPort.Errorf("operator %s has no input port %q%s", o.Name, k.Port, spec.Nearest(k.Port, names)).At("%s", k.Place).
				Do("its input ports are %s", listed(names))
		}
	}
	return nil
}

func keyOf(keys []job.Key, port string) *job.Key {
	for i := range keys {
		if keys[i].Port == "" || keys[i].Port == port {
			return &keys[i]
		}
	}
	return nil
}

// agree merges the key of one more port: names come from the first port, types must encode alike. Whole numbers of all widths
// meet in the widest of them, as f32 and f64 do.
func agree(key, more []record.Field, first, port string, by *job.Key) ([]record.Field, error) {
	if key == nil {
		return append([]record.Field{}, more...), nil
	}
	if len(key) != len(more) {
		return nil, errKey.Errorf("the key of port %q has %d columns and that of port %q has %d", first, len(key), port, len(more)).
			At("%s", by.Place).Do("all keyed ports of an operator have keys of the same types")
	}
	for i := range key {
		t, ok := meet(key[i].Type, more[i].Type)
		if !ok {
			return nil, errKey.Errorf("key column %q of port %q is %v, and %q of port %q is %v", key[i].Name, first, key[i].Type,
				more[i].Name, port, more[i].Type).At("%s", by.Columns[i].Place).
				Do("all keyed ports of an operator have keys of the same types; whole numbers may differ in width")
		}
		key[i].Type = t
		key[i].Nullable = key[i].Nullable || more[i].Nullable
	}
	return key, nil
}

func meet(a, b record.Type) (record.Type, bool) {
	whole := func(t record.Type) bool { return t >= record.I8 && t <= record.I64 }
	float := func(t record.Type) bool { return t == record.F32 || t == record.F64 }
	if a == b || whole(a) && whole(b) || float(a) && float(b) {
		return max(a, b), true
	}
	return 0, false
}

// open opens the operator on a throw-away instance and takes its descriptor.
func (m *maker) open(n *Node, o *job.Operator) error {
	request := sandbox.Request(n.Operator.Module.Entry, m.job.Name, n.Name, 0, n.Parallelism, n.Inputs, n.Operator.Key, n.Operator.Params)
	inspected, err := m.modules.Inspect(n.Operator.Module, n.Operator.Limits, request)
	if err != nil {
		return openPlaced(err, o)
	}
	n.Operator.Params, n.Operator.Descriptor, n.Operator.Binding = inspected.Params, inspected.Descriptor, inspected.Binding
	for _, out := range inspected.Descriptor.Outputs {
		schema, err := schemaOf(out.Schema)
		if err != nil {
			return errModule.Errorf("output port %q of operator %s", out.Name, o.Name).At("%s", o.Module.Place).Because(err)
		}
		n.Outputs = append(n.Outputs, operator.Output{Port: out.Name, Schema: schema})
	}
	return nil
}

// checkEventTime refuses an operator that reads the event time of an input whose records have none: it would read the least number
// there is. It also notes whether the operator's own records have one: a column of theirs, or that of the record they come from.
func (m *maker) checkEventTime(n *Node, o *job.Operator, ports [][]*stream) error {
	for i := range ports {
		for _, s := range ports[i] {
			switch {
			case m.timed[s.node]:
				m.timed[n] = true
			case i < len(n.Operator.Descriptor.Inputs) && n.Operator.Descriptor.Inputs[i].EventTime:
				return errEventTime.Errorf("operator %s reads the event time of port %q, and the records of %s have none", o.Name, n.Inputs[i].Port, s.node.Name).
					At("%s", s.input.Place).Do("add event_time: {column: ...} to the source")
			}
		}
	}
	for _, out := range n.Operator.Descriptor.Outputs {
		m.timed[n] = m.timed[n] || out.EventTime != ""
	}
	return nil
}

// openPlaced gives an error of an operator that does not open its place in the job: a parameter's, where it is one's fault.
func openPlaced(err error, o *job.Operator) error {
	place := o.Place
	if e := errcode.Of(err); e != nil {
		if param, ok := strings.CutPrefix(e.Place, "params."); ok && o.ParamPlaces[param] != "" {
			place = o.ParamPlaces[param]
		}
	}
	return within(err, "operator "+o.Name, place)
}

func schemaOf(fields []abi.Field) (*record.Schema, error) {
	list := make([]record.Field, len(fields))
	for i, f := range fields {
		t, ok := record.ParseType(f.Type)
		if !ok {
			return nil, fmt.Errorf("column %q has the unknown type %q", f.Name, f.Type)
		}
		list[i] = record.Field{Name: f.Name, Type: t, Nullable: f.Nullable}
	}
	return record.NewSchema(list)
}

func fieldsOf(fields []record.Field) []abi.Field {
	var list []abi.Field
	for _, f := range fields {
		list = append(list, abi.Field{Name: f.Name, Type: f.Type.String(), Nullable: f.Nullable})
	}
	return list
}
