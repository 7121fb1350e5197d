package source

import (
	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
)

const dayUs = 24 * 60 * 60 * 1_000_000

// setEventTime gives the rows of a batch their event time and returns the batch without the rows that have none, which are added
// to bad, and the greatest event time (record.WatermarkNone where there is no row).
func setEventTime(b *record.Batch, column int, bad *[]connectors.BadRecord) (*record.Batch, int64) {
	if b.Columns[column].Nulls > 0 {
		b = dropTimeless(b, column, bad)
	}
	c := &b.Columns[column]
	if c.Type == record.Date32 {
		b.EventTime = make([]int64, b.Rows)
		for i, day := range c.Int32s() {
			b.EventTime[i] = int64(day) * dayUs
		}
	} else {
		b.EventTime = c.Int64s()
	}
	greatest := record.WatermarkNone
	for _, t := range b.EventTime {
		greatest = max(greatest, t)
	}
	return b, greatest
}

func dropTimeless(b *record.Batch, column int, bad *[]connectors.BadRecord) *record.Batch {
	c := &b.Columns[column]
	keep := make([]int32, 0, b.Rows)
	for i := range b.Rows {
		if !c.Null(i) {
			keep = append(keep, int32(i))
			continue
		}
		r := connectors.BadRecord{At: -1, Raw: operator.AppendRowJSON(nil, b, i), Reason: ErrNoEventTime.
			Errorf("column %s, the event time, is null", b.Schema.Fields[column].Name).
			Do("give the record a time, or set on_error of the source to skip or dead_letter")}
		if b.Pos != nil {
			r.At = b.Pos[i]
		}
		*bad = append(*bad, r)
	}
	return b.Take(keep)
}
