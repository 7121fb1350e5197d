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
		for _, name := range TypeNames() {
			typ, _ := ParseType(name)
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

func appendRandom(random *rand.Rand, c *Column) string {
	v := int64(random.Uint64())
	switch {
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
		got := "null"
		switch {
		case c.Null(i):
			nulls++
		case c.Type.HasOffsets():
			got = string(c.Bytes(i))
		case c.Type == F32 || c.Type == F64:
			got = fmt.Sprint(c.Float(i))
		default:
			got = fmt.Sprint(c.Int(i))
		}
		if got != want {
			t.Fatalf("seed %d, %v: row %d is %s, want %s", seed, c.Type, i, got, want)
		}
	}
	if c.Nulls != nulls || nulls > 0 && CountNulls(c.Validity, c.Len) != nulls {
		t.Fatalf("seed %d, %v: %d nulls, want %d", seed, c.Type, c.Nulls, nulls)
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
