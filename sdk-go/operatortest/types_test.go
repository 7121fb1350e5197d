package operatortest_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/sdk-go/operator"
	"github.com/tidemill/tidemill/sdk-go/operatortest"
	"github.com/tidemill/tidemill/sdk-go/state"
)

// lists has a list of every type, and decimals.
type lists struct {
	Bools    []bool
	I8s      []int8
	I16s     []int16
	I32s     []int32
	I64s     []int64
	F32s     []float32
	F64s     []float64
	Days     []operator.Date
	Times    []operator.Timestamp
	Zoned    []operator.Timestamp `tm:"zoned,tz"`
	Texts    []string
	Bytes    [][]byte
	Prices   []operator.Decimal                `tm:"prices,decimal(38,38)"`
	Maybe    operator.Null[[]string]           `tm:"maybe"`
	MaybeNot operator.Null[[]operator.Decimal] `tm:"maybe_not,decimal(5,0)"`
	Price    operator.Decimal                  `tm:"price,decimal(38,0)"`
	Discount operator.Null[operator.Decimal]   `tm:"discount,decimal(20,4)"`
}

// listsOf is a row with lists of n elements each.
func listsOf(n int) lists {
	l := lists{Price: digits(strings.Repeat("9", 38))}
	for i := range n {
		x := int64(i*i - 3*n)
		l.Bools, l.I8s, l.I16s = append(l.Bools, i%3 == 0), append(l.I8s, int8(x)), append(l.I16s, int16(x))
		l.I32s, l.I64s = append(l.I32s, int32(x)), append(l.I64s, x<<40)
		l.F32s, l.F64s = append(l.F32s, float32(x)/3), append(l.F64s, float64(x)/7)
		l.Days, l.Times, l.Zoned = append(l.Days, operator.Date(x)), append(l.Times, operator.Timestamp(x)), append(l.Zoned, operator.Timestamp(-x))
		l.Texts, l.Bytes = append(l.Texts, strings.Repeat("ü", i%3)), append(l.Bytes, []byte(strings.Repeat("\xff\x00", i%2)))
		l.Prices = append(l.Prices, digits("-0."+strings.Repeat("9", 37)+string(rune('0'+i%10))))
	}
	if n%2 == 0 {
		l.Maybe = operator.Some(slices.Clone(l.Texts))
		l.Discount = operator.Some(operator.NewDecimal(int64(n)-1<<60, 4))
	} else {
		l.MaybeNot = operator.Some([]operator.Decimal{operator.NewDecimal(int64(n), 0)})
	}
	return l
}

func digits(text string) operator.Decimal {
	d, err := operator.ParseDecimal(text)
	if err != nil {
		panic(err)
	}
	return d
}

// listColumns is lists by columns.
type listColumns struct {
	Bools    operator.Lists[operator.Bits]
	I8s      operator.Lists[[]int8]
	I16s     operator.Lists[[]int16]
	I32s     operator.Lists[[]int32]
	I64s     operator.Lists[[]int64]
	F32s     operator.Lists[[]float32]
	F64s     operator.Lists[[]float64]
	Days     operator.Lists[[]operator.Date]
	Times    operator.Lists[[]operator.Timestamp]
	Zoned    operator.Lists[[]operator.Timestamp] `tm:"zoned,tz"`
	Texts    operator.Lists[operator.Texts[string]]
	Bytes    operator.Lists[operator.Texts[[]byte]]
	Prices   operator.Lists[[]operator.Decimal] `tm:"prices,decimal(38,38)"`
	Maybe    operator.Nulls[operator.Lists[operator.Texts[string]]]
	MaybeNot operator.Nulls[operator.Lists[[]operator.Decimal]] `tm:"maybe_not,decimal(5,0)"`
	Price    []operator.Decimal                                 `tm:"price,decimal(38,0)"`
	Discount operator.Nulls[[]operator.Decimal]                 `tm:"discount,decimal(20,4)"`
}

// mirror hands all columns on.
type mirror struct {
	In  operator.BatchIn[listColumns]
	Out operator.BatchOut[listColumns]
}

func (m *mirror) Open() error {
	m.In.OnBatch(func(b *operator.Batch[listColumns]) error {
		m.Out.Emit(b.Columns)
		return nil
	})
	return nil
}

