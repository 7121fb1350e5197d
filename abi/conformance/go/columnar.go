package main

import "github.com/tidemill/tidemill/sdk-go/operator"

// columnar takes its rows as columns, and emits to port passed as columns.
type columnar struct {
	In     operator.BatchIn[inColumns]
	More   operator.BatchIn[moreColumns]
	Values operator.Out[valuesRow]
	Passed operator.BatchOut[passedColumns] `tm:"passed,input=in"`
	parts
	at     uint32 // the row under way
	passed passedColumns
	items  []uint32 // that the rows of passed belong to
}

type inColumns struct {
	Program operator.Texts[[]byte]
	Flag    operator.Bits
	Tiny    operator.Nulls[[]int8]
	Small   []int16
	Medium  operator.Nulls[[]int32]
	Large   []int64
	Single  operator.Nulls[[]float32]
	Double  []float64
	Day     operator.Nulls[[]operator.Date]
	At      []operator.Timestamp
	Zoned   operator.Nulls[[]operator.Timestamp]
	Text    operator.Nulls[operator.Texts[string]]
	Bytes   operator.Texts[[]byte]
	Amount  operator.Nulls[[]operator.Decimal] `tm:"amount,decimal(20,4)"`
	Numbers operator.Lists[[]int64]
	Names   operator.Nulls[operator.Lists[operator.Texts[string]]]
	Time    []operator.Timestamp `tm:",event_time"`
}

// moreColumns takes large as it comes: columns are not widened.
type moreColumns struct {
	Program operator.Texts[[]byte]
	Large   []int32
	Text    operator.Texts[string]
	Time    []operator.Timestamp `tm:",event_time"`
}

type passedColumns struct {
	K       operator.FromKey
	G       operator.FromKey
	N       []int64
	Text    operator.FromInput
	Unread  operator.FromInput
	Moved   operator.FromInput `tm:"moved,from=at"`
	Bytes   operator.FromInput
	Flag    operator.FromInput
	Single  operator.FromInput
	Tiny    operator.FromInput
	Amount  operator.FromInput
	Numbers operator.FromInput
	Names   operator.FromInput
	Cost    []operator.Decimal `tm:"cost,decimal(20,4)"`
	Ramp    operator.Lists[[]int64]
}

// Open attaches the handlers.
func (o *columnar) Open() error {
	o.In.OnBatch(o.onIn)
	o.More.OnBatch(o.onMore)
	return o.open(&o.Values, func(n int64) {
		p, elements := &o.passed, ramp(n)
		o.items, p.N, p.Cost = append(o.items, o.at), append(p.N, n), append(p.Cost, cost(n))
		p.Ramp.Append(len(elements))
		p.Ramp.Elements = append(p.Ramp.Elements, elements...)
	})
}

func (o *columnar) onIn(b *operator.Batch[inColumns]) error {
	o.items, o.passed.N, o.passed.Cost = o.items[:0], o.passed.N[:0], o.passed.Cost[:0]
	o.passed.Ramp.Reset()
	o.passed.Ramp.Elements = o.passed.Ramp.Elements[:0]
	c := &b.Columns
	for i := range b.Rows {
		b.Select(i)
		o.at = uint32(i)
		r := record{
			Flag: c.Flag.At(i), Tiny: at(c.Tiny, i), Small: c.Small[i], Medium: at(c.Medium, i), Large: c.Large[i], Single: at(c.Single, i),
			Double: c.Double[i], Day: at(c.Day, i), At: c.At[i], Zoned: at(c.Zoned, i), Bytes: c.Bytes.At(i),
			Amount: at(c.Amount, i),
		}
		from, to := c.Numbers.At(i)
		r.Numbers = c.Numbers.Elements[from:to]
		if !c.Names.Null(i) {
			r.Names = some(names(&c.Names.Column, i))
		}
		if !c.Text.Null(i) {
			r.Text = some(c.Text.Column.At(i))
		}
		if err := o.run(c.Program.At(i), inItem(r, c.Time[i])); err != nil {
			return err
		}
	}
	o.Passed.EmitFor(o.items, o.passed)
	return nil
}

func (o *columnar) onMore(b *operator.Batch[moreColumns]) error {
	for i := range b.Rows {
		b.Select(i)
		c := &b.Columns
		if err := o.run(c.Program.At(i), moreItem(int64(c.Large[i]), some(c.Text.At(i)), operator.NoTime)); err != nil {
			return err
		}
	}
	return nil
}

// names is row i of a column of lists of texts.
func names(c *operator.Lists[operator.Texts[string]], i int) []string {
	from, to := c.At(i)
	list := make([]string, 0, to-from)
	for j := from; j < to; j++ {
		list = append(list, c.Elements.At(j))
	}
	return list
}

// at is row i of a column that may have nulls.
func at[T any](c operator.Nulls[[]T], i int) operator.Null[T] {
	if c.Null(i) {
		return operator.Null[T]{}
	}
	return some(c.Column[i])
}
