package state

import (
	"errors"
	"reflect"
	"strings"

	"github.com/tidemill/tidemill/sdk-go/internal/engine"
	"github.com/tidemill/tidemill/sdk-go/internal/frame"
	"github.com/tidemill/tidemill/sdk-go/internal/row"
)

// common is what states of all kinds have.
type common struct {
	slot     *engine.Slot
	state    uint32 // its id
	name     string
	prefetch map[string]bool // ports and timers; "" = all
	buffer   []byte          // what the host answers
	columns  []frame.Column
}

// Options of a state's tag.
const optionPrefetch = "prefetch"

func (c *common) declare(s *engine.Slot, d engine.Declaration, id int, prefetched bool) error {
	c.slot, c.state, c.name = s, uint32(id), d.Name
	c.prefetch = map[string]bool{"": prefetched}
	for option, value := range d.Options {
		if option != optionPrefetch {
			return errors.New("a state has no option " + option)
		}
		clear(c.prefetch)
		if value == "" {
			c.prefetch[""] = true
		} else if value != "none" {
			for _, name := range strings.Fields(value) {
				c.prefetch[name] = true
			}
		}
	}
	return nil
}

// Prefetched implements engine.State.
func (c *common) Prefetched(portOrTimer string) bool {
	return c.prefetch[""] || c.prefetch[portOrTimer]
}

// ask asks the host for a cell, or an entry of a map, of the current key. The answer is valid until the next ask.
func (c *common) ask(mapKey []byte) (block frame.Section, found bool) {
	key := c.slot.Cursor.Key
	n := c.slot.Host.StateGet(c.state, key, mapKey, c.buffer)
	if int(n) > len(c.buffer) {
		c.buffer = frame.Aligned(int(n))
		n = c.slot.Host.StateGet(c.state, key, mapKey, c.buffer)
	}
	if n < 0 {
		return frame.Section{}, false
	}
	return frame.Block(c.buffer), true
}

// layouts of a state's values.
func valueLayout[T any]() (*row.Layout, error) {
	l, err := row.Of(reflect.TypeFor[T](), "value")
	if err == nil && (len(l.Passed) > 0 || l.EventTime >= 0) {
		return nil, errors.New("a state holds values only, no passed columns or event times")
	}
	return l, err
}
