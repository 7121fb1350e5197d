package source

import (
	"math"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
)

const dayUs = 24 * 60 * 60 * 1_000_000

// setEventTime gives the rows of a batch their event time and returns the batch without the rows that have none, which are added
// to bad, and the greatest event time (record.WatermarkNone where there is no row).
func setEventTime(b *record.Batch, from *EventTime, bad *[]connectors.BadRecord) (*record.Batch, int64) {
	if c := &b.Columns[from.Column]; c.Nulls > 0 || from.Unit > 1 {
		b = dropTimeless(b, from, bad)
	}
	c := &b.Columns[from.Column]
	switch {
	case c.Type == record.Date32:
		b.EventTime = make([]int64, b.Rows)
		for i, day := range c.Int32s() {
			b.EventTime[i] = int64(day) * dayUs
		}
	case from.Unit > 1:
		b.EventTime = make([]int64, b.Rows)
		for i, t := range c.Int64s() {
			b.EventTime[i] = t * from.Unit
		}
	default:
		b.EventTime = c.Int64s()
	}
	greatest := record.WatermarkNone
	for _, t := range b.EventTime {
		greatest = max(greatest, t)
	}
	return b, greatest
}

func dropTimeless(b *record.Batch, from *EventTime, bad *[]connectors.BadRecord) *record.Batch {
	c := &b.Columns[from.Column]
	most := math.MaxInt64 / max(from.Unit, 1)
	keep := make([]int32, 0, b.Rows)
	for i := range b.Rows {
		why := "is null"
		if !c.Null(i) {
			if t := c.Int(i); -most <= t && t <= most || from.Unit <= 1 {
				keep = append(keep, int32(i))
				continue
			}
			why = "is beyond what microseconds can count"
		}
		r := connectors.BadRecord{At: -1, Raw: operator.AppendRowJSON(nil, b, i), Reason: ErrNoEventTime.
			Errorf("column %s, the event time, %s", b.Schema.Fields[from.Column].Name, why).
			Do("give the record a time, or set on_error of the source to skip or dead_letter")}
		if b.Pos != nil {
			r.At = b.Pos[i]
		}
		*bad = append(*bad, r)
	}
	if len(keep) == b.Rows {
		return b
	}
	return b.Take(keep)
}
