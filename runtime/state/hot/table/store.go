package table

import "github.com/tidemill/tidemill/runtime/state"

// Store is what may lie beneath the hot tables: the entries that need not be in memory. What of it is older than what is in
// memory is masked by cells until it has been overwritten, so that reads and writes need no snapshot. The owner of the
// back-end reads; one other goroutine writes and reads at the same time.
type Store interface {
	// Get returns the row of an entry. The slice is valid until the next call.
	Get(space int, key, sub []byte) (row []byte, found bool, err error)
	// Scan calls visit with the entries of a key with low <= sub < high (nil: unbounded), in order, until it says no.
	Scan(space int, key, low, high []byte, descending bool, visit func(sub, row []byte) bool) error
	// Rest gives back what the calls since the last Rest keep open. Owner only.
	Rest()
	// All calls visit with the entries of a space, for the goroutine that writes.
	All(space int, visit func(key, sub, row []byte) error) error

	// Put, Delete and DeleteAll (of a key) gather changes; Commit makes them. Puts win over deletions, whatever the order.
	Put(space int, key, sub, row []byte) error
	Delete(space int, key, sub []byte) error
	DeleteAll(space int, key []byte) error
	Commit() error
	// Sweep deletes, with the next Commit, entries of the spaces that over says have expired. It looks at some entries, in proportion
	// to those that the last Commit put, and goes on there with the next call. It wants a Commit before it, so that it does not take
	// the old row of an entry for the entry. Nobody sees a difference, but for the room.
	Sweep(spaces []int, over func(row []byte) bool) error

	// KeyMax is the greatest length of a key and a sub together.
	KeyMax() int
	Bytes() int64
	Reads() int64
	Swept() int64 // entries that Sweep has deleted
	Close() error
}

// Beneath is a table's part of the store. A nil one is that of a table that has all in memory; only Fits may be called then.
type Beneath struct {
	Store
	Number int // of the table's space in the store
}

// Get returns the row of an entry. The slice is valid until the next call.
func (b *Beneath) Get(key, sub []byte) (row []byte, found bool, err error) {
	return b.Store.Get(b.Number, key, sub)
}

// Scan is Store.Scan of this space.
func (b *Beneath) Scan(key, low, high []byte, descending bool, visit func(sub, row []byte) bool) error {
	return b.Store.Scan(b.Number, key, low, high, descending, visit)
}

// Put is Store.Put of this space.
func (b *Beneath) Put(key, sub, row []byte) error { return b.Store.Put(b.Number, key, sub, row) }

// Delete is Store.Delete of this space.
func (b *Beneath) Delete(key, sub []byte) error { return b.Store.Delete(b.Number, key, sub) }

// DeleteAll is Store.DeleteAll of this space.
func (b *Beneath) DeleteAll(key []byte) error { return b.Store.DeleteAll(b.Number, key) }

// Fits checks that the store can hold an entry.
func (b *Beneath) Fits(s *Schema, key, sub []byte) error {
	if b == nil || len(key)+len(sub) <= b.KeyMax() {
		return nil
	}
	return state.CodeKey.Errorf("a key of state %q has %d bytes with its map key; the store beneath takes %d", s.Space.Name, len(key)+len(sub), b.KeyMax()).
		Do("keep the state in memory (state: memory), or use shorter keys")
}
