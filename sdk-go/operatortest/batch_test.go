package operatortest_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/tidemill/tidemill/sdk-go/operator"
	"github.com/tidemill/tidemill/sdk-go/operatortest"
	"github.com/tidemill/tidemill/sdk-go/state"
)

type measures struct {
	Sensor operator.Texts[string]
	Value  operator.Nulls[[]float64]
	Good   operator.Bits
	At     []operator.Timestamp `tm:",event_time"`
}

type measure struct {
	Sensor string
	Value  operator.Null[float64]
	Good   bool
	Spare  int32
	At     operator.Timestamp `tm:",event_time"`
}

type scaledColumns struct {
	Sensor operator.FromInput
	Twice  operator.Nulls[[]float64]
	Bad    operator.Bits
	Label  operator.Texts[string]
	Raw    operator.Nulls[operator.Texts[[]byte]]
}

type scaled struct {
	Sensor string
	Twice  operator.Null[float64]
	Bad    bool
	Label  string
	Raw    operator.Null[[]byte]
	At     operator.Timestamp `tm:",event_time"`
}

// scaler works on columns, counts by key beside it, and reuses the memory of what it emits.
type scaler struct {
	In    operator.BatchIn[measures]
	Out   operator.BatchOut[scaledColumns]
	Good  operator.BatchOut[struct{ operator.FromInput }]
	Total operator.Out[struct {
		Sensor operator.FromKey
		N      int64
	}]
	Count state.Value[int64]
	made  scaledColumns
	items []uint32
}

func init() { operator.Register[scaler]("scaler", "") }

func (s *scaler) Open() error {
	s.In.OnBatch(s.onBatch)
	return nil
}

func (s *scaler) onBatch(b *operator.Batch[measures]) error {
	in, out := &b.Columns, &s.made
	out.Twice.Column, s.items = out.Twice.Column[:0], s.items[:0]
	out.Twice.Valid.Reset()
	out.Bad.Reset()
	out.Label.Reset()
	out.Raw.Column.Reset()
	out.Raw.Valid.Reset()
	for i := range b.Rows {
		b.Select(i)
		text := in.Sensor.At(i)
		if text == "refused" {
			return errors.New("a refused sensor")
		}
		out.Twice.Column = append(out.Twice.Column, 2*in.Value.Column[i])
		out.Twice.Valid.Append(!in.Value.Null(i))
		out.Bad.Append(!in.Good.At(i))
		out.Label.Append(text + "!")
		out.Raw.Column.Append([]byte{byte(i)})
		out.Raw.Valid.Append(true)
		if in.Good.At(i) {
			s.items = append(s.items, uint32(i))
		}
		n := s.Count.Edit()
		if *n++; *n%3 == 0 {
			s.Total.Emit(struct {
				Sensor operator.FromKey
				N      int64
			}{N: *n})
		}
	}
	s.Out.Emit(*out)
	s.Good.EmitFor(s.items, struct{ operator.FromInput }{})
	return nil
}

func TestTheBatchInterface(t *testing.T) {
	for _, shake := range []uint64{0, 1, 2, 3} {
		h := operatortest.New(t, "scaler", operatortest.Config{
			Key: []string{"sensor"}, Shake: shake, Inputs: map[string]any{"in": measure{}},
		})
		var sent, good []measure
		var want []scaled
		var totals []string
		count := map[string]int{}
		for i := range 50 {
			m := measure{Sensor: string(rune('a' + i%7)), Good: i%3 > 0, Spare: int32(i), At: operator.Timestamp(i * 10)}
			if i%4 > 0 {
				m.Value = operator.Some(float64(i) / 8)
			}
			if i == 20 {
				m.Sensor = "refused"
			}
			sent = append(sent, m)
			if m.Sensor == "refused" {
				continue
			}
			s := scaled{Sensor: m.Sensor, Bad: !m.Good, Label: m.Sensor + "!", At: m.At}
			if m.Value.Valid {
				s.Twice = operator.Some(2 * m.Value.Value)
			}
			want = append(want, s)
			if m.Good {
				good = append(good, m)
			}
			if count[m.Sensor]++; count[m.Sensor]%3 == 0 {
				totals = append(totals, m.Sensor)
			}
		}
		operatortest.Send(h, "in", sent...)
		got := operatortest.Rows[scaled](h, "out")
		for i := range got {
			if !got[i].Raw.Valid || len(got[i].Raw.Value) != 1 {
				t.Errorf("row %d: raw %+v", i, got[i].Raw)
			}
			got[i].Raw = operator.Null[[]byte]{}
		}
		if !slices.EqualFunc(got, want, func(a, b scaled) bool {
			return a.Sensor == b.Sensor && a.Twice == b.Twice && a.Bad == b.Bad && a.Label == b.Label && a.At == b.At
		}) {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
		if got := operatortest.Rows[measure](h, "good"); !slices.Equal(got, good) {
			t.Errorf("got  %+v\nwant %+v", got, good)
		}
		var sensors []string
		for _, row := range operatortest.Rows[struct {
			Sensor string
			N      int64
		}](h, "total") {
			sensors = append(sensors, row.Sensor)
		}
		if !slices.Equal(sensors, totals) {
			t.Errorf("totals of %q, want %q", sensors, totals)
		}
		if errs := h.Errors(); len(errs) != 1 || errs[0].Row.(measure).Spare != 20 || errs[0].Message != "a refused sensor" {
			t.Errorf("%+v", errs)
		}
	}
}

func TestColumnsAreNotConverted(t *testing.T) {
	_, err := operatortest.Open(t, "scaler", operatortest.Config{Key: []string{"sensor"}, Inputs: map[string]any{"in": struct {
		Sensor string
		Value  int32
		Good   bool
	}{}}})
	if message(err) != "port in, column value: it is of type i32, its field takes f64" {
		t.Error(err)
	}
}
