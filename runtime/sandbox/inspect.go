package sandbox

import (
	"bytes"
	"cmp"
	"errors"
	"log/slog"
	"sort"
	"strings"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/connectors/spec"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/sandbox/guestlog"
	"github.com/tidemill/tidemill/runtime/sandbox/script"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
)

// Inspection is what a module says of one of its operators for given inputs and parameters.
type Inspection struct {
	Entry      *abi.Entry
	Descriptor *abi.Descriptor
	Binding    *abi.Binding
	Params     map[string]any // those given, checked, with defaults for the rest
}

// Describe asks a throw-away instance what the module holds. The description is shared and must not be changed.
func Describe(m Module, limits Limits) (*abi.Description, error) {
	if d := m.known(); d != nil {
		return d, nil
	}
	limits = m.Limits(limits)
	g, err := throwAway(&m, &limits)
	if err != nil {
		return nil, m.planError(ErrDescribe, "starting", err)
	}
	defer g.close()
	return m.ask(g)
}

// DescribeBytes is the JSON of what the module's code says that it holds, whatever else the module says of itself.
func DescribeBytes(m Module, limits Limits) ([]byte, error) {
	limits = m.Limits(limits)
	g, err := throwAway(&m, &limits)
	if err != nil {
		return nil, m.planError(ErrDescribe, "starting", err)
	}
	defer g.close()
	said, err := m.say(g)
	if err != nil {
		return nil, err
	}
	if _, err := abi.ParseDescription(said); err != nil {
		return nil, m.planError(ErrDescribe, "describing", err)
	}
	return said, nil
}

func (m *Module) say(g *guest) ([]byte, error) {
	said, err := g.answer(vm.Describe, abi.ExportDescribe, 0, 0)
	if err != nil {
		return nil, m.planError(ErrDescribe, "describing", err)
	}
	return said, nil
}

// known is what the module has said before: a description depends on nothing but the module.
func (m *Module) known() *abi.Description {
	if m.description == nil {
		return nil
	}
	return m.description.Load()
}

// ask asks an instance what the module holds, once. What a module says of itself without being asked must be the same.
func (m *Module) ask(g *guest) (*abi.Description, error) {
	if d := m.known(); d != nil {
		return d, nil
	}
	said, err := m.say(g)
	if err != nil {
		return nil, err
	}
	if m.Described != nil && !bytes.Equal(said, m.Described) {
		return nil, ErrDescribe.Errorf("module %s describes itself otherwise than its code does", m.short()).
			At("section %s", script.DescribeSection).Do("build the module again with `tidemill build`")
	}
	d, err := abi.ParseDescription(said)
	if err != nil {
		return nil, m.planError(ErrDescribe, "describing", err)
	}
	if m.description != nil {
		m.description.Store(d)
	}
	return d, nil
}

// Inspect describes a module and opens one of its operators on a throw-away instance, as plan does before anything runs: no data
// flows. The request's Entry, Inputs, Key and Params count; limits are filled in, and parameters are checked against the
// description. Every error is coded and names the parameter or column at fault where there is one.
func Inspect(m Module, limits Limits, request abi.OpenRequest) (*Inspection, error) {
	limits = m.Limits(limits)
	g, err := throwAway(&m, &limits)
	if err != nil {
		return nil, m.planError(ErrDescribe, "starting", err)
	}
	defer g.close()
	description, err := m.ask(g)
	if err != nil {
		return nil, err
	}
	entry := description.Entry(request.Entry)
	if entry == nil {
		return nil, m.noEntry(description, request.Entry)
	}
	if request.Params, err = resolveParams(entry, request.Params); err != nil {
		return nil, err
	}
	if err := checkPorts(entry, &request); err != nil {
		return nil, err
	}
	request.Limits = limits.open()
	descriptor, binding, err := g.open(&request)
	if err != nil {
		return nil, m.openError(entry.Name, err)
	}
	return &Inspection{Entry: entry, Descriptor: descriptor, Binding: binding, Params: request.Params}, nil
}

// throwAway makes an instance that sees no data: its clock stands at 0 and its log goes nowhere.
func throwAway(m *Module, limits *Limits) (*guest, error) {
	quiet := guestlog.New(slog.New(slog.DiscardHandler), &operator.Meter{}, func() int64 { return 0 }, limits.LogLinesPerSec)
	return newGuest(m, limits, &host{log: quiet})
}

// Request builds what tidemill_open is asked from what plan resolved.
func Request(entry, job, name string, subtask, parallelism int, inputs []operator.Input, key []record.Field,
	params map[string]any) abi.OpenRequest {
	r := abi.OpenRequest{
		Entry: entry, Job: job, Operator: name, Subtask: subtask, Parallelism: parallelism, Params: params, Key: jsonFields(key),
	}
	for i := range inputs {
		r.Inputs = append(r.Inputs, abi.OpenInput{
			Port: inputs[i].Port, Schema: jsonFields(inputs[i].Schema.Fields), EventTime: inputs[i].EventTime, Keyed: len(inputs[i].Keys) > 0,
		})
	}
	return r
}

func jsonFields(fields []record.Field) []abi.Field {
	out := make([]abi.Field, len(fields))
	for i, f := range fields {
		out[i] = abi.Field{Name: f.Name, Type: f.Type.String(), Nullable: f.Nullable}
	}
	return out
}

