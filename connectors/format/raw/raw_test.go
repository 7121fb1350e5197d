package raw_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/connectors/connectortest"
	"github.com/tidemill/tidemill/connectors/format"
	_ "github.com/tidemill/tidemill/connectors/format/raw"
	"github.com/tidemill/tidemill/connectors/spec"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/record"
)

func newFor(t testing.TB, s *record.Schema) func() format.Decoder {
	t.Helper()
	decoding, err := format.Lookup("raw").Decoding(spec.Values{}, s)
	if err != nil {
		t.Fatal(err)
	}
	return func() format.Decoder {
		d, err := decoding.New(nil)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
}

func TestDecode(t *testing.T) {
	s := connectortest.Columns(t, "line utf8")
	got := connectortest.Decode(t, newFor(t, s), s, []byte("a\n\n b\r\n\xff\nc"), 1)
	want := []string{`{"line":"a"}`, `{"line":""}`, `{"line":" b\r"}`, `{"line":"c"}`}
	if !slices.Equal(got.Rows, want) || len(got.Bad) != 1 || !errcode.Is(got.Bad[0].Reason, format.ErrValue) || got.Bad[0].Line != 4 {
		t.Errorf("%q, bad %v", got.Rows, got.Bad)
	}
}

func TestSchema(t *testing.T) {
	for _, columns := range [][]string{{"a i32"}, {"a utf8", "b utf8"}, nil} {
		s := connectortest.Columns(t, columns...)
		if _, err := format.Lookup("raw").Decoding(spec.Values{}, s); !errcode.Is(err, format.ErrOptions) {
			t.Errorf("%v: %v", s, err)
		}
		if _, err := format.Lookup("raw").Encoding(spec.Values{}, s); !errcode.Is(err, format.ErrOptions) {
			t.Errorf("%v: %v", s, err)
		}
	}
}

// Lines are what lies between line feeds, byte for byte, and encoding them gives the data back.
func FuzzDecode(f *testing.F) {
	f.Add([]byte("a\nb\r\n\n"), uint64(1))
	f.Add([]byte("\n\nx"), uint64(2))
	s := format.Lookup("raw").Schema
	e, err := format.Lookup("raw").Encoding(spec.Values{}, s)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		got := connectortest.Decode(t, newFor(t, s), s, data, seed)
		whole := record.NewBatch(s, 1)
		newFor(t, s)().Decode(format.Chunk{Data: data, Final: true}, whole, 1<<30, nil)
		text := string(e.Append(nil, whole, 0, whole.Rows))
		if len(got.Bad) > 0 || len(got.Rows) != whole.Rows || strings.TrimSuffix(text, "\n") != strings.TrimSuffix(string(data), "\n") {
			t.Fatalf("%q becomes %q", data, text)
		}
	})
}
