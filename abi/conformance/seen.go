package conformance

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/abi/conformance/model"
	"github.com/tidemill/tidemill/abi/conformance/program"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
)

// Seen is what a run shows, in the model's words.
type Seen struct {
	Rows     map[string][]string    // by port and key
	Rejected map[string][]rejection // by key
	Logged   map[string]bool
	Counted  uint64
	Gauged   map[float64]bool // values of the gauge at the ends of subtasks
	States   [][]string       // at each checkpoint, and at the end
	Drawn    map[string][]int64
	Stopped  bool // by a refused item
	Failed   bool // by a callback
	Fuel     int64
	Frames   int64
	Traps    int64

	steps []program.Step // rows, by position
}

// rejection is a model.Rejection with the host's cause.
type rejection struct {
	item  string
	cause string
}

func newSeen(steps []program.Step) *Seen {
	s := &Seen{
		Rows: map[string][]string{}, Rejected: map[string][]rejection{}, Logged: map[string]bool{}, Gauged: map[float64]bool{},
		Drawn: map[string][]int64{},
	}
	for _, step := range steps {
		if step.Kind == program.Row {
			s.steps = append(s.steps, step)
		}
	}
	return s
}

// emitted files the rows of a batch. Rows of callbacks are those of the first subtask.
func (s *Seen) emitted(p *program.Port, b *record.Batch, subtask int) {
	for row := range b.Rows {
		values := make([]program.Value, len(b.Columns))
		for i := range b.Columns {
			values[i] = valueAt(&b.Columns[i], row)
		}
		key := program.Key{K: values[0], G: values[1].Int}.String()
		if values[1].Null {
			key = model.Callbacks
			if subtask > 0 {
				continue
			}
		}
		file := p.Name + " of " + key
		s.Rows[file] = append(s.Rows[file], model.Line(p, values, b.EventTime[row], b.Pos[row]))
		if p == &program.Ports[program.PortDrawn] {
			s.Drawn[key] = append(s.Drawn[key], values[2].Int)
		}
	}
}

// valueAt is a value of the host as one of the model.
func valueAt(c *record.Column, row int) program.Value {
	switch {
	case c.Null(row):
		return program.Null
	case c.Type.HasOffsets():
		return program.Text(string(c.Bytes(row)))
	case c.Type == record.F32 || c.Type == record.F64:
		return program.Real(c.Float(row))
	case c.Type.Kind() == record.Decimal128:
		return program.Amount(program.Decimal(c.Decimal(row)))
	case c.Type.Kind() == record.List:
		var list []program.Value
		for i := c.Offsets[row]; i < c.Offsets[row+1]; i++ {
			list = append(list, valueAt(c.Elements, int(i)))
		}
		return program.List(list...)
	}
	return program.Int(c.Int(row))
}

// appendValue adds a value to a column.
func appendValue(c *record.Column, v program.Value) {
	switch {
	case v.Null:
		c.AppendNull()
	case c.Type.HasOffsets():
		c.AppendString(v.Text)
	case c.Type == record.F32 || c.Type == record.F64:
		c.AppendFloat(v.Real)
	case c.Type.Kind() == record.Decimal128:
		c.AppendDecimal(record.Decimal(v.Decimal))
	case c.Type.Kind() == record.List:
		for _, element := range v.List {
			appendValue(c.Elements, element)
		}
		c.EndList()
	default:
		c.AppendInt(v.Int)
	}
}

// inRow is a row of port in.
func inRow(s *program.Step) []record.Column {
	values := map[string]program.Value{"k": s.Key.K, "g": program.Int(s.Key.G), "program": program.Text(string(s.Program)), "unread": s.Unread}
	for i, f := range program.Fields {
		values[f.Name] = s.Record[i]
	}
	return columns(inSchema, values)
}

// moreRow is a row of port more.
func moreRow(s *program.Step) []record.Column {
	large, text := model.MoreColumns(&s.Record)
	return columns(moreSchema, map[string]program.Value{
		"k": s.Key.K, "g": program.Int(s.Key.G), "program": program.Text(string(s.Program)), "large": large, "text": text,
	})
}

func columns(schema *record.Schema, values map[string]program.Value) []record.Column {
	out := make([]record.Column, len(schema.Fields))
	for i, f := range schema.Fields {
		out[i] = record.NewColumn(f.Type, 1)
		appendValue(&out[i], values[f.Name])
	}
	return out
}

// refused files a rejection.
func (s *Seen) refused(x *operator.Rejection) {
	r := rejection{cause: x.Cause.Error()}
	key := ""
	if x.Timer != nil {
		r.item = timerItem(x.Timer.Name, x.Timer.Time, x.Timer.Tag)
		for _, k := range program.Keys {
			if formatKey(k) == x.Timer.Key {
				key = k.String()
			}
		}
	} else {
		pos := x.Row.Pos[0]
		step := &s.steps[pos]
		r.item, key = rowItem(pos), step.Key.String()
		want := inRow(step)
		if step.More {
			want = moreRow(step)
		}
		for i := range want {
			typ := program.Type(want[i].Type.String())
			if got, want := valueAt(&x.Row.Columns[i], 0).Format(typ), valueAt(&want[i], 0).Format(typ); got != want {
				r.item += fmt.Sprintf(", but its column %d is %s, want %s", i, got, want)
			}
		}
	}
	s.Rejected[key] = append(s.Rejected[key], r)
}

func rowItem(pos int64) string { return fmt.Sprint("row ", pos) }

// timerItem names a timer; what is not printable has been replaced in its tag.
func timerItem(name string, time int64, tag string) string {
	return fmt.Sprintf("timer %s at %d %q", name, time, abi.CleanText([]byte(tag)))
}

// formatKey is a key as the host shows it.
func formatKey(k program.Key) string {
	text := abi.CleanText([]byte(k.K.Text))
	if k.K.Null {
		text = "null"
	}
	return fmt.Sprintf("(k=%s, g=%d)", text, k.G)
}

func (s *Seen) metered(m *operator.Meter) {
	s.Fuel += m.Fuel.Load()
	s.Frames += m.Frames.Load()
	s.Traps += m.Traps.Load()
	for _, reading := range m.Custom() {
		switch reading.Name {
		case "counted":
			s.Counted += reading.Value.Load()
		case "gauged":
			s.Gauged[math.Float64frombits(reading.Value.Load())] = true
		}
	}
}

// logged is a slog.Handler that keeps the lines that are numbers: the others are of a guest's death.
type logged struct{ seen **Seen }

func (l logged) Enabled(context.Context, slog.Level) bool { return true }
func (l logged) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l logged) WithGroup(string) slog.Handler            { return l }

func (l logged) Handle(_ context.Context, r slog.Record) error {
	level := slices.Index([]slog.Level{slog.LevelDebug - 4, slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}, r.Level)
	if r.Message != "" && strings.Trim(r.Message, "-0123456789") == "" {
		(*l.seen).Logged[fmt.Sprintf("%d %s", level, r.Message)] = true
	}
	return nil
}
