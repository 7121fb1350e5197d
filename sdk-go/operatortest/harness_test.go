package operatortest_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/sdk-go/operator"
	"github.com/tidemill/tidemill/sdk-go/operatortest"
	"github.com/tidemill/tidemill/sdk-go/state"
)

// kinds has a column of every type.
type kinds struct {
	Bool  bool
	I8    int8
	I16   int16
	I32   int32
	I64   int64
	F32   float32
	F64   float64
	Day   operator.Date
	At    operator.Timestamp
	Zoned operator.Timestamp `tm:"zoned,tz"`
	Text  string
	Bytes []byte
}

type nullableKinds struct {
	Bool  operator.Null[bool]
	I8    operator.Null[int8]
	I16   operator.Null[int16]
	I32   operator.Null[int32]
	I64   operator.Null[int64]
	F32   operator.Null[float32]
	F64   operator.Null[float64]
	Day   operator.Null[operator.Date]
	At    operator.Null[operator.Timestamp]
	Text  operator.Null[string]
	Bytes operator.Null[[]byte]
}

// wide takes narrower columns.
type wide struct {
	I8, I16, I32, I64 int64
	F32, F64          float64
	Text              []byte
	Bool              operator.Null[bool]
}

type narrow struct {
	I8   int8
	I16  int16
	I32  int32
	I64  int64
	F32  float32
	F64  int16
	Text string
	Bool bool
}

func identity[R any](row *R) R { return *row }

func init() {
	operator.Map("kinds", identity[kinds])
	operator.Map("nullable", identity[nullableKinds])
	operator.Map("widen", identity[wide])
	operator.Filter("even", func(row *struct{ I64 int64 }) bool { return row.I64%2 == 0 })
	operator.FlatMap("split", func(row *struct{ Text string }, out *operator.Out[struct{ Word string }]) error {
		for word := range strings.SplitSeq(row.Text, " ") {
			if word == "bad" {
				return errors.New("a bad word")
			}
			out.Emit(struct{ Word string }{word})
		}
		return nil
	})
}

func sample(i int) kinds {
	return kinds{
		Bool: i%3 == 0, I8: int8(i), I16: int16(i * 300), I32: int32(i * 70000), I64: int64(i) * math.MaxInt32 * 5, F32: float32(i) / 3,
		F64: float64(i) / 7, Day: operator.Date(i * 11), At: operator.Timestamp(i * 1e12), Zoned: operator.Timestamp(-i),
		Text: strings.Repeat("ü", i&3), Bytes: []byte(strings.Repeat("\x00\xff", i&3)),
	}
}

func TestEveryTypeGoesThrough(t *testing.T) {
	h := operatortest.New(t, "kinds", operatortest.Config{})
	var rows []kinds
	for i := range 600 { // more than rowsAtOnce
		rows = append(rows, sample(i-300))
	}
	operatortest.Send(h, "in", rows...)
	got := operatortest.Rows[kinds](h, "out")
	if len(got) != len(rows) {
		t.Fatalf("%d rows of %d", len(got), len(rows))
	}
	for i, g := range got {
		if string(g.Bytes) != string(rows[i].Bytes) {
			t.Errorf("row %d: bytes %q, want %q", i, g.Bytes, rows[i].Bytes)
		}
		w := rows[i]
		g.Bytes, w.Bytes = nil, nil
		if !equalKinds(g, w) {
			t.Fatalf("row %d:\n got %+v\nwant %+v", i, g, w)
		}
	}
}

func equalKinds(a, b kinds) bool {
	return a.Bool == b.Bool && a.I8 == b.I8 && a.I16 == b.I16 && a.I32 == b.I32 && a.I64 == b.I64 && a.F32 == b.F32 &&
		a.F64 == b.F64 && a.Day == b.Day && a.At == b.At && a.Zoned == b.Zoned && a.Text == b.Text
}

