package sandbox

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
)

// inspected is a program with parameters, and the request that it is inspected with.
func inspected(t *testing.T) (*program, abi.OpenRequest) {
	p := samples(nil)
	p.entry.Inputs[0].Columns = []abi.Field{{Name: "n", Type: "i64"}}
	p.entry.Params = []abi.Param{
		{Name: "minutes", Type: abi.ParamInt, Default: 30}, {Name: "name", Type: abi.ParamString, Required: true},
		{Name: "wait", Type: abi.ParamDuration}, {Name: "ratio", Type: abi.ParamFloat, Default: 0.5},
	}
	inputs := sampleInputs(t)
	request := Request("op", "job", "late", 0, 4, inputs, []record.Field{inputs[0].Schema.Fields[1]}, map[string]any{"name": "x", "ratio": uint64(2)})
	return p, request
}

func TestInspect(t *testing.T) {
	p, request := inspected(t)
	got, err := Inspect(p.module(), Limits{MemoryBytesMax: 8 << 20}, request)
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]any{"minutes": int64(30), "name": "x", "ratio": 2.0}; !reflect.DeepEqual(got.Params, want) {
		t.Errorf("parameters %v, want %v", got.Params, want)
	}
	if got.Entry.Name != "op" || len(got.Binding.States) != 4 || got.Descriptor.FaultCell != faultCellAt {
		t.Errorf("got %+v", got)
	}
	sent := p.request
	if want := (abi.OpenLimits{FrameBytes: 2 << 20, Rows: 4096, CellBytes: 1 << 20, KeyBytes: 64 << 10}); sent.Limits != want {
		t.Errorf("limits %+v, want %+v", sent.Limits, want)
	}
	if sent.Job != "job" || sent.Operator != "late" || sent.Parallelism != 4 || !sent.Inputs[0].Keyed || sent.Key[0].Name != "k" ||
		sent.Inputs[0].Schema[0] != (abi.Field{Name: "n", Type: "i64", Nullable: true}) || sent.Params["minutes"] != 30.0 {
		t.Errorf("the guest was asked %+v", sent)
	}
	if len(p.spare) != 1 {
		t.Error("the throw-away instance was not closed")
	}
}

// TestInspectRefuses has one case for each way in which a module or a request can be wrong: a code, and words.
func TestInspectRefuses(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(p *program, r *abi.OpenRequest)
		code   *errcode.Code
		want   string
	}{
		{"does not start", func(p *program, _ *abi.OpenRequest) {
			p.startErr = &vm.Fault{Kind: vm.Fuel, Frames: []string{"_initialize"}}
		},
			ErrDescribe, "fuel exhausted in _initialize"},
		{"not JSON", func(p *program, _ *abi.OpenRequest) { p.describe = []byte("no") }, ErrDescribe, "not the JSON"},
		{"a function", func(p *program, _ *abi.OpenRequest) { p.entry.Kind = abi.EntryScalar }, ErrReserved, "a function entry (scalar)"},
		{"unknown operator", func(_ *program, r *abi.OpenRequest) { r.Entry = "nope" }, ErrEntry, `no operator "nope"; it has op`},
		{"unknown parameter", func(_ *program, r *abi.OpenRequest) { r.Params["minute"] = 1 }, ErrParam, `no parameter "minute"; did you mean "minutes"?; it has minutes, name`},
		{"missing parameter", func(_ *program, r *abi.OpenRequest) { delete(r.Params, "name") }, ErrParam, `parameter "name" of operator "op" is missing`},
		{"wrong parameter", func(_ *program, r *abi.OpenRequest) { r.Params["minutes"] = "5" }, ErrParam, `"minutes" of operator "op": 5 is not of type int`},
		{"ports", func(_ *program, r *abi.OpenRequest) { r.Inputs = append(r.Inputs, r.Inputs[0]) }, ErrPorts, "it has 1 input ports, the job gives it 2"},
		{"port name", func(_ *program, r *abi.OpenRequest) { r.Inputs[0].Port = "left" }, ErrPorts, "input 0 is port in, the job gives left"},
		{"key", func(p *program, r *abi.OpenRequest) { p.entry.Inputs[0].Keyed, r.Inputs[0].Keyed = true, false }, ErrPorts, "needs a key"},
		{"column", func(_ *program, r *abi.OpenRequest) { r.Inputs[0].Schema[0].Name = "nn" }, ErrPorts,
			`port "in" reads column "n" (i64), which its input does not have; did you mean "nn"?; the input has nn, k`},
		{"refused parameter", func(p *program, _ *abi.OpenRequest) {
			p.open = []byte(`{"error":{"message":"must be positive","param":"minutes"}}`)
		}, ErrOpen, `: parameter minutes: must be positive (at params.minutes)`},
		{"refused column", func(p *program, _ *abi.OpenRequest) {
			p.open = []byte(`{"error":{"message":"must be i64","column":"in.n"}}`)
		}, ErrOpen, `: column n of port in: must be i64 (at column in.n); change the column`},
		{"trap in open", func(p *program, _ *abi.OpenRequest) { p.openErr = &vm.Fault{Kind: vm.Trap, Detail: "unreachable"} }, ErrDescriptor, "trap: unreachable"},
		{"state without key", func(_ *program, r *abi.OpenRequest) { r.Inputs[0].Keyed = false }, ErrDescriptor, `state "value" needs a keyed input`},
		{"TTL", func(p *program, _ *abi.OpenRequest) { p.descriptor.States[0].TTLms = -5 }, ErrDescriptor, "states[0]: ttl_ms is -5, 1 to"},
		{"retract", func(p *program, _ *abi.OpenRequest) { p.descriptor.Outputs[0].Kind = abi.PortRetract }, ErrReserved, "a retract port is specified"},
		{"slot", func(_ *program, r *abi.OpenRequest) { r.Slot = 1 }, ErrReserved, "a slot above 0 is specified"},
		{"fault cell", func(p *program, _ *abi.OpenRequest) {
			p.open = []byte(`{"descriptor":{"fault_cell":4294967290,"inputs":[{"columns":["n"]}],"outputs":[]}}`)
		}, ErrDescriptor, "fault_cell"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, request := inspected(t)
			c.change(p, &request)
			_, err := Inspect(p.module(), Limits{}, request)
			e := errcode.Of(err)
			if e == nil || e.Code != c.code || e.Code.Class != errcode.Invalid {
				t.Fatalf("got %v, want %s", err, c.code.ID)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %q, want %q in it", err, c.want)
			}
		})
	}
}

// TestOpenFails: a job does not start where its first instance does not.
func TestOpenFails(t *testing.T) {
	p, request := inspected(t)
	found, err := Inspect(p.module(), Limits{}, request)
	if err != nil {
		t.Fatal(err)
	}
	p.startErr = errors.New("no memory for an instance")
	r := newRigContext(t, p, sampleInputs(t))
	if err := New(Config{Module: p.module(), Entry: "op", Binding: found.Binding}).Open(r.ctx); !errors.Is(err, p.startErr) {
		t.Errorf("got %v", err)
	}
}
