package csv

import (
	"bytes"
	stdcsv "encoding/csv"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tidemill/tidemill/connectors/connectortest"
	"github.com/tidemill/tidemill/connectors/format"
	"github.com/tidemill/tidemill/connectors/spec"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/record"
)

func newDecoding(t testing.TB, optionsText string, s *record.Schema, header string) func() format.Decoder {
	t.Helper()
	v, errs := spec.ParseText(optionsText, options)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	d, err := decoding(v, s)
	if err != nil {
		t.Fatal(err)
	}
	return func() format.Decoder {
		dec, err := d.New([]byte(header))
		if err != nil {
			t.Fatal(err)
		}
		return dec
	}
}

func TestDecode(t *testing.T) {
	types := connectortest.Columns(t, "b bool?", "a i8?", "s i16?", "i i32?", "l i64?", "f f32?", "d f64?", "day date32?", "at timestamp?", "tz timestamp_tz?", "u utf8?", "x binary?")
	two := connectortest.Columns(t, "n i32?", "u utf8")
	cases := []struct {
		name, options, header string
		schema                *record.Schema
		data                  string
		want                  string // the rows, and for bad records a part of the reason
	}{
		{"types", "{}", "", types, "true,-128,32767,-2147483648,9223372036854775807,1.5,-0.1,2024-02-29,2013-01-01T10:00:00Z,2013-01-01 10:00:00.25+02:00,né,hi\n",
			`{"b":true,"a":-128,"s":32767,"i":-2147483648,"l":9223372036854775807,"f":1.5,"d":-0.1,"day":"2024-02-29","at":"2013-01-01T10:00:00Z","tz":"2013-01-01T08:00:00.25Z","u":"né","x":"aGk="}`},
		{"all null", "{}", "", types, ",,,,,,,,,,,\n", `{"b":null,"a":null,"s":null,"i":null,"l":null,"f":null,"d":null,"day":null,"at":null,"tz":null,"u":null,"x":null}`},
		{"special floats", "{}", "", connectortest.Columns(t, "f f32", "d f64"), "NaN,-Infinity\nInf,1e300\n1e39,1\n.5,+2.\n",
			"{\"f\":\"NaN\",\"d\":\"-Infinity\"}\n{\"f\":\"Infinity\",\"d\":1e+300}\nbad: column f: \"1e39\" is no f32: the number is out of range\n{\"f\":0.5,\"d\":2}"},
		{"bools", "{}", "", connectortest.Columns(t, "b bool"), "TRUE\nfalse\n1\n0\nyes\n", "{\"b\":true}\n{\"b\":false}\n{\"b\":true}\n{\"b\":false}\nbad: column b: \"yes\" is no bool"},
		{"decimals", "{}", "", connectortest.Columns(t, "p decimal128(5,2)?"), "-12.30\n7\n+.5\n\"1e2\"\n1000\n.001\nx\n\" 1\"\n",
			"{\"p\":-12.30}\n{\"p\":7.00}\n{\"p\":0.50}\n{\"p\":100.00}\nbad: column p: \"1000\" is no decimal128(5,2): want at most 3 digits before the point\nbad: column p: \".001\" is no decimal128(5,2): want at most 2 digits behind the point\nbad: column p: \"x\" is no decimal128(5,2): want a number\nbad: column p: \" 1\" is no decimal128(5,2): want a number"},
		{"no line end", "{}", "", two, "1,a", `{"n":1,"u":"a"}`},
		{"crlf and empty lines", "{}", "", two, "1,a\r\n\r\n\n2,b\r\n", "{\"n\":1,\"u\":\"a\"}\n{\"n\":2,\"u\":\"b\"}"},
		{"byte order mark", "{}", "", two, "\xEF\xBB\xBF1,a\n", `{"n":1,"u":"a"}`},
		{"quotes", "{}", "", two, "\"1\",\"a \"\"b\"\", c\"\n2,\"\"\n3,\"\"\"\"\n", "{\"n\":1,\"u\":\"a \\\"b\\\", c\"}\n{\"n\":2,\"u\":\"\"}\n{\"n\":3,\"u\":\"\\\"\"}"},
		{"an open quote", "{}", "", two, "1,\"a\n2,b\n", "bad: field 2, column u: a quote is open at the end of the line (set multiline: true if fields may contain line ends): \"\\\"a\"\n{\"n\":2,\"u\":\"b\"}"},
		{"a stray quote", "{}", "", two, "1,a\"b\n2,b\n", "bad: field 2, column u: a quote in a field that does not begin with one\n{\"n\":2,\"u\":\"b\"}"},
		{"text after a quote", "{}", "", two, "1,\"a\"b\n2,b\n", "bad: field 2, column u: text after a closing quote\n{\"n\":2,\"u\":\"b\"}"},
		{"few fields", "{}", "", two, "1\n2,b\n", "bad: the line has 1 fields, the schema has 2\n{\"n\":2,\"u\":\"b\"}"},
		{"many fields", "{}", "", two, "1,a,b,c\n1,a,\n\"1\",a,b\n2,b\n", "bad: the line has 4 fields, the schema has 2\nbad: the line has 3 fields\nbad: the line has 3 fields\n{\"n\":2,\"u\":\"b\"}"},
		{"bad number takes no trace", "{}", "", connectortest.Columns(t, "u utf8?", "b bool?", "n i32"), "x,true,1\n,,x\ny,false,2\n", "{\"u\":\"x\",\"b\":true,\"n\":1}\nbad: column n: \"x\" is no i32: want a whole number\n{\"u\":\"y\",\"b\":false,\"n\":2}"},
		{"out of range", "{}", "", connectortest.Columns(t, "a i8"), "127\n128\n-129\n99999999999999999999\n", "{\"a\":127}\nbad: column a: \"128\" is no i8: the number is out of range\nbad: column a: \"-129\" is no i8\nbad: column a: \"99999999999999999999\" is no i8: the number is out of range"},
		{"not utf8", "{}", "", two, "1,\xff\n", `bad: column u: "\xff" is no utf8: the bytes are not UTF-8`},
		{"null text", `{"null": NA}`, "", two, "NA,a\n1,NA\n\"NA\",a\n2,\"NA\"\n,b\n",
			"{\"n\":null,\"u\":\"a\"}\nbad: column u: the field is \"NA\", which is null\nbad: column n: \"NA\" is no i32\n{\"n\":2,\"u\":\"NA\"}\nbad: column n: \"\" is no i32"},
		{"empty is null or empty", "{}", "", connectortest.Columns(t, "n i32?", "u utf8", "v utf8?"), ",,\n", `{"n":null,"u":"","v":null}`},
		{"empty is missing", "{}", "", connectortest.Columns(t, "n i32", "u utf8"), ",a\n", `bad: column n: the field is "", which is null`},
		{"header", "{header: true}", "x,u,y,n,z\n", two, "0,a,0,1,0\n0,\"b\",0,2,0\n0,c,\n", "{\"n\":1,\"u\":\"a\"}\n{\"n\":2,\"u\":\"b\"}\nbad: the line has 3 fields, the header has 5"},
		{"delimiter", "{delimiter: ;}", "", two, "1;a,b\n\"2\";\"c;d\"\n", "{\"n\":1,\"u\":\"a,b\"}\n{\"n\":2,\"u\":\"c;d\"}"},
		{"multiline", "{multiline: true}", "", two, "1,\"a\nb\"\r\n2,\"\n\n\"\n3,c\n", "{\"n\":1,\"u\":\"a\\nb\"}\n{\"n\":2,\"u\":\"\\n\\n\"}\n{\"n\":3,\"u\":\"c\"}"},
		{"multiline, bad", "{multiline: true}", "", two, "1,\"a\"x\n2,b\"\n3,\"c\n4,d\n", "bad: field 2, column u: text after a closing quote\nbad: field 2, column u: a quote in a field\nbad: field 2, column u: a quote is open at the end of the data"},
		{"long value in the reason", "{}", "", two, strings.Repeat("9x", 100) + ",a\n", `bad: column n: "` + strings.Repeat("9x", 32) + `"... is no i32`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := connectortest.Decode(t, newDecoding(t, c.options, c.schema, c.header), c.schema, []byte(c.data), 1)
			var lines []string
			for _, item := range got.All {
				if _, reason, isBad := strings.Cut(item, "TM-FORMAT-"); isBad {
					item = "bad: " + reason[len("000: "):]
				} else {
					_, item, _ = strings.Cut(item, " ")
				}
				lines = append(lines, item)
			}
			want := strings.Split(c.want, "\n")
			if len(lines) != len(want) {
				t.Fatalf("got %d records:\n%s", len(lines), strings.Join(lines, "\n"))
			}
			for i := range want {
				if lines[i] != want[i] && !(strings.HasPrefix(want[i], "bad: ") && strings.HasPrefix(lines[i], want[i])) {
					t.Errorf("record %d:\ngot  %s\nwant %s", i, lines[i], want[i])
				}
			}
		})
	}
}

