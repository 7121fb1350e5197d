package table

import (
	"fmt"

	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
)

// Table is one state. Load, Get, Apply and Restore are those of state.Backend for it.
type Table interface {
	Declare(d state.Decl) error
	Load(keys *record.KeySet, limit int, dst *state.Cells) error
	Get(hash uint64, key, mapKey []byte, dst []record.Column) (bool, error)
	Apply(keys *record.KeySet, c *state.Changes) error
	Restore(e *state.Entry, hash uint64) error
	Freeze(base bool) (Frozen, error)
	Release() // the checkpoint has been written
	Counted() *Count
	Held() int64    // bytes of memory
	Clean() int64   // bytes of memory that may be forgotten
	Changed() int64 // bytes of memory that the store does not have yet
	Evict()         // forgets some of what is clean
	// Sweep takes what has expired out of one chunk of memory, those in turn, at most SweepMost rows. It returns whether it has been
	// through all of them.
	Sweep() (last bool, err error)
	Lifetime() *Life
}

// Frozen is one state's part of a checkpoint.
type Frozen interface {
	Space() state.Space
	Write(to state.Writer) error
}

// Count is what a table holds.
type Count struct {
	Cells int64 // live value cells, list elements or map entries
	Bytes int64 // their keys, subs and rows
}

// Add adds to both.
func (c *Count) Add(cells, bytes int) {
	c.Cells += int64(cells)
	c.Bytes += int64(bytes)
}

// Schema is what a table knows of its state. The codec is there once the state is declared.
type Schema struct {
	Space state.Space
	Codec *state.Codec
	Life  Life
}

// Declare checks that what was restored is what is declared.
func (s *Schema) Declare(d state.Decl) error {
	if err := state.Resume(s.Space, d); err != nil {
		return err
	}
	s.Codec = state.NewCodec(s.Space.Value)
	s.Life.declare(d.TTL)
	return nil
}

// Prepare makes dst fit for n keys of the state.
func (s *Schema) Prepare(n int, dst *state.Cells) {
	if cap(dst.Status) < n {
		dst.Status = make([]uint8, n, max(n, record.RowsMax))
	}
	dst.Status = dst.Status[:n]
	if len(dst.Columns) != len(s.Space.MapKey)+len(s.Space.Value) {
		dst.Columns = nil
		for _, fields := range [][]record.Field{s.Space.MapKey, s.Space.Value} {
			for _, f := range fields {
				dst.Columns = append(dst.Columns, record.NewColumn(f.Type, n))
			}
		}
	}
	for i := range dst.Columns {
		dst.Columns[i].Reset()
	}
}

// BadOp is the error of an operation that a state of its kind does not have.
func BadOp(op uint8, s state.Space) error {
	return fmt.Errorf("operation %d on state %q, which is a %s", op, s.Name, s.Kind)
}
