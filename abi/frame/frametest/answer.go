// Package frametest writes what a guest writes: answers and rows blocks, for tests of the host. It shares no code with the codec
// of package frame, so that each checks the other, and it checks nothing itself: tests damage what it writes.
package frametest

import (
	"encoding/binary"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/abi/frame"
)

// Answer is an answer to be written. States need their kind, which frame.StateChanges leaves to the binding.
type Answer struct {
	Kind     abi.Kind
	Sequence uint64
	Consumed int // 0: no section
	Batches  []frame.OutputRows
	States   []State
	Timers   *frame.TimerChanges
	Metrics  []frame.MetricUpdate
	Failure  *frame.Failure
	Extra    []Section
}

// State is a section STATE.
type State struct {
	Kind abi.StateKind
	frame.StateChanges
}

// Section is a section as raw bytes.
type Section struct {
	ID    abi.SectionID
	Index uint16
	Flags uint32
	Data  []byte
}

type writer struct {
	b       []byte
	entries []byte
	base    int // what offsets count from
}

func (w *writer) u16(v uint16) { w.b = binary.LittleEndian.AppendUint16(w.b, v) }
func (w *writer) u32(v int)    { w.b = binary.LittleEndian.AppendUint32(w.b, uint32(v)) }
func (w *writer) u64(v uint64) { w.b = binary.LittleEndian.AppendUint64(w.b, v) }

func (w *writer) pad() {
	for len(w.b)%16 != 0 {
		w.b = append(w.b, 0)
	}
}

func (w *writer) set32(at, v int) { binary.LittleEndian.PutUint32(w.b[at:], uint32(v)) }

// array writes an array and puts its offset at field.
func (w *writer) array(field int, data []byte) {
	if len(data) == 0 {
		return
	}
	w.pad()
	w.set32(field, len(w.b)-w.base)
	w.b = append(w.b, data...)
}

func (w *writer) section(id abi.SectionID, index, flags int, body func(at int)) {
	w.pad()
	at := len(w.b)
	body(at)
	w.pad()
	e := binary.LittleEndian.AppendUint16(nil, uint16(id))
	e = binary.LittleEndian.AppendUint16(e, uint16(index))
	e = binary.LittleEndian.AppendUint32(e, uint32(flags))
	e = binary.LittleEndian.AppendUint32(e, uint32(at))
	e = binary.LittleEndian.AppendUint32(e, uint32(len(w.b)-at))
	copy(w.entries, e)
	w.entries = w.entries[16:]
}

// nodes is how many nodes columns have: that of a list's elements follows the list's.
func nodes(columns []frame.Column) int {
	n := 0
	for i := range columns {
		if n++; columns[i].Elements != nil {
			n++
		}
	}
	return n
}

// columns writes nodes from node on and returns the place behind them.
func (w *writer) columns(at int, columns []frame.Column) int {
	for i := range columns {
		at = w.column(at, &columns[i])
		if columns[i].Elements != nil {
			w.set32(at-40+12, 1)
			at = w.column(at, columns[i].Elements)
		}
	}
	return at
}

func (w *writer) column(at int, c *frame.Column) int {
	binary.LittleEndian.PutUint16(w.b[at:], uint16(c.Type))
	binary.LittleEndian.PutUint16(w.b[at+2:], c.Pass)
	w.set32(at+4, c.Len)
	if c.Pass != 0 {
		w.set32(at+32, int(c.Ref))
		return at + 40
	}
	w.set32(at+8, c.Nulls)
	if c.Nulls > 0 {
		w.set32(at+20, len(c.Validity))
		w.array(at+16, c.Validity)
	}
	w.set32(at+28, 4*len(c.Offsets))
	w.array(at+24, numbers(c.Offsets))
	w.set32(at+36, len(c.Values))
	w.array(at+32, c.Values)
	return at + 40
}

func numbers[T int32 | uint32 | uint16 | int64](v []T) []byte {
	b, err := binary.Append(nil, binary.LittleEndian, v)
	if err != nil {
		panic(err)
	}
	return b
}

