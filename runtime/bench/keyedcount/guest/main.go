// Command count is the keyed count of the benchmark as a user would write it with the SDK, row by row.
package main

import (
	"github.com/tidemill/tidemill/sdk-go/operator"
	"github.com/tidemill/tidemill/sdk-go/state"
)

func init() { operator.Register[count]("count", "Counts the records of each key.") }

func main() {}

// Every timerEvery-th record, by its time, sets a timer for its key, timerDelay us later.
const (
	timerEvery = 1000
	timerDelay = 1000
)

type number struct {
	At operator.Timestamp `tm:"at"`
}

type counted struct {
	Key   operator.FromKey `tm:"key"`
	Count int64            `tm:"count"` // 0: a timer has fired
}

type count struct {
	In    operator.In[number]   `tm:"in"`
	Out   operator.Out[counted] `tm:"out"`
	Count state.Value[int64]    `tm:"count,prefetch"`
	Due   operator.Timer        `tm:"due,many"`

	operator.Base
}

// Open attaches the handlers.
func (c *count) Open() error {
	c.In.OnRow(c.onNumber)
	c.Due.OnFire(c.onDue)
	return nil
}

func (c *count) onNumber(n *number) error {
	at := c.Count.Edit()
	*at++
	c.Out.Emit(counted{Count: *at})
	if n.At%timerEvery == 0 {
		c.Due.Set(n.At + timerDelay)
	}
	return nil
}

func (c *count) onDue(operator.Fired) error {
	c.Out.Emit(counted{})
	return nil
}
