// Command conformance is the command interpreter of abi/conformance/PROGRAM.md on the Go SDK.
package main

import (
	"encoding/hex"
	"slices"

	"github.com/tidemill/tidemill/sdk-go/operator"
	"github.com/tidemill/tidemill/sdk-go/state"
)

func init() {
	operator.Register[interpreter]("interpreter", "Runs the program that each row carries.")
	operator.Register[columnar]("columnar", "Does what interpreter does, by columns.")
}

func main() {}

// record is the record of PROGRAM.md.
type record struct {
	Flag    bool
	Tiny    operator.Null[int8]
	Small   int16
	Medium  operator.Null[int32]
	Large   int64
	Single  operator.Null[float32]
	Double  float64
	Day     operator.Null[operator.Date]
	At      operator.Timestamp
	Zoned   operator.Null[operator.Timestamp] `tm:"zoned,tz"`
	Text    operator.Null[string]
	Bytes   []byte
	Amount  operator.Null[operator.Decimal] `tm:"amount,decimal(20,4)"`
	Numbers []int64
	Names   operator.Null[[]string]
}

type inRow struct {
	Program []byte
	record
	Time operator.Timestamp `tm:",event_time"`
}

type moreRow struct {
	Program []byte
	Large   int64
	Text    operator.Null[string]
	Time    operator.Timestamp `tm:",event_time"`
}

type key struct {
	K operator.Null[string]
	G int64
}

// ownKey is a key as the operator writes it itself: nulls where there is none.
type ownKey struct {
	K operator.Null[string]
	G operator.Null[int64]
}

type valuesRow struct {
	ownKey
	Command int16
	N       operator.Null[int64]
	Name    operator.Null[string]
	record
}

type passedRow struct {
	K       operator.FromKey
	G       operator.FromKey
	N       int64
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
	Cost    operator.Decimal `tm:"cost,decimal(20,4)"`
	Ramp    []int64
}

type timedRow struct {
	K   operator.FromKey
	G   operator.FromKey
	Due operator.Timestamp `tm:"due,event_time"`
	N   int64
}

type drawnRow struct {
	ownKey
	Number int64
}

type pair struct {
	Small  int16
	Amount operator.Decimal `tm:"amount,decimal(20,4)"`
	Flag   bool
	Day    operator.Date
	At     operator.Timestamp
	Text   string
}

// interpreter takes its rows one by one.
type interpreter struct {
	In     operator.In[inRow]
	More   operator.In[moreRow]
	Values operator.Out[valuesRow]
	Passed operator.Out[passedRow] `tm:"passed,input=in"`
	parts
}

// parts are what both operators have.
type parts struct {
	operator.Base
	OnWatermarkProgram string `param:"on_watermark" default:"" doc:"program of the watermark callback, in hexadecimal"`
	OnEndProgram       string `param:"on_end" default:"" doc:"program of the end callback, in hexadecimal"`

	Key operator.Key[key]

	Timed operator.Out[timedRow]
	Drawn operator.Out[drawnRow]

	Cell     state.Value[record]
	Plain    state.Value[record] `tm:"plain,prefetch=none"`
	Brief    state.Value[record] `tm:"brief,ttl=100ms,prefetch=in"`
	Items    state.List[record]
	Near     state.List[record] `tm:"near,prefetch"`
	Fading   state.List[record] `tm:"fading,ttl=250ms,prefetch=in"`
	Words    state.Map[string, record]
	Close    state.Map[string, record] `tm:"close,prefetch"`
	Mist     state.Map[string, record] `tm:"mist,ttl=1s,prefetch=in"`
	Pairs    state.Map[pair, int64]    `tm:"pairs,prefetch=in"`
	Programs state.Map[string, []byte]

	Event         operator.Timer
	EventMany     operator.Timer `tm:"event_many,many"`
	EventDrop     operator.Timer `tm:"event_drop,drop"`
	EventManyDrop operator.Timer `tm:"event_many_drop,many,drop"`
	Clock         operator.Timer `tm:"clock,processing"`
	ClockMany     operator.Timer `tm:"clock_many,processing,many"`
	ClockDrop     operator.Timer `tm:"clock_drop,processing,drop"`
	ClockManyDrop operator.Timer `tm:"clock_many_drop,processing,many,drop"`

	Counted operator.Counter
	Gauged  operator.Gauge

	onWatermark, onEnd []byte
	values             *operator.Out[valuesRow]
	pass               func(n int64)
	item               item
}

// Open attaches the handlers.
func (o *interpreter) Open() error {
	o.In.OnRow(func(r *inRow) error { return o.run(r.Program, inItem(r.record, r.Time)) })
	o.More.OnRow(func(r *moreRow) error { return o.run(r.Program, moreItem(r.Large, r.Text, r.Time)) })
	return o.open(&o.Values, func(n int64) { o.Passed.Emit(passedRow{N: n, Cost: cost(n), Ramp: ramp(n)}) })
}

// cost is the number with the last four digits of n behind its point.
func cost(n int64) operator.Decimal { return operator.NewDecimal(n, scale) }

// ramp is a list of n & 3 elements.
func ramp(n int64) []int64 { return slices.Repeat([]int64{n}, int(n&3)) }

func inItem(r record, at operator.Timestamp) item {
	return item{keyed: true, row: true, in: true, record: r, time: some(at)}
}

func moreItem(large int64, text operator.Null[string], at operator.Timestamp) item {
	return item{keyed: true, row: true, kind: 1, record: record{Large: large, Text: text}, time: some(at)}
}

// open decodes the programs of the callbacks and attaches the handlers of the timers.
func (o *parts) open(values *operator.Out[valuesRow], pass func(n int64)) (err error) {
	o.values, o.pass = values, pass
	if o.onWatermark, err = hex.DecodeString(o.OnWatermarkProgram); err != nil {
		return operator.ParamError("on_watermark", err.Error())
	}
	if o.onEnd, err = hex.DecodeString(o.OnEndProgram); err != nil {
		return operator.ParamError("on_end", err.Error())
	}
	for i, t := range o.timers() {
		t.OnFire(func(f operator.Fired) error {
			p, _ := o.Programs.Get(f.Tag)
			return o.run(p, item{keyed: true, kind: 2 + int64(i), time: some(f.Time), tag: some(f.Tag)})
		})
	}
	return nil
}

// OnWatermark runs the program of its parameter.
func (o *parts) OnWatermark(operator.Timestamp) error {
	return o.run(o.onWatermark, item{kind: 20})
}

// OnEnd runs the program of its parameter.
func (o *parts) OnEnd() error { return o.run(o.onEnd, item{kind: 21}) }

func (o *parts) timers() [8]*operator.Timer {
	return [8]*operator.Timer{&o.Event, &o.EventMany, &o.EventDrop, &o.EventManyDrop, &o.Clock, &o.ClockMany, &o.ClockDrop, &o.ClockManyDrop}
}

func some[T any](v T) operator.Null[T] { return operator.Some(v) }
