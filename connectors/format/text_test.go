package format_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/connectors/format"
	"github.com/tidemill/tidemill/connectors/spec"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/record"
)

// Timestamps read and write as package time has them, over the years that RFC 3339 knows.
func TestTimestampsEqualPackageTime(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 0))
	first, last := time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC)
	for range 20000 {
		us := first.UnixMicro() + random.Int64N(last.UnixMicro()-first.UnixMicro()+1)
		if random.IntN(3) == 0 {
			us -= us % 1_000_000 // fractions are often absent
		}
		want := time.UnixMicro(us).UTC().Format(time.RFC3339Nano)
		if got := string(format.AppendTimestamp(nil, us)); got != want {
			t.Fatalf("%d is written %s, package time has %s", us, got, want)
		}
		zone := time.FixedZone("", random.IntN(2*86340/60)*60-86340)
		text := time.UnixMicro(us).In(zone).Format(time.RFC3339Nano)
		if y := time.UnixMicro(us).In(zone).Year(); y < 0 || y > 9999 {
			continue
		}
		if got, ok := format.ParseTimestamp([]byte(text)); !ok || got != us {
			t.Fatalf("%s is read as %d, %v, package time has %d", text, got, ok, us)
		}
		day := time.UnixMicro(us).UTC().Format(time.DateOnly)
		days := int32(math.Floor(float64(us) / 86400e6))
		if got, ok := format.ParseDate([]byte(day)); !ok || got != days {
			t.Fatalf("%s is read as day %d, want %d", day, got, days)
		}
		if got := string(format.AppendDate(nil, days)); got != day {
			t.Fatalf("day %d is written %s, want %s", days, got, day)
		}
	}
}

