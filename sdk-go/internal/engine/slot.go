package engine

import (
	"errors"
	"strconv"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
	"github.com/tidemill/tidemill/sdk-go/internal/frame"
	"github.com/tidemill/tidemill/sdk-go/internal/row"
)

// Entry is a registered operator.
type Entry struct {
	Name, Doc string
	New       func() Operator
}

// Operator is one operator as the user wrote it.
type Operator struct {
	Parts     any                 // pointer to the struct that holds the parts
	Open      func() error        // attaches handlers; may be nil
	Watermark func(w int64) error // nil where the operator does not ask for it
	End       func() error        // nil where the operator does not ask for it
}

// Host is what an operator may ask for while a frame is processed. Its methods are the imports of the contract.
type Host interface {
	Log(level int, line string)
	StateGet(state, key uint32, mapKey, out []byte) int32
	ScanOpen(state, key uint32, bounds []byte, flags uint32) int32
	ScanNext(handle int32, out []byte) int32
	Apply(frame []byte)
}

// Part is a port, state, timer, metric or key of an operator, as the first field of the type that the user's struct holds.
type Part interface {
	// Declare tells the part its slot and adds it to the slot by one of the Add methods.
	Declare(s *Slot, d Declaration) error
}

// Declaration is what the struct field of a part says.
type Declaration struct {
	Name    string
	Options map[string]string
	Doc     string
}

// Input is an input port.
type Input interface {
	Part
	Port() abi.InputPort
	Bind(in abi.OpenInput) (abi.BindInput, error)
	// Run processes the first items of a BATCH frame, each by Cursor.Start, and returns how many took effect.
	Run(r *frame.Reader, items int) (int, error)
}

// Output is an output port.
type Output interface {
	Part
	Name() string
	Bind(s *Slot) (abi.BindOutput, error)
	Reset()
	// Sections is the most that Flush adds to the answer.
	Sections() int
	// Flush adds the rows emitted since Reset to the answer; done is the number of items that took effect. An error is one of the
	// item that it returns, ItemNone where that is not known.
	Flush(b *frame.Builder, done int) (item uint32, err error)
}

// State is a keyed state.
type State interface {
	Part
	Bind() abi.BindState
	// Prefetched says whether the state is to come with frames of a port or timer.
	Prefetched(portOrTimer string) bool
	// Load begins a frame of so many keys; the section is absent where the host sent none.
	Load(keys int, section frame.Section)
	// Flush adds the changes since Load, or since the last Flush, to the answer.
	Flush(b *frame.Builder)
}

// Key reads the typed key.
type Key interface {
	Part
	Bind(key []abi.Field) error
	Load(section frame.Section)
}

// Timer is a timer name.
type Timer struct {
	Bind   abi.BindTimer
	Domain byte
	Fire   func(time int64, tag string) error
}

// Cursor says which item is under way. It begins with the fault cell, which the host reads after a trap.
type Cursor struct {
	Item                uint32
	message, messageLen uint32
	place, placeLen     uint32
	Key                 uint32 // index of the item's key among the frame's; NoKey where it has none
	Bytes               int    // an upper bound of the answer so far
	BytesStop           int    // the frame ends with the item that gets Bytes here
}

// NoKey is the key of an item without one.
const NoKey = 1<<32 - 1

// Slot is one opened operator.
type Slot struct {
	Cursor  Cursor
	Arena   row.Arena
	Frame   frame.Reader
	Items   int // of the frame that are processed: all, or fewer where the answer to all was too large
	Request abi.OpenRequest
	Host    Host

	op      Operator
	params  []param
	inputs  []Input
	outputs []Output
	states  []State
	keys    []Key
	timers  []*Timer
	Timers  TimerLog
	Metrics MetricLog

	answer  frame.Builder
	applied bool // changes went to the host before the answer
	fault   fault
}

// AddInput adds an input port.
func (s *Slot) AddInput(p Input) { s.inputs = append(s.inputs, p) }

// AddOutput adds an output port and returns its id.
func (s *Slot) AddOutput(p Output) int {
	s.outputs = append(s.outputs, p)
	return len(s.outputs) - 1
}

// AddState adds a state and returns its id.
func (s *Slot) AddState(p State) int {
	s.states = append(s.states, p)
	return len(s.states) - 1
}

// AddKey adds a reader of the key.
func (s *Slot) AddKey(p Key) { s.keys = append(s.keys, p) }

// AddTimer adds a timer name and returns its id.
func (s *Slot) AddTimer(t *Timer) int {
	s.timers = append(s.timers, t)
	return len(s.timers) - 1
}

// Keyed says whether the operator has anything that belongs to a key.
func (s *Slot) Keyed() bool { return len(s.states)+len(s.timers)+len(s.keys) > 0 }

// Source is the input port whose columns an output port can pass through: the only one, or that of the tag option input.
func (s *Slot) Source(options map[string]string) (int, error) {
	name, named := options["input"]
	for i, in := range s.Request.Inputs {
		if in.Port == name || !named && len(s.Request.Inputs) == 1 {
			return i, nil
		}
	}
	if named {
		return 0, errors.New("there is no input port " + name)
	}
	return 0, errors.New("it passes columns of the input through, and there are several inputs: say which by the tag option input")
}