func TestNullsGoThrough(t *testing.T) {
	h := operatortest.New(t, "nullable", operatortest.Config{})
	var rows []nullableKinds
	for i := range 40 {
		k := sample(i)
		var n nullableKinds
		set := func(bit int, f func()) {
			if i>>bit&1 == 0 && i != 0 {
				f()
			}
		}
		set(0, func() { n.Bool, n.I8 = operator.Some(k.Bool), operator.Some(k.I8) })
		set(1, func() { n.I16, n.I32 = operator.Some(k.I16), operator.Some(k.I32) })
		set(2, func() { n.I64, n.F32 = operator.Some(k.I64), operator.Some(k.F32) })
		set(3, func() { n.F64, n.Day = operator.Some(k.F64), operator.Some(k.Day) })
		set(4, func() { n.At, n.Text, n.Bytes = operator.Some(k.At), operator.Some(k.Text), operator.Some([]byte("b")) })
		rows = append(rows, n)
	}
	operatortest.Send(h, "in", rows...)
	for i, g := range operatortest.Rows[nullableKinds](h, "out") {
		w := rows[i]
		if g.Bytes.Valid != w.Bytes.Valid || string(g.Bytes.Value) != string(w.Bytes.Value) {
			t.Errorf("row %d: bytes %+v, want %+v", i, g.Bytes, w.Bytes)
		}
		if g.Bool != w.Bool || g.I8 != w.I8 || g.I16 != w.I16 || g.I32 != w.I32 || g.I64 != w.I64 || g.F32 != w.F32 || g.F64 != w.F64 ||
			g.Day != w.Day || g.At != w.At || g.Text != w.Text {
			t.Fatalf("row %d:\n got %+v\nwant %+v", i, g, w)
		}
	}
}

func TestNumbersWiden(t *testing.T) {
	h := operatortest.New(t, "widen", operatortest.Config{Inputs: map[string]any{"in": narrow{}}})
	operatortest.Send(h, "in", narrow{-1, -300, -70000, math.MinInt64, 0.5, -7, "x", true})
	got := operatortest.Rows[wide](h, "out")
	if len(got) != 1 || got[0].I8 != -1 || got[0].I16 != -300 || got[0].I32 != -70000 || got[0].I64 != math.MinInt64 ||
		got[0].F32 != 0.5 || got[0].F64 != -7 || string(got[0].Text) != "x" || got[0].Bool != operator.Some(true) {
		t.Errorf("%+v", got)
	}
}

func TestAnInputThatDoesNotFitIsRefused(t *testing.T) {
	for _, c := range []struct {
		row  any
		want string
	}{
		{struct{ I64 int32 }{}, ""},
		{struct{ Other int64 }{}, "port in, column i64: the input does not have it"},
		{struct{ I64 operator.Null[int64] }{}, "port in, column i64: it may be null, so its field must be an operator.Null"},
		{struct{ I64 float64 }{}, "port in, column i64: it is of type f64, its field takes i64"},
		{struct{ I64 string }{}, "port in, column i64: it is of type utf8, its field takes i64"},
		{struct{ I64 operator.Timestamp }{}, "port in, column i64: it is of type timestamp, its field takes i64"},
	} {
		_, err := operatortest.Open(t, "even", operatortest.Config{Inputs: map[string]any{"in": c.row}})
		if got := message(err); got != c.want {
			t.Errorf("%T: %q, want %q", c.row, got, c.want)
		}
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestAFilterPassesAllColumnsThrough(t *testing.T) {
	h := operatortest.New(t, "even", operatortest.Config{Inputs: map[string]any{"in": kinds{}}})
	var rows, want []kinds
	for i := range 10 {
		rows = append(rows, kinds{I64: int64(i), Text: strings.Repeat("x", i)})
		if i%2 == 0 {
			want = append(want, rows[i])
		}
	}
	operatortest.Send(h, "in", rows...)
	if got := operatortest.Rows[kinds](h, "out"); !slices.EqualFunc(got, want, equalKinds) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
}

// copies emits each row as many times as it says.
type copies struct {
	In  operator.In[struct{ N int64 }]
	Out operator.Out[operator.FromInputRow]
}

func init() { operator.Register[copies]("copies", "") }

func (c *copies) Open() error {
	c.In.OnRow(func(r *struct{ N int64 }) error {
		for range r.N {
			c.Out.Emit(operator.FromInputRow{})
		}
		return nil
	})
	return nil
}

// As many rows as items are no sign that each row belongs to the item of its number.
func TestRowsBelongToTheirItems(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 0))
	for range 500 {
		counts := make([]int64, 1+random.IntN(10))
		for range counts {
			counts[random.IntN(len(counts))]++
		}
		h := operatortest.New(t, "copies", operatortest.Config{Inputs: map[string]any{"in": numbered{}}})
		var rows, want []numbered
		for i, n := range counts {
			r := numbered{strconv.Itoa(i), n}
			rows = append(rows, r)
			want = append(want, slices.Repeat([]numbered{r}, int(n))...)
		}
		operatortest.Send(h, "in", rows...)
		if got := operatortest.Rows[numbered](h, "out"); !slices.Equal(got, want) {
			t.Fatalf("counts %v: %v", counts, got)
		}
	}
}

