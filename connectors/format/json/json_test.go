package json_test

import (
	"bytes"
	"encoding/base64"
	stdjson "encoding/json"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/connectors/connectortest"
	"github.com/tidemill/tidemill/connectors/format"
	"github.com/tidemill/tidemill/connectors/format/json"
	"github.com/tidemill/tidemill/connectors/spec"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/record"
)

func newFor(s *record.Schema) func() format.Decoder {
	decoding, err := format.Lookup("json").Decoding(spec.Values{}, s)
	if err != nil {
		panic(err)
	}
	return func() format.Decoder {
		d, err := decoding.New(nil)
		if err != nil {
			panic(err)
		}
		return d
	}
}

func TestDecode(t *testing.T) {
	types := connectortest.Columns(t, "b bool?", "a i8?", "s i16?", "i i32?", "l i64?", "f f32?", "d f64?", "day date32?", "at timestamp?", "tz timestamp_tz?", "u utf8?", "x binary?")
	two := connectortest.Columns(t, "n i32?", "u utf8")
	cases := []struct {
		name   string
		schema *record.Schema
		data   string
		want   string // the rows, and for bad records a part of the reason
	}{
		{"types", types, `{"b":true,"a":-128,"s":32767,"i":-2147483648,"l":9223372036854775807,"f":1.5,"d":-0.1,"day":"2024-02-29","at":"2013-01-01T10:00:00Z","tz":"2013-01-01 10:00:00.25+02:00","u":"né","x":"aGk="}`,
			`{"b":true,"a":-128,"s":32767,"i":-2147483648,"l":9223372036854775807,"f":1.5,"d":-0.1,"day":"2024-02-29","at":"2013-01-01T10:00:00Z","tz":"2013-01-01T08:00:00.25Z","u":"né","x":"aGk="}`},
		{"absent and null", types, "{}\n{\"u\":null,\"b\":null}", strings.Repeat(`{"b":null,"a":null,"s":null,"i":null,"l":null,"f":null,"d":null,"day":null,"at":null,"tz":null,"u":null,"x":null}`+"\n", 2)},
		{"other members", two, `{"z":{"n":[1,{"u":[]}]},"u":"a","y":[],"n":7,"x":"\u00e9"}`, `{"n":7,"u":"a"}`},
		{"white space", two, " \t{ \"n\" : 1 , \"u\" : \"a\" } \r\n\r\n  \n{\"u\":\"b\"}", "{\"n\":1,\"u\":\"a\"}\n{\"n\":null,\"u\":\"b\"}"},
		{"last one counts", two, `{"n":1,"u":"a","n":2,"u":"b"}`, `{"n":2,"u":"b"}`},
		{"escapes", two, `{"\u0075":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00","n":1}`, `{"n":1,"u":"\"\\/\u0008\u000c\n\r\té😀"}`},
		{"byte order mark", two, "\xEF\xBB\xBF{\"u\":\"a\"}", `{"n":null,"u":"a"}`},
		{"special floats", connectortest.Columns(t, "f f32", "d f64"), `{"f":"NaN","d":"-Infinity"}` + "\n" + `{"f":1e39,"d":1}` + "\n" + `{"f":"1","d":1}`,
			"{\"f\":\"NaN\",\"d\":\"-Infinity\"}\nbad: column f: \"1e39\" is no f32: the number is out of range\nbad: column f: \"1\" is no f32: want a number, found a string"},
		{"missing", two, `{"n":1}` + "\n" + `{"u":null}`, "bad: column u: the record has no member \"u\"\nbad: column u: the value is null"},
		{"wrong kinds", connectortest.Columns(t, "i i32?", "u utf8?", "b bool?", "d date32?", "x binary?"), `{"i":"1"}` + "\n" + `{"i":1.5}` + "\n" + `{"i":1e3}` + "\n" + `{"i":2147483648}` + "\n" + `{"u":5}` + "\n" + `{"b":"true"}` + "\n" + `{"d":"2023-02-29"}` + "\n" + `{"d":20230101}` + "\n" + `{"x":"a"}` + "\n" + `{"u":{}}`,
			"bad: column i: \"1\" is no i32: want a number, found a string\nbad: column i: \"1.5\" is no i32: want a whole number\nbad: column i: \"1e3\" is no i32: want a whole number\nbad: column i: \"2147483648\" is no i32: the number is out of range\nbad: column u: \"5\" is no utf8: want a string, found a number\nbad: column b: \"true\" is no bool: want a bool, found a string\nbad: column d: \"2023-02-29\" is no date32\nbad: column d: \"20230101\" is no date32: want a string\nbad: column x: \"a\" is no binary: want base64\nbad: column u: \"{}\" is no utf8: want a string, found an object"},
		{"decimals", connectortest.Columns(t, "p decimal128(5,2)?"), `{"p":-12.3}` + "\n" + `{"p":"-12.30"}` + "\n" + `{"p":1.2e2}` + "\n" + `{"p":0.005}` + "\n" + `{"p":1000}` + "\n" + `{"p":"x"}` + "\n" + `{"p":true}` + "\n" + `{"p":null}` + "\n" + `{"p":0.10000}`,
			"{\"p\":-12.30}\n{\"p\":-12.30}\n{\"p\":120.00}\nbad: column p: \"0.005\" is no decimal128(5,2): want at most 2 digits behind the point\nbad: column p: \"1000\" is no decimal128(5,2): want at most 3 digits before the point\nbad: column p: \"x\" is no decimal128(5,2): want a number\nbad: column p: \"true\" is no decimal128(5,2): want a number, found a bool\n{\"p\":null}\n{\"p\":0.10}"},
		{"lists", connectortest.Columns(t, "l list<utf8>?", "n list<i16>", "p list<decimal128(3,1)>?"),
			`{"l":["a","\u00e9\n",""],"n":[ 1 , -2 ],"p":["1.5",-2]}` + "\n" + `{"l":[],"n":[]}` + "\n" + `{"n":[1,70000]}` + "\n" + `{"n":[7],"l":["x",null]}` + "\n" + `{"n":7}` + "\n" + `{"n":[[1]]}` + "\n" + `{"n":[8],"p":[1.55]}` + "\n" + `{"n":[9],"l":["last"]}`,
			"{\"l\":[\"a\",\"é\\n\",\"\"],\"n\":[1,-2],\"p\":[1.5,-2.0]}\n{\"l\":[],\"n\":[],\"p\":null}\nbad: column n: \"[1,70000]\" is no list<i16>: element 1: the number is out of range\nbad: column l: \"[\\\"x\\\",null]\" is no list<utf8>: element 1: an element is never null\nbad: column n: \"7\" is no list<i16>: want an array, found a number\nbad: column n: \"[[1]]\" is no list<i16>: element 0: want a number, found an array\nbad: column p: \"[1.55]\" is no list<decimal128(3,1)>: element 0: want at most 1 digits behind the point\n{\"l\":[\"last\"],\"n\":[9],\"p\":null}"},
		{"bad takes no trace", connectortest.Columns(t, "u utf8", "n i32"), `{"u":"x","n":1}` + "\n" + `{"u":"yyy","n":""}` + "\n" + `{"u":"z","n":3}`, "{\"u\":\"x\",\"n\":1}\nbad: column n\n{\"u\":\"z\",\"n\":3}"},
		{"syntax", two, strings.Join([]string{`{"u":"a"`, `{"u":"a"}}`, `{"u":"a",}`, `{"u" "a"}`, `[1]`, `"u"`, `{u:1}`, `{"u":tru}`, `{"u":"a}`, "{\"u\":\"a\x01\"}", `{"u":"\x"}`, `{"u":"\u12g4"}`, `{"n":01,"u":"a"}`, `{"n":1.,"u":"a"}`, `{"n":-,"u":"a"}`, `{"z":[1,]}`, `{"z":[1 2]}`, `{"u":`, `{"u":"\ud800"}`, "{\"u\":\"\xff\"}", `{"z":` + strings.Repeat("[", 20000)}, "\n"),
			strings.Join([]string{"bad: at byte 8 of the record: the record ends within an object or array (at line 1, byte 0)", "bad: at byte 9 of the record: text after the object", "bad: at byte 9 of the record: the name of a member", "bad: at byte 5 of the record: a colon", "bad: at byte 0 of the record: an object is expected", "bad: at byte 0", "bad: at byte 1 of the record: the name", "bad: at byte 5 of the record: a value", "bad: at byte 8 of the record: a string is not closed", "bad: at byte 7 of the record: a control character", "bad: at byte 6 of the record: an unknown escape", "bad: at byte 6 of the record: four hex digits", "bad: at byte 6 of the record: a comma", "bad: at byte 7 of the record: a digit", "bad: at byte 6 of the record: a digit", "bad: at byte 8 of the record: a value", "bad: at byte 8 of the record: a comma", "bad: at byte 5 of the record: the record ends where a value", "bad: at byte 6 of the record: an escape is half", "bad: the record is not UTF-8", "bad: at byte 10005 of the record: the record nests too deep"}, "\n")},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := connectortest.Decode(t, newFor(c.schema), c.schema, []byte(c.data), 1)
			want := strings.Split(strings.TrimSuffix(c.want, "\n"), "\n")
			if len(got.All) != len(want) {
				t.Fatalf("got %d records:\n%s", len(got.All), strings.Join(got.All, "\n"))
			}
			for i, item := range got.All {
				if _, reason, isBad := strings.Cut(item, "TM-FORMAT-"); isBad {
					item = "bad: " + reason[len("000: "):]
				} else {
					_, item, _ = strings.Cut(item, " ")
				}
				if item != want[i] && !(strings.HasPrefix(want[i], "bad: ") && strings.HasPrefix(item, want[i])) {
					t.Errorf("record %d:\ngot  %s\nwant %s", i, item, want[i])
				}
			}
		})
	}
}

