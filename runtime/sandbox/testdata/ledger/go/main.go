// Command ledger is the guest that the sandbox's tests run beside their model: for each row (k, n) it counts the rows of k, how
// often k saw n, keeps all n in a list, and sets a timer at n, which emits what there is then. A negative n makes a row fail, each
// number in its own way. The operator columnar does the same by columns. The operators idle and reads do nothing, for measuring
// what a call and a row cost.
package main

import (
	"errors"
	"os"
	"slices"
	"strconv"

	"github.com/tidemill/tidemill/sdk-go/operator"
	"github.com/tidemill/tidemill/sdk-go/state"
)

func init() {
	operator.Register[ledger]("ledger", "Counts, and fails in many ways.")
	operator.Register[columnar]("columnar", "Does what ledger does, by columns.")
	operator.Register[idle]("idle", "Does nothing.")
	operator.Register[reads]("reads", "Reads its rows and does nothing.")
}

func main() {}

type in struct {
	N int64 `tm:"n"`
}

type out struct {
	K       operator.FromKey   `tm:"k"`
	N       operator.FromInput `tm:"n"`
	Count   int64              `tm:"count"`
	Seen    int64              `tm:"seen"`
	Payload operator.FromInput `tm:"payload"`
}

type fired struct {
	K     operator.FromKey `tm:"k"`
	Count int64            `tm:"count"`
	Sum   int64            `tm:"sum"`
	List  string           `tm:"list"`
}

type ledger struct {
	In  operator.In[in]   `tm:"in"`
	Out operator.Out[out] `tm:"rows"`
	kept
}

// kept is what the operators keep, and how they sum it up.
type kept struct {
	Fired operator.Out[fired]     `tm:"fired"`
	Count state.Value[int64]      `tm:"count"`
	Seen  state.Map[int64, int64] `tm:"seen"`
	List  state.List[int64]       `tm:"list"`
	At    operator.Timer          `tm:"at,many"`
	Rows  operator.Counter        `tm:"rows"`
	operator.Base
}

// Open attaches the handlers.
func (l *ledger) Open() error {
	l.In.OnRow(l.onRow)
	l.At.OnFire(l.onFire)
	return nil
}

func (l *ledger) onRow(r *in) error {
	count, seen := l.record(r.N)
	l.Out.Emit(out{Count: count, Seen: seen})
	if r.N < 0 {
		return fail(r.N)
	}
	return nil
}

// record keeps a row of the current key. A row that fails has been kept before, which must not take effect.
func (l *kept) record(n int64) (count, seen int64) {
	count = l.Count.Get() + 1
	l.Count.Set(count)
	seen, _ = l.Seen.Get(n)
	seen++
	l.Seen.Set(n, seen)
	l.List.Append(n)
	l.At.Set(operator.Timestamp(n))
	l.Rows.Add(1)
	return count, seen
}

func (l *kept) onFire(operator.Fired) error {
	sum := int64(0)
	for _, times := range l.Seen.All() {
		sum += times
	}
	list := []byte("[")
	for i, n := range l.List.All() {
		if i > 0 {
			list = append(list, ' ')
		}
		list = strconv.AppendInt(list, n, 10)
	}
	l.Fired.Emit(fired{Count: l.Count.Get(), Sum: sum, List: string(append(list, ']'))})
	return nil
}

var sink []byte

func fail(n int64) error {
	switch n {
	case -1:
		return errors.New("bad row")
	case -2:
		panic("bad row")
	case -3:
		var none []int
		return errors.New(strconv.Itoa(none[n+3]))
	case -4:
		for {
		}
	case -5:
		os.Exit(3)
	case -6:
		for {
			sink = slices.Grow(sink, 2*cap(sink)+1<<20)
		}
	case -7:
		os.Stderr.WriteString("panic: bad row\n")
		os.Exit(2)
	}
	return descend(n)
}

// descend never returns: the sum keeps each call on the stack.
func descend(n int64) error {
	if err := descend(n - 1); err != nil {
		return errors.Join(err, errors.New(strconv.FormatInt(n, 10)))
	}
	return nil
}

// columnar takes and gives columns.
type columnar struct {
	In  operator.BatchIn[inColumns]   `tm:"in"`
	Out operator.BatchOut[outColumns] `tm:"rows"`
	kept
	made outColumns // memory for what is emitted
}

type inColumns struct {
	N []int64 `tm:"n"`
}

type outColumns struct {
	K       operator.FromKey   `tm:"k"`
	N       operator.FromInput `tm:"n"`
	Count   []int64            `tm:"count"`
	Seen    []int64            `tm:"seen"`
	Payload operator.FromInput `tm:"payload"`
}

func (c *columnar) Open() error {
	c.In.OnBatch(c.onBatch)
	c.At.OnFire(c.onFire)
	return nil
}

func (c *columnar) onBatch(b *operator.Batch[inColumns]) error {
	c.made.Count, c.made.Seen = c.made.Count[:0], c.made.Seen[:0]
	for i, n := range b.Columns.N {
		b.Select(i)
		count, seen := c.record(n)
		c.made.Count, c.made.Seen = append(c.made.Count, count), append(c.made.Seen, seen)
		if n < 0 {
			return fail(n)
		}
	}
	c.Out.Emit(c.made)
	return nil
}

// idle takes batches and does not look at them.
type idle struct {
	In operator.BatchIn[columns] `tm:"in"`
}

type columns struct {
	A []int64 `tm:"a"`
	B []int64 `tm:"b"`
}

func (i *idle) Open() error {
	i.In.OnBatch(func(*operator.Batch[columns]) error { return nil })
	return nil
}

// reads takes rows of the same columns.
type reads struct {
	In operator.In[row] `tm:"in"`
}

type row struct {
	A int64 `tm:"a"`
	B int64 `tm:"b"`
}

func (i *reads) Open() error {
	i.In.OnRow(func(*row) error { return nil })
	return nil
}
