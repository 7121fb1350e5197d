package hot

import (
	"sync/atomic"

	"github.com/tidemill/tidemill/runtime/state"
	"github.com/tidemill/tidemill/runtime/state/timers"
)

// frozenTable is one state's part of a checkpoint.
type frozenTable interface {
	of() state.Space
	write(to state.Writer) error
}

// Frozen implements state.Frozen.
type Frozen struct {
	tables  []frozenTable
	timers  *timers.Frozen
	base    bool
	store   Store
	spaces  map[string]int // numbers in the store by name
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
			err = f.writeAll(to, t.of())
		} else {
			err = t.write(to)
		}
		if err != nil {
			return err
		}
	}
	return f.timers.Write(to)
}

// writeAll hands over all that the store has of a space: nobody but the writer of a checkpoint changes it.
func (f *Frozen) writeAll(to state.Writer, space state.Space) error {
	if err := to.Begin(space); err != nil {
		return err
	}
	return f.store.All(f.spaces[space.Name], to.Put)
}

// flush brings the changes into the store beneath.
func (f *Frozen) flush() error {
	if f.store == nil || f.flushed {
		return nil
	}
	into := &flush{store: f.store, spaces: f.spaces}
	for _, t := range f.tables {
		if err := t.write(into); err != nil {
			return err
		}
	}
	if err := f.store.Commit(); err != nil {
		return err
	}
	f.flushed = true
	return nil
}

// Close implements state.Frozen. Where the changes cannot reach the store, they stay frozen, and the next Freeze fails.
func (f *Frozen) Close() error {
	if err := f.flush(); err != nil {
		return err
	}
	f.closed.Store(true)
	return nil
}