// Process answers a frame: the bytes of the answer, valid until the next call, or nil where nothing came of it.
func (s *Slot) Process(data []byte) []byte {
	defer s.guard()
	if err := s.Frame.Read(data, len(s.states)); err != nil {
		return s.fail(abi.ErrorCodeUnexpected, abi.ItemNone, err)
	}
	items, bytesMax := s.Frame.Items(), s.Request.Limits.FrameBytes
	for s.Items = items; ; {
		s.begin()
		done, err := s.run(s.Items)
		if err != nil {
			return s.fail(abi.ErrorCodeUser, s.Cursor.Item, err)
		}
		last := s.Cursor.Item
		s.Cursor.Item = abi.ItemNone // what goes wrong from here on is no single item's fault
		if s.Cursor.Bytes <= bytesMax {
			answer, item, err := s.finish(done, items)
			if err != nil {
				return s.fail(abi.ErrorCodeUser, item, err)
			}
			if len(answer) <= bytesMax {
				return answer
			}
		}
		// Frames end well before the limit, but one item can go past it. What it did cannot be taken back by itself, so fewer
		// items run again. Where changes went to the host already, the host must start over, with single items.
		switch {
		case done <= 1:
			return s.fail(abi.ErrorCodeLimit, last, errOverLimit(bytesMax))
		case s.applied:
			return s.fail(abi.ErrorCodeLimit, abi.ItemNone, errOverLimit(bytesMax))
		}
		s.Items = done / 2
	}
}

func errOverLimit(bytesMax int) error {
	return errors.New("the answer to one item is larger than frame_bytes (" + strconv.Itoa(bytesMax) + ")")
}

func (s *Slot) begin() {
	s.Cursor.Item = abi.ItemNone
	s.Cursor.Key = NoKey
	s.Cursor.Bytes = 0
	s.Cursor.BytesStop = s.Request.Limits.FrameBytes / answerShare
	s.applied = false
	s.Arena.Reset()
	for _, o := range s.outputs {
		o.Reset()
	}
	s.Timers.reset()
	s.Metrics.reset()
	keys := s.Frame.Keys()
	if !keys.Present() {
		for _, st := range s.states {
			st.Load(0, frame.Section{})
		}
		return
	}
	for _, k := range s.keys {
		k.Load(keys)
	}
	for i, st := range s.states {
		st.Load(int(keys.U32(4)), s.Frame.State(i))
	}
}

func (s *Slot) run(limit int) (done int, err error) {
	switch s.Frame.Kind {
	case abi.KindBatch:
		return s.inputs[s.Frame.Port].Run(&s.Frame, limit)
	case abi.KindTimers:
		return s.runTimers(limit)
	case abi.KindWatermark:
		return 0, s.op.Watermark(s.Frame.Watermark)
	case abi.KindEnd:
		return 0, s.op.End()
	}
	return 0, errors.New("frames of kind " + strconv.Itoa(int(s.Frame.Kind)) + " are not supported")
}

// finish builds the answer of a frame of which the first done items took effect. An error is one of the item.
func (s *Slot) finish(done, items int) (answer []byte, item uint32, err error) {
	b := &s.answer
	sections := 3 + len(s.states)
	for _, o := range s.outputs {
		sections += o.Sections()
	}
	b.Start(&s.Frame, sections)
	if done < items {
		head := b.Open(abi.SectionConsumed, 0, abi.ConsumedSize, 0)
		b.PutU32(head, uint32(done))
		b.Close()
	}
	for _, o := range s.outputs {
		if item, err := o.Flush(b, done); err != nil {
			return nil, item, err
		}
	}
	for _, st := range s.states {
		st.Flush(b)
	}
	s.Timers.flush(b)
	s.Metrics.flush(b)
	if b.Sections() == 0 {
		return nil, 0, nil
	}
	return b.Finish(), 0, nil
}

// answerShare is the part of frame_bytes at which a frame ends: the rest is room for what its last item does.
const answerShare = 2

// Held tells that the item under way made the slot keep n more bytes until the end of the frame, which therefore ends earlier.
func (s *Slot) Held(n int) { s.Cursor.BytesStop -= n }

// Apply hands the changes of one state to the host before the answer, so that what the host is asked for next shows them.
func (s *Slot) Apply(st State) {
	b := &s.answer
	b.Start(&s.Frame, 1)
	if st.Flush(b); b.Sections() > 0 {
		s.applied = true
		s.Host.Apply(b.Finish())
	}
}

func (s *Slot) fail(code uint32, item uint32, err error) []byte {
	message := err.Error()
	message = message[:min(len(message), abi.ErrorMessageBytes)]
	b := &s.answer
	b.Start(&s.Frame, 1)
	head := b.Open(abi.SectionError, 0, abi.ErrorSize+len(message), 0)
	b.PutU32(head, code)
	b.PutU32(head+4, item)
	b.PutU32(head+8, uint32(len(message)))
	copy(b.Bytes(head+abi.ErrorSize), message)
	b.Close()
	return b.Finish()
}
