package operator

import (
	"errors"
	"reflect"
	"unsafe"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
	"github.com/tidemill/tidemill/sdk-go/internal/engine"
	"github.com/tidemill/tidemill/sdk-go/internal/frame"
	"github.com/tidemill/tidemill/sdk-go/internal/row"
)

// Key gives the key of the item under way, in timers too. K is a type of column, or a struct of some of the key columns by name.
type Key[K any] struct{ core keyCore[K] }

// Get is the current key. Its strings are valid until the handler returns.
func (k *Key[K]) Get() K {
	c := &k.core
	if c.slot.Cursor.Key == engine.NoKey {
		panic("the key is read where no item with a key is under way")
	}
	return c.keys[c.slot.Cursor.Key]
}

type keyCore[K any] struct {
	slot    *engine.Slot
	layout  *row.Layout
	reading *row.Reading
	order   []int // of the key's columns, those that the reading takes
	columns []frame.Column
	keys    []K
}

func (c *keyCore[K]) Declare(s *engine.Slot, d engine.Declaration) error {
	layout, err := row.Of(reflect.TypeFor[K](), d.Name, d.Options)
	if err != nil {
		return err
	}
	if layout.HasLists() {
		return errors.New("a list cannot be part of a key")
	}
	c.slot, c.layout = s, layout
	s.AddKey(c)
	return nil
}

func (c *keyCore[K]) Bind(key []abi.Field) error {
	if len(c.layout.Fields) == 1 && len(key) == 1 {
		c.layout.Fields[0].Name = key[0].Name
	}
	reading, err := c.layout.Bind(key)
	if err != nil {
		return err
	}
	c.reading = reading
	for _, name := range reading.Columns {
		for i, column := range key {
			if column.Name == name {
				c.order = append(c.order, i)
			}
		}
	}
	return nil
}

func (c *keyCore[K]) Load(section frame.Section) {
	n := int(section.U32(4))
	nodes := int(section.U32(12))
	c.columns = section.Columns(c.columns[:0], abi.KeysSize, nodes)
	all := len(c.columns)
	for _, i := range c.order {
		c.columns = append(c.columns, c.columns[i])
	}
	if n > len(c.keys) {
		c.keys = make([]K, n)
	}
	if n > 0 {
		c.reading.Read(c.columns[all:], 0, n, unsafe.Pointer(unsafe.SliceData(c.keys)), unsafe.Sizeof(c.keys[0]), &c.slot.Arena)
	}
}
