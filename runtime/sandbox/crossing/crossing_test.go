package crossing

import (
	"math"
	"reflect"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/abi/frame"
	"github.com/tidemill/tidemill/abi/frame/frametest"
	"github.com/tidemill/tidemill/runtime/record"
)

// TestCopy takes rows out of drawn columns, with rubbish under their nulls, and compares the values.
func TestCopy(t *testing.T) {
	types := []abi.Type{abi.Bool, abi.I8, abi.I16, abi.I32, abi.I64, abi.F32, abi.F64, abi.UTF8, abi.Binary, abi.DecimalOf(5, 2)}
	for _, typ := range types[:len(types):len(types)] {
		types = append(types, abi.ListOf(typ))
	}
	rapid.Check(t, func(t *rapid.T) {
		typ := rapid.SampledFrom(types).Draw(t, "type")
		rows := rapid.IntRange(0, 60).Draw(t, "rows")
		filled, want := make([]any, rows), make([]any, rows)
		nulls := 0
		bitmap := make([]byte, (rows+7)/8)
		for i := range filled {
			filled[i] = drawValue(t, typ)
			if want[i] = filled[i]; rapid.IntRange(0, 4).Draw(t, "null") == 0 {
				want[i] = nil
				nulls++
			} else {
				bitmap[i/8] |= 1 << (i % 8)
			}
		}
		c := frametest.Column(typ, filled...)
		if nulls > 0 {
			c.Nulls, c.Validity = nulls, bitmap
		}
		from := 8 * rapid.IntRange(0, rows/8).Draw(t, "from")
		to := rapid.IntRange(from, rows).Draw(t, "to")
		out := Copy(&c, from, to)
		f := AsFrame(&out)
		if got := frametest.Values(&f); len(got) != to-from || (to > from && !reflect.DeepEqual(got, want[from:to])) {
			t.Fatalf("got %v, want %v", got, want[from:to])
		}
		clean := frametest.Column(typ, want[from:to]...)
		if to > from && typ != abi.Bool && string(out.Values) != string(clean.Values) {
			t.Fatalf("values %x, want %x: something stands under nulls", out.Values, clean.Values)
		}
		if clean.Elements != nil && typ.Element() != abi.Bool && string(out.Elements.Values) != string(clean.Elements.Values) {
			t.Fatalf("elements %x, want %x: something stands under nulls", out.Elements.Values, clean.Elements.Values)
		}
	})
}

// TestTypesAreTheSame: columns cross by a conversion of their type, so both packages must make and read types alike.
func TestTypesAreTheSame(t *testing.T) {
	var types []abi.Type
	for typ := range abi.TypeNames {
		if typ.Supported() && typ != abi.List && typ != abi.Decimal128 {
			types = append(types, typ)
		}
	}
	for digits := 1; digits <= abi.DecimalDigits; digits++ {
		for scale := range digits + 1 {
			types = append(types, abi.DecimalOf(digits, scale))
		}
	}
	for _, typ := range types[:len(types):len(types)] {
		types = append(types, abi.ListOf(typ))
	}
	for _, typ := range types {
		host := record.Type(typ)
		if parsed, ok := record.ParseType(typ.String()); !ok || parsed != host || host.String() != typ.String() || host.Width() != typ.Width() ||
			host.HasOffsets() != typ.HasOffsets() {
			t.Errorf("%v of a guest is %v of the host, of %d and %d bytes", typ, host, typ.Width(), host.Width())
		}
	}
}

func drawValue(t *rapid.T, typ abi.Type) any {
	n := rapid.IntRange(-100, 100).Draw(t, "n")
	switch typ.Kind() {
	case abi.List:
		list := []any{}
		for range (n + 100) % 4 {
			list = append(list, drawValue(t, typ.Element()))
		}
		return list
	case abi.Decimal128:
		return strconv.Itoa(n)
	case abi.Bool:
		return n > 0
	case abi.F32, abi.F64:
		return float64(n) / 4
	case abi.UTF8, abi.Binary:
		return "xyz"[:(n+100)%4]
	}
	return n
}

func TestOneNaN(t *testing.T) {
	for _, typ := range []abi.Type{abi.F32, abi.F64} {
		c := frametest.Column(typ, 1.0, math.NaN(), math.Inf(1))
		w := typ.Width()
		c.Values[2*w-1] |= 0x80 // negative
		c.Values[w] = 0x55      // with a payload
		out := View(&c)
		clean := frametest.Column(typ, 1.0, math.NaN(), math.Inf(1))
		clean.Values[w] = 0 // Go's own NaN has a payload of 1
		if string(out.Values) != string(clean.Values) {
			t.Errorf("%v: %x, want %x", typ, out.Values, clean.Values)
		}
		list := frame.Column{Type: abi.ListOf(typ), Len: 1, Offsets: []int32{0, 3}, Elements: &c}
		if of := View(&list); string(of.Elements.Values) != string(clean.Values) {
			t.Errorf("a list of %v: %x, want %x", typ, of.Elements.Values, clean.Values)
		}
		if c.Values[w] != 0x55 {
			t.Errorf("%v: the guest's memory was written to", typ)
		}
	}
}
