package abi

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// request is what the descriptors of these tests are bound for: two ports, the first keyed by k.
func request() *OpenRequest {
	return &OpenRequest{
		Entry: "op", Job: "job", Operator: "op", Parallelism: 1,
		Inputs: []OpenInput{
			{Port: "in", Keyed: true, Schema: []Field{{Name: "k", Type: "utf8"}, {Name: "n", Type: "i64"}, {Name: "x y", Type: "f64", Nullable: true}}},
			{Port: "side", Schema: []Field{{Name: "n", Type: "i32"}}},
		},
		Key: []Field{{Name: "k", Type: "utf8"}},
	}
}

func descriptor() *Descriptor {
	return &Descriptor{
		FaultCell: 64,
		Inputs: []BindInput{
			{Columns: []string{"x y", "n"}, EventTime: true, NeedsKey: true, Prefetch: []string{"seen", "count"}}, {Columns: []string{"*"}},
		},
		Outputs: []BindOutput{
			{Name: "out", Schema: []Field{{Name: "t", Type: "timestamp"}, {Name: "v", Type: "f64", Nullable: true}}, Kind: PortAppend, EventTime: "t"},
			{Name: "late-2", Schema: []Field{{Name: "b", Type: "bool"}}},
		},
		States: []BindState{
			{Name: "count", Kind: "value", Value: []Field{{Name: "v", Type: "i64"}}},
			{Name: "list", Kind: "list", Scope: ScopeKey, Value: []Field{{Name: "v", Type: "binary"}}, TTLms: 1},
			{Name: "seen", Kind: "map", Key: []Field{{Name: "d", Type: "date32"}}, Value: []Field{{Name: "v", Type: "f32"}, {Name: "w", Type: "i8"}}, TTLms: 1 << 53},
		},
		Timers:    []BindTimer{{Name: "day", Mode: TimerReplace, Prefetch: []string{"count"}}, {Name: "each", Mode: TimerMany, Past: PastDrop}},
		Metrics:   []BindMetric{{Name: "rows", Kind: MetricCounter, Doc: "rows"}, {Name: "size", Kind: MetricGauge}},
		Callbacks: []string{CallbackEnd, CallbackWatermark},
	}
}

