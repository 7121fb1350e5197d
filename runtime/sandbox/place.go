package sandbox

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/sandbox/crossing"
)

// itemPlace says which record or timer an item is: the split and position it came from, and its key.
func (o *Operator) itemPlace(w *work, item int) string {
	if w.kind == abi.KindTimers {
		t := o.timerFor(w, item)
		place := fmt.Sprintf("timer %s of key %s at %s", t.Name, t.Key, formatMicros(t.Time))
		if t.Tag != "" {
			place += fmt.Sprintf(" tag %q", t.Tag)
		}
		return place
	}
	place := fmt.Sprintf("row %d of a batch", item)
	if w.batch.Pos != nil && w.batch.Pos[item] >= 0 {
		place = fmt.Sprintf("position %d", w.batch.Pos[item])
		if origin := w.batch.Origin(item); origin != nil {
			place = fmt.Sprintf("source %s, split %s, position %d", origin.Source, origin.Split, w.batch.Pos[item])
		}
	}
	if keys := o.ctx.Inputs[w.port].Keys; len(keys) > 0 {
		columns := make([]record.Column, len(keys))
		for i, k := range keys {
			columns[i] = w.batch.Columns[k]
		}
		place += ", key " + formatKey(o.ctx.Key, columns, item)
	}
	return place
}

// timerFor describes a timer for people.
func (o *Operator) timerFor(w *work, item int) *operator.Timer {
	r := w.round
	t := &operator.Timer{
		Name: o.binding.Timers[r.Name[item]].Name, Domain: w.domain, Time: r.Time[item],
		Tag: abi.CleanText(r.Tags[r.TagOff[item]:r.TagOff[item+1]]),
	}
	columns := crossing.For(o.binding.Key)
	if err := record.DecodeKey(r.Keys.Key(item), columns); err != nil {
		t.Key = hex.EncodeToString(r.Keys.Key(item))
	} else {
		t.Key = formatKey(o.ctx.Key, columns, 0)
	}
	return t
}

// keyTextMax cuts a value that is shown in an error.
const keyTextMax = 64

// formatKey formats a key as (carrier=AA, day=2013-01-01).
func formatKey(fields []record.Field, columns []record.Column, row int) string {
	parts := make([]string, len(columns))
	for i := range columns {
		parts[i] = fields[i].Name + "=" + formatValue(&columns[i], row)
	}
	return "(" + strings.Join(parts, ", ") + ")"
}

func formatValue(c *record.Column, row int) string {
	if c.Null(row) {
		return "null"
	}
	switch c.Type.Kind() {
	case record.Decimal128:
		return string(record.AppendDecimal(nil, c.Decimal(row), c.Type.Scale()))
	case record.Bool:
		return strconv.FormatBool(c.Int(row) != 0)
	case record.F32, record.F64:
		return strconv.FormatFloat(c.Float(row), 'g', -1, 64)
	case record.UTF8:
		return abi.CleanText(c.Bytes(row)[:min(len(c.Bytes(row)), keyTextMax)])
	case record.Binary:
		return hex.EncodeToString(c.Bytes(row)[:min(len(c.Bytes(row)), keyTextMax)])
	case record.Date32:
		return time.Unix(c.Int(row)*86400, 0).UTC().Format(time.DateOnly)
	case record.Timestamp:
		return strings.TrimSuffix(formatMicros(c.Int(row)), "Z")
	case record.TimestampTZ:
		return formatMicros(c.Int(row))
	}
	return strconv.FormatInt(c.Int(row), 10)
}

func formatMicros(us int64) string {
	switch us {
	case record.WatermarkEnd:
		return "the end of input"
	case record.WatermarkNone:
		return "no time"
	}
	return time.UnixMicro(us).UTC().Format(time.RFC3339Nano)
}