func TestARejectedRowHasNoEffect(t *testing.T) {
	type line struct{ Text string }
	h := operatortest.New(t, "split", operatortest.Config{})
	operatortest.Send(h, "in", line{"a b"}, line{"c bad"}, line{"bad"}, line{"d"}, line{"e bad f"}, line{"g"})
	var got []string
	for _, w := range operatortest.Rows[struct{ Word string }](h, "out") {
		got = append(got, w.Word)
	}
	if strings.Join(got, " ") != "a b d g" {
		t.Errorf("got %q", got)
	}
	errs := h.Errors()
	if len(errs) != 3 || errs[0].Row != (line{"c bad"}) || errs[1].Row != (line{"bad"}) || errs[2].Row != (line{"e bad f"}) ||
		errs[0].Port != "in" || errs[0].Message != "a bad word" || errs[0].Panic {
		t.Errorf("%+v", errs)
	}
}

// limits is an operator whose parameters and answers go to their limits.
type limits struct {
	operator.Base
	On     bool          `param:"on" default:"true"`
	Small  int8          `param:"small" default:"-3"`
	Ratio  float64       `param:"ratio" default:"0.5"`
	Name   string        `param:"name" default:""`
	Wait   time.Duration `param:"wait" default:"1m30s"`
	Must   int64         `param:"must"`
	In     operator.In[struct{ N int64 }]
	Out    operator.Out[struct{ Text string }]
	Params operator.Out[struct {
		On    bool
		Small int8
		Ratio float64
		Name  string
		Wait  int64
		Must  int64
	}]
	Seen operator.Counter
}

func init() { operator.Register[limits]("limits", "") }

func (l *limits) Open() error {
	if l.Must < 0 {
		return operator.ParamError("must", "it must not be negative")
	}
	l.In.OnRow(func(row *struct{ N int64 }) error {
		l.Seen.Add(1)
		l.Out.Emit(struct{ Text string }{strings.Repeat("x", int(row.N))})
		return nil
	})
	return nil
}

func (l *limits) OnEnd() error {
	l.Params.Emit(struct {
		On    bool
		Small int8
		Ratio float64
		Name  string
		Wait  int64
		Must  int64
	}{l.On, l.Small, l.Ratio, l.Name, l.Wait.Milliseconds(), l.Must})
	return nil
}

func TestParametersAreSet(t *testing.T) {
	type params struct {
		On    bool
		Small int8
		Ratio float64
		Name  string
		Wait  int64
		Must  int64
	}
	for _, c := range []struct {
		given map[string]any
		want  params
		err   string
	}{
		{given: map[string]any{"must": 1}, want: params{true, -3, 0.5, "", 90_000, 1}},
		{given: map[string]any{"must": 7, "on": false, "small": -128, "ratio": 2, "name": "ü", "wait": time.Second},
			want: params{false, -128, 2, "ü", 1000, 7}},
		{err: "parameter must: it is required"},
		{given: map[string]any{"must": 1, "smal": 1}, err: "parameter smal: the operator has no such parameter"},
		{given: map[string]any{"must": 1, "small": 128}, err: "parameter small: 128 is out of the range of int8"},
		{given: map[string]any{"must": "1"}, err: "parameter must: it must be a int"},
		{given: map[string]any{"must": 1.5}, err: "parameter must: it must be a int"},
		{given: map[string]any{"must": 1, "on": 1}, err: "parameter on: it must be a bool"},
		{given: map[string]any{"must": 1, "wait": "30s"}, err: "parameter wait: it must be a duration"},
		{given: map[string]any{"must": -1}, err: "parameter must: it must not be negative"},
	} {
		h, err := operatortest.Open(t, "limits", operatortest.Config{Params: c.given})
		if message(err) != c.err {
			t.Errorf("%v: %v, want %q", c.given, err, c.err)
		}
		if err != nil {
			continue
		}
		h.End()
		if got := operatortest.Rows[params](h, "params"); len(got) != 1 || got[0] != c.want {
			t.Errorf("%v: got %+v, want %+v", c.given, got, c.want)
		}
	}
}

