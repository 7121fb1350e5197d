package plan

import (
	"reflect"
	"testing"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/runtime/job"
)

func TestConvertParam(t *testing.T) {
	for _, c := range []struct {
		kind string
		in   any
		want any // nil: refused
	}{
		{abi.ParamBool, true, true}, {abi.ParamBool, "true", nil}, {abi.ParamBool, int64(1), nil},
		{abi.ParamInt, int64(-5), int64(-5)}, {abi.ParamInt, 1.0, nil}, {abi.ParamInt, "5", nil},
		{abi.ParamFloat, 1.5, 1.5}, {abi.ParamFloat, int64(2), 2.0}, {abi.ParamFloat, "2", nil},
		{abi.ParamString, "a", "a"}, {abi.ParamString, int64(5), "5"}, {abi.ParamString, true, "true"}, {abi.ParamString, []any{"a"}, nil},
		{abi.ParamDuration, int64(1500), nil}, {abi.ParamDuration, int64(0), int64(0)}, {abi.ParamDuration, "1.5s", int64(1500)}, {abi.ParamDuration, "1m30s", int64(90_000)},
		{abi.ParamDuration, "1us", nil}, {abi.ParamDuration, "-1s", nil}, {abi.ParamDuration, int64(-1), nil}, {abi.ParamDuration, "soon", nil},
		{"unheard of", "a", nil},
	} {
		got, ok := convertParam(c.kind, c.in)
		if ok != (c.want != nil) || ok && !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s %#v: %#v, %t; want %#v", c.kind, c.in, got, ok, c.want)
		}
	}
}

// TestNullParam: `name: ~` and `name:` leave a parameter out.
func TestNullParam(t *testing.T) {
	entry := &abi.Entry{Params: []abi.Param{{Name: "n", Type: abi.ParamInt, Default: int64(7)}, {Name: "m", Type: abi.ParamInt, Required: true}}}
	params, errs := bindParams(entry, &job.Operator{Name: "o", Params: map[string]any{"n": nil, "m": int64(1)}})
	if len(errs) != 0 || params["n"] != int64(7) {
		t.Errorf("%v, %v", params, errs)
	}
	if _, errs := bindParams(entry, &job.Operator{Name: "o", Params: map[string]any{"m": nil}}); len(errs) != 1 {
		t.Errorf("a required parameter that is null: %v", errs)
	}
}