func (a *Answer) sections() int {
	n := len(a.Batches) + len(a.States) + len(a.Extra)
	for _, present := range []bool{a.Consumed > 0, a.Timers != nil, len(a.Metrics) > 0, a.Failure != nil} {
		if present {
			n++
		}
	}
	return n
}

// Encode returns the bytes of the answer.
func (a *Answer) Encode() []byte {
	n := a.sections()
	w := &writer{b: []byte(abi.Magic)}
	w.u16(abi.Version)
	w.u16(uint16(a.Kind))
	w.u32(0)
	w.u32(n)
	w.u64(a.Sequence)
	w.u64(0)
	w.u64(0)
	w.b = append(w.b, make([]byte, 16*n)...)
	entries := make([]byte, 16*n)
	w.entries = entries
	for i := range a.Batches {
		w.rows(&a.Batches[i])
	}
	for i := range a.States {
		w.state(&a.States[i])
	}
	if a.Timers != nil {
		w.timers(a.Timers)
	}
	if a.Consumed > 0 {
		w.section(abi.SectionConsumed, 0, 0, func(int) { w.u32(a.Consumed); w.u32(0) })
	}
	if len(a.Metrics) > 0 {
		w.section(abi.SectionMetrics, 0, 0, func(int) {
			w.u32(len(a.Metrics))
			w.u32(0)
			for _, m := range a.Metrics {
				w.u64(uint64(m.Metric))
				w.u64(m.Value)
			}
		})
	}
	if f := a.Failure; f != nil {
		w.section(abi.SectionError, 0, 0, func(int) {
			w.u32(int(f.Code))
			w.u32(f.Item)
			w.u32(len(f.Message))
			w.u32(len(f.Place))
			w.b = append(w.b, f.Message+f.Place...)
		})
	}
	for _, s := range a.Extra {
		w.section(s.ID, int(s.Index), int(s.Flags), func(int) { w.b = append(w.b, s.Data...) })
	}
	copy(w.b[40:], entries)
	w.set32(8, len(w.b))
	return w.b
}

func (w *writer) rows(o *frame.OutputRows) {
	w.section(abi.SectionBatch, o.Port, 0, func(at int) {
		flags := 0
		if o.Identity {
			flags |= abi.BatchIdentity
		}
		if o.EventTime != nil {
			flags |= abi.BatchEventTime
		}
		for _, v := range []int{o.Rows, len(o.Columns), nodes(o.Columns), flags, 0, 0, 0, 0} {
			w.u32(v)
		}
		w.b = append(w.b, make([]byte, 40*nodes(o.Columns))...)
		w.array(at+16, numbers(o.ItemOf))
		w.array(at+20, numbers(o.EventTime))
		w.columns(at+32, o.Columns)
	})
}

func (w *writer) state(s *State) {
	w.section(abi.SectionState, s.State, 0, func(at int) {
		for _, v := range []int{len(s.Key), int(s.Kind), len(s.Columns), nodes(s.Columns), 0, 0, 0, 0} {
			w.u32(v)
		}
		w.b = append(w.b, make([]byte, 40*nodes(s.Columns))...)
		w.array(at+16, numbers(s.Key))
		w.array(at+20, s.Op)
		w.columns(at+32, s.Columns)
	})
}

func (w *writer) timers(t *frame.TimerChanges) {
	w.section(abi.SectionTimers, 0, 0, func(at int) {
		w.u32(len(t.Key))
		w.b = append(w.b, make([]byte, 44)...)
		w.array(at+8, numbers(t.Key))
		w.array(at+12, numbers(t.Name))
		w.array(at+16, t.Domain)
		w.array(at+20, t.Op)
		w.array(at+24, numbers(t.Time))
		w.array(at+28, numbers(t.TagOffsets))
		w.set32(at+36, len(t.Tags))
		w.array(at+32, t.Tags)
	})
}

// Block returns the bytes of a rows block.
func Block(rows int, columns []frame.Column) []byte {
	w := &writer{}
	for _, v := range []int{rows, len(columns), nodes(columns), 0} {
		w.u32(v)
	}
	w.b = append(w.b, make([]byte, 40*nodes(columns))...)
	w.columns(16, columns)
	w.pad()
	w.set32(12, len(w.b))
	return w.b
}
