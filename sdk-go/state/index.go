package state

// index finds the entries of a map state by their hash: a table of entry numbers with linear probing, 0 = free. It takes the place
// of a Go map, whose operations take half a microsecond each in a module.
type index struct {
	slots []uint32 // a power of two of them, at most half of them used
}

const indexMin = 64

func (x *index) first(hash uint32) uint32 {
	if len(x.slots) == 0 {
		x.slots = make([]uint32, indexMin)
	}
	return hash & uint32(len(x.slots)-1)
}

func (x *index) next(at uint32) uint32 { return (at + 1) & uint32(len(x.slots)-1) }

// full says whether the table must grow to hold n entries.
func (x *index) full(n int) bool { return 2*n > len(x.slots) }

// grow makes a table of twice the size, with no entries.
func (x *index) grow() { x.slots = make([]uint32, max(indexMin, 2*len(x.slots))) }

func (x *index) add(hash, entry uint32) {
	at := x.first(hash)
	for x.slots[at] != 0 {
		at = x.next(at)
	}
	x.slots[at] = entry
}

// remove frees the slot of an entry. All entries are removed before the next is added: what lies behind a freed slot is not moved up.
func (x *index) remove(hash, entry uint32) {
	at := x.first(hash)
	for x.slots[at] != entry {
		at = x.next(at)
	}
	x.slots[at] = 0
}