func TestHeaderErrors(t *testing.T) {
	s := connectortest.Columns(t, "carrier utf8", "dep_delay i32")
	for header, want := range map[string]string{
		"carier,dep_delay\n":            `no column "carrier"; did you mean "carier"?`,
		"carrier;dep_delay\n":           `columns of the header: carrier;dep_delay; if its columns are separated by ";", write delimiter: ";" under format`,
		"carrier\tdep_delay\n":          `write delimiter: "\t" under format`,
		"{\"carrier\":\"UA\"}\n":        `the data looks like JSON: write format: json`,
		"carrier,dep_delay,carrier\n":   `2 columns "carrier"`,
		"carrier,\"dep_delay\n":         "a quote is open",
		"":                              `no column "carrier"`,
		"\xEF\xBB\xBFcarrier,dep_delay": "",
		"x,\"carrier\",dep_delay\r\n":   "",
	} {
		_, err := newDecoder(config{header: true, delimiter: ','}, s, []byte(header))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) || !errcode.Is(err, format.ErrHeader)) {
			t.Errorf("%q: %v, want %q", header, err, want)
		}
	}
}

func TestOptions(t *testing.T) {
	if err := options.Validate(); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{`{delimiter: ""}`, `{delimiter: ab}`, `{delimiter: "\""}`, `{delimiter: "\n"}`, `{delimiter: é}`, `{"null": "a,b"}`, `{"null": "a;b", delimiter: ;}`, `{"null": "\""}`, `{"null": "\n"}`} {
		if _, errs := spec.ParseText(bad, options); len(errs) == 0 {
			t.Errorf("%s is accepted", bad)
		}
	}
}

