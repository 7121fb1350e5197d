package record_test

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"math"
	"strings"
	"testing"

	"github.com/zeebo/xxh3"
	"pgregory.net/rapid"

	"github.com/tidemill/tidemill/runtime/record"
)

// keyTypes are all types but lists; each may be part of a key.
var keyTypes = []record.Type{
	record.Bool, record.I8, record.I16, record.I32, record.I64, record.F32, record.F64,
	record.Date32, record.Timestamp, record.TimestampTZ, record.UTF8, record.Binary, record.DecimalOf(38, 4),
}

// cell is a value of a row as Go has it: nil, int64, float64, string or record.Decimal.
type cell any

func drawCell(t *rapid.T, typ record.Type) cell {
	if rapid.IntRange(0, 5).Draw(t, "null") == 0 {
		return nil
	}
	switch {
	case typ == record.Bool:
		return rapid.Int64Range(0, 1).Draw(t, "bool")
	case typ.HasOffsets():
		// Few letters, zeros among them, so that beginnings are shared and escapes are met.
		return string(rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 'a', 0xff}), 0, 12).Draw(t, "bytes"))
	case typ.Kind() == record.Decimal128:
		high := rapid.OneOf(rapid.Int64Range(-2, 2), rapid.Int64Range(-1<<61, 1<<61)).Draw(t, "high")
		return record.Decimal{High: high, Low: rapid.Uint64().Draw(t, "low")}
	case typ == record.F32:
		return float64(rapid.Float32().Draw(t, "f32"))
	case typ == record.F64:
		return rapid.OneOf(rapid.Float64(), rapid.SampledFrom([]float64{0, math.Copysign(0, -1), math.NaN(), math.Inf(1), math.Inf(-1)})).Draw(t, "f64")
	}
	shift := 64 - 8*typ.Width()
	return rapid.Int64().Draw(t, "int") >> shift
}

func appendCell(c *record.Column, v cell) {
	switch v := v.(type) {
	case nil:
		c.AppendNull()
	case int64:
		c.AppendInt(v)
	case float64:
		c.AppendFloat(v)
	case string:
		c.AppendString(v)
	case record.Decimal:
		c.AppendDecimal(v)
	}
}

// compareCells is the order that the encoding must have: null first, NaN last, one zero.
func compareCells(a, b cell) int {
	switch a := a.(type) {
	case nil:
		if b == nil {
			return 0
		}
		return -1
	case int64:
		if b, ok := b.(int64); ok {
			switch {
			case a < b:
				return -1
			case a > b:
				return 1
			}
			return 0
		}
	case float64:
		if b, ok := b.(float64); ok {
			switch {
			case a != a && b != b || a == b:
				return 0
			case b != b || a < b:
				return -1
			}
			return 1
		}
	case string:
		if b, ok := b.(string); ok {
			return strings.Compare(a, b)
		}
	case record.Decimal:
		if b, ok := b.(record.Decimal); ok {
			if a.High == b.High {
				return cmp.Compare(a.Low, b.Low)
			}
			return cmp.Compare(a.High, b.High)
		}
	}
	return 1 // b is nil
}

func encodeRows(types []record.Type, rows ...[]cell) [][]byte {
	columns := make([]record.Column, len(types))
	order := make([]int, len(types))
	for c, typ := range types {
		columns[c], order[c] = record.NewColumn(typ, len(rows)), c
		for _, row := range rows {
			appendCell(&columns[c], row[c])
		}
	}
	var keys [][]byte
	for r := range rows {
		keys = append(keys, record.AppendKey(nil, columns, order, r))
	}
	return keys
}

func TestKeyOrderIsThatOfTheValues(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		types := rapid.SliceOfN(rapid.SampledFrom(keyTypes), 1, 4).Draw(t, "types")
		a, b := make([]cell, len(types)), make([]cell, len(types))
		want := 0
		for i, typ := range types {
			a[i] = drawCell(t, typ)
			if b[i] = a[i]; rapid.Bool().Draw(t, "differ") {
				b[i] = drawCell(t, typ)
			}
			if want == 0 {
				want = compareCells(a[i], b[i])
			}
		}
		keys := encodeRows(types, a, b)
		if got := bytes.Compare(keys[0], keys[1]); got != want {
			t.Fatalf("%v and %v compare as %d, their keys %x and %x as %d", a, b, want, keys[0], keys[1], got)
		}
		if want != 0 && (bytes.HasPrefix(keys[0], keys[1]) || bytes.HasPrefix(keys[1], keys[0])) {
			t.Fatalf("one of %x and %x is the beginning of the other", keys[0], keys[1])
		}
	})
}

func TestKeyRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		types := rapid.SliceOfN(rapid.SampledFrom(keyTypes), 1, 4).Draw(t, "types")
		row := make([]cell, len(types))
		for i, typ := range types {
			row[i] = drawCell(t, typ)
		}
		key := encodeRows(types, row)[0]
		columns := make([]record.Column, len(types))
		for i, typ := range types {
			columns[i] = record.NewColumn(typ, 1)
		}
		if err := record.DecodeKey(key, columns); err != nil {
			t.Fatalf("%v: %v", row, err)
		}
		for i := range columns {
			if got := cellOf(&columns[i], 0); compareCells(got, row[i]) != 0 {
				t.Fatalf("field %d of %v is decoded as %v", i, row, got)
			}
		}
		// Every beginning is refused, and so is what is longer.
		for n := range key {
			for i, typ := range types {
				columns[i] = record.NewColumn(typ, 1)
			}
			if record.DecodeKey(key[:n], columns) == nil {
				t.Fatalf("%x is accepted and is the beginning of %x", key[:n], key)
			}
		}
		if record.DecodeKey(append(key, 0), columns) == nil {
			t.Fatalf("%x with a byte more is accepted", key)
		}
	})
}

func cellOf(c *record.Column, i int) cell {
	switch {
	case c.Null(i):
		return nil
	case c.Type.HasOffsets():
		return string(c.Bytes(i))
	case c.Type == record.F32 || c.Type == record.F64:
		return c.Float(i)
	case c.Type.Kind() == record.Decimal128:
		return c.Decimal(i)
	}
	return c.Int(i)
}

// A widened key column must not move a key: all integer types encode alike, and both floats.
func TestKeysOfNarrowAndWideTypesMeet(t *testing.T) {
	for _, v := range []int64{-128, -1, 0, 1, 127} {
		wide := encodeRows([]record.Type{record.I64}, []cell{v})[0]
		for _, typ := range []record.Type{record.I8, record.I16, record.I32, record.Date32, record.Timestamp, record.TimestampTZ} {
			if got := encodeRows([]record.Type{typ}, []cell{v})[0]; !bytes.Equal(got, wide) {
				t.Errorf("%d as %v is %x, as i64 %x", v, typ, got, wide)
			}
		}
	}
	for _, v := range []float64{-1.5, 0, 2.25, math.Inf(1)} {
		if a, b := encodeRows([]record.Type{record.F32}, []cell{v})[0], encodeRows([]record.Type{record.F64}, []cell{v})[0]; !bytes.Equal(a, b) {
			t.Errorf("%g as f32 is %x, as f64 %x", v, a, b)
		}
	}
}

// The encodings and hashes that abi/SPEC.md pins; a change of any of them loses every state ever stored. Every hash here and in
// TestGoldenHashesOfLongKeys was computed with the reference implementation in C, xxHash 0.8 (XXH3_64bits, by python-xxhash).
func TestGoldenKeys(t *testing.T) {
	for _, c := range []struct {
		types []record.Type
		row   []cell
		key   string
		hash  uint64
	}{
		{[]record.Type{record.I64}, []cell{nil}, "00", 0xc44bdff4074eecdb},
		{[]record.Type{record.Bool}, []cell{int64(1)}, "0101", 0x070d80d6a76865f3},
		{[]record.Type{record.I64}, []cell{int64(0)}, "018000000000000000", 0x5ed9351268211059},
		{[]record.Type{record.I32}, []cell{int64(-1)}, "017fffffffffffffff", 0xa3c359fd3e03bbfc},
		{[]record.Type{record.Timestamp}, []cell{int64(1_700_000_000_000_000)}, "0180060a24181e4000", 0xb0acb1fa47beb811},
		{[]record.Type{record.F64}, []cell{1.5}, "01bff8000000000000", 0x08ceb94268d2295e},
		{[]record.Type{record.F64}, []cell{-1.5}, "014007ffffffffffff", 0x6be931503f10a2c1},
		{[]record.Type{record.F64}, []cell{math.Copysign(0, -1)}, "018000000000000000", 0x5ed9351268211059},
		{[]record.Type{record.F64}, []cell{math.NaN()}, "01ffffffffffffffff", 0x53a5f4bc2fc0168c},
		{[]record.Type{record.UTF8}, []cell{""}, "010000", 0xbac0c69c15810e04},
		{[]record.Type{record.UTF8}, []cell{"EWR"}, "014557520000", 0x68980b1f681b11ed},
		{[]record.Type{record.Binary}, []cell{"a\x00b"}, "016100ff620000", 0x224d634f560fea70},
		{[]record.Type{record.UTF8, record.I16}, []cell{"UA", int64(7)}, "0155410000018000000000000007", 0xbb3d6a3457c36077},
	} {
		key := encodeRows(c.types, c.row)[0]
		if got := hex.EncodeToString(key); got != c.key {
			t.Errorf("%v %v is %s, not %s", c.types, c.row, got, c.key)
		}
		if got := record.HashKey(key); got != c.hash {
			t.Errorf("the hash of %s is %#x, not %#x", c.key, got, c.hash)
		}
	}
}

