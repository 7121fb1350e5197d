package connectortest

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/tidemill/tidemill/connectors/format/json"
	"github.com/tidemill/tidemill/runtime/record"
)

// CheckBatch reports what is wrong with a batch as a reader or decoder made it: its buffers against record.Column's layout, its
// positions against their order.
func CheckBatch(b *record.Batch) error {
	if len(b.Columns) != len(b.Schema.Fields) || len(b.Pos) != b.Rows {
		return fmt.Errorf("%d columns of %d, %d positions of %d rows", len(b.Columns), len(b.Schema.Fields), len(b.Pos), b.Rows)
	}
	for i := 1; i < len(b.Pos); i++ {
		if b.Pos[i] <= b.Pos[i-1] {
			return fmt.Errorf("position %d of row %d is not behind %d", b.Pos[i], i, b.Pos[i-1])
		}
	}
	for i, f := range b.Schema.Fields {
		if err := checkColumn(&b.Columns[i], f, b.Rows); err != nil {
			return fmt.Errorf("column %s: %w", f.Name, err)
		}
	}
	return nil
}

func checkColumn(c *record.Column, f record.Field, rows int) error {
	if c.Type != f.Type || c.Len != rows {
		return fmt.Errorf("%v with %d values, want %v with %d", c.Type, c.Len, f.Type, rows)
	}
	if c.Nulls > 0 && !f.Nullable {
		return fmt.Errorf("%d nulls in a column that allows none", c.Nulls)
	}
	if c.Nulls > 0 && (len(c.Validity) != (rows+7)/8 || record.CountNulls(c.Validity, rows) != c.Nulls) {
		return fmt.Errorf("the bitmap has %d bytes and does not count %d nulls", len(c.Validity), c.Nulls)
	}
	switch {
	case c.Type.HasOffsets():
		if len(c.Offsets) != rows+1 || c.Offsets[0] != 0 || int(c.Offsets[rows]) != len(c.Values) {
			return fmt.Errorf("the offsets do not span the %d bytes of values", len(c.Values))
		}
		for i := range rows {
			if c.Offsets[i+1] < c.Offsets[i] {
				return fmt.Errorf("offset %d goes back", i+1)
			}
			if c.Type == record.UTF8 && !utf8.Valid(c.Bytes(i)) {
				return fmt.Errorf("row %d is not UTF-8", i)
			}
		}
	case c.Type.Kind() == record.List:
		if len(c.Offsets) != rows+1 || c.Offsets[0] != 0 || !slices.IsSorted(c.Offsets) {
			return fmt.Errorf("the offsets %v are not those of %d lists", c.Offsets, rows)
		}
		if err := checkColumn(c.Elements, record.Field{Type: f.Type.Element()}, int(c.Offsets[rows])); err != nil {
			return fmt.Errorf("elements: %w", err)
		}
	case c.Type == record.Bool:
		if len(c.Values) != (rows+7)/8 {
			return fmt.Errorf("%d bytes of bits for %d rows", len(c.Values), rows)
		}
	case len(c.Values) != rows*c.Type.Width():
		return fmt.Errorf("%d bytes of values for %d rows", len(c.Values), rows)
	case c.Type.Kind() == record.Decimal128:
		for i := range rows {
			if !c.Decimal(i).Fits(c.Type.Digits()) {
				return fmt.Errorf("row %d has more digits than %v", i, c.Type)
			}
		}
	}
	return nil
}

// Lines are the rows of a batch as JSON, in order.
func Lines(b *record.Batch) []string {
	e := json.NewEncoder(b.Schema)
	lines := make([]string, b.Rows)
	for row := range lines {
		line := e.Append(nil, b, row, row+1)
		lines[row] = string(line[:len(line)-1])
	}
	return lines
}
