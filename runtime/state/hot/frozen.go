package hot

import (
	"sync/atomic"

	"github.com/tidemill/tidemill/runtime/state"
	"github.com/tidemill/tidemill/runtime/state/hot/table"
	"github.com/tidemill/tidemill/runtime/state/timers"
)

// Frozen implements state.Frozen.
type Frozen struct {
	tables  []table.Frozen
	timers  *timers.Frozen
	base    bool
	store   table.Store
	spaces  map[string]int // numbers in the store by name
	ending  []int          // numbers of those that may have rows with an expiry
	at      table.Cutoff
	flushed bool
	closed  atomic.Bool
}

// Write implements state.Frozen.
func (f *Frozen) Write(to state.Writer) error {
	if err := f.flush(); err != nil {
		return err
	}
	for _, t := range f.tables {
		var err error
		if f.base && f.store != nil {
			err = f.writeAll(to, t.Space())
		} else {
			err = t.Write(to)
		}
		if err != nil {
			return err
		}
	}
	return f.timers.Write(to)
}

// writeAll hands over all that the store has of a space, and that has not expired: nobody but the writer of a checkpoint changes it.
func (f *Frozen) writeAll(to state.Writer, space state.Space) error {
	if err := to.Begin(space); err != nil {
		return err
	}
	return f.store.All(f.spaces[space.Name], func(key, sub, row []byte) error {
		if f.at.Over(row) {
			return nil
		}
		return to.Put(key, sub, row)
	})
}

// flush brings the changes into the store beneath, and takes out some of what has expired there.
func (f *Frozen) flush() error {
	if f.store == nil || f.flushed {
		return nil
	}
	into := &flush{store: f.store, spaces: f.spaces}
	for _, t := range f.tables {
		if err := t.Write(into); err != nil {
			return err
		}
	}
	if err := f.store.Commit(); err != nil {
		return err
	}
	f.flushed = true
	if len(f.ending) == 0 {
		return nil
	}
	if err := f.store.Sweep(f.ending, f.at.Over); err != nil {
		return err
	}
	return f.store.Commit()
}

// Close implements state.Frozen. Where the changes cannot reach the store, they stay frozen, and the next Freeze fails.
func (f *Frozen) Close() error {
	if err := f.flush(); err != nil {
		return err
	}
	f.closed.Store(true)
	return nil
}

// flush writes a frozen table to the store.
type flush struct {
	store  table.Store
	spaces map[string]int // by name
	space  int
	keyed  bool // a deletion without a sub is one of all entries
}

func (f *flush) Begin(s state.Space) error {
	f.space, f.keyed = f.spaces[s.Name], s.Kind != state.SpaceValue
	return nil
}

func (f *flush) Put(key, sub, row []byte) error { return f.store.Put(f.space, key, sub, row) }

func (f *flush) Delete(key, sub []byte) error {
	if f.keyed && len(sub) == 0 {
		return f.store.DeleteAll(f.space, key)
	}
	return f.store.Delete(f.space, key, sub)
}
