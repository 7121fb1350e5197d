package sandbox

import (
	"fmt"
	"math/bits"
	"reflect"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/abi/frame"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/sandbox/crossing"
	"github.com/tidemill/tidemill/runtime/sandbox/guestlog"
	"github.com/tidemill/tidemill/runtime/sandbox/overlay"
	"github.com/tidemill/tidemill/runtime/state"
)

// Operator is a guest module as an operator. It implements operator.Operator.
type Operator struct {
	config Config
	limits Limits

	ctx     *operator.Context
	request abi.OpenRequest
	binding *abi.Binding
	log     *guestlog.Log
	state   *overlay.State // nil without keyed state
	decoder frame.Decoder
	nothing frame.Answer // what a guest that answers 0 has said

	guest     *guest // nil until the next frame where it was lost or recycled
	faultCell uint32
	fuelSeen  int64 // of the instance, already in the meter

	watermark int64
	now       int64 // us, of the call under way
	seed      uint64
	faults    []int64 // times of the last faults, us, oldest first

	work   work // under way
	frame  frameBuilder
	output outputBuilder
	// changes is what Apply is given, kept for its memory.
	changes state.Changes
	round   state.Round
}

var _ operator.Operator = (*Operator)(nil)

// New returns an operator that is not open yet. Config.Binding must have been made for the inputs that Open will be given.
func New(config Config) *Operator {
	return &Operator{config: config, limits: config.Module.Limits(config.Limits)}
}

// Open declares state and metrics and makes the first instance, which must bind as the plan was told.
func (o *Operator) Open(ctx *operator.Context) error {
	o.ctx = ctx
	o.request = Request(o.config.Entry, ctx.Job, ctx.Operator, ctx.Subtask, ctx.Parallelism, ctx.Inputs, ctx.Key, ctx.Params)
	o.request.Limits = o.limits.open()
	o.binding = o.config.Binding
	if len(o.binding.Inputs) != len(ctx.Inputs) || len(o.binding.Outputs) != len(ctx.Outputs) {
		return fmt.Errorf("operator %s: the binding has %d inputs and %d outputs, the task %d and %d", ctx.Operator,
			len(o.binding.Inputs), len(o.binding.Outputs), len(ctx.Inputs), len(ctx.Outputs))
	}
	o.log = guestlog.New(ctx.Log, ctx.Meter, ctx.Now, o.limits.LogLinesPerSec)
	o.watermark, o.now = ctx.Watermark, ctx.Now()
	o.seed = record.HashKey(fmt.Appendf(nil, "%s\x00%s\x00%d", ctx.Job, ctx.Operator, ctx.Subtask))
	o.decoder = frame.Decoder{
		Binding: o.binding, BytesMax: o.limits.FrameBytesMax, CellBytesMax: abi.CellBytesMax, KeyBytesMax: abi.KeyBytesMax,
	}
	if ctx.State != nil {
		if err := ctx.State.Declare(o.declarations()); err != nil {
			return err
		}
		o.state = overlay.New(ctx.State, o.binding, o.limits.FrameBytesMax)
	}
	o.frame.open(o.binding, ctx)
	o.output.open(o.binding, ctx)
	readings := make([]operator.Reading, len(o.binding.Metrics))
	for i, m := range o.binding.Metrics {
		readings[i] = operator.Reading{Name: m.Name, Gauge: m.Kind == abi.MetricGauge, Doc: m.Doc}
	}
	ctx.Meter.Declare(readings)
	return o.ensureGuest()
}

const microsPerMilli = 1000

func (o *Operator) declarations() ([]state.Decl, []state.TimerDecl) {
	states := make([]state.Decl, len(o.binding.States))
	for i, s := range o.binding.States {
		fields := crossing.Fields(s.Fields)
		states[i] = state.Decl{Name: s.Name, Kind: state.Kind(s.Kind), MapKey: fields[:s.Keys], Value: fields[s.Keys:], TTL: s.TTL * microsPerMilli}
	}
	timers := make([]state.TimerDecl, len(o.binding.Timers))
	for i, t := range o.binding.Timers {
		timers[i] = state.TimerDecl{Name: t.Name, Many: t.Many, DropPast: t.DropPast}
	}
	return states, timers
}