// keeper keeps the rows of a key, and emits them again.
type keeper struct {
	In   operator.In[lists]
	Out  operator.Out[struct{ lists }]
	Pass operator.Out[struct{ operator.FromInput }]
	Key  operator.Key[operator.Decimal] `tm:"key,decimal(38,0)"`
	Last state.Value[lists]
	All  state.List[lists]
	Far  state.Map[int16, lists]
	Near state.Map[int16, lists] `tm:"near,prefetch"`
}

func (k *keeper) Open() error {
	k.In.OnRow(func(l *lists) error {
		if k.Key.Get() != l.Price {
			return errors.New("another key")
		}
		n := int16(k.All.Len())
		k.Far.Set(n, *l)
		k.Near.Set(n, *l)
		k.Last.Set(*l)
		k.All.Append(*l)
		slices.Reverse(l.I64s) // its own, and copied before
		for _, v := range k.All.All() {
			k.Out.Emit(struct{ lists }{v})
		}
		for _, m := range []*state.Map[int16, lists]{&k.Far, &k.Near} {
			for i, v := range m.All() {
				if w, ok := m.Get(i); !ok || fmt.Sprint(w) != fmt.Sprint(v) {
					return errors.New("an entry is not what a loop finds")
				}
				k.Out.Emit(struct{ lists }{v})
			}
		}
		k.Out.Emit(struct{ lists }{k.Last.Get()})
		k.Pass.Emit(struct{ operator.FromInput }{})
		return nil
	})
	return nil
}

type longer struct {
	Sizes  []float64
	Counts []int64
	Prices []operator.Decimal `tm:"prices,decimal(20,2)"`
	Price  operator.Decimal   `tm:"price,decimal(38,2)"`
}

func init() {
	operator.Map("lists", func(l *lists) lists { return *l })
	operator.Map("longer", func(l *longer) longer { return *l })
	operator.Register[mirror]("mirror", "")
	operator.Register[keeper]("keeper", "")
}

func sameLists(t *testing.T, got, want []lists) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d rows, want %d", len(got), len(want))
	}
	for i := range got {
		if g, w := fmt.Sprintf("%+v", got[i]), fmt.Sprintf("%+v", want[i]); g != w {
			t.Fatalf("row %d:\n got %s\nwant %s", i, g, w)
		}
	}
}

func TestListsAndDecimalsGoThrough(t *testing.T) {
	for _, entry := range []string{"lists", "mirror"} {
		for _, rows := range [][]int{{0}, {0, 0}, {1}, {3, 0, 2, 17}, slices.Repeat([]int{1, 0, 5, 9}, 150)} {
			h := operatortest.New(t, entry, operatortest.Config{})
			var sent []lists
			for _, n := range rows {
				sent = append(sent, listsOf(n))
			}
			operatortest.Send(h, "in", sent...)
			for _, e := range h.Errors() {
				t.Fatalf("%s: %s", entry, e.Message)
			}
			sameLists(t, operatortest.Rows[lists](h, "out"), sent)
		}
	}
}

func TestListsAndDecimalsAreKept(t *testing.T) {
	for shake := range uint64(6) {
		h := operatortest.New(t, "keeper", operatortest.Config{Key: []string{"price"}, Shake: shake, FrameBytes: []int{0, 200_000}[shake%2]})
		var want, sent []lists
		for i := range 12 {
			sent = append(sent, listsOf(i*5%7))
			for range 3 { // from the list, and both maps
				want = append(want, sent...)
			}
			want = append(want, sent[i])
		}
		operatortest.Send(h, "in", sent[:5]...)
		operatortest.Send(h, "in", sent[5:]...)
		sameLists(t, operatortest.Rows[lists](h, "out"), want)
		sameLists(t, operatortest.Rows[lists](h, "pass"), sent)
		sameLists(t, operatortest.List[lists](h, "all", sent[0].Price), sent)
		if v, _ := operatortest.Value[lists](h, "last", sent[0].Price); fmt.Sprint(v) != fmt.Sprint(sent[11]) {
			t.Errorf("%+v", v)
		}
	}
}

