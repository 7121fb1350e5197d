package state

import (
	"errors"
	"reflect"
	"strings"
	"time"
	"unsafe"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
	"github.com/tidemill/tidemill/sdk-go/internal/engine"
	"github.com/tidemill/tidemill/sdk-go/internal/frame"
	"github.com/tidemill/tidemill/sdk-go/internal/row"
)

// common is what states of all kinds have.
type common struct {
	slot     *engine.Slot
	state    uint32 // its id
	name     string
	ttl      int64           // ms after which what was written expires; 0 = never
	prefetch map[string]bool // ports and timers; "" = all
	buffer   []byte          // what the host answers
	builder  frame.Builder   // of keys to ask for
	columns  []frame.Column

	edited   unsafe.Pointer // a value with decimals that the caller of Edit may have changed since; nil = none
	editedBy uint32         // the item that called Edit
}

// Options of a state's tag.
const (
	optionPrefetch = "prefetch"
	optionTTL      = "ttl"
	optionDecimal  = "decimal" // says the digits of decimals, see package row
)

func (c *common) declare(s *engine.Slot, d engine.Declaration, id int, prefetched bool) error {
	c.slot, c.state, c.name = s, uint32(id), d.Name
	c.prefetch = map[string]bool{"": prefetched}
	for option, value := range d.Options {
		switch option {
		case optionDecimal:
		case optionPrefetch:
			c.setPrefetch(value)
		case optionTTL:
			ttl, err := parseTTL(value)
			if err != nil {
				return err
			}
			c.ttl = ttl
		default:
			return errors.New("a state has no option " + option)
		}
	}
	return nil
}

func (c *common) setPrefetch(value string) {
	clear(c.prefetch)
	if value == "" {
		c.prefetch[""] = true
	} else if value != "none" {
		for _, name := range strings.Fields(value) {
			c.prefetch[name] = true
		}
	}
}

// parseTTL reads a time to live as milliseconds.
func parseTTL(text string) (int64, error) {
	ttl, err := time.ParseDuration(text)
	if err != nil || ttl <= 0 || ttl%time.Millisecond != 0 {
		return 0, errors.New("ttl=" + text + " is not a time above 0 in whole milliseconds, as ttl=24h")
	}
	return ttl.Milliseconds(), nil
}

// Prefetched implements engine.State.
func (c *common) Prefetched(portOrTimer string) bool {
	return c.prefetch[""] || c.prefetch[portOrTimer]
}

// ask asks the host for a cell, or an entry of a map, of the current key. The answer lies in the arena.
func (c *common) ask(mapKey []byte) (block frame.Section, found bool) {
	key := c.slot.Cursor.Key
	n := c.slot.Host.StateGet(c.state, key, mapKey, c.buffer)
	if int(n) > len(c.buffer) {
		c.buffer = frame.Aligned(max(int(n), 2*len(c.buffer)))
		n = c.slot.Host.StateGet(c.state, key, mapKey, c.buffer)
	}
	if n < 0 {
		return frame.Section{}, false
	}
	return c.hold(c.buffer[:n]), true
}

// hold is a block that the host wrote into a buffer, copied to the arena, so that what is read from it stays valid until the
// handler returns.
func (c *common) hold(block []byte) frame.Section {
	c.slot.Held(len(block))
	return frame.Block(c.slot.Arena.Block(block))
}

// owns says whether what is written must go through own.
func owns(l *row.Layout) bool { return l.HoldsMemory() || l.HasDecimals() }

// own accounts for the texts and lists of a row that was written, copies those that their owner may change, and gives decimals the
// scale that they have when the row is read in another frame. It panics where a decimal cannot be stored.
func (c *common) own(l *row.Layout, row unsafe.Pointer) {
	c.slot.Cursor.Bytes += l.HeldBytes(row)
	l.Own(&c.slot.Arena, row)
	c.refuse(l.Rescale(row))
}

// edit notes that the caller of Edit has the address of a value with decimals from now on.
func (c *common) edit(value unsafe.Pointer) { c.edited, c.editedBy = value, c.slot.Cursor.Item }

// settle gives the decimals of the value that was edited last their columns' scales, before the state is used again. So no item sees
// another scale than it would if the frame had ended in between, and a decimal that cannot be stored is the error of the item that
// put it there, though that may be over.
func (c *common) settle(l *row.Layout) {
	value := c.edited
	c.edited = nil
	if err := l.Rescale(value); err != nil {
		c.slot.Cursor.Item = c.editedBy
		c.refuse(err)
	}
}

// refuse panics where a value cannot be stored.
func (c *common) refuse(err error) {
	if err != nil {
		panic(errors.New("state " + c.name + ", " + err.Error()))
	}
}

// changeBytes is what the key index and the operation of a change take.
const changeBytes = 4 + 1

// changes is the section STATE of an answer while it is built: keys, ops and the rows that hold the values, n of each.
type changes struct {
	keys, rows []uint32
	ops        []uint8
	n          int
}

// reset makes room for n changes.
func (c *changes) reset(n int) {
	c.keys, c.rows, c.ops = resize(c.keys, n), resize(c.rows, n), resize(c.ops, n)
	c.n = 0
}

func (c *changes) add(key, row uint32, op uint8) {
	n := c.n
	c.keys[n], c.rows[n], c.ops[n] = key, row, op
	c.n = n + 1
}

// openChanges opens a STATE section of an answer and returns where its nodes begin.
func (c *common) openChanges(b *frame.Builder, kind abi.StateKind, changes *changes, columns ...*row.Writing) (nodes int) {
	n, fields := changes.n, 0
	for _, w := range columns {
		fields += len(w.Schema)
		nodes += w.Nodes
	}
	head := b.Open(abi.SectionState, int(c.state), abi.StateSize, nodes)
	b.PutU32(head, uint32(n))
	b.PutU32(head+4, uint32(kind))
	b.PutU32(head+8, uint32(fields))
	b.PutU32(head+12, uint32(nodes))
	copy(frame.Array[uint32](b, head+16, n), changes.keys)
	copy(frame.Array[uint8](b, head+20, n), changes.ops)
	return head + abi.StateSize
}

// resize makes s n long and keeps its memory; what is in it does not matter.
func resize[T any](s []T, n int) []T {
	if n > cap(s) {
		return make([]T, n, max(n, 2*cap(s)))
	}
	return s[:n]
}

// grow adds n elements to s.
func grow[T any](s []T, n int) []T {
	if len(s)+n > cap(s) {
		s = append(make([]T, 0, max(len(s)+n, 2*cap(s))), s...)
	}
	return s[:len(s)+n]
}

// valueLayout is the layout of a state's values; options are those of the state's tag.
func valueLayout[T any](options map[string]string) (*row.Layout, error) {
	l, err := row.Of(reflect.TypeFor[T](), "value", options)
	if err == nil && (len(l.Passed) > 0 || l.EventTime >= 0) {
		return nil, errors.New("a state holds values only, no passed columns or event times")
	}
	return l, err
}