func TestBind(t *testing.T) {
	got, err := Bind(request(), descriptor())
	if err != nil {
		t.Fatal(err)
	}
	want := &Binding{
		FaultCell: 64,
		Key:       []FieldType{{"k", UTF8, false}},
		Inputs: []BoundInput{
			{Columns: []int{2, 1}, EventTime: true, Keyed: true, NeedsKey: true, Prefetch: []int{0, 2}}, {Columns: []int{0}},
		},
		Outputs: []BoundOutput{
			{Name: "out", Fields: []FieldType{{"t", Timestamp, false}, {"v", F64, true}}, EventTime: 0},
			{Name: "late-2", Fields: []FieldType{{"b", Bool, false}}, EventTime: -1},
		},
		States: []BoundState{
			{Name: "count", Kind: StateValue, Fields: []FieldType{{"v", I64, false}}},
			{Name: "list", Kind: StateList, Fields: []FieldType{{"v", Binary, false}}, TTL: 1},
			{Name: "seen", Kind: StateMap, Keys: 1, Fields: []FieldType{{"d", Date32, false}, {"v", F32, false}, {"w", I8, false}}, TTL: 1 << 53},
		},
		Timers:      []BoundTimer{{Name: "day", Prefetch: []int{0}}, {Name: "each", Many: true, DropPast: true}},
		Metrics:     []BindMetric{{"rows", MetricCounter, "rows"}, {"size", MetricGauge, ""}},
		OnWatermark: true, OnEnd: true,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func check(t *testing.T, err error, want string) {
	t.Helper()
	var v *Violation
	if !errors.As(err, &v) {
		t.Fatalf("got %v, want a violation with %q", err, want)
	}
	if !strings.Contains(v.Error(), want) {
		t.Errorf("got %q, want %q in it", v, want)
	}
}

// TestReserved has one case for each feature that is specified and refused: always by its name.
// MIGRATE and AGGREGATE frames are in package frame, host-side schema evolution is in package state.
func TestReserved(t *testing.T) {
	for feature, change := range map[string]func(*OpenRequest, *Descriptor){
		FeatureSlots:      func(r *OpenRequest, _ *Descriptor) { r.Slot = 1 },
		FeatureRetract:    func(_ *OpenRequest, d *Descriptor) { d.Outputs[0].Kind = PortRetract },
		FeatureUpsert:     func(_ *OpenRequest, d *Descriptor) { d.Outputs[0].Kind = PortUpsert },
		FeatureRowKinds:   func(_ *OpenRequest, d *Descriptor) { d.Inputs[0].RowKinds = true },
		FeatureBroadcast:  func(_ *OpenRequest, d *Descriptor) { d.States[0].Scope = ScopeOperator },
		FeatureWatermarks: func(_ *OpenRequest, d *Descriptor) { d.Watermark = true },
		"time64":          func(_ *OpenRequest, d *Descriptor) { d.States[0].Value[0].Type = "time64" },
		FeatureNested:     func(_ *OpenRequest, d *Descriptor) { d.States[2].Key[0].Type = "list<list<i8>>" },
		"struct":          func(_ *OpenRequest, d *Descriptor) { d.Outputs[1].Schema[0].Type = "struct" },
		"map":             func(_ *OpenRequest, d *Descriptor) { d.Outputs[1].Schema[0].Type = "map" },
		"fixed_binary":    func(_ *OpenRequest, d *Descriptor) { d.Outputs[1].Schema[0].Type = "fixed_binary" },
		"dictionary":      func(_ *OpenRequest, d *Descriptor) { d.Outputs[1].Schema[0].Type = "dictionary" },
	} {
		t.Run(feature, func(t *testing.T) {
			r, d := request(), descriptor()
			change(r, d)
			_, err := Bind(r, d)
			check(t, err, feature)
			check(t, err, "specified but not supported")
		})
	}
	for _, kind := range []string{EntryScalar, EntryTable, EntryAggregate} {
		t.Run(kind, func(t *testing.T) {
			_, err := ParseDescription([]byte(fmt.Sprintf(`{"abi":1,"entries":[{"name":"f","kind":%q,"inputs":[{"name":"in"}]}]}`, kind)))
			check(t, err, FeatureFunctions+" ("+kind+") is specified but not supported")
		})
	}
}

func TestParseType(t *testing.T) {
	for name, want := range map[string]Type{
		"i64": I64, "decimal128(1,0)": DecimalOf(1, 0), "decimal128(38,38)": DecimalOf(38, 38), "list<utf8>": ListOf(UTF8),
		"list<decimal128(12,2)>": ListOf(DecimalOf(12, 2)),
	} {
		got, err := ParseType(name)
		if err != nil || got != want || got.String() != name {
			t.Errorf("%s is read as %v, %v", name, got, err)
		}
	}
	if d := DecimalOf(38, 37); d.Kind() != Decimal128 || d.Digits() != 38 || d.Scale() != 37 || d.Width() != 16 || ListOf(d).Element() != d || ListOf(d).Kind() != List {
		t.Errorf("%#x, a list of it %#x", uint32(d), uint32(ListOf(d)))
	}
	for name, want := range map[string]string{
		"decimal128": "without its digits", "list": "without its element", "decimal128(0,0)": "1 to 38 digits", "decimal128(3,4)": "1 to 38 digits",
		"decimal128(5)": "1 to 38", "decimal128(05,2)": "1 to 38", "decimal128(5, 2)": "1 to 38", "decimal128(5,2,1)": "1 to 38", "decimal128(261,2)": "1 to 38",
		"decimal128(5,2": "unknown type", "decimal128(5,2)x": "unknown type", "list<>": "unknown type", "list<i8": "unknown type", "list<i8>>": "unknown type",
		"list<list<i8>>": FeatureNested, "list<list>": FeatureNested, "list<decimal128>": "without its digits", "list<time64>": "time64 is specified", "": "unknown type",
	} {
		_, err := ParseType(name)
		if err == nil {
			t.Errorf("%q is accepted", name)
			continue
		}
		check(t, err.In("x"), want)
	}
}

var longName = strings.Repeat("x", NameBytesMax+1)

// invalidDescriptors has, by what the violation says, one case for each thing that can be wrong with a descriptor.
var invalidDescriptors = map[string]func(*OpenRequest, *Descriptor){
	"1 ports, the operator has 2":                func(_ *OpenRequest, d *Descriptor) { d.Inputs = d.Inputs[:1] },
	`inputs[0] (in): column "z"`:                 func(_ *OpenRequest, d *Descriptor) { d.Inputs[0].Columns = []string{"z"} },
	`column "n" is not in the input, or named t`: func(_ *OpenRequest, d *Descriptor) { d.Inputs[0].Columns = []string{"n", "n"} },
	"so it must be given key_by":                 func(_ *OpenRequest, d *Descriptor) { d.Inputs[1].NeedsKey = true },
	"inputs[1] (side): the port reads its key":   func(_ *OpenRequest, d *Descriptor) { d.Inputs[1].Prefetch = []string{"count"} },
	`prefetch names "gone"`:                      func(_ *OpenRequest, d *Descriptor) { d.Inputs[0].Prefetch = []string{"gone"} },
	`prefetch names state "count" twice`:         func(_ *OpenRequest, d *Descriptor) { d.Inputs[0].Prefetch = []string{"count", "count"} },
	"65 ports, at most 64":                       func(_ *OpenRequest, d *Descriptor) { d.Outputs = make([]BindOutput, 65) },
	`outputs[1]: name "out" appears twice`:       func(_ *OpenRequest, d *Descriptor) { d.Outputs[1].Name = "out" },
	`outputs[0]: name "" is not`:                 func(_ *OpenRequest, d *Descriptor) { d.Outputs[0].Name = "" },
	`name "a.b" is not`:                          func(_ *OpenRequest, d *Descriptor) { d.Outputs[0].Name = "a.b" },
	`name "1st" is not`:                          func(_ *OpenRequest, d *Descriptor) { d.Outputs[0].Name = "1st" },
	`xxx..." is not`:                             func(_ *OpenRequest, d *Descriptor) { d.Outputs[0].Name = longName },
	"the schema has no columns":                  func(_ *OpenRequest, d *Descriptor) { d.Outputs[1].Schema = nil },
	`outputs[1]: column "b" appears twice`: func(_ *OpenRequest, d *Descriptor) {
		d.Outputs[1].Schema = append(d.Outputs[1].Schema, d.Outputs[1].Schema[0])
	},
	`unknown type "int"`: func(_ *OpenRequest, d *Descriptor) { d.Outputs[1].Schema[0].Type = "int" },
	`column "b": type "decimal128(39,0)" is not decimal128(P,S)`:     func(_ *OpenRequest, d *Descriptor) { d.Outputs[1].Schema[0].Type = "decimal128(39,0)" },
	`states[2] key column "d": a list cannot be part of a key`:       func(_ *OpenRequest, d *Descriptor) { d.States[2].Key[0].Type = "list<i8>" },
	`key column "k": a list cannot be part of a key`:                 func(r *OpenRequest, _ *Descriptor) { r.Key[0].Type = "list<i8>" },
	`column name "\x1b[2J"`:                                          func(_ *OpenRequest, d *Descriptor) { d.Outputs[1].Schema[0].Name = "\x1b[2J" },
	`column name ""`:                                                 func(_ *OpenRequest, d *Descriptor) { d.Outputs[1].Schema[0].Name = "" },
	"1025 columns, at most 1024":                                     func(_ *OpenRequest, d *Descriptor) { d.Outputs[1].Schema = make([]Field, 1025) },
	`outputs[0]: unknown kind "stream"`:                              func(_ *OpenRequest, d *Descriptor) { d.Outputs[0].Kind = "stream" },
	`event time column "z" is not in`:                                func(_ *OpenRequest, d *Descriptor) { d.Outputs[0].EventTime = "z" },
	`event time column "v" must be a timestamp`:                      func(_ *OpenRequest, d *Descriptor) { d.Outputs[0].EventTime = "v" },
	`event time column "t" must be a timestamp that is not nullable`: func(_ *OpenRequest, d *Descriptor) { d.Outputs[0].Schema[0].Nullable = true },
	"65 states, at most 64":                                          func(_ *OpenRequest, d *Descriptor) { d.States = make([]BindState, 65) },
	`states[1]: name "count" appears twice`:                          func(_ *OpenRequest, d *Descriptor) { d.States[1].Name = "count" },
	`states[0]: unknown kind "set"`:                                  func(_ *OpenRequest, d *Descriptor) { d.States[0].Kind = "set" },
	`unknown scope "global"`:                                         func(_ *OpenRequest, d *Descriptor) { d.States[0].Scope = "global" },
	"a value state with 1 map key columns":                           func(_ *OpenRequest, d *Descriptor) { d.States[0].Key = d.States[2].Key },
	"a map state with 0 map key columns":                             func(_ *OpenRequest, d *Descriptor) { d.States[2].Key = nil },
	"no value columns":                                               func(_ *OpenRequest, d *Descriptor) { d.States[0].Value = nil },
	"states[0]: ttl_ms is -1, 1 to 9007199254740992 are allowed":     func(_ *OpenRequest, d *Descriptor) { d.States[0].TTLms = -1 },
	"ttl_ms is 9007199254740993, 1 to 9007199254740992":              func(_ *OpenRequest, d *Descriptor) { d.States[0].TTLms = 1<<53 + 1 },
	`state "count" needs a keyed input`:                              func(r *OpenRequest, d *Descriptor) { unkey(r, d) },
	`timer "day" needs a keyed input`:                                func(r *OpenRequest, d *Descriptor) { unkey(r, d); d.States = nil },
	"65 names, at most 64":                                           func(_ *OpenRequest, d *Descriptor) { d.Timers = make([]BindTimer, 65) },
	`timers[1]: name "day" appears twice`:                            func(_ *OpenRequest, d *Descriptor) { d.Timers[1].Name = "day" },
	`timers[0]: unknown mode ""`:                                     func(_ *OpenRequest, d *Descriptor) { d.Timers[0].Mode = "" },
	`unknown past "never"`:                                           func(_ *OpenRequest, d *Descriptor) { d.Timers[0].Past = "never" },
	`timers[0]: prefetch names "gone"`:                               func(_ *OpenRequest, d *Descriptor) { d.Timers[0].Prefetch = []string{"gone"} },
	"257 metrics, at most 256":                                       func(_ *OpenRequest, d *Descriptor) { d.Metrics = make([]BindMetric, 257) },
	`metrics[1]: name "rows" appears twice`:                          func(_ *OpenRequest, d *Descriptor) { d.Metrics[1].Name = "rows" },
	`metrics[0]: unknown kind "histogram"`:                           func(_ *OpenRequest, d *Descriptor) { d.Metrics[0].Kind = "histogram" },
	`callbacks[0]: "start" is unknown`:                               func(_ *OpenRequest, d *Descriptor) { d.Callbacks = []string{"start"} },
	`callbacks[1]: "end" is unknown or appears twi`:                  func(_ *OpenRequest, d *Descriptor) { d.Callbacks = []string{"end", "end"} },
}

func TestInvalidDescriptors(t *testing.T) {
	for want, change := range invalidDescriptors {
		t.Run(want, func(t *testing.T) {
			r, d := request(), descriptor()
			change(r, d)
			_, err := Bind(r, d)
			check(t, err, want)
		})
	}
}

func unkey(r *OpenRequest, d *Descriptor) {
	r.Inputs[0].Keyed = false
	d.Inputs[0].NeedsKey, d.Inputs[0].Prefetch = false, nil
}

// invalidDescriptions has, by what the violation says, one case for each thing that can be wrong with a description.
var invalidDescriptions = map[string]string{
	"not the JSON of SPEC.md":                  `{`,
	"not valid UTF-8":                          "{\"abi\":1,\"sdk\":{\"name\":\"\xff\"}}",
	"bytes after the JSON value":               `{"abi":1}{}`,
	"abi 2, this host speaks 1":                `{"abi":2}`,
	`requires "simd", which this host`:         `{"abi":1,"requires":["simd"],"entries":[]}`,
	"no entries":                               `{"abi":1,"entries":[]}`,
	`entries[0]: name "a b" is not`:            `{"abi":1,"entries":[{"name":"a b","kind":"operator","inputs":[{"name":"in"}]}]}`,
	`entries[0]: name "a.b" is not`:            `{"abi":1,"entries":[{"name":"a.b","kind":"operator","inputs":[{"name":"in"}]}]}`,
	`entries[1]: name "a" appears twice`:       `{"abi":1,"entries":[{"name":"a","kind":"operator","inputs":[{"name":"in"}]},{"name":"a"}]}`,
	`entries[0] (a): unknown kind "function"`:  `{"abi":1,"entries":[{"name":"a","kind":"function"}]}`,
	"0 input ports, 1 to 16":                   oneEntry(`"inputs":[]`),
	`inputs[1]: name "in" appears twice`:       oneEntry(`"inputs":[{"name":"in"},{"name":"in"}]`),
	`inputs[0] column "n": unknown type "int"`: oneEntry(`"inputs":[{"name":"in","columns":[{"name":"n","type":"int"}]}]`),
	`column "n": a column of type time64`:      oneEntry(`"inputs":[{"name":"in","columns":[{"name":"n","type":"time64"}]}]`),
	`outputs[1]: name "a" appears twice`:       oneEntry(`"inputs":[{"name":"in"}],"outputs":["a","a"]`),
	`params[0]: name "" is not`:                oneEntry(`"inputs":[{"name":"in"}],"params":[{"type":"int"}]`),
	`params[0] (p): unknown type "number"`:     oneEntry(`"inputs":[{"name":"in"}],"params":[{"name":"p","type":"number"}]`),
	"required, and yet with a default":         oneEntry(`"inputs":[{"name":"in"}],"params":[{"name":"p","type":"int","default":1,"required":true}]`),
	"default: 1.5 is not of type int":          oneEntry(`"inputs":[{"name":"in"}],"params":[{"name":"p","type":"int","default":1.5}]`),
	"default: -1 is negative":                  oneEntry(`"inputs":[{"name":"in"}],"params":[{"name":"p","type":"duration_ms","default":-1}]`),
	"1048577 bytes, at most 1048576":           strings.Repeat(" ", DescriptorBytesMax+1),
}

func oneEntry(fields string) string {
	return `{"abi":1,"entries":[{"name":"op","kind":"operator",` + fields + `}]}`
}

func TestInvalidDescriptions(t *testing.T) {
	for want, data := range invalidDescriptions {
		t.Run(want, func(t *testing.T) {
			_, err := ParseDescription([]byte(data))
			check(t, err, want)
		})
	}
}

func TestParseDescription(t *testing.T) {
	want := &Description{ABI: 1, SDK: SDK{Name: "go", Version: "0.1", Language: "go1.26"}, Entries: []Entry{{
		Name: "delays", Kind: EntryOperator, Doc: "counts", Params: []Param{{Name: "minutes", Type: ParamInt, Default: float64(30)}},
		Inputs: []InputPort{{Name: "in", Keyed: true, Columns: []Field{{Name: "n", Type: "i64", Nullable: true}}}}, Outputs: []string{"daily"},
	}}}
	data, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParseDescription(data)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
	if got.Entry("delays") != &got.Entries[0] || got.Entry("other") != nil {
		t.Error("Entry finds the wrong one")
	}
}

func TestParseOpenAnswer(t *testing.T) {
	for want, data := range map[string]string{
		"either a descriptor or an error": `{}`,
		"a descriptor or an error":        `{"descriptor":{},"error":{"message":"no"}}`,
		"message of 0 bytes":              `{"error":{"message":""}}`,
		"not the JSON":                    `{"descriptor":{"fault_cell":-1}}`,
	} {
		_, err := ParseOpenAnswer([]byte(data))
		check(t, err, want)
	}
	a, err := ParseOpenAnswer([]byte(`{"error":{"message":"too \u001b[2J small","param":"n"}} `))
	if err != nil || a.Error.Message != "too \ufffd[2J small" || a.Error.Param != "n" {
		t.Errorf("got %+v, %v", a, err)
	}
}

func TestParamConvert(t *testing.T) {
	for _, c := range []struct {
		typ  string
		in   any
		want any // nil: refused
	}{
		{ParamBool, true, true}, {ParamBool, "true", nil}, {ParamString, "x", "x"}, {ParamString, 1, nil},
		{ParamInt, 3, int64(3)}, {ParamInt, int64(-3), int64(-3)}, {ParamInt, uint64(3), int64(3)}, {ParamInt, uint64(1 << 63), nil},
		{ParamInt, 3.0, int64(3)}, {ParamInt, 3.5, nil}, {ParamInt, 1e300, nil}, {ParamInt, "3", nil},
		{ParamFloat, 1.5, 1.5}, {ParamFloat, 3, 3.0}, {ParamFloat, int64(3), 3.0}, {ParamFloat, uint64(3), 3.0}, {ParamFloat, "x", nil},
		{ParamDuration, 5, int64(5)}, {ParamDuration, -5, nil},
	} {
		got, err := (&Param{Name: "p", Type: c.typ}).Convert(c.in)
		if (err != nil) != (c.want == nil) || got != c.want {
			t.Errorf("%s from %v: %v, %v; want %v", c.typ, c.in, got, err, c.want)
		}
	}
}

func TestFaultCell(t *testing.T) {
	memory := make([]byte, 200)
	put := func(words ...uint32) {
		for i, w := range words {
			for k := range 4 {
				memory[16+4*i+k] = byte(w >> (8 * k))
			}
		}
	}
	copy(memory[100:], "bad row\x00\xffmain.go:3")
	for _, c := range []struct {
		words  []uint32
		at     uint32
		want   FaultCell
		absent bool
	}{
		{words: []uint32{7, 100, 7, 109, 9}, at: 16, want: FaultCell{7, "bad row", "main.go:3"}},
		{words: []uint32{ItemNone, 0, 0, 0, 0}, at: 16, want: FaultCell{Item: ItemNone}},
		{words: []uint32{7, 100, 9, 190, 50}, at: 16, want: FaultCell{7, "bad row\ufffd\ufffd", ""}},
		{words: []uint32{7, 0xfffffff0, 0x20, 0, 0xffffffff}, at: 16, want: FaultCell{Item: 7}},
		{at: 0, absent: true}, {at: 181, absent: true}, {at: 0xfffffff8, absent: true},
	} {
		put(c.words...)
		got, ok := ReadFaultCell(memory, c.at)
		if ok == c.absent || got != c.want {
			t.Errorf("at %d: %+v, %v; want %+v", c.at, got, ok, c.want)
		}
	}
}

// Fuzz targets: what is accepted can be used without a further check, and refusals are violations.

// word is the rule for names in SPEC.md, said in another way than the code's.
var word = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]{0,127}$`)

func FuzzParseDescription(f *testing.F) {
	f.Add([]byte(`{"abi":1,"sdk":{"name":"go","version":"1"},"entries":[{"name":"op","kind":"operator","inputs":[{"name":"in","keyed":true,` +
		`"columns":[{"name":"n","type":"i64"}]}],"outputs":["a"],"params":[{"name":"p","type":"duration_ms","default":5}]}]}`))
	f.Add([]byte(`{"abi":1,"entries":[{"name":"o","kind":"operator","inputs":[{"name":"i","columns":[{"name":"a","type":"i8"},{"name":"b","type":"i8"}]}]}]}`))
	for _, data := range invalidDescriptions {
		f.Add([]byte(data))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := ParseDescription(data)
		if err != nil {
			check(t, err, "")
			return
		}
		for i := range d.Entries {
			e := &d.Entries[i]
			if !word.MatchString(e.Name) || e.Kind != EntryOperator || len(e.Inputs) == 0 || len(e.Inputs) > InputPortsMax {
				t.Fatalf("accepted %+v", e)
			}
			for _, in := range e.Inputs {
				names := map[string]bool{}
				for _, c := range in.Columns {
					known, err := ParseType(c.Type)
					if err != nil || known.String() != c.Type || c.Name == "" || names[c.Name] || hasControl(c.Name) {
						t.Fatalf("accepted column %+v of %+v", c, in)
					}
					names[c.Name] = true
				}
			}
			for _, p := range e.Params {
				if v, err := p.Convert(p.Default); p.Default != nil && (err != nil || v == nil) {
					t.Fatalf("default of %+v: %v", p, err)
				}
			}
		}
	})
}

func FuzzOpenAnswer(f *testing.F) {
	good, err := json.Marshal(OpenAnswer{Descriptor: descriptor()})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	for _, change := range invalidDescriptors {
		d := descriptor()
		change(request(), d)
		data, err := json.Marshal(OpenAnswer{Descriptor: d})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"error":{"message":"no","column":"in.n"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := ParseOpenAnswer(data)
		if err != nil {
			check(t, err, "")
			return
		}
		if a.Descriptor == nil {
			return
		}
		b, err := Bind(request(), a.Descriptor)
		if err != nil {
			check(t, err, "")
			return
		}
		soundBinding(t, b)
	})
}

func soundBinding(t *testing.T, b *Binding) {
	for _, in := range b.Inputs {
		for _, c := range in.Columns {
			_ = request().Inputs[0].Schema[c]
		}
		for _, s := range in.Prefetch {
			_ = b.States[s]
		}
	}
	for _, o := range b.Outputs {
		if o.EventTime >= 0 {
			if f := o.Fields[o.EventTime]; f.Nullable || (f.Type != Timestamp && f.Type != TimestampTZ) {
				t.Fatalf("event time of %+v", o)
			}
		}
		soundFields(t, o.Fields)
	}
	for _, s := range b.States {
		if s.Kind < StateValue || s.Kind > StateMap || (s.Kind == StateMap) != (s.Keys > 0) || s.Keys >= len(s.Fields) {
			t.Fatalf("state %+v", s)
		}
		soundFields(t, s.Fields)
	}
	for _, timer := range b.Timers {
		for _, s := range timer.Prefetch {
			_ = b.States[s]
		}
	}
}

func soundFields(t *testing.T, fields []FieldType) {
	for _, f := range fields {
		if again, err := ParseType(f.Type.String()); err != nil || again != f.Type || hasControl(f.Name) {
			t.Fatalf("field %+v", f)
		}
	}
}

func FuzzReadFaultCell(f *testing.F) {
	f.Add([]byte("0123456789abcdef\x07\x00\x00\x00\x04\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), uint32(16))
	f.Fuzz(func(t *testing.T, memory []byte, at uint32) {
		cell, ok := ReadFaultCell(memory, at)
		if !ok && cell != (FaultCell{}) {
			t.Fatal("something from nowhere")
		}
		for _, text := range []string{cell.Message, cell.Place} {
			if CleanText([]byte(text)) != text || len(text) > 3*ErrorMessageBytes {
				t.Fatalf("text %q", text)
			}
		}
	})
}