// ensureGuest makes a new instance where there is none.
func (o *Operator) ensureGuest() error {
	if o.guest != nil {
		return nil
	}
	h := &host{log: o.log}
	h.begin(o.now, o.nextSeed(), nil)
	g, err := newGuest(&o.config.Module, &o.limits, h)
	if err != nil {
		return o.config.Module.planError(ErrDescribe, "starting", err)
	}
	o.guest, o.fuelSeen = g, 0
	o.ctx.Meter.Instances.Add(1)
	_, binding, err := g.open(&o.request)
	h.end()
	o.meterFuel()
	if err != nil {
		o.dropGuest()
		return o.config.Module.openError(o.config.Entry, err)
	}
	o.faultCell = binding.FaultCell
	same := *binding
	same.FaultCell = o.binding.FaultCell
	if !reflect.DeepEqual(&same, o.binding) {
		o.dropGuest()
		return ErrChanged.Errorf("module %s", o.config.Module.short()).At("operator %s", o.ctx.Operator).
			Do("open must answer the same descriptor for the same parameters and inputs")
	}
	return nil
}

func (o *Operator) dropGuest() {
	if o.guest != nil {
		o.guest.close()
		o.guest = nil
	}
}

// meterFuel adds what the instance has used since the last call.
func (o *Operator) meterFuel() {
	used := o.guest.instance.FuelUsed()
	o.ctx.Meter.Fuel.Add(used - o.fuelSeen)
	o.fuelSeen = used
}

// nextSeed gives every frame another seed. Processing time is in it because the count starts again after a restore, and ids that
// a guest draws must not.
func (o *Operator) nextSeed() uint64 {
	next := splitmix(&o.seed)
	return next ^ bits.RotateLeft64(uint64(o.now)*0x9e3779b97f4a7c15, 32)
}

// readClock takes the processing time for one call of the task: it does not change within, and never goes back.
func (o *Operator) readClock() { o.setNow(o.ctx.Now()) }

// setNow moves processing time, which is that of frames and of keyed state: what has expired is gone for all frames of one call.
func (o *Operator) setNow(us int64) {
	o.now = max(o.now, us)
	if o.ctx.State != nil {
		o.ctx.State.SetNow(o.now)
	}
}

// Process runs a batch through the guest.
func (o *Operator) Process(port int, b *record.Batch) error {
	if b.Rows == 0 {
		return nil
	}
	o.readClock()
	o.work = work{kind: abi.KindBatch, port: port, batch: b, n: b.Rows}
	err := o.run(&o.work)
	o.work.batch = nil // it is not held longer than its call
	return err
}

// Advance fires the event timers that are due at w, then runs the guest's watermark callback.
func (o *Operator) Advance(w int64) error {
	o.readClock()
	o.watermark = w
	if err := o.fire(state.EventTime, w); err != nil {
		return err
	}
	if o.binding.OnWatermark {
		return o.callback(abi.KindWatermark)
	}
	return nil
}

// Tick fires the processing-time timers that are due.
func (o *Operator) Tick(now int64) error {
	o.setNow(now)
	return o.fire(state.ProcessingTime, o.now)
}

// fire fires due timers in rounds of one timer a key at most: what a frame sets or deletes counts before the key's next timer.
func (o *Operator) fire(domain state.Domain, upTo int64) error {
	if o.state == nil || len(o.binding.Timers) == 0 {
		return nil
	}
	for rounds := 0; ; rounds++ {
		n, err := o.ctx.State.Due(domain, upTo, abi.RowsMax, &o.round)
		if err != nil || n == 0 {
			return err
		}
		if rounds == o.limits.TimerRoundsMax {
			return ErrRounds.Errorf("timer %q fired in more than %d rounds of one advance", o.binding.Timers[o.round.Name[0]].Name, rounds).
				At("%s", o.place()).Do("a timer that sets itself for a time already reached never ends")
		}
		if rounds > 0 {
			if err := o.ctx.WaitForRoom(); err != nil {
				return err
			}
		}
		o.work = work{kind: abi.KindTimers, domain: domain, round: &o.round, n: n}
		if err := o.run(&o.work); err != nil {
			return err
		}
	}
}

// End runs the guest's end callback.
func (o *Operator) End() error {
	o.readClock()
	if o.binding.OnEnd {
		return o.callback(abi.KindEnd)
	}
	return nil
}

// Barrier holds nothing back. It moves the time of keyed state, so that a base segment has nothing that the checkpoint's time is
// past, and replaces the instance where the job wants replays to be exact.
func (o *Operator) Barrier() error {
	o.readClock()
	if o.config.Recycle == RecycleBarrier {
		o.dropGuest()
	}
	return nil
}

// Close frees the instance.
func (o *Operator) Close() error {
	o.dropGuest()
	return nil
}

// place names the operator in errors.
func (o *Operator) place() string {
	return fmt.Sprintf("operator %s, module %s", o.ctx.Operator, o.config.Module.short())
}
