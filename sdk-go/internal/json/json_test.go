package json

import (
	stdjson "encoding/json"
	"math"
	"reflect"
	"testing"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
)

// The reference is encoding/json on the same structs.

func TestAppendEqualsTheStandardLibrary(t *testing.T) {
	for _, v := range []any{
		abi.Description{ABI: 1, SDK: abi.SDK{Name: "go", Version: "1"}, Entries: []abi.Entry{{
			Name: "a \"quoted\"\n\tname \x01 ü €", Kind: "operator", Inputs: []abi.InputPort{{Name: "in", Keyed: true}},
			Params: []abi.Param{{Name: "p", Type: "int", Default: int64(math.MinInt64)}, {Name: "q", Default: 2.5}, {Name: "r", Default: true}},
		}}},
		abi.OpenAnswer{Descriptor: &abi.Descriptor{FaultCell: math.MaxUint32, Inputs: []abi.BindInput{{Columns: []string{"*"}}},
			Outputs: []abi.BindOutput{}, States: []abi.BindState{{Name: "s", Value: []abi.Field{{Name: "v", Type: "i64", Nullable: true}}}}}},
		abi.OpenAnswer{Error: &abi.OpenError{Message: "no", Param: "p"}},
		map[string]any{"z": nil, "a": "x", "m": 1.5},
	} {
		got := Append(nil, v)
		want, err := stdjson.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var a, b any
		if err := stdjson.Unmarshal(got, &a); err != nil {
			t.Fatalf("%s: %v", got, err)
		}
		if err := stdjson.Unmarshal(want, &b); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(a, b) {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestDecodeEqualsTheStandardLibrary(t *testing.T) {
	req := abi.OpenRequest{Slot: 3, Entry: "delays", Job: "j\u00fc\u2028\U0001f600\\/\"", Subtask: 1, Parallelism: 2,
		Params: map[string]any{"s": "x", "f": 1.5, "b": true, "list": []any{"a", nil}, "o": map[string]any{}},
		Inputs: []abi.OpenInput{{Port: "in", Schema: []abi.Field{{Name: "a", Type: "utf8"}, {Name: "b", Type: "i64", Nullable: true}}, Keyed: true}},
		Limits: abi.OpenLimits{FrameBytes: 1 << 24, Rows: 4096},
	}
	for _, indent := range []string{"", "\t"} {
		data, err := stdjson.MarshalIndent(req, "", indent)
		if err != nil {
			t.Fatal(err)
		}
		var got abi.OpenRequest
		if err := Decode(data, &got); err != nil {
			t.Fatalf("%s: %v", data, err)
		}
		if !reflect.DeepEqual(got, req) {
			t.Errorf("got %+v\nwant %+v", got, req)
		}
	}
	var got abi.OpenRequest
	if err := Decode([]byte(`{"slot": 1, "later": {"x": [1, -2e3, "\ud83d\ude00\u00e9\n"]}, "job": "\ud83d\ude00\u00e9", "params": {"n": 7}}`), &got); err != nil {
		t.Fatal(err)
	}
	if got.Slot != 1 || got.Job != "😀é" || got.Params["n"] != int64(7) {
		t.Errorf("got %+v", got)
	}
}

func TestDecodeRefusesBrokenText(t *testing.T) {
	for _, text := range []string{
		``, `{`, `{"slot"`, `{"slot":`, `{"slot":}`, `{"slot":1`, `{"slot":1,}`, `{"slot":"x"}`, `{"slot":1.5}`, `{"slot":tru}`,
		`{"job":"x`, `{"job":"\`, `{"job":"\q"}`, `{"job":"\u12"}`, `{"job":"\u12zz"}`, `{"inputs":[{]}`, `{"inputs":[`, `[]`, `{} {}`,
		`{"slot":99999999999999999999}`, `{"slot":--1}`, `{"params":3}`,
	} {
		var req abi.OpenRequest
		if err := Decode([]byte(text), &req); err == nil {
			t.Errorf("%s is accepted as %+v", text, req)
		}
	}
}