// XXH3 has a way of its own for each range of lengths: 17 to 128, 129 to 240 and more bytes, besides those of the short keys above.
func TestGoldenHashesOfLongKeys(t *testing.T) {
	for _, c := range []struct {
		letters int // so many letters a between the tag and the two bytes of the terminator
		hash    uint64
	}{
		{14, 0xd93bd91d1d300348},
		{30, 0xf9d896e6bbbbcea3},
		{126, 0x5aa1d6cf011dff07},
		{237, 0xf6bff89909a5d4b3},
		{238, 0x795d1892d8a03baa},
		{400, 0xeae9b1607891c6d3},
	} {
		key := encodeRows([]record.Type{record.UTF8}, []cell{strings.Repeat("a", c.letters)})[0]
		if got := record.HashKey(key); got != c.hash {
			t.Errorf("the hash of a key of %d bytes is %#x, not %#x", len(key), got, c.hash)
		}
	}
}

// The key set of integers has a hash of its own for keys of nine bytes.
func TestHashOfIntegers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Int64().Draw(t, "v")
		b := record.NewBatch(&record.Schema{Fields: []record.Field{{Name: "k", Type: record.I64}}}, 1)
		b.Columns[0].AppendInt(v)
		b.Rows = 1
		var set record.KeySet
		set.Build(b, []int{0}, 0, 1)
		key := binary.BigEndian.AppendUint64([]byte{1}, uint64(v)^1<<63)
		if got, want := set.Hash[0], xxh3.Hash(key); got != want || !bytes.Equal(set.Key(0), key) {
			t.Fatalf("key %x of %d hashes to %#x, not %#x", set.Key(0), v, got, want)
		}
	})
}

func TestKeyGroups(t *testing.T) {
	for _, most := range []int{1, 2, 7, 128, 32768} {
		for parallelism := 1; parallelism <= min(most, 40); parallelism++ {
			next := 0
			for s := range parallelism {
				first, end := record.GroupRange(s, parallelism, most)
				if first != next || end <= first && most >= parallelism {
					t.Fatalf("subtask %d of %d over %d groups has [%d, %d), the one before ended at %d", s, parallelism, most, first, end, next)
				}
				if size := end - first; size < most/parallelism || size > most/parallelism+1 {
					t.Fatalf("subtask %d of %d over %d groups has %d", s, parallelism, most, size)
				}
				for g := first; g < end; g++ {
					if got := record.SubtaskOf(g, parallelism, most); got != s {
						t.Fatalf("group %d of %d is of subtask %d, not %d of %d", g, most, got, s, parallelism)
					}
				}
				next = end
			}
			if next != most {
				t.Fatalf("%d subtasks have %d of %d groups", parallelism, next, most)
			}
		}
	}
	if g := record.KeyGroup(0xffff_ffff_ffff_ffff, 128); g != 127 {
		t.Fatalf("group %d", g)
	}
}

func FuzzDecodeKey(f *testing.F) {
	f.Add([]byte{1, 'a', 0, 0xff, 0, 0, 0}, uint8(3))
	f.Add([]byte{1, 0x80, 0, 0, 0, 0, 0, 0, 1}, uint8(0))
	schemas := [][]record.Type{{record.I8}, {record.F32, record.Bool}, {record.Binary}, {record.UTF8, record.I64}, {record.DecimalOf(3, 1)}}
	f.Fuzz(func(t *testing.T, key []byte, schema uint8) {
		types := schemas[int(schema)%len(schemas)]
		columns := make([]record.Column, len(types))
		order := make([]int, len(types))
		for i, typ := range types {
			columns[i], order[i] = record.NewColumn(typ, 1), i
		}
		if record.DecodeKey(key, columns) != nil {
			return
		}
		// What is accepted is what AppendKey makes, but for floats: of several bits for NaN and zero one is right.
		if again := record.AppendKey(nil, columns, order, 0); !bytes.Equal(again, key) && types[0] != record.F32 {
			t.Fatalf("%x is decoded and encoded as %x", key, again)
		}
	})
}
