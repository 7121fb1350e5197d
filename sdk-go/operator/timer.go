package operator

import (
	"errors"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
	"github.com/tidemill/tidemill/sdk-go/internal/engine"
)

// Timer is a name for timers. A timer belongs to the key of the item that sets it. By event time it fires once the watermark has
// reached its time, with the tag option processing once processing time has. There is one timer for a key and a tag, which
// setting replaces, or with the option many one for each time. A timer set for what the watermark has already reached fires with
// its next advance; the option drop drops it.
type Timer struct{ core timerCore }

// Fired is a timer that fires. Within a key timers fire in order of time, then of the names' declaration, then of tags.
type Fired struct {
	Time Timestamp // the time it was set for
	Tag  string    // valid until the handler returns
}

// OnFire sets the function that takes the timers of this name. An error rejects the timer: the job's policy says what happens
// then, and nothing the function did takes effect.
func (t *Timer) OnFire(handler func(Fired) error) {
	t.core.timer.Fire = func(time int64, tag string) error { return handler(Fired{Timestamp(time), tag}) }
}

// Set sets a timer of the current key.
func (t *Timer) Set(at Timestamp) { t.core.change(abi.TimerSet, at, "") }

// SetTag sets a timer of the current key with a tag of at most 256 bytes.
func (t *Timer) SetTag(at Timestamp, tag string) { t.core.change(abi.TimerSet, at, tag) }

// Delete deletes the timers of the current key without a tag. It counts at once, also for a timer that is already due; deleting
// what is not set does nothing.
func (t *Timer) Delete() { t.core.change(abi.TimerDeleteTag, 0, "") }

// DeleteTag deletes the timers of the current key with a tag.
func (t *Timer) DeleteTag(tag string) { t.core.change(abi.TimerDeleteTag, 0, tag) }

// DeleteAt deletes the timer of the current key for a time and a tag, where the name is declared many.
func (t *Timer) DeleteAt(at Timestamp, tag string) { t.core.change(abi.TimerDelete, at, tag) }

type timerCore struct {
	slot   *engine.Slot
	timer  *engine.Timer
	id     int
	domain byte
}

func (c *timerCore) Declare(s *engine.Slot, d engine.Declaration) error {
	c.slot = s
	c.timer = &engine.Timer{Bind: abi.BindTimer{Name: d.Name, Mode: abi.TimerReplace, Past: abi.PastNext}}
	for option := range d.Options {
		switch option {
		case "processing":
			c.domain = abi.DomainProcessing
		case "many":
			c.timer.Bind.Mode = abi.TimerMany
		case "drop":
			c.timer.Bind.Past = abi.PastDrop
		default:
			return errors.New("a timer has no option " + option)
		}
	}
	c.id = s.AddTimer(c.timer)
	return nil
}

func (c *timerCore) change(op byte, at Timestamp, tag string) {
	c.slot.ChangeTimer(c.id, c.domain, op, int64(at), tag)
}
