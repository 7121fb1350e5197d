package state_test

import (
	"bytes"
	"encoding/hex"
	"math"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
)

var rowFields = []record.Field{
	{Name: "name", Type: record.UTF8, Nullable: true}, {Name: "ok", Type: record.Bool, Nullable: true}, {Name: "age", Type: record.I8, Nullable: true},
	{Name: "n", Type: record.I64, Nullable: true}, {Name: "score", Type: record.F32, Nullable: true}, {Name: "blob", Type: record.Binary, Nullable: true},
	{Name: "at", Type: record.Timestamp, Nullable: true}, {Name: "day", Type: record.Date32, Nullable: true}, {Name: "short", Type: record.I16, Nullable: true},
	{Name: "price", Type: record.DecimalOf(12, 2), Nullable: true}, {Name: "tags", Type: record.ListOf(record.UTF8), Nullable: true},
	{Name: "bits", Type: record.ListOf(record.Bool), Nullable: true}, {Name: "shorts", Type: record.ListOf(record.I16), Nullable: true},
	{Name: "prices", Type: record.ListOf(record.DecimalOf(12, 2)), Nullable: true}, {Name: "blobs", Type: record.ListOf(record.Binary), Nullable: true},
}

func rowColumns(fields []record.Field, values ...any) []record.Column {
	columns := make([]record.Column, len(fields))
	for i, f := range fields {
		columns[i] = record.NewColumn(f.Type, 1)
		if i < len(values) {
			appendValue(&columns[i], values[i])
		}
	}
	return columns
}

func appendValue(c *record.Column, v any) {
	switch v := v.(type) {
	case nil:
		c.AppendNull()
	case int:
		c.AppendInt(int64(v))
	case float64:
		c.AppendFloat(v)
	case string:
		c.AppendString(v)
	case record.Decimal:
		c.AppendDecimal(v)
	case []any:
		for _, e := range v {
			appendValue(c.Elements, e)
		}
		c.EndList()
	}
}

// valueAt is the inverse of appendValue.
func valueAt(c *record.Column, i int) any {
	switch {
	case c.Null(i):
		return nil
	case c.Elements != nil:
		list := []any{}
		for e := c.Offsets[i]; e < c.Offsets[i+1]; e++ {
			list = append(list, valueAt(c.Elements, int(e)))
		}
		return list
	case c.Type.Kind() == record.Decimal128:
		return c.Decimal(i)
	case c.Type.HasOffsets():
		return string(c.Bytes(i))
	case c.Type == record.F32:
		return c.Float(i)
	}
	return int(c.Int(i))
}

func drawValue(t *rapid.T, typ record.Type) any {
	switch typ.Kind() {
	case record.List:
		list := []any{}
		for range rapid.IntRange(0, 4).Draw(t, "elements") {
			list = append(list, drawValue(t, typ.Element()))
		}
		return list
	case record.Decimal128:
		n := rapid.Int64Range(-999_999_999_999, 999_999_999_999).Draw(t, "decimal")
		return record.Decimal{High: n >> 63, Low: uint64(n)}
	case record.UTF8:
		return rapid.StringN(0, 200, 400).Draw(t, "utf8")
	case record.Binary:
		return string(rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "binary"))
	case record.F32:
		return float64(rapid.Float32().Draw(t, "f32"))
	case record.Bool:
		return rapid.IntRange(0, 1).Draw(t, "bool")
	}
	return int(rapid.Int64().Draw(t, "int") >> (64 - 8*typ.Width()))
}

// The bytes at rest of version 1: a change of any of them loses every state ever stored.
func TestGoldenRows(t *testing.T) {
	for _, c := range []struct {
		fields []record.Field
		values []any
		row    string
	}{
		{rowFields[3:4], []any{258}, "0001" + "0201000000000000"},
		{rowFields[3:4], []any{nil}, "0101" + "01" + "0000000000000000"},
		{rowFields[:1], []any{"EWR"}, "0001" + "03455752"},
		{rowFields[:1], []any{""}, "0001" + "00"},
		{rowFields[:1], []any{nil}, "0101" + "01" + "00"},
		{rowFields[4:5], []any{-1.5}, "0001" + "0000c0bf"},
		{rowFields[:3], []any{"é", 1, -2}, "0001" + "01" + "fe" + "02c3a9"},
		{rowFields[9:10], []any{record.Decimal{High: -1, Low: 1<<64 - 1230}}, "0001" + "32fb" + "ffffffffffffffffffffffffffff"},
		{rowFields[9:10], []any{nil}, "0101" + "01" + "00000000000000000000000000000000"},
		{rowFields[10:11], []any{[]any{"EWR", "", "é"}}, "0001" + "08" + "03455752" + "00" + "02c3a9"},
		{rowFields[10:11], []any{[]any{}}, "0001" + "00"},
		{rowFields[10:11], []any{nil}, "0101" + "01" + "00"},
		{rowFields[11:12], []any{[]any{1, 0, 1}}, "0001" + "03" + "010001"},
		{rowFields[12:13], []any{[]any{258, -1}}, "0001" + "04" + "0201" + "ffff"},
		{rowFields[13:14], []any{[]any{record.Decimal{Low: 5}}}, "0001" + "10" + "05000000000000000000000000000000"},
		{rowFields[:9], []any{"a", nil, 7, -1, nil, "\x00", 1, -1, nil}, // fixed fields first, then name and blob
			"0101" + "1201" + "00" + "07" + "ffffffffffffffff" + "00000000" + "0100000000000000" + "ffffffff" + "0000" + "0161" + "0100"},
	} {
		codec := state.NewCodec(c.fields)
		if got := hex.EncodeToString(codec.Append(nil, rowColumns(c.fields, c.values...), 0)); got != c.row {
			t.Errorf("%v is %s, not %s", c.values, got, c.row)
		}
	}
	word := make([]byte, state.WordLen)
	state.PutWord(word, 258)
	if got := hex.EncodeToString(word); got != "00010201000000000000" {
		t.Errorf("a word is %s", got)
	}
}

func TestRowRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from := rapid.IntRange(0, len(rowFields)-1).Draw(t, "from")
		fields := rowFields[from:rapid.IntRange(from+1, len(rowFields)).Draw(t, "to")]
		values := make([]any, len(fields))
		for i, f := range fields {
			if rapid.IntRange(0, 3).Draw(t, "null") > 0 {
				values[i] = drawValue(t, f.Type)
			}
		}
		codec := state.NewCodec(fields)
		row := codec.Append(nil, rowColumns(fields, values...), 0)
		columns := rowColumns(fields)
		if err := codec.Decode(row, columns); err != nil {
			t.Fatalf("%v as %x: %v", values, row, err)
		}
		for i, f := range fields {
			got := valueAt(&columns[i], 0)
			if nan, ok := got.(float64); !reflect.DeepEqual(got, values[i]) && !(ok && math.IsNaN(nan) && math.IsNaN(values[i].(float64))) {
				t.Fatalf("field %s of %v is decoded as %v", f.Name, values, got)
			}
		}
		// With an expiry it is the same row.
		ends := int64(len(row)) - 20
		expiring := state.AppendExpiry(slices.Clone(row), ends)
		again := rowColumns(fields)
		if err := codec.Decode(expiring, again); err != nil || !bytes.Equal(codec.Append(nil, again, 0), row) {
			t.Fatalf("%x is decoded as %x: %v", expiring, codec.Append(nil, again, 0), err)
		}
		if at, ok := state.Expiry(expiring); !ok || at != ends {
			t.Fatalf("%x expires at %d (%v), not %d", expiring, at, ok, ends)
		}
		if _, ok := state.Expiry(row); ok {
			t.Fatalf("%x has an expiry", row)
		}
		// Every beginning is refused, and so is a row with a byte more.
		for _, row := range [][]byte{row, expiring} {
			for n := range row {
				if err := codec.Decode(row[:n], rowColumns(fields)); !errcode.Is(err, state.CodeDamaged) {
					t.Fatalf("%x, the beginning of %x: %v", row[:n], row, err)
				}
			}
		}
		if err := codec.Decode(append(row, 0), rowColumns(fields)); !errcode.Is(err, state.CodeDamaged) {
			t.Fatalf("%x and a byte: %v", row, err)
		}
	})
}

// TestDamagedLists has lists whose bytes are not those of elements.
func TestDamagedLists(t *testing.T) {
	for _, c := range []struct {
		field int
		row   string
	}{{10, "00010103"}, {10, "00010403455752"[:12]}, {10, "000102" + "01ff"}, {10, "00010180"}, {12, "000103" + "010203"}, {13, "000108" + "0000000000000000"}} {
		b, err := hex.DecodeString(c.row)
		if err != nil {
			t.Fatal(err)
		}
		fields := rowFields[c.field : c.field+1]
		columns := rowColumns(fields)
		if err := state.NewCodec(fields).Decode(b, columns); !errcode.Is(err, state.CodeDamaged) {
			t.Errorf("%s as %v: %v", c.row, fields[0].Type, err)
		}
	}
}

func TestRowsOfLaterVersionsAreRefused(t *testing.T) {
	codec := state.NewCodec(rowFields[3:4])
	for _, row := range []string{"04010000000000000000", "00020000000000000000", "80010000000000000000", "00000000000000000000"} {
		b, err := hex.DecodeString(row)
		if err != nil {
			t.Fatal(err)
		}
		if err := codec.Decode(b, rowColumns(rowFields[3:4])); !errcode.Is(err, state.CodeVersion) {
			t.Errorf("%s: %v", row, err)
		}
	}
}