// A list is refused when the format is set up, and the column is named.
func TestNoLists(t *testing.T) {
	s := connectortest.Columns(t, "a i8", "tags list<utf8>?")
	v, errs := spec.ParseText("{}", options)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	_, reading := decoding(v, s)
	_, writing := encoding(v, s)
	for _, err := range []error{reading, writing} {
		if e := errcode.Of(err); !errcode.Is(err, format.ErrOptions) || !strings.Contains(e.Message, "column tags is list<utf8>") || e.Hint == "" {
			t.Errorf("got %v", err)
		}
	}
}

// What the encoder writes the decoder reads back, whatever the values.
func TestRoundTrip(t *testing.T) {
	s := connectortest.Columns(t, "b bool?", "a i8?", "s i16?", "i i32?", "l i64?", "f f32?", "d f64?", "day date32?", "at timestamp?", "tz timestamp_tz?", "u utf8?", "x binary?",
		"p decimal128(20,3)?", "q decimal128(19,19)?")
	for seed := uint64(1); seed <= 30; seed++ {
		random := rand.New(rand.NewPCG(seed, 0))
		b := randomBatch(random, s)
		for _, opt := range []string{"{header: true, multiline: true}", `{header: true, multiline: true, "null": NA, delimiter: ";"}`} {
			v, errs := spec.ParseText(opt, options)
			if len(errs) > 0 {
				t.Fatal(errs)
			}
			e, err := encoding(v, s)
			if err != nil {
				t.Fatal(err)
			}
			text := e.Append(nil, b, 0, b.Rows)
			got := connectortest.Decode(t, newDecoding(t, opt, s, string(e.Header())), s, text, seed)
			if len(got.Bad) > 0 {
				t.Fatalf("seed %d: %v", seed, got.Bad[0].Reason)
			}
			if diff := connectortest.Difference(got.Rows, connectortest.Lines(b)); diff != "" {
				t.Fatalf("seed %d, %s: %s", seed, opt, diff)
			}
		}
	}
}