func TestListsAndDecimalsWiden(t *testing.T) {
	type shorter struct {
		Sizes  []int16
		Counts []int8
		Prices []operator.Decimal `tm:"prices,decimal(4,2)"`
		Price  operator.Decimal   `tm:"price,decimal(3,2)"`
	}
	h := operatortest.New(t, "longer", operatortest.Config{Inputs: map[string]any{"in": shorter{}}})
	price := digits("-9.99")
	operatortest.Send(h, "in", shorter{}, shorter{[]int16{-300, math.MaxInt16}, []int8{-128, 127}, []operator.Decimal{price}, price})
	want := []longer{{Price: digits("0.00")}, {[]float64{-300, math.MaxInt16}, []int64{-128, 127}, []operator.Decimal{price}, price}}
	if got := operatortest.Rows[longer](h, "out"); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestColumnsOfOtherTypesAreRefused(t *testing.T) {
	for want, row := range map[string]any{
		"port in, column price: it is of type decimal128(38,3), its field takes decimal128(38,2)": struct {
			Sizes, Counts []int8
			Prices        []operator.Decimal `tm:"prices,decimal(4,2)"`
			Price         operator.Decimal   `tm:"price,decimal(38,3)"`
		}{},
		"port in, column prices: it is of type list<decimal128(21,2)>, its field takes list<decimal128(20,2)>": struct {
			Sizes, Counts []int8
			Prices        []operator.Decimal `tm:"prices,decimal(21,2)"`
			Price         operator.Decimal   `tm:"price,decimal(38,2)"`
		}{},
		"port in, column counts: it is of type list<f32>, its field takes list<i64>": struct{ Sizes, Counts []float32 }{},
		"port in, column sizes: it is of type i64, its field takes list<f64>":        struct{ Sizes, Counts int64 }{},
		"port in, column sizes: it may be null, so its field must be an operator.Null": struct {
			Sizes operator.Null[[]float64]
		}{},
	} {
		if _, err := operatortest.Open(t, "longer", operatortest.Config{Inputs: map[string]any{"in": row}}); message(err) != want {
			t.Errorf("%v\nwant %s", err, want)
		}
	}
}

// misfits writes numbers that their columns cannot hold, where a row asks for it.
type misfits struct {
	In    operator.In[misfitRow]
	Out   operator.Out[misfitRow]
	Value state.Value[operator.Decimal]                 `tm:"value,decimal(4,1)"`
	Edit  state.Value[operator.Decimal]                 `tm:"edit,decimal(4,1)"`
	List  state.List[[]operator.Decimal]                `tm:"list,decimal(4,1)"`
	Map   state.Map[operator.Decimal, operator.Decimal] `tm:"map,decimal(4,1),prefetch=none"`
	Seen  operator.Out[struct{ N int64 }]
}

type misfitRow struct {
	Key  string
	What string
	N    operator.Decimal `tm:"n,decimal(10,3)"`
	Out  operator.Decimal `tm:"out,decimal(4,1)"`
}

func (m *misfits) Open() error {
	m.In.OnRow(func(r *misfitRow) error {
		switch m.Seen.Emit(struct{ N int64 }{1}); r.What {
		case "out":
			m.Out.Emit(misfitRow{Out: r.N})
		case "value":
			m.Value.Set(r.N)
		case "edit":
			*m.Edit.Edit() = r.N
		case "list":
			m.List.Append([]operator.Decimal{r.Out, r.N})
		case "map":
			m.Map.Set(r.N, r.Out)
		case "get":
			m.Map.Get(r.N)
		case "mapped":
			*m.Map.Edit(r.Out) = r.N
		case "scan":
			for range m.Map.All() {
				continue
			}
		case "bounds":
			for range m.Map.Range(r.Out, r.N) {
				continue
			}
		}
		return nil
	})
	return nil
}

// misfitColumns emits what it gets to columns of fewer digits.
type misfitColumns struct {
	In operator.BatchIn[struct {
		N []operator.Decimal `tm:"n,decimal(10,3)"`
	}]
	Each operator.BatchOut[struct {
		N []operator.Decimal `tm:"n,decimal(4,1)"`
	}]
	For operator.BatchOut[struct {
		N operator.Lists[[]operator.Decimal] `tm:"n,decimal(4,1)"`
	}]
	Lists bool `param:"lists" default:"false"`
}

func (m *misfitColumns) Open() error {
	m.In.OnBatch(func(b *operator.Batch[struct {
		N []operator.Decimal `tm:"n,decimal(10,3)"`
	}]) error {
		if !m.Lists {
			m.Each.Emit(struct {
				N []operator.Decimal `tm:"n,decimal(4,1)"`
			}{b.Columns.N})
			return nil
		}
		var items []uint32
		var column operator.Lists[[]operator.Decimal]
		for i, n := range b.Columns.N { // two rows an item, the second with it twice
			items = append(items, uint32(i), uint32(i))
			column.Append(0)
			column.Append(2)
			column.Elements = append(column.Elements, n, n)
		}
		m.For.EmitFor(items, struct {
			N operator.Lists[[]operator.Decimal] `tm:"n,decimal(4,1)"`
		}{column})
		return nil
	})
	return nil
}

func init() {
	operator.Register[misfits]("misfits", "")
	operator.Register[misfitColumns]("misfit-columns", "")
}

// TestANumberThatDoesNotFit has one of two rows of each kind write a number that its column cannot hold, and everything else a row
// that writes one that it can.
func TestANumberThatDoesNotFit(t *testing.T) {
	fits, tooLong, tooFine := digits("-999.900"), digits("1000.000"), digits("1.050")
	for what, want := range map[string]string{
		"out": "port out, column out: %s is no decimal128(4,1)", "value": "state value, column value: %s is no decimal128(4,1)",
		"edit": "state edit, column value: %s is no decimal128(4,1)", "list": "state list, column value: %s is no decimal128(4,1)",
		"map": "column key: %s is no decimal128(4,1)", "get": "column key: %s is no decimal128(4,1)",
		"mapped": "state map, column value: %s is no decimal128(4,1)", "bounds": "state map, column key: %s is no decimal128(4,1)",
	} {
		for _, n := range []operator.Decimal{fits, tooLong, tooFine} {
			h := operatortest.New(t, "misfits", operatortest.Config{Key: []string{"key"}})
			row := func(what string, n operator.Decimal) misfitRow { return misfitRow{Key: "a", What: what, N: n} }
			operatortest.Send(h, "in", row(what, fits), row("scan", fits), row(what, n), row("scan", fits), row(what, fits))
			errs, rows := h.Errors(), operatortest.Rows[struct{ N int64 }](h, "seen")
			switch {
			case n == fits:
				if len(errs) != 0 || len(rows) != 5 {
					t.Errorf("%s: %d rows and errors %+v", what, len(rows), errs)
				}
			case len(errs) != 1 || errs[0].Row.(misfitRow).N != n || errs[0].Message != fmt.Sprintf(want, n) || len(rows) != 4:
				t.Errorf("%s of %v: %d rows and errors %+v", what, n, len(rows), errs)
			}
		}
	}
	type row struct {
		N operator.Decimal `tm:"n,decimal(10,3)"`
	}
	for _, lists := range []bool{false, true} {
		h := operatortest.New(t, "misfit-columns", operatortest.Config{Params: map[string]any{"lists": lists}})
		operatortest.Send(h, "in", row{fits}, row{fits}, row{tooFine}, row{fits}, row{tooLong})
		errs := h.Errors()
		if len(errs) != 2 || errs[0].Row != (row{tooFine}) || errs[1].Row != (row{tooLong}) || errs[0].Panic {
			t.Errorf("%+v", errs)
		}
		port := map[bool]string{false: "each", true: "for"}[lists]
		if want := "port " + port + ", column n: 1.050 is no decimal128(4,1)"; errs[0].Message != want {
			t.Errorf("%q, want %q", errs[0].Message, want)
		}
	}
}

type (
	bare struct{ P operator.Decimal }
	long struct {
		P operator.Decimal `tm:"p,decimal(39,2)"`
	}
	fine struct {
		P operator.Decimal `tm:"p,decimal(2,3)"`
	}
	half1 struct {
		P operator.Decimal `tm:"p,decimal(12)"`
	}
	whole struct {
		P []int64 `tm:"p,decimal(12,2)"`
	}
	nested struct{ P [][]int64 }
	holes  struct{ P []operator.Null[int64] }
)

// wrongState has a state, or a key, that is wrong.
type wrongState[S any] struct {
	In    operator.In[struct{ Text string }]
	State S
}

func (w *wrongState[S]) Open() error { return nil }

func TestTypesThatAreWrongAreRefused(t *testing.T) {
	const (
		missing = `a decimal column needs its digits in the tag: tm:"name,decimal(12,2)" for 12 digits, 2 of them behind the point`
		wrong   = " in the tag is not decimal(P,S) with 1 to 38 digits P, and a scale S from 0 to P"
		options = "the tag option decimal is for an operator.Decimal and lists of it"
	)
	for _, c := range []struct {
		want     string
		register func()
	}{
		{"field In: field P of operatortest_test.bare: " + missing, into[bare]},
		{"field In: " + missing, into[operator.Decimal]},
		{"field In: " + missing, into[operator.Null[[]operator.Decimal]]},
		{"field In: field P of operatortest_test.long: decimal(39,2)" + wrong, into[long]},
		{"field In: field P of operatortest_test.fine: decimal(2,3)" + wrong, into[fine]},
		{"field In: field P of operatortest_test.half1: decimal(12)" + wrong, into[half1]},
		{"field In: field P of operatortest_test.whole: " + options, into[whole]},
		{"field In: field P of operatortest_test.nested: there are no lists of lists", into[nested]},
		{"field In: field P of operatortest_test.holes: an element of a list is never null", into[holes]},
		{"field State: a list cannot be part of a key", holding[operator.Key[[]string]]},
		{"field State: " + missing, holding[state.Value[operator.Decimal]]},
		{"field State: " + missing, holding[state.Map[operator.Decimal, int8]]},
		{"field State: " + missing, holding[state.Map[int8, []operator.Decimal]]},
	} {
		func() {
			defer func() {
				if got := recover(); got != "operator x: "+c.want {
					t.Errorf("%v\nwant %s", got, c.want)
				}
			}()
			c.register()
		}()
	}
}

func into[R any]() { operator.Map("x", func(*R) int8 { return 0 }) }

func holding[S any]() { operator.Register[wrongState[S]]("x", "") }

type (
	ttlNegative struct {
		In    operator.In[struct{ Text string }]
		State state.Value[int64] `tm:"state,ttl=-1s"`
	}
	ttlMicro struct {
		In    operator.In[struct{ Text string }]
		State state.List[int64] `tm:"state,ttl=1500us"`
	}
	ttlDay struct {
		In    operator.In[struct{ Text string }]
		State state.Map[int64, int64] `tm:"state,ttl=1d"`
	}
	decimalOfStruct struct {
		In    operator.In[struct{ Text string }]
		State state.Value[bare] `tm:"state,decimal(12,2)"`
	}
	decimalOfInt struct {
		In    operator.In[struct{ Text string }]
		State state.Map[int64, string] `tm:"state,decimal(12,2)"`
	}
)

func (*ttlNegative) Open() error     { return nil }
func (*ttlMicro) Open() error        { return nil }
func (*ttlDay) Open() error          { return nil }
func (*decimalOfStruct) Open() error { return nil }
func (*decimalOfInt) Open() error    { return nil }

func TestOptionsOfStatesThatAreWrongAreRefused(t *testing.T) {
	const above = " is not a time above 0 in whole milliseconds, as ttl=24h"
	for want, register := range map[string]func(){
		"ttl=-1s" + above:    func() { operator.Register[ttlNegative]("x", "") },
		"ttl=1500us" + above: func() { operator.Register[ttlMicro]("x", "") },
		"ttl=1d" + above:     func() { operator.Register[ttlDay]("x", "") },
		"the tag option decimal stands at the fields of operatortest_test.bare": func() { operator.Register[decimalOfStruct]("x", "") },
		"the tag option decimal is for an operator.Decimal and lists of it":     func() { operator.Register[decimalOfInt]("x", "") },
	} {
		func() {
			defer func() {
				if got := recover(); got != "operator x: field State: "+want {
					t.Errorf("%v\nwant %s", got, want)
				}
			}()
			register()
		}()
	}
}
