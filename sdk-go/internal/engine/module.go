package engine

import (
	"errors"
	"runtime"
	"strconv"
	"unsafe"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
	"github.com/tidemill/tidemill/sdk-go/internal/row"
)

// Version is the version of the SDK.
const Version = "0.1.0"

// Module is what a module holds: the registered operators and the slots that the host opened.
type Module struct {
	entries []*Entry
	slots   []*Slot
}

// Registered holds the operators of this program.
var Registered Module

// Register adds an operator. It panics where the operator's struct is wrong: no input could make it right.
func (m *Module) Register(e Entry) {
	if _, err := declare(&e); err != nil {
		panic(err.Error())
	}
	for _, other := range m.entries {
		if other.Name == e.Name {
			panic("operator " + e.Name + " is registered twice")
		}
	}
	m.entries = append(m.entries, &e)
}

// Describe is the answer of tidemill_describe.
func (m *Module) Describe() (abi.Description, error) {
	d := abi.Description{
		ABI:     abi.Version,
		SDK:     abi.SDK{Name: "go", Version: Version, Language: runtime.Version()},
		Entries: []abi.Entry{},
	}
	for _, e := range m.entries {
		s, err := declare(e)
		if err != nil {
			return d, err
		}
		d.Entries = append(d.Entries, s.describe(e))
	}
	return d, nil
}

// Open opens a slot, and is the answer of tidemill_open.
func (m *Module) Open(req abi.OpenRequest, host Host) abi.OpenAnswer {
	s, d, err := m.NewSlot(req, host)
	if err != nil {
		return abi.OpenAnswer{Error: openError(err)}
	}
	for len(m.slots) <= req.Slot {
		m.slots = append(m.slots, nil)
	}
	m.slots[req.Slot] = s
	return abi.OpenAnswer{Descriptor: d}
}

// Slot is the slot of a frame; nil where it was not opened.
func (m *Module) Slot(i uint32) *Slot {
	if uint64(i) >= uint64(len(m.slots)) {
		return nil
	}
	return m.slots[i]
}

// slotsMax keeps a wrong slot number from taking all memory.
const slotsMax = 1024

// NewSlot opens an operator; the caller holds the slot.
func (m *Module) NewSlot(req abi.OpenRequest, host Host) (*Slot, *abi.Descriptor, error) {
	if req.Slot < 0 || req.Slot >= slotsMax {
		return nil, nil, errors.New("there is no slot " + strconv.Itoa(req.Slot))
	}
	for _, e := range m.entries {
		if e.Name == req.Entry {
			s, err := declare(e)
			if err != nil {
				return nil, nil, err
			}
			d, err := s.open(req, host)
			return s, d, err
		}
	}
	return nil, nil, errors.New("the module has no operator " + strconv.Quote(req.Entry))
}

func (s *Slot) open(req abi.OpenRequest, host Host) (*abi.Descriptor, error) {
	s.Request, s.Host = req, host
	if err := s.setParams(req.Params); err != nil {
		return nil, err
	}
	if s.op.Open != nil {
		if err := s.op.Open(); err != nil {
			return nil, err
		}
	}
	d := &abi.Descriptor{FaultCell: address(unsafe.Pointer(&s.Cursor)), Inputs: []abi.BindInput{}, Outputs: []abi.BindOutput{}}
	if err := s.bindInputs(d); err != nil {
		return nil, err
	}
	for _, out := range s.outputs {
		bind, err := out.Bind(s)
		if err != nil {
			return nil, err
		}
		d.Outputs = append(d.Outputs, bind)
	}
	for _, st := range s.states {
		d.States = append(d.States, st.Bind())
	}
	for _, t := range s.timers {
		if t.Fire == nil {
			return nil, errors.New("timer " + t.Bind.Name + " has no handler: set one in Open")
		}
		bind := t.Bind
		bind.Prefetch = s.prefetch(bind.Name)
		d.Timers = append(d.Timers, bind)
	}
	d.Metrics = s.Metrics.binds
	if s.op.Watermark != nil {
		d.Callbacks = append(d.Callbacks, abi.CallbackWatermark)
	}
	if s.op.End != nil {
		d.Callbacks = append(d.Callbacks, abi.CallbackEnd)
	}
	return d, nil
}

func (s *Slot) bindInputs(d *abi.Descriptor) error {
	if len(s.Request.Inputs) != len(s.inputs) {
		return errors.New("the operator has " + strconv.Itoa(len(s.inputs)) + " input ports, the job gives " +
			strconv.Itoa(len(s.Request.Inputs)))
	}
	for i, in := range s.inputs {
		given := s.Request.Inputs[i]
		if s.Keyed() && !given.Keyed {
			return errors.New("port " + given.Port + " must be keyed, because the operator has state, timers or a key")
		}
		bind, err := in.Bind(given)
		if column := (*row.ColumnError)(nil); errors.As(err, &column) {
			return &portError{given.Port, column}
		}
		if err != nil {
			return errors.New("port " + given.Port + ": " + err.Error())
		}
		bind.NeedsKey = len(s.keys) > 0
		bind.Prefetch = s.prefetch(given.Port)
		d.Inputs = append(d.Inputs, bind)
	}
	for _, k := range s.keys {
		if err := k.Bind(s.Request.Key); err != nil {
			return errors.New("key: " + err.Error())
		}
	}
	return nil
}

// portError is an input column that does not fit.
type portError struct {
	port   string
	column *row.ColumnError
}

func (e *portError) Error() string { return "port " + e.port + ", " + e.column.Error() }

func (s *Slot) prefetch(portOrTimer string) (names []string) {
	for _, st := range s.states {
		if st.Prefetched(portOrTimer) {
			names = append(names, st.Bind().Name)
		}
	}
	return names
}