var (
	shape  = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)?$`)
	offset = regexp.MustCompile(`[+-](2[4-9]|[3-9]\d):\d\d$|[+-]\d\d:[6-9]\d$`) // beyond 23:59, of which package time takes some
	beyond = regexp.MustCompile(`^([+-]\d{6}|\d{4})-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)?$`)
)

func FuzzParseTimestamp(f *testing.F) {
	for _, s := range []string{"2013-01-01T10:00:00Z", "2013-01-01 10:00:00", "2024-02-29T23:59:59.999999+14:30", "2023-02-29T00:00:00Z", "2013-01-01T24:00:00Z", "+012345-01-01T00:00:00Z",
		"2024-02-29T23:59:59.999999+24:30", "2024-02-29T23:59:59-23:60", "2024-02-29T23:59:59-23:59"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := format.ParseTimestamp([]byte(text))
		if !shape.MatchString(text) { // package time takes hours of one digit, commas and more
			if ok && !beyond.MatchString(text) {
				t.Fatalf("%q is read as %d", text, got)
			}
			return
		}
		want, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			want, err = time.Parse("2006-01-02T15:04:05.999999999", text)
		}
		if err == nil && offset.MatchString(text) {
			err = errors.New("an offset beyond 23:59")
		}
		if ok != (err == nil) {
			t.Fatalf("%q: %v, package time says %v", text, ok, err)
		}
		if ok && got != want.UnixMicro() {
			t.Fatalf("%q: %d, package time has %d", text, got, want.UnixMicro())
		}
	})
}

func TestTimesBeyondRFC3339(t *testing.T) {
	for _, us := range []int64{math.MinInt64, math.MinInt64 + 1, math.MaxInt64, math.MaxInt64 - 1, -62167219200000001, 253402300800000000, 0, -1} {
		text := format.AppendTimestamp(nil, us)
		if got, ok := format.ParseTimestamp(text); !ok || got != us {
			t.Errorf("%d is written %s and read as %d, %v", us, text, got, ok)
		}
	}
	for _, days := range []int32{math.MinInt32 / 8, math.MaxInt32 / 8, -719529, 2932897} {
		text := format.AppendDate(nil, days)
		if got, ok := format.ParseDate(text); !ok || got != days {
			t.Errorf("day %d is written %s and read as %d, %v", days, text, got, ok)
		}
	}
	for _, bad := range []string{"", "2013", "2013-01-01", "2013-01-01T", "2013-13-01T00:00:00", "2013-01-01T00:00:60Z", "2013-01-01T00:00:00.Z", "2013-01-01T00:00:00.1234567890Z",
		"2013-01-01T00:00:00+2:00", "2013-01-01T00:00:00+24:00", "2013-01-01T00:00:00Zx", "2013-01-01x00:00:00Z", "+999999-01-01T00:00:00Z", "+294247-01-10T04:00:54.775808Z", "-290308-12-21T19:59:05.224191Z"} {
		if got, ok := format.ParseTimestamp([]byte(bad)); ok {
			t.Errorf("%q is read as %d", bad, got)
		}
	}
	if got, ok := format.ParseTimestamp([]byte("2013-01-01T00:00:00.123456789Z")); !ok || got != 1356998400123456 {
		t.Errorf("digits beyond microseconds: %d, %v", got, ok)
	}
}

// Numbers read as package strconv has them.
func FuzzNumbers(f *testing.F) {
	for _, s := range []string{"0", "-0", "+5", "123456789012345678", "9223372036854775807", "9223372036854775808", "1.5", "-0.1", "1e21", "1e400", ".", "-", "0x10", "1_0", "inf", "123456789012345.6", "0.1234567890123456"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		i := record.NewColumn(record.I64, 1)
		wantInt, err := strconv.ParseInt(text, 10, 64)
		if problem := format.AppendInt(&i, []byte(text)); (problem == "") != (err == nil) || err == nil && i.Int(0) != wantInt {
			t.Fatalf("%q: %q, strconv says %d, %v", text, problem, wantInt, err)
		}
		if strings.Trim(text, "0123456789+-.eE") != "" {
			return // names of NaN and the infinities, and forms that strconv takes and we do not
		}
		for _, typ := range []record.Type{record.F64, record.F32} {
			c := record.NewColumn(typ, 1)
			bits := 8 * typ.Width()
			want, err := strconv.ParseFloat(text, bits)
			problem := format.AppendFloat(&c, []byte(text))
			if (problem == "") != (err == nil) || err == nil && math.Float64bits(c.Float(0)) != math.Float64bits(want) {
				t.Fatalf("%q as %v: %q, strconv says %v, %v", text, typ, problem, want, err)
			}
		}
	})
}

func TestSchema(t *testing.T) {
	object := &spec.Object{Fields: []spec.Field{format.SchemaField}}
	v, errs := spec.ParseText("schema: {a: i32, b: 'utf8?'}", object)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	s, err := format.ParseSchema(v.Map("schema"), "type")
	if err != nil || s.String() != "{a: i32, b: utf8?}" {
		t.Errorf("%v, %v", s, err)
	}
	for written, hint := range map[string]string{
		"decimal(12,2)": "write decimal128(P,S)", "decimal128(39,2)": "1 to 38", "decimal128(12, 2)": "without spaces", "list<list<i8>>": "any type but lists",
		"list<utf8?>": "never null", "list": "decimal128(P,S), and list<T>", "decimal128(12": "needs quotes",
	} {
		v, _ := spec.ParseText("schema: {a: '"+written+"'}", object)
		_, err := format.ParseSchema(v.Map("schema"), "type")
		if e := errcode.Of(err); e == nil || !strings.Contains(e.Hint, hint) {
			t.Errorf("%s: %v, want the hint %q", written, err, hint)
		}
	}
	v, _ = spec.ParseText("schema:\n  a: decimal128(12,2)\n  b: list<decimal128(12,2)>?\n", object)
	if s, err := format.ParseSchema(v.Map("schema"), "type"); err != nil || s.String() != "{a: decimal128(12,2), b: list<decimal128(12,2)>?}" {
		t.Errorf("%v, %v", s, err)
	}
	v, _ = spec.ParseText("schema:\n  a: int32\n  b: utf7?\n", object)
	_, err = format.ParseSchema(v.Map("schema"), "type")
	list := errcode.Each(err)
	if len(list) != 2 || list[0].Place != "options:2:6" || !strings.Contains(list[1].Message, `no type "utf7"; did you mean "utf8"?`) {
		t.Errorf("%v", err)
	}
}
