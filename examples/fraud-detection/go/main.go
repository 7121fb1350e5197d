// Command fraud-detection is an operator, keyed by card, that looks at each card's transactions in the order in which they were
// made and raises an alert where they look like fraud. It is built to WebAssembly with `tidemill build`.
package main

import (
	"time"

	"github.com/tidemill/tidemill/sdk-go/operator"
	"github.com/tidemill/tidemill/sdk-go/state"
)

func init() {
	operator.Register[fraud]("fraud", "Raises alerts for card transactions that look like fraud.")
}

func main() {}

// transaction is a row of port in.
type transaction struct {
	ID      int64              `tm:"id"`
	Time    operator.Timestamp `tm:",event_time"`
	Amount  int64              `tm:"amount_cents"`
	Country string             `tm:"country"`
	Present bool               `tm:"present"` // the card was at the terminal
}

// alert is a row of port alerts. A transaction raises one for each rule that it breaks.
type alert struct {
	operator.FromKey
	ID     int64              `tm:"id"`
	Rule   string             `tm:"rule"`
	Time   operator.Timestamp `tm:"time"`
	Amount int64              `tm:"amount_cents"`
}

// moment puts a card's transactions in order.
type moment struct {
	Time operator.Timestamp `tm:"time"`
	ID   int64              `tm:"id"`
}

// charge is what is kept of a transaction until its turn comes.
type charge struct {
	Amount  int64  `tm:"amount_cents"`
	Country string `tm:"country"`
	Present bool   `tm:"present"`
}

// history is what the rules need to know of a card besides its last minutes. The times are NoTime until there is one.
type history struct {
	Small   operator.Timestamp `tm:"small"`   // of the last small charge without the card
	Seen    operator.Timestamp `tm:"seen"`    // the card was last at a terminal
	Country string             `tm:"country"` // and there
}

type fraud struct {
	Small       int64 `param:"small_cents" default:"100" doc:"a charge of at most so much, without the card, may be a probe"`
	Dear        int64 `param:"dear_cents" default:"50000" doc:"a charge of so much or more is worth stealing a number for"`
	ProbeWindow int64 `param:"probe_window_s" default:"600" doc:"seconds from a small charge within which a dear one is suspicious"`
	BurstCount  int64 `param:"burst_count" default:"6" doc:"so many charges within burst_window_s are suspicious"`
	BurstWindow int64 `param:"burst_window_s" default:"120" doc:"seconds in which charges are counted"`
	CloneWindow int64 `param:"clone_window_s" default:"3600" doc:"seconds within which a card cannot be in two countries"`

	In      operator.In[transaction]            `tm:"in"`
	Alerts  operator.Out[alert]                 `tm:"alerts"`
	Late    operator.Out[operator.FromInputRow] `tm:"late" doc:"transactions that came after their turn"`
	History state.Value[history]                `tm:"history"`
	Pending state.Map[moment, charge]           `tm:"pending" doc:"transactions whose turn has not come"`
	Recent  state.Map[moment, int64]            `tm:"recent" doc:"amounts of the last burst_window_s"`
	Due     operator.Timer                      `tm:"due,many" doc:"the turn of the transactions of a moment"`

	operator.Base
}

// Open attaches the handlers.
func (f *fraud) Open() error {
	f.In.OnRow(f.onTransaction)
	f.Due.OnFire(f.onDue)
	return nil
}

// onTransaction keeps a transaction until no earlier one can come: they arrive out of order.
func (f *fraud) onTransaction(t *transaction) error {
	if t.Time <= f.Watermark() {
		f.Late.Emit(operator.FromInputRow{})
		return nil
	}
	f.Pending.Set(moment{t.Time, t.ID}, charge{t.Amount, t.Country, t.Present})
	f.Due.Set(t.Time)
	return nil
}

func (f *fraud) onDue(at operator.Fired) error {
	for m, c := range f.Pending.Range(moment{Time: at.Time}, moment{Time: at.Time + 1}) {
		f.judge(m, c)
		f.Pending.Delete(m)
	}
	return nil
}

// judge holds a transaction against the rules, after all earlier ones of the card.
func (f *fraud) judge(m moment, c charge) {
	h := f.History.Get()
	if !f.History.Has() {
		h = history{Small: operator.NoTime, Seen: operator.NoTime}
	}
	if !c.Present && c.Amount >= f.Dear && within(h.Small, m.Time, f.ProbeWindow) {
		f.raise("probe", m, c)
	}
	if f.burst(m, c) >= f.BurstCount {
		f.raise("burst", m, c)
	}
	if c.Present && c.Country != h.Country && within(h.Seen, m.Time, f.CloneWindow) {
		f.raise("clone", m, c)
	}
	switch {
	case c.Present:
		h.Seen, h.Country = m.Time, c.Country
	case c.Amount <= f.Small:
		h.Small = m.Time
	}
	f.History.Set(h)
}

// burst notes a charge and returns how many there were within the window that ends with it.
func (f *fraud) burst(m moment, c charge) (n int64) {
	f.Recent.Set(m, c.Amount)
	from := m.Time.Add(-time.Duration(f.BurstWindow) * time.Second)
	for r := range f.Recent.All() {
		if r.Time < from {
			f.Recent.Delete(r)
		} else {
			n++
		}
	}
	return n
}

func (f *fraud) raise(rule string, m moment, c charge) {
	f.Alerts.Emit(alert{ID: m.ID, Rule: rule, Time: m.Time, Amount: c.Amount})
}

// within says whether a moment is at most so many seconds after an earlier one, if that was at all.
func within(earlier, at operator.Timestamp, seconds int64) bool {
	return earlier != operator.NoTime && at.Sub(earlier) <= time.Duration(seconds)*time.Second
}