// The encoder's lines are those of encoding/json, and the decoder reads back the same values.
func TestEncode(t *testing.T) {
	s := connectortest.Columns(t, "b bool?", "a i8?", "s i16?", "i i32?", "l i64?", "f f32?", "d f64?", "u utf8?", "x binary?", "day date32?", "at timestamp?", "tz timestamp_tz?",
		"p decimal128(5,2)?", "q decimal128(38,0)?", "lb list<bool>?", "lf list<f32>?", "lu list<utf8>?", "lx list<binary>?", "lt list<timestamp>?", "lq list<decimal128(38,38)>?")
	for seed := uint64(1); seed <= 30; seed++ {
		random := rand.New(rand.NewPCG(seed, 0))
		b := record.NewBatch(s, 50)
		b.Rows = 50
		for range b.Rows {
			for i := range b.Columns {
				appendRandom(random, &b.Columns[i])
			}
		}
		text := json.NewEncoder(s).Append(nil, b, 0, b.Rows)
		got := connectortest.Decode(t, newFor(s), s, text, seed)
		if len(got.Bad) > 0 {
			t.Fatalf("seed %d: %v", seed, got.Bad[0].Reason)
		}
		if diff := connectortest.Difference(got.Rows, connectortest.Lines(b)); diff != "" {
			t.Fatalf("seed %d: %s", seed, diff)
		}
		for row, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
			if want := standard(t, b, row); line != want {
				t.Fatalf("seed %d, row %d:\ngot  %s\nwant %s", seed, row, line, want)
			}
		}
	}
}