func (m *Module) noEntry(d *abi.Description, want string) error {
	var names []string
	for i := range d.Entries {
		names = append(names, d.Entries[i].Name)
	}
	sort.Strings(names)
	return ErrEntry.Errorf("module %s has no operator %q%s", m.short(), want, spec.Nearest(want, names)).Do("it has %s", strings.Join(names, ", "))
}

// resolveParams checks parameters against their declarations and adds defaults.
func resolveParams(entry *abi.Entry, given map[string]any) (map[string]any, error) {
	out := make(map[string]any, len(entry.Params))
	names := make([]string, 0, len(entry.Params))
	for i := range entry.Params {
		p := &entry.Params[i]
		names = append(names, p.Name)
		v, ok := given[p.Name]
		if !ok {
			v = p.Default
		}
		if v == nil {
			if p.Required {
				return nil, ErrParam.Errorf("parameter %q of operator %q is missing", p.Name, entry.Name).Do("give it under params: (%s)", p.Type)
			}
			continue
		}
		converted, err := p.Convert(v)
		if err != nil {
			return nil, ErrParam.Errorf("parameter %q of operator %q: %v", p.Name, entry.Name, err)
		}
		out[p.Name] = converted
	}
	for _, name := range sortedKeys(given) {
		if !contains(names, name) {
			e := ErrParam.Errorf("operator %q has no parameter %q%s", entry.Name, name, spec.Nearest(name, names))
			if len(names) == 0 {
				return nil, e.Do("it takes no parameters")
			}
			return nil, e.Do("it has %s", strings.Join(names, ", "))
		}
	}
	return out, nil
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

// checkPorts compares the inputs of a request with what the entry says that it cannot do without.
func checkPorts(entry *abi.Entry, request *abi.OpenRequest) error {
	if len(request.Inputs) != len(entry.Inputs) {
		return ErrPorts.Errorf("it has %d input ports, the job gives it %d", len(entry.Inputs), len(request.Inputs))
	}
	for i := range entry.Inputs {
		port, input := &entry.Inputs[i], &request.Inputs[i]
		if port.Name != input.Port {
			return ErrPorts.Errorf("input %d is port %s, the job gives %s", i, port.Name, input.Port)
		}
		if port.Keyed && !input.Keyed {
			return ErrPorts.Errorf("port %q of operator %q needs a key", port.Name, entry.Name).Do("give the operator key_by")
		}
		for _, want := range port.Columns {
			if err := checkColumn(port, &want, input.Schema); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkColumn looks for a column that the port's row type asks for. Types are compared by open, which knows what it can widen.
func checkColumn(port *abi.InputPort, want *abi.Field, schema []abi.Field) error {
	names := make([]string, 0, len(schema))
	for i := range schema {
		if schema[i].Name == want.Name {
			return nil
		}
		names = append(names, schema[i].Name)
	}
	return ErrPorts.Errorf("port %q reads column %q (%s), which its input does not have%s", port.Name, want.Name, want.Type,
		spec.Nearest(want.Name, names)).Do("the input has %s", strings.Join(names, ", "))
}

// planError codes a failure of a throw-away instance. Code that cannot be loaded says all that there is to say.
func (m *Module) planError(code *errcode.Code, doing string, err error) error {
	if e := errcode.Of(err); e != nil && e.Code == script.ErrLoad {
		return e
	}
	if f := asFault(err); f != nil {
		return code.Errorf("%s module %s ended in %s", doing, m.short(), faultText(f)).Because(faultCode(f.Kind).Errorf("%s", cmp.Or(f.Detail, f.Kind.String()))).
			Do("%s", cmp.Or(faultHint(f.Kind), "mend the module: it may not end while it says what it is and needs"))
	}
	const mend = "build the module again with an SDK of this version"
	if v := asViolation(err); v != nil && v.Reserved != "" {
		return ErrReserved.Errorf("module %s: %v", m.short(), v).Because(v).Do(mend)
	}
	return code.Errorf("%s module %s", doing, m.short()).Because(err).Do(mend)
}

// openError codes a failure of open.
func (m *Module) openError(entry string, err error) error {
	var r *refusal
	if !errors.As(err, &r) {
		return m.planError(ErrDescriptor, "opening operator "+entry+" of", err)
	}
	switch port, column, _ := strings.Cut(r.Column, "."); {
	case r.Param != "":
		return ErrOpen.Errorf("parameter %s: %s", r.Param, r.Message).At("params.%s", r.Param)
	case r.Column != "":
		return ErrOpen.Errorf("column %s of port %s: %s", column, port, r.Message).At("column %s", r.Column).
			Do("change the column in the schema of its source, or the field in the operator")
	}
	return ErrOpen.Errorf("%s", abi.CleanText([]byte(r.Message))).Do("the operator itself says so: see its documentation, or its parameters with `tidemill inspect`")
}

func faultCode(k vm.Kind) *errcode.Code {
	switch k {
	case vm.Fuel:
		return ErrFuel
	case vm.Stack:
		return ErrStack
	case vm.Memory:
		return ErrMemory
	case vm.Exit:
		return ErrExit
	case vm.HostCall:
		return ErrHostCall
	}
	return ErrTrap
}
