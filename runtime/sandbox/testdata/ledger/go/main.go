// Command ledger is the guest that the sandbox's tests run beside their model: for each row (k, n) it counts the rows of k, how
// often k saw n, keeps all n in a list, and sets a timer at n, which emits what there is then. A negative n makes a row fail, each
// number in its own way. The operator idle does nothing, for measuring what a call costs.
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
	In    operator.In[in]         `tm:"in"`
	Out   operator.Out[out]       `tm:"rows"`
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
	// Everything before the fault: it must not take effect.
	count := l.Count.Get() + 1
	l.Count.Set(count)
	seen, _ := l.Seen.Get(r.N)
	l.Seen.Set(r.N, seen+1)
	l.List.Append(r.N)
	l.At.Set(operator.Timestamp(r.N))
	l.Rows.Add(1)
	l.Out.Emit(out{Count: count, Seen: seen + 1})
	if r.N < 0 {
		return fail(r.N)
	}
	return nil
}

func (l *ledger) onFire(operator.Fired) error {
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
