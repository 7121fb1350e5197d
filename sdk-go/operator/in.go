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

// In is an input port whose rows are of type R, a struct of the columns that the operator reads. A field of R of type Timestamp
// with the tag `tm:",event_time"` is no column: it takes the row's event time.
type In[R any] struct{ core inCore[R] }

// OnRow sets the function that takes the port's rows, one at a time. The row and all its strings, byte slices and lists are valid
// until the function returns; strings.Clone and slices.Clone keep one. An error rejects the row: the job's policy says what happens
// to it, and nothing the function did for it takes effect.
func (in *In[R]) OnRow(handler func(*R) error) { in.core.handler = handler }

// rowsAtOnce rows are taken from the columns at a time: few enough to stay in the cache until they are handled.
const rowsAtOnce = 256

type inCore[R any] struct {
	slot    *engine.Slot
	name    string
	layout  *row.Layout
	reading *row.Reading
	handler func(*R) error
	columns []frame.Column
	rows    []R
}

func (c *inCore[R]) Declare(s *engine.Slot, d engine.Declaration) error {
	layout, err := row.Of(reflect.TypeFor[R](), "value", d.Options)
	if err != nil {
		return err
	}
	c.slot, c.name, c.layout = s, d.Name, layout
	s.AddInput(c)
	return nil
}

func (c *inCore[R]) Port() abi.InputPort {
	return abi.InputPort{Name: c.name, Columns: c.layout.Schema()}
}

func (c *inCore[R]) Bind(in abi.OpenInput) (abi.BindInput, error) {
	if c.handler == nil {
		return abi.BindInput{}, errors.New("it has no handler: call OnRow in Open")
	}
	reading, err := c.layout.Bind(in.Schema)
	if err != nil {
		return abi.BindInput{}, err
	}
	c.reading = reading
	c.rows = make([]R, rowsAtOnce)
	return abi.BindInput{Columns: reading.Columns, EventTime: c.layout.EventTime >= 0}, nil
}

func (c *inCore[R]) Run(r *frame.Reader, items int) (int, error) {
	batch := r.Batch()
	c.columns = batch.Columns(c.columns[:0], abi.BatchSize, int(batch.U32(8)))
	keys := frame.Slice[uint32](r.Keys(), 16, items)
	times := frame.Slice[int64](batch, 20, items)
	size := unsafe.Sizeof(c.rows[0])
	for from := 0; from < items; from += rowsAtOnce {
		n := min(rowsAtOnce, items-from)
		at := unsafe.Pointer(unsafe.SliceData(c.rows))
		c.reading.Read(c.columns, from, n, at, size, &c.slot.Arena)
		if c.layout.EventTime >= 0 {
			row.Fill(times, from, n, at, c.layout.EventTime, size)
		}
		if done, err := c.each(from, n, keys); err != nil || done < n {
			return from + done, err
		}
	}
	return items, nil
}

// each hands n rows, of which the first is item from, to the handler, and returns how many took effect.
func (c *inCore[R]) each(from, n int, keys []uint32) (int, error) {
	cursor := &c.slot.Cursor
	handler := c.handler
	rows := c.rows[:n]
	if keys == nil {
		for i := range rows {
			cursor.Item = uint32(from + i)
			if err := handler(&rows[i]); err != nil {
				return i, err
			}
			if cursor.Bytes >= cursor.BytesStop {
				return i + 1, nil
			}
		}
		return n, nil
	}
	keys = keys[from:][:len(rows)]
	for i, key := range keys {
		cursor.Item, cursor.Key = uint32(from+i), key
		if err := handler(&rows[i]); err != nil {
			return i, err
		}
		if cursor.Bytes >= cursor.BytesStop {
			return i + 1, nil
		}
	}
	return n, nil
}
