package sandbox

import (
	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
)

// work is items that a task handed over: the rows of a batch, or a round of timers.
type work struct {
	kind   abi.Kind
	n      int
	port   int
	batch  *record.Batch // BATCH
	domain state.Domain
	round  *state.Round // TIMERS

	viewed, viewedAll bool // the frame builder has views of the batch's columns
}

// failure is why nothing of a frame took effect.
type failure struct {
	item int // of the frame; -1: unknown
	// shared says that the items before the one at fault may have used up what it lacked: alone it may do well.
	shared bool
	cause  cause
}

// aloneAfter is how many failed frames of one batch make the rest go item by item.
const aloneAfter = 3

// run takes all items of work through the guest: the one algorithm for record errors, whether the guest answered ERROR, trapped,
// used up its fuel or answered nonsense. Of a failed frame nothing took effect, so the items before the one at fault run again,
// the item itself is treated by the job's policy, and the rest goes on. Where the item is not known, the frame's items run one by
// one until it is found; after the third failure of a batch all of them do.
func (o *Operator) run(w *work) error {
	var (
		next     = 0
		bad      = -1 // item at fault, for reason why
		why      cause
		suspect  = -1 // item to be run alone
		aloneTo  = 0  // items before it run alone
		failures = 0
	)
	for next < w.n {
		if next > 0 {
			if err := o.ctx.WaitForRoom(); err != nil {
				return err
			}
		}
		if next == bad {
			if err := o.reject(w, bad, &why); err != nil {
				return err
			}
			next, bad = next+1, -1
			continue
		}
		end := w.n
		if bad > next {
			end = min(end, bad)
		}
		if suspect > next {
			end = min(end, suspect)
		}
		if failures >= aloneAfter || next < aloneTo || next == suspect {
			end = next + 1
		}
		done, failed, err := o.send(w, next, end)
		switch {
		case err != nil:
			return err
		case failed == nil:
			next += done
			continue
		}
		failures++
		bad, suspect, aloneTo = -1, -1, 0
		switch {
		case done == 1 || (failed.item >= 0 && !failed.shared):
			bad, why = next+max(failed.item, 0), failed.cause
		case failed.item >= 0:
			suspect = next + failed.item
		default:
			aloneTo = next + done
		}
	}
	return nil
}

// send makes one frame of items [from, to), or of fewer where they would be too large, and lets its answer take effect. Done is
// the number of items that took effect or, with a failure, that were in the frame. An error fails the job.
func (o *Operator) send(w *work, from, to int) (done int, failed *failure, err error) {
	if o.config.Recycle == RecycleFrame {
		o.dropGuest()
	}
	if err := o.ensureGuest(); err != nil {
		return 0, nil, err
	}
	to, failed, err = o.frame.items(o, w, from, to)
	if err != nil || failed != nil {
		return to - from, failed, err
	}
	answer, failed, err := o.call(to - from)
	if err != nil || failed != nil {
		return to - from, failed, err
	}
	if answer == nil {
		if w.kind == abi.KindBatch && (o.state == nil || !o.state.Pending()) {
			return to - from, nil, nil
		}
		o.nothing.Consumed = to - from
		answer = &o.nothing
	}
	if err := o.takeEffect(w, from, answer); err != nil {
		return 0, nil, err
	}
	return answer.Consumed, nil, nil
}

// callback runs a frame without items. It has no item that could be at fault, so a failure fails the job.
func (o *Operator) callback(kind abi.Kind) error {
	if o.config.Recycle == RecycleFrame {
		o.dropGuest()
	}
	if err := o.ensureGuest(); err != nil {
		return err
	}
	o.work = work{kind: kind}
	o.frame.callback(kind)
	answer, failed, err := o.call(0)
	if err != nil {
		return err
	}
	if failed != nil {
		return failed.cause.err(o.place() + ", " + kind.String() + " callback")
	}
	if answer == nil {
		return nil
	}
	return o.takeEffect(&o.work, 0, answer)
}

// reject treats one item by the job's policy.
func (o *Operator) reject(w *work, item int, why *cause) error {
	o.ctx.Meter.Rejected.Add(1)
	r := &operator.Rejection{Cause: why.err(o.place() + ", " + o.itemPlace(w, item))}
	if w.kind == abi.KindTimers {
		r.Timer = o.timerFor(w, item)
	} else {
		r.Port, r.Row = w.port, w.batch.Slice(item, item+1)
	}
	if err := o.ctx.Reject(r); err != nil {
		return err
	}
	if w.kind == abi.KindTimers {
		return o.ctx.State.Fired(w.domain, w.round, item, item+1)
	}
	return nil
}
