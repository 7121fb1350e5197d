package hot

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

	// KeyMax is the greatest length of a key and a sub together.
	KeyMax() int
	Bytes() int64
	Reads() int64
	Close() error
}

// beneath is a table's view of the store.
type beneath struct {
	store  Store // nil where all is in memory
	number int   // of the table's space in the store
}

func (b *beneath) get(key, sub []byte) (row []byte, found bool, err error) {
	return b.store.Get(b.number, key, sub)
}

// fits checks that a store can hold an entry.
func (b *beneath) fits(s *schema, key, sub []byte) error {
	if b.store == nil || len(key)+len(sub) <= b.store.KeyMax() {
		return nil
	}
	return state.CodeKey.Errorf("a key of state %q has %d bytes with its map key; the store beneath takes %d", s.space.Name, len(key)+len(sub), b.store.KeyMax()).
		Do("keep the state in memory (state: memory), or use shorter keys")
}

// flush writes a frozen table to the store.
type flush struct {
	store  Store
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