func TestLargeAnswersAreCutBetweenItems(t *testing.T) {
	const frameBytes = 10_000
	h := operatortest.New(t, "limits", operatortest.Config{FrameBytes: frameBytes, Params: map[string]any{"must": 1}})
	type row struct{ N int64 }
	var rows []row
	var want []int
	for i := range 200 {
		n := []int64{10, 4000, 9000, 9990, 700, 20_000}[i*7%6]
		if i%50 == 0 {
			n = 30_000
		}
		rows = append(rows, row{n})
		if n <= 9000 {
			want = append(want, int(n))
		}
	}
	operatortest.Send(h, "in", rows...)
	var got []int
	for _, o := range operatortest.Rows[struct{ Text string }](h, "out") {
		got = append(got, len(o.Text))
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
	errs := h.Errors()
	if len(errs) != len(rows)-len(want) || h.Metric("seen") != float64(len(want)) {
		t.Errorf("%d errors and %v rows seen, want %d and %d", len(errs), h.Metric("seen"), len(rows)-len(want), len(want))
	}
	for _, e := range errs {
		if e.Message != "the answer to one item is larger than frame_bytes (10000)" || e.Row.(row).N <= 9000 {
			t.Errorf("%+v", e)
		}
	}
}

// careless does what the rules forbid.
type careless struct {
	operator.Base
	In    operator.In[struct{ Key, Text string }]
	Out   operator.Out[struct{ Text string }]
	Key   operator.Key[string]
	Count state.Value[int64]
	Map   state.Map[string, int64]
	Tick  operator.Timer
	kept  string
}

func init() { operator.Register[careless]("careless", "") }

func (c *careless) Open() error {
	c.In.OnRow(func(row *struct{ Key, Text string }) error {
		if row.Text == "emit" {
			c.Out.Emit(struct{ Text string }{c.kept})
		}
		if row.Text == "tag" {
			c.Tick.SetTag(0, strings.Repeat("x", 257))
		}
		c.kept = row.Text
		c.Log(operator.Info, c.Key.Get()+" "+row.Text)
		return nil
	})
	c.Tick.OnFire(func(operator.Fired) error { return nil })
	return nil
}

func (c *careless) OnWatermark(w operator.Timestamp) error {
	switch w {
	case 1:
		c.Count.Set(1)
	case 2:
		c.Map.Set("x", 1)
	case 3:
		c.Tick.Set(9)
	case 4:
		c.Key.Get()
	}
	return nil
}

func TestMistakesShow(t *testing.T) {
	type row struct{ Key, Text string }
	h := operatortest.New(t, "careless", operatortest.Config{Key: []string{"key"}})
	operatortest.Send(h, "in", row{"k", "kept"})
	operatortest.Send(h, "in", row{"k", "emit"})
	if got := operatortest.Rows[struct{ Text string }](h, "out"); len(got) != 1 || got[0].Text == "kept" {
		t.Errorf("a string that was kept without cloning it does not show: %q", got)
	}
	if logs := h.Logs(); !slices.Equal(logs, []string{"k kept", "k emit"}) {
		t.Errorf("logs %q", logs)
	}
	operatortest.Send(h, "in", row{"k", "tag"})
	for w := range operator.Timestamp(5) {
		h.AdvanceWatermark(w)
	}
	want := []string{
		"a timer's tag is longer than 256 bytes",
		"a state is used where no item with a key is under way",
		"a state is used where no item with a key is under way",
		"a timer is set or deleted where no item with a key is under way",
		"the key is read where no item with a key is under way",
	}
	var got []string
	for _, e := range h.Errors() {
		got = append(got, e.Message)
		if !e.Panic || !strings.Contains(e.Place, "harness_test.go:") {
			t.Errorf("%+v", e)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestAnOperatorThatIsWrongIsRefused(t *testing.T) {
	if _, err := operatortest.Open(t, "careless", operatortest.Config{}); message(err) !=
		"port in must be keyed, because the operator has state, timers or a key" {
		t.Error(err)
	}
	if _, err := operatortest.Open(t, "nobody", operatortest.Config{}); err == nil {
		t.Error("an operator that is not registered is opened")
	}
	for want, register := range map[string]func(){
		"operator kinds is registered twice": func() { operator.Map("kinds", identity[kinds]) },
		"operator x: field In: field C of struct { C chan int }: there is no column type for chan int": func() {
			operator.Map("x", func(*struct{ C chan int }) kinds { return kinds{} })
		},
	} {
		func() {
			defer func() {
				if got := recover(); got != want {
					t.Errorf("%v, want %q", got, want)
				}
			}()
			register()
		}()
	}
}

// pairing joins two ports of different rows by their key.
type pairing struct {
	operator.Base
	Orders   operator.In[struct{ Amount int64 }]
	Payments operator.In[struct {
		Paid int64
		At   operator.Timestamp `tm:",event_time"`
	}]
	Both operator.Out[struct {
		Customer     operator.FromKey
		Amount, Paid int64
		When         operator.Timestamp `tm:"when,event_time"`
	}]
	Raw     operator.Out[struct{ operator.FromInput }] `tm:"raw,input=payments"`
	Pending state.List[int64]                          `tm:"pending,prefetch=payments"`
	Remind  operator.Timer
}

func init() { operator.Register[pairing]("pairing", "") }

func (p *pairing) Open() error {
	p.Orders.OnRow(func(o *struct{ Amount int64 }) error {
		p.Pending.Append(o.Amount)
		p.Remind.Set(5)
		if o.Amount < 0 {
			p.Raw.Emit(struct{ operator.FromInput }{})
		}
		return nil
	})
	p.Payments.OnRow(func(r *struct {
		Paid int64
		At   operator.Timestamp `tm:",event_time"`
	}) error {
		for _, amount := range p.Pending.All() {
			p.Both.Emit(struct {
				Customer     operator.FromKey
				Amount, Paid int64
				When         operator.Timestamp `tm:"when,event_time"`
			}{Amount: amount, Paid: r.Paid, When: r.At + 1})
		}
		p.Pending.Clear()
		p.Remind.Delete()
		p.Raw.Emit(struct{ operator.FromInput }{})
		return nil
	})
	p.Remind.OnFire(func(operator.Fired) error {
		p.Log(operator.Warn, p.Job()+" "+p.Operator())
		p.Raw.Emit(struct{ operator.FromInput }{})
		return nil
	})
	return nil
}

func TestTwoPorts(t *testing.T) {
	type order struct {
		Customer string
		Amount   int64
	}
	type payment struct {
		Customer string
		Paid     int64
		Note     string
		At       operator.Timestamp `tm:",event_time"`
	}
	type both struct {
		Customer     string
		Amount, Paid int64
		When         operator.Timestamp
		At           operator.Timestamp `tm:",event_time"`
	}
	for shake := range uint64(4) {
		h := operatortest.New(t, "pairing", operatortest.Config{
			Key: []string{"customer"}, Shake: shake, Inputs: map[string]any{"orders": order{}, "payments": payment{}},
		})
		operatortest.Send(h, "orders", order{"a", 10}, order{"b", 20}, order{"a", 11}, order{"c", 30})
		paid := []payment{{"a", 21, "first", 70}, {"b", 20, "second", 80}, {"a", 0, "third", 90}}
		operatortest.Send(h, "payments", paid...)
		want := []both{{"a", 10, 21, 71, 71}, {"a", 11, 21, 71, 71}, {"b", 20, 20, 81, 81}}
		if got := operatortest.Rows[both](h, "both"); !slices.Equal(got, want) {
			t.Errorf("got %+v\nwant %+v", got, want)
		}
		if got := operatortest.Rows[payment](h, "raw"); !slices.Equal(got, paid) {
			t.Errorf("got %+v\nwant %+v", got, paid)
		}
		if got := h.Timers("c"); len(h.Timers("a")) != 0 || len(got) != 1 || got[0] != (operatortest.Timer{Name: "remind", Time: 5}) {
			t.Errorf("timers %v", got)
		}
		// Only rows of port payments have the columns of port raw.
		operatortest.Send(h, "orders", order{"d", -1})
		h.AdvanceWatermark(5)
		for _, e := range h.Errors() {
			if e.Message != "port raw passes columns of input payments through: only rows of it can be emitted there" || !e.Panic {
				t.Errorf("%+v", e)
			}
		}
		if logs := h.Logs(); len(logs) == 0 || logs[0] != "test pairing" {
			t.Errorf("logs %q", logs)
		}
	}
}

// dice draws random numbers and tells the time.
type dice struct {
	operator.Base
	In  operator.In[struct{ N int64 }]
	Out operator.Out[struct {
		Drawn int64
		Now   operator.Timestamp
	}]
}

func init() { operator.Register[dice]("dice", "") }

func (d *dice) Open() error {
	d.In.OnRow(func(*struct{ N int64 }) error {
		d.Out.Emit(struct {
			Drawn int64
			Now   operator.Timestamp
		}{d.Rand().Int64(), d.ProcessingTime()})
		return nil
	})
	return nil
}

func TestRandomNumbersAndTimeComeFromTheHost(t *testing.T) {
	type row struct {
		Drawn int64
		Now   operator.Timestamp
	}
	draw := func() (rows []row) {
		h := operatortest.New(t, "dice", operatortest.Config{})
		for now := range operator.Timestamp(3) {
			h.AdvanceProcessingTime(now * 1000)
			operatortest.Send(h, "in", struct{ N int64 }{}, struct{ N int64 }{})
			rows = append(rows, operatortest.Rows[row](h, "out")...)
		}
		return rows
	}
	first := draw()
	if again := draw(); !slices.Equal(first, again) {
		t.Errorf("%v\n%v", first, again)
	}
	seen := map[int64]bool{}
	for i, r := range first {
		if seen[r.Drawn] || r.Now != operator.Timestamp(i/2*1000) {
			t.Errorf("row %d: %v of %v", i, r, first)
		}
		seen[r.Drawn] = true
	}
}

type numbered struct {
	Key string
	N   int64
}

// smallest keeps numbers and answers the smallest so far: each row begins a loop over a map and leaves it early.
type smallest struct {
	In   operator.In[numbered]
	Out  operator.Out[numbered]
	Seen state.Map[int64, int64] `tm:"seen,prefetch=none"`
}

func init() { operator.Register[smallest]("smallest", "") }

func (s *smallest) Open() error {
	s.In.OnRow(func(r *numbered) error {
		s.Seen.Set(r.N, 1)
		for least := range s.Seen.All() {
			s.Out.Emit(numbered{r.Key, least})
			break
		}
		return nil
	})
	return nil
}

// As few scans may be open at once, a loop that is left early must end its own.
func TestLoopsThatAreLeftEarly(t *testing.T) {
	h := operatortest.New(t, "smallest", operatortest.Config{Key: []string{"key"}, Inputs: map[string]any{"in": numbered{}}})
	var rows []numbered
	for n := range int64(200) {
		rows = append(rows, numbered{"a", 1000 - n})
	}
	operatortest.Send(h, "in", rows...)
	got := operatortest.Rows[numbered](h, "out")
	if len(got) != 200 || got[199].N != 801 {
		t.Errorf("%d rows, the last of them %v; errors %v", len(got), got[max(0, len(got)-1):], h.Errors())
	}
}

// failing is a test that must fail: it keeps what it is told.
type failing struct {
	testing.TB
	message string
}

func (f *failing) Helper() {}

func (f *failing) Fatalf(format string, args ...any) {
	f.message = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// fatal is the message with which run fails a test whose harness has sent one row.
func fatal(t *testing.T, run func(h *operatortest.Harness)) string {
	f := &failing{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		h := operatortest.New(f, "even", operatortest.Config{Inputs: map[string]any{"in": struct {
			I64  int64
			Mean operator.Null[float64]
		}{}}})
		run(h)
	}()
	<-done
	return f.message
}

func TestRowsOfOtherTypesFailTheTest(t *testing.T) {
	for want, run := range map[string]func(h *operatortest.Harness){
		"the rows of port out as struct { Mean int64 }: column mean is of type f64, its field takes i64": func(h *operatortest.Harness) {
			operatortest.Rows[struct{ Mean int64 }](h, "out")
		},
		"the rows of port out as struct { Mean float64 }: column mean may be null, so its field must be an operator.Null": func(
			h *operatortest.Harness,
		) {
			operatortest.Rows[struct{ Mean float64 }](h, "out")
		},
		"the rows of port out as struct { I64 int32 }: column i64 is of type i64, its field takes i32": func(h *operatortest.Harness) {
			operatortest.Rows[struct{ I64 int32 }](h, "out")
		},
		"the rows of port out as struct { Median int64 }: there is no column median, only i64, mean": func(h *operatortest.Harness) {
			operatortest.Rows[struct{ Median int64 }](h, "out")
		},
		"the rows have no column mean": func(h *operatortest.Harness) {
			operatortest.Send(h, "in", struct{ I64 int64 }{2})
		},
	} {
		if got := fatal(t, run); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