func randomBatch(random *rand.Rand, s *record.Schema) *record.Batch {
	b := record.NewBatch(s, 50)
	b.Rows = 50
	texts := []string{"", "NA", "a,b", "a\"b", "\"", "\n", "\r\n", "\r", "plain", "a;b", "\xEF\xBB\xBFx", "é"}
	for range b.Rows {
		for i := range b.Columns {
			c := &b.Columns[i]
			n := int64(random.Uint64())
			switch {
			case random.IntN(5) == 0:
				c.AppendNull()
			case c.Type.HasOffsets():
				c.AppendString(texts[random.IntN(len(texts))])
			case c.Type.Kind() == record.Decimal128:
				c.AppendDecimal(record.Decimal{High: n >> 63, Low: uint64(n)})
			case c.Type == record.F32:
				c.AppendFloat(float64(math.Float32frombits(uint32(n))))
			case c.Type == record.F64:
				c.AppendFloat(math.Float64frombits(uint64(n)))
			case c.Type == record.Bool:
				c.AppendInt(n & 1)
			case c.Type == record.Date32:
				c.AppendInt(n % 3e6)
			default:
				c.AppendInt(n >> (64 - 8*c.Type.Width()))
			}
		}
	}
	return b
}

// FuzzDecode compares with encoding/csv, which always reads multiline: the same fields up to the first error, an error at the same
// record, and the same records whatever the pieces. (encoding/csv turns CR LF within quotes into LF.)
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{"a,b\nc,d\n", "\"a\nb\",\"c\"\"d\"\r\n", "a\nb,c,d\n", "\"a\"b,c\n", "a\"b,c", "\"a", "\r\n\r,\n", ",\n\n,", "\"\",\"\r\n\"\n"} {
		f.Add([]byte(seed), uint64(1))
	}
	s := &record.Schema{Fields: []record.Field{{Name: "a", Type: record.UTF8}, {Name: "b", Type: record.UTF8}}}
	lines, multiline := newDecoding(f, "{}", s, ""), newDecoding(f, "{multiline: true}", s, "")
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		connectortest.Decode(t, lines, s, data, seed)
		got := connectortest.Decode(t, multiline, s, data, seed)
		if bytes.HasPrefix(data, []byte("\xEF\xBB\xBF")) || !utf8.Valid(data) {
			return // encoding/csv keeps the mark, and looks at no encoding
		}
		r := stdcsv.NewReader(bytes.NewReader(data))
		r.FieldsPerRecord = 2
		var want []string
		for {
			fields, err := r.Read()
			if err == io.EOF {
				if len(got.Bad) > 0 || len(got.Rows) != len(want) {
					t.Fatalf("%q: %d rows and %d bad, encoding/csv reads %d: %v", data, len(got.Rows), len(got.Bad), len(want), got.All)
				}
				return
			}
			if err != nil {
				if errors.Is(err, stdcsv.ErrFieldCount) || errors.As(err, new(*stdcsv.ParseError)) {
					if len(got.All) <= len(want) || !strings.Contains(got.All[len(want)], " bad, line ") {
						t.Fatalf("%q: record %d is not bad, encoding/csv says %v: %q", data, len(want), err, got.All)
					}
					return
				}
				t.Fatal(err)
			}
			b := record.NewBatch(s, 1)
			b.Rows = 1
			b.Columns[0].AppendString(fields[0])
			b.Columns[1].AppendString(fields[1])
			want = append(want, connectortest.Lines(b)[0])
			n := len(want) - 1
			if n >= len(got.All) {
				t.Fatalf("%q: record %d is missing, encoding/csv reads %s", data, n, want[n])
			}
			if _, row, _ := strings.Cut(got.All[n], " "); strings.ReplaceAll(row, `\r\n`, `\n`) != want[n] {
				t.Fatalf("%q: record %d is %s, encoding/csv reads %s", data, n, row, want[n])
			}
		}
	})
}