// standard is a row as encoding/json writes it, for the types that it knows.
func standard(t *testing.T, b *record.Batch, row int) string {
	var out bytes.Buffer
	for i, f := range b.Schema.Fields {
		v := standardValue(&b.Columns[i], row)
		fmt.Fprintf(&out, "%c%q:", ",{"[btoi(i == 0)], f.Name)
		e := stdjson.NewEncoder(&out)
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil {
			t.Fatal(err)
		}
		out.Truncate(out.Len() - 1)
	}
	// encoding/json has short forms for two control characters, and escapes two line separators for old JavaScript.
	return strings.NewReplacer(`\b`, `\u0008`, `\f`, `\u000c`, `\u2028`, "\u2028", `\u2029`, "\u2029", `\\`, `\\`).Replace(out.String() + "}")
}

// standardValue is a value as encoding/json takes it.
func standardValue(c *record.Column, row int) any {
	if c.Null(row) {
		return nil
	}
	switch c.Type.Kind() {
	case record.List:
		list := []any{}
		for e := c.Offsets[row]; e < c.Offsets[row+1]; e++ {
			list = append(list, standardValue(c.Elements, int(e)))
		}
		return list
	case record.Decimal128:
		d, scale := c.Decimal(row), c.Type.Scale()
		n := new(big.Int).Lsh(big.NewInt(d.High), 64)
		n.Add(n, new(big.Int).SetUint64(d.Low))
		ten := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil)
		return stdjson.RawMessage(new(big.Rat).SetFrac(n, ten).FloatString(scale))
	case record.Bool:
		return c.Int(row) == 1
	case record.F32:
		return special(c.Float(row), float32(c.Float(row))) // JSON has no numbers for some
	case record.F64:
		return special(c.Float(row), c.Float(row))
	case record.UTF8:
		return string(c.Bytes(row))
	case record.Binary:
		return base64.StdEncoding.EncodeToString(c.Bytes(row))
	case record.Date32, record.Timestamp, record.TimestampTZ:
		return string(format.AppendValueText(nil, c, row))
	}
	return c.Int(row)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func special(x float64, v any) any {
	switch {
	case x != x:
		return "NaN"
	case math.IsInf(x, 1):
		return "Infinity"
	case math.IsInf(x, -1):
		return "-Infinity"
	}
	return v
}

