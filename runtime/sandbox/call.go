package sandbox

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/abi/frame"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/sandbox/overlay"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
)

// cause is an error of a guest that does not know its item yet.
type cause struct {
	code *errcode.Code
	text string
	hint string
}

func (c *cause) err(place string) error {
	return c.code.Errorf("%s", c.text).At("%s", place).Do("%s", c.hint)
}

// call writes the frame that the builder holds into the guest, runs it, and validates the answer, which is nil where the guest
// gave none. Nothing has taken effect when it returns.
func (o *Operator) call(items int) (*frame.Answer, *failure, error) {
	g, in := o.guest, &o.frame.in
	g.sequence++
	in.Sequence, o.frame.asked.Sequence = g.sequence, g.sequence
	in.Context.Watermark, in.Context.ProcessingTime, in.Context.Seed = o.watermark, o.now, o.nextSeed()
	o.ctx.Meter.Frames.Add(1)

	var state *overlay.State
	if o.frame.asked.KeyOf != nil && o.state != nil {
		state = o.state
		state.Begin(&o.frame.keys, &o.frame.asked)
	}
	g.host.begin(o.now, in.Context.Seed, state)
	buffer, err := g.reserve(o.frame.size)
	var packed uint64
	if err == nil {
		in.Put(buffer)
		fuel := o.limits.FuelBase + int64(items)*o.limits.FuelPerItem
		packed, err = g.instance.Call(vm.Process, g.buffer, uint32(len(buffer)), fuel)
	}
	o.meterFuel()
	var answer *frame.Answer
	if err == nil && packed != 0 {
		o.frame.viewAll(&o.work)
		answer, err = o.decoder.Decode(g.instance.Memory(), uint32(packed>>32), uint32(packed), &o.frame.asked)
	}
	if state != nil && state.Failed() != nil {
		return nil, nil, state.Failed()
	}
	if err == nil && answer != nil && state != nil {
		err = asError(state.Beyond(answer.Consumed))
	}
	if err != nil {
		failed, err := o.fault(err, items)
		return nil, failed, err
	}
	g.host.end()
	if answer != nil && answer.Failure != nil {
		failed, err := o.refused(answer.Failure)
		return nil, failed, err
	}
	return answer, nil, nil
}

func asError(v *abi.Violation) error {
	if v == nil {
		return nil
	}
	return v
}

// refused is an answer with ERROR: the guest is well, one of its items is not.
func (o *Operator) refused(f *frame.Failure) (*failure, error) {
	c := cause{code: ErrOperator, text: f.Message}
	if f.Place != "" { // in the first line: the others are a traceback
		line, _, _ := strings.Cut(f.Message, "\n")
		c.text = line + " (" + f.Place + ")" + f.Message[len(line):]
	}
	switch f.Code {
	case abi.ErrorCodeLimit:
		c.code = ErrItem
	case abi.ErrorCodeUnexpected:
		c.code = ErrSDK
		c.hint = "build the module with an SDK of this version"
		return nil, c.err(o.place())
	}
	return &failure{item: f.Item, cause: c}, nil
}

// fault is the end of an instance: by a trap, exhausted fuel or memory, an exit, a misused host function or an invalid answer.
// It reads what the guest left in its fault cell, closes the instance, and fails the job if that happens too often.
func (o *Operator) fault(err error, items int) (*failure, error) {
	o.ctx.Meter.Traps.Add(1)
	failed := &failure{item: -1}
	switch f, v := asFault(err), asViolation(err); {
	case f != nil:
		failed.cause = cause{code: faultCode(f.Kind), text: faultText(f), hint: faultHint(f.Kind)}
		failed.shared = f.Kind == vm.Fuel || f.Kind == vm.Memory
	case v != nil && v.Reserved != "":
		failed.cause = cause{code: ErrReserved, text: v.Error()}
	case v != nil:
		failed.cause = cause{code: ErrAnswer, text: v.Error(), hint: "the module breaks the contract: build it with a current SDK"}
	default:
		return nil, fmt.Errorf("calling operator %s: %w", o.ctx.Operator, err)
	}
	o.readLastWords(err, failed, items)
	o.guest.host.end()
	o.dropGuest()

	const minute = 60_000_000
	for len(o.faults) > 0 && o.faults[0] <= o.now-minute {
		o.faults = o.faults[1:]
	}
	if o.faults = append(o.faults, o.now); len(o.faults) > o.limits.TrapsPerMinute {
		return nil, ErrTraps.Errorf("more than %d faults within a minute", o.limits.TrapsPerMinute).Because(failed.cause.err(o.place())).
			Do("raise traps_per_minute under limits: if that many faulty records are to be expected")
	}
	return failed, nil
}

// readLastWords takes the item under way and the guest's own message from the fault cell or, where the guest has written none,
// from what it last printed to standard error. With a message the functions on the stack are left out: it has the place.
func (o *Operator) readLastWords(err error, failed *failure, items int) {
	words, place := "", ""
	if cell, ok := abi.ReadFaultCell(o.guest.instance.Memory(), o.faultCell); ok {
		if uint64(cell.Item) < uint64(items) {
			failed.item = int(cell.Item)
		}
		words = cell.Message
		if cell.Place != "" {
			place = " (" + cell.Place + ")"
		}
	}
	if words == "" && place == "" {
		line, _, _ := bytes.Cut(bytes.TrimSpace(o.guest.host.log.Stderr()), []byte("\n"))
		words = abi.CleanText(line)
	}
	text, f := &failed.cause.text, asFault(err)
	if f != nil && words+place != "" {
		*text = f.Error()
	}
	switch {
	case words == "":
		*text += place
	case f != nil && f.Kind == vm.Trap: // the guest tells more than the engine: a panic's message, where the engine sees an "unreachable"
		*text = words + place + "; " + *text
	default:
		*text += ": " + words + place
	}
}

func faultHint(k vm.Kind) string {
	switch k {
	case vm.Fuel:
		return "a loop without end, or raise fuel_base and fuel_per_item under limits:"
	case vm.Memory:
		return "raise memory_bytes_max under limits:"
	case vm.Stack:
		return "a recursion without end"
	}
	return ""
}
