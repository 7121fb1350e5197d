package record

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestColumnAgainstModel builds columns of every type by random calls, taking rows back now and then, and compares them, and what
// Take, Slice and AppendRange make of them, with a slice of values.
func TestColumnAgainstModel(t *testing.T) {
	for seed := uint64(1); seed <= 30; seed++ {
		random := rand.New(rand.NewPCG(seed, 0))
		for _, typ := range everyType() {
			c := NewColumn(typ, random.IntN(20))
			var model []string
			for range 60 {
				switch op := random.IntN(10); {
				case op == 0:
					n := random.IntN(len(model) + 2)
					c.Truncate(n)
					model = model[:min(n, len(model))]
				case op == 1 && random.IntN(5) == 0:
					c.Reset()
					model = nil
				case op < 4:
					c.AppendNull()
					model = append(model, "null")
				default:
					model = append(model, appendRandom(random, &c))
				}
				compare(t, seed, &c, model)
			}
			from := random.IntN(len(model) + 1)
			to := from + random.IntN(len(model)-from+1)
			part := c.Slice(from, to)
			compare(t, seed, &part, model[from:to])
			joined := NewColumn(typ, 0)
			joined.AppendRange(&c, from, to)
			joined.AppendRange(&c, 0, len(model))
			compare(t, seed, &joined, append(append([]string(nil), model[from:to]...), model...))
			var rows []int32
			var taken []string
			for i := range model {
				if random.IntN(2) == 0 {
					rows, taken = append(rows, int32(i)), append(taken, model[i])
				}
			}
			some := c.Take(rows)
			compare(t, seed, &some, taken)
		}
	}
}

// everyType is all types that are not made with others, decimals of several digits, and lists of each.
func everyType() []Type {
	types := []Type{DecimalOf(5, 2), DecimalOf(38, 0), DecimalOf(18, 18)}
	for _, name := range TypeNames() {
		t, _ := ParseType(name)
		types = append(types, t)
	}
	for _, t := range types[:len(types):len(types)] {
		types = append(types, ListOf(t))
	}
	return types
}

func appendRandom(random *rand.Rand, c *Column) string {
	v := int64(random.Uint64())
	switch {
	case c.Type.Kind() == List:
		texts := []string{}
		for range random.IntN(4) {
			texts = append(texts, appendRandom(random, c.Elements))
		}
		c.EndList()
		return fmt.Sprint(texts)
	case c.Type.Kind() == Decimal128:
		d := Decimal{v >> 1, random.Uint64()} // of 38 digits and fewer; columns do not count them
		c.AppendDecimal(d)
		return bigOf(d).String()
	case c.Type.HasOffsets():
		text := fmt.Sprint(v)[:random.IntN(5)]
		c.AppendString(text)
		return text
	case c.Type == F32 || c.Type == F64:
		f := float64(float32(v))
		c.AppendFloat(f)
		return fmt.Sprint(f)
	case c.Type == Bool:
		v &= 1
	default:
		v >>= 64 - 8*c.Type.Width()
	}
	c.AppendInt(v)
	return fmt.Sprint(v)
}

func compare(t *testing.T, seed uint64, c *Column, model []string) {
	t.Helper()
	if c.Len != len(model) {
		t.Fatalf("seed %d, %v: %d rows, want %d", seed, c.Type, c.Len, len(model))
	}
	nulls := 0
	for i, want := range model {
		if c.Null(i) {
			nulls++
		}
		if got := textOf(c, i); got != want {
			t.Fatalf("seed %d, %v: row %d is %s, want %s", seed, c.Type, i, got, want)
		}
	}
	if c.Nulls != nulls || nulls > 0 && CountNulls(c.Validity, c.Len) != nulls {
		t.Fatalf("seed %d, %v: %d nulls, want %d", seed, c.Type, c.Nulls, nulls)
	}
	if c.Elements != nil && (c.Elements.Nulls > 0 || int(c.Offsets[c.Len]) != c.Elements.Len) {
		t.Fatalf("seed %d, %v: %d elements, %d of them null, the last offset is %d", seed, c.Type, c.Elements.Len, c.Elements.Nulls, c.Offsets[c.Len])
	}
	switch bits := (c.Len + 7) / 8; {
	case nulls > 0 && len(c.Validity) != bits:
		t.Fatalf("seed %d, %v: %d bytes of validity for %d rows", seed, c.Type, len(c.Validity), c.Len)
	case c.Type == Bool && len(c.Values) != bits:
		t.Fatalf("seed %d, bool: %d bytes for %d rows", seed, len(c.Values), c.Len)
	case c.Type.Width() > 0 && len(c.Values) != c.Len*c.Type.Width():
		t.Fatalf("seed %d, %v: %d bytes for %d rows", seed, c.Type, len(c.Values), c.Len)
	}
}

// textOf is row i as appendRandom gives it.
func textOf(c *Column, i int) string {
	switch {
	case c.Null(i):
		return "null"
	case c.Type.Kind() == List:
		texts := []string{}
		for e := c.Offsets[i]; e < c.Offsets[i+1]; e++ {
			texts = append(texts, textOf(c.Elements, int(e)))
		}
		return fmt.Sprint(texts)
	case c.Type.Kind() == Decimal128:
		return bigOf(c.Decimal(i)).String()
	case c.Type.HasOffsets():
		return string(c.Bytes(i))
	case c.Type == F32 || c.Type == F64:
		return fmt.Sprint(c.Float(i))
	}
	return fmt.Sprint(c.Int(i))
}

// TestTruncateDropsAnOpenList: what was added to a list that was never ended is not in the next one.
func TestTruncateDropsAnOpenList(t *testing.T) {
	c := NewColumn(ListOf(I64), 2)
	c.Elements.AppendInt(1)
	c.EndList()
	c.Elements.AppendInt(2)
	c.Truncate(1)
	c.Elements.AppendInt(3)
	c.EndList()
	if got := textOf(&c, 0) + textOf(&c, 1); got != "[1][3]" {
		t.Errorf("got %s", got)
	}
}

func TestTypeNames(t *testing.T) {
	for _, typ := range append(everyType(), DecimalOf(1, 0), DecimalOf(38, 38), ListOf(DecimalOf(38, 37))) {
		if got, ok := ParseType(typ.String()); !ok || got != typ {
			t.Errorf("%v is read as %v, %v", typ, got, ok)
		}
		if typ.Kind() == List && ListOf(typ.Element()) != typ {
			t.Errorf("%v has elements of %v", typ, typ.Element())
		}
	}
	if got := ListOf(DecimalOf(12, 2)).String(); got != "list<decimal128(12,2)>" {
		t.Errorf("got %s", got)
	}
	for _, name := range []string{"", "decimal128", "decimal128(0,0)", "decimal128(39,0)", "decimal128(5,6)", "decimal128(5)", "decimal128(5,-1)",
		"decimal128(05,2)", "decimal128(5, 2)", "decimal128(5,2)x", "decimal128(+5,2)", "list", "list<>", "list<i8", "list<i8>>", "list<list<i8>>", "list<time64>"} {
		if got, ok := ParseType(name); ok {
			t.Errorf("%q is read as %v", name, got)
		}
	}
}