func appendRandom(random *rand.Rand, c *record.Column) {
	n := int64(random.Uint64())
	small := []float64{0, math.Copysign(0, -1), 12.5, 1e21, 1e20, 1e-6, 1e-7, 5e-324, math.MaxFloat64, 0.1, 100, math.NaN(), math.Inf(1), math.Inf(-1)}
	texts := []string{"", "a", "\"\\/", "\x00\x01\x1f\x7f", "\b\f\n\r\t", "<&>", "é😀\u2028\u2029", "\\b\\u2028"}
	switch {
	case random.IntN(6) == 0:
		c.AppendNull()
	case c.Elements != nil:
		for range random.IntN(4) {
			if appendRandom(random, c.Elements); c.Elements.Nulls > 0 { // elements never are
				c.Elements.Truncate(c.Elements.Len - 1)
			}
		}
		c.EndList()
	case c.Type.Kind() == record.Decimal128:
		digits := fmt.Sprint(random.Uint64(), random.Uint64(), random.Uint64())
		digits = strings.ReplaceAll(digits, " ", "")[:1+random.IntN(c.Type.Digits())]
		d, err := record.ParseDecimal([]byte([]string{"", "-"}[random.IntN(2)]+digits+fmt.Sprintf("e-%d", c.Type.Scale())), c.Type)
		if err != nil {
			panic(err)
		}
		c.AppendDecimal(d)
	case c.Type.HasOffsets():
		c.AppendString(texts[random.IntN(len(texts))])
	case c.Type == record.F32 || c.Type == record.F64:
		v := small[random.IntN(len(small))]
		switch random.IntN(3) {
		case 0:
			v = math.Float64frombits(uint64(n))
		case 1:
			v = float64(math.Float32frombits(uint32(n)))
		}
		c.AppendFloat(v)
	case c.Type == record.Bool:
		c.AppendInt(n & 1)
	case c.Type == record.Date32:
		c.AppendInt(n % 3e6)
	default:
		c.AppendInt(n >> (64 - 8*c.Type.Width()))
	}
}

// FuzzDecode compares with encoding/json: the same records are good, with the same values, but for what the package says it is
// stricter about; and the same records whatever the pieces.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{line, `{"n":1,"u":"a"}`, `{"n":null}`, `{"u":"\ud83d\ude00\u00e9\/"}`, `{"d":-1.5e-3,"b":true}`, `{"z":[[{"a":1}],false,null]}`, "{}\n\n{}", `{"d":123456789012345.6}`, `{"n":-0}`,
		`{"l":[1, -2,3 ],"p":-12.30}`, `{"l":[],"p":"1.5e3"}`, `{"l":[null]}`, `{"l":["1"],"p":0.000001}`, `{"l":[[1]],"p":1e15}`} {
		f.Add([]byte(seed), uint64(1))
	}
	s := &record.Schema{Fields: []record.Field{{Name: "n", Type: record.I64, Nullable: true}, {Name: "u", Type: record.UTF8, Nullable: true},
		{Name: "d", Type: record.F64, Nullable: true}, {Name: "b", Type: record.Bool, Nullable: true},
		{Name: "l", Type: record.ListOf(record.I64), Nullable: true}, {Name: "p", Type: record.DecimalOf(20, 5), Nullable: true}}}
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		connectortest.Decode(t, newFor(s), s, data, seed)
		if bytes.HasPrefix(data, []byte("\xEF\xBB\xBF")) {
			return
		}
		for _, text := range bytes.Split(data, []byte{'\n'}) {
			compare(t, s, text)
		}
	})
}

