package model

import (
	"cmp"
	"math"
	"slices"

	"github.com/tidemill/tidemill/abi/conformance/program"
)

// NoTime is the watermark before the first, and the event time of what has none.
const NoTime = math.MinInt64

// EndOfTime is the watermark at the end of input.
const EndOfTime = math.MaxInt64

// Model is an operator under way. Its fields hold what can be seen from outside so far.
type Model struct {
	// Subtasks is how many callbacks an advance runs: one in each.
	Subtasks int
	// Rows are the output rows as text, by port and key: between ports and across keys there is no order. Rows of callbacks,
	// which have no key, are those of one subtask.
	Rows map[string][]string
	// Rejected are the items that were refused, by key.
	Rejected map[string][]Rejection
	// Logged are the lines of the log. Items that fail log too, and an item may run again.
	Logged map[string]bool
	// Counted is the counter.
	Counted uint64
	// Gauged are the values the gauge may have: the last of each key, and of the callbacks.
	Gauged map[string]float64
	// ItemBytes is about what the largest item has emitted and changed.
	ItemBytes int
	// Failed: a callback has failed, which ends the job, whatever the policy for items.
	Failed bool

	onWatermark, onEnd []byte
	keys               map[string]*keyed // by program.Key as text
	watermark, now     int64
}

// Rejection is an item that was refused: the row at Pos or, where that is -1, a timer.
type Rejection struct {
	Pos     int64
	Timer   string // its name
	Time    int64
	Tag     string
	Fault   byte   // a kind of fault of package program
	Message string // of FaultError
}

// Callbacks is the key under which Model files what callbacks do.
const Callbacks = "none"

// New makes an operator that nothing has happened to yet.
func New(c *program.Case) *Model {
	return &Model{
		Subtasks: 1, Rows: map[string][]string{}, Rejected: map[string][]Rejection{}, Logged: map[string]bool{}, Gauged: map[string]float64{},
		onWatermark: c.OnWatermark, onEnd: c.OnEnd,
		keys: map[string]*keyed{}, watermark: NoTime, now: program.FirstTick,
	}
}

// keyed is the state and the timers of a key.
type keyed struct {
	key      program.Key
	values   [3]*cell
	lists    [3][]cell
	maps     [4]map[program.MapKey]cell // of pairs only the field large counts
	programs map[string][]byte
	timers   []timer
}

// cell is a value, a list's element or a map's entry, and the processing time at which it was last written.
type cell struct {
	record  program.Record
	written int64
}

type timer struct {
	name int
	time int64
	tag  string
}

// copy is for an item that may fail: nothing it does reaches the original. Records are never changed in place.
func (k *keyed) copy() *keyed {
	c := *k
	for i := range c.lists {
		c.lists[i] = slices.Clone(c.lists[i])
	}
	for i := range c.maps {
		c.maps[i] = map[program.MapKey]cell{}
		for key, entry := range k.maps[i] {
			c.maps[i][key] = entry
		}
	}
	c.programs = map[string][]byte{}
	for tag, p := range k.programs {
		c.programs[tag] = p
	}
	c.timers = slices.Clone(c.timers)
	return &c
}

func (m *Model) keyed(key program.Key) *keyed {
	name := key.String()
	if m.keys[name] == nil {
		m.keys[name] = &keyed{key: key}
	}
	return m.keys[name]
}

// Row runs a row, whose place in the input is pos, and says whether it was refused.
func (m *Model) Row(s *program.Step, pos int64) (refused bool) {
	k := m.keyed(s.Key)
	i := &item{kind: 0, row: s, time: s.EventTime, rowTime: s.EventTime, pos: pos, name: program.Null}
	if s.More {
		i.kind, i.time, i.rowTime = 1, NoTime, m.now
	}
	return m.run(k, i, s.Program, Rejection{Pos: pos})
}

// run runs a program for an item: all that it does, or nothing, takes effect (rules 6 and 8).
func (m *Model) run(k *keyed, i *item, p []byte, refusal Rejection) (refused bool) {
	i.model, i.keyed, i.budget, i.filed = m, k.copy(), program.Budget, k.key.String()
	i.keyed.expire(m.now)
	if i.run(p); i.fault != nil {
		refusal.Fault, refusal.Message = i.fault.Fault, i.fault.Message
		m.Rejected[i.filed] = append(m.Rejected[i.filed], refusal)
		return true
	}
	m.keys[i.filed] = i.keyed
	m.takeEffect(i, 1)
	m.ItemBytes = max(m.ItemBytes, i.bytes)
	return false
}

func (m *Model) takeEffect(i *item, times uint64) {
	for _, row := range i.rows {
		file := row.port + " of " + i.filed
		m.Rows[file] = append(m.Rows[file], row.text)
	}
	m.Counted += times * i.counted
	if i.gauged != nil {
		m.Gauged[i.filed] = *i.gauged
	}
}

// Advance moves the watermark: event timers fire, then the callback runs (rule 3). It says whether a timer was refused.
func (m *Model) Advance(to int64) (refused bool) {
	m.watermark = to
	refused = m.fire(false, to)
	m.callback(m.onWatermark, 20)
	return refused
}

// Tick moves processing time, which fires timers. It says whether a timer was refused.
func (m *Model) Tick(to int64) (refused bool) {
	m.now = to
	return m.fire(true, to)
}

// End is the end of input, after the last watermark.
func (m *Model) End() { m.callback(m.onEnd, 21) }

func (m *Model) callback(p []byte, kind int64) {
	i := &item{model: m, kind: kind, rowTime: m.now, pos: -1, name: program.Null, budget: program.Budget, filed: Callbacks}
	if i.run(p); i.fault != nil {
		m.Failed = true
		return
	}
	m.takeEffect(i, uint64(m.Subtasks))
}

// fire fires the timers of one domain that are due, key by key: of each key always the first in order of time, name and tag, so
// that what a timer sets or deletes counts before the next (rule 4).
func (m *Model) fire(clock bool, upTo int64) (refused bool) {
	for key := range m.keys {
		for {
			k := m.keys[key]
			first := -1
			for n, t := range k.timers {
				if t.clock() == clock && t.time <= upTo && (first < 0 || t.before(k.timers[first])) {
					first = n
				}
			}
			if first < 0 {
				break
			}
			t := k.timers[first]
			k.timers = slices.Delete(k.timers, first, first+1)
			i := &item{kind: 2 + int64(t.name), fired: true, time: t.time, rowTime: t.time, pos: -1, name: program.Text(t.tag)}
			if clock {
				i.rowTime = m.now
			}
			refusal := Rejection{Pos: -1, Timer: program.TimerNames[t.name], Time: t.time, Tag: t.tag}
			refused = m.run(k, i, k.programs[t.tag], refusal) || refused
		}
	}
	return refused
}

func (t timer) clock() bool { return t.name&program.TimerClock != 0 }

func (t timer) before(o timer) bool {
	return cmp.Or(cmp.Compare(t.time, o.time), cmp.Compare(t.name, o.name), cmp.Compare(t.tag, o.tag)) < 0
}

// setTimer is TIMERS SET: one timer for each name and tag or, of a many name, for each time too.
func (m *Model) setTimer(k *keyed, t timer) {
	reached := m.watermark
	if t.clock() {
		reached = m.now
	}
	if t.name&program.TimerDrop != 0 && t.time <= reached {
		return
	}
	k.deleteTimers(func(o timer) bool {
		return o.name == t.name && o.tag == t.tag && (t.name&program.TimerMany == 0 || o.time == t.time)
	})
	k.timers = append(k.timers, t)
}

func (k *keyed) deleteTimers(which func(timer) bool) { k.timers = slices.DeleteFunc(k.timers, which) }