// longExponent finds numbers that package math/big would take too long for: 0e9999 is one that is good.
var longExponent = regexp.MustCompile(`[eE][+-]?[0-9]{4}`)

// compare decodes one line here and there.
func compare(t *testing.T, s *record.Schema, text []byte) {
	if len(bytes.Trim(text, " \t\r")) == 0 {
		return
	}
	got := record.NewBatch(s, 1)
	var bad []connectors.BadRecord
	newFor(s)().Decode(format.Chunk{Data: text, Offset: 1, Final: true}, got, 1, &bad)
	var members map[string]stdjson.RawMessage
	err := stdjson.Unmarshal(text, &members)
	if err == nil && members == nil {
		err = fmt.Errorf("null is no object")
	}
	want := record.NewBatch(s, 1)
	for i, f := range s.Fields {
		if err != nil {
			break
		}
		err = appendStandard(&want.Columns[i], members[f.Name])
	}
	if len(bad) > 0 {
		stricter := !utf8.Valid(text) || strings.Contains(errcode.Of(bad[0].Reason).Message, "half a surrogate")
		if err == nil && !stricter {
			t.Fatalf("%q is bad: %v; encoding/json takes it", text, bad[0].Reason)
		}
		return
	}
	if err != nil && !longExponent.Match(text) {
		t.Fatalf("%q is good; encoding/json: %v", text, err)
	} else if err != nil {
		return
	}
	want.Rows = 1
	if a, b := connectortest.Lines(got)[0], connectortest.Lines(want)[0]; a != b {
		t.Fatalf("%q decodes to %s, with encoding/json to %s", text, a, b)
	}
}

var decimalText = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?$`)

// appendStandardDecimal reads a number, or a string of one, by package math/big.
func appendStandardDecimal(c *record.Column, raw stdjson.RawMessage) error {
	text := string(raw)
	if text[0] == '"' {
		if err := stdjson.Unmarshal(raw, &text); err != nil {
			return err
		}
	}
	v, ok := new(big.Rat).SetString(text)
	if !decimalText.MatchString(text) || !ok {
		return fmt.Errorf("%s is no number", text)
	}
	v.Mul(v, big.NewRat(100_000, 1))
	if !v.IsInt() || new(big.Int).Abs(v.Num()).Cmp(new(big.Int).Exp(big.NewInt(10), big.NewInt(20), nil)) >= 0 {
		return fmt.Errorf("%s has more digits", text)
	}
	low := new(big.Int).And(v.Num(), new(big.Int).SetUint64(math.MaxUint64))
	c.AppendDecimal(record.Decimal{High: new(big.Int).Rsh(v.Num(), 64).Int64(), Low: low.Uint64()})
	return nil
}

func appendStandard(c *record.Column, raw stdjson.RawMessage) error {
	if raw == nil || string(raw) == "null" {
		c.AppendNull()
		return nil
	}
	switch c.Type {
	case record.ListOf(record.I64):
		var list []stdjson.RawMessage
		err := stdjson.Unmarshal(raw, &list)
		for _, e := range list {
			if string(e) == "null" {
				return fmt.Errorf("null in a list")
			}
			if err == nil {
				err = appendStandard(c.Elements, e)
			}
		}
		c.EndList()
		return err
	case record.DecimalOf(20, 5):
		return appendStandardDecimal(c, raw)
	case record.I64:
		var v int64
		err := stdjson.Unmarshal(raw, &v)
		c.AppendInt(v)
		return err
	case record.F64:
		if v, ok := map[string]float64{`"NaN"`: math.NaN(), `"Infinity"`: math.Inf(1), `"-Infinity"`: math.Inf(-1)}[string(raw)]; ok {
			c.AppendFloat(v)
			return nil
		}
		var v float64
		err := stdjson.Unmarshal(raw, &v)
		c.AppendFloat(v)
		return err
	case record.Bool:
		var v bool
		err := stdjson.Unmarshal(raw, &v)
		c.AppendInt(int64(btoi(v)))
		return err
	}
	var v string
	err := stdjson.Unmarshal(raw, &v)
	c.AppendString(v)
	return err
}
