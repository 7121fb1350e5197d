// Package state is keyed state and timers: the contract of a back-end, the rows at rest, and the hot table that back-ends share.
//
// A Backend belongs to one subtask of one operator and is used by its goroutine alone; only a Frozen is written from another.
// All access is by whole batches: distinct keys in, cells out, changes back, so that cache misses overlap and nothing allocates
// per record. What a frame changes is applied after the frame has succeeded, never before (I1).
//
// A state may have a time to live (Decl.TTL): each value, list element and map entry is absent from a processing time on, which its
// row at rest carries. Time is what the owner says it is (SetNow) and does not change within a frame, so that nothing depends on
// when a back-end gets around to taking out what has expired.
//
// Durable things are known by name: a Space carries the name and the schema of a state, and every entry of a changelog segment
// belongs to one. Keys are the encoded keys of package record, map keys are encoded alike.
//
// state/memory keeps everything in memory; state/badgerdb keeps what does not fit in a disposable Badger beneath the same hot
// table; state/statetest is the suite that defines a back-end, with a model.
package state

import "github.com/tidemill/tidemill/runtime/record"

// Kind is the shape of a state; the numbers are those of abi.StateKind.
type Kind uint8

// Kinds of state.
const (
	Value Kind = 1
	List  Kind = 2
	Map   Kind = 3
)

// Decl declares a state of an operator.
type Decl struct {
	Name   string
	Kind   Kind
	MapKey []record.Field // Map only
	Value  []record.Field
	// TTL is the processing time in us that a value, list element or map entry lives after it was last written; 0: for ever. Another
	// one than before is no change of the schema: what is there keeps the expiry that it was written with.
	TTL int64
}

// TimerDecl declares a timer name.
type TimerDecl struct {
	Name     string
	Many     bool // one timer per (key, domain, name, tag, time) instead of per (key, domain, name, tag)
	DropPast bool // a timer set for a time already reached is dropped instead of firing with the next advance
}

// Domain is the time a timer lives in.
type Domain uint8

// The domains; the numbers are those of abi.
const (
	EventTime      Domain = 0
	ProcessingTime Domain = 1
)

// Status of a key's cell; the numbers are those of abi.
const (
	Absent = 0
	Inline = 1
	Ask    = 2 // larger than the limit given to Load: read it with Get or Scan
)

// Operations on state; the numbers are those of abi.
const (
	OpSet      = 1 // value: the cell; map: the entry
	OpClear    = 2 // value: the cell; list: all of it; map: the entry
	OpAppend   = 3 // list
	OpClearAll = 4 // map
)

// Operations on timers; the numbers are those of abi.
const (
	TimerSet       = 1
	TimerDelete    = 2
	TimerDeleteTag = 3
	TimerDeleteKey = 4
)

// Cells is what Load fills. It is reused from batch to batch.
type Cells struct {
	Status []uint8 // one a key
	// Start, for list and map, has the entries Start[k] to Start[k+1] of key k in Columns; it is nil for value.
	Start []uint32
	// Columns: for value one row a key (null where not inline), for list and map one row an entry, a map's key columns first.
	// A map's entries ascend by encoded map key, a list's are in append order.
	Columns []record.Column
}

// Changes is the changes of one frame to one state, applied in order. Slices may be views of guest memory: Apply copies.
type Changes struct {
	Key     []uint32        // index into the frame's KeySet
	Op      []uint8         // OpSet ...
	Columns []record.Column // one row a change, a map's key columns first
}

// TimerChanges is the changes of one frame to timers, applied in order.
type TimerChanges struct {
	Key    []uint32
	Name   []uint16 // index into the declared timer names
	Domain []uint8
	Op     []uint8
	Time   []int64
	TagOff []int32 // len+1
	Tags   []byte
}

// Round is timers that are due, at most one a key, each the key's earliest by (time, name in declaration order, tag).
type Round struct {
	Keys   record.KeySet // one distinct key an entry, in entry order
	Name   []uint16
	Time   []int64
	TagOff []int32
	Tags   []byte
	// Setting numbers each timer's setting, so that Fired leaves alone a timer that was set again since Due.
	Setting []uint64
}

// Len is the number of entries.
func (r *Round) Len() int { return len(r.Name) }

// Backend keeps the keyed state and the timers of one subtask.
type Backend interface {
	// Declare fixes the states and timer names; it is called once, after Restore. Names keep their data: what was restored under
	// a name that is declared with another kind or other fields is refused with a coded error, and so is what is not declared any
	// more, unless Options.AllowUndeclared is set: then it is kept and carried in checkpoints.
	Declare(states []Decl, timers []TimerDecl) error
	// SetNow moves processing time to us, where that is later than it was. What has expired by then (Decl.TTL: now >= the time of
	// writing + TTL) is absent from all calls that follow, and what is written from now on lives from then. The owner calls it before
	// a frame that uses states with a TTL, never within; before the first call nothing expires. It costs a store.
	SetNow(us int64)

	// Load reads the cells of all keys of a state. A cell of more than limit bytes at rest has status Ask.
	Load(state int, keys *record.KeySet, limit int, dst *Cells) error
	// Get reads one cell into dst, which has the state's value columns: a value, one map entry (mapKey is its encoded key), or
	// all elements of a list.
	Get(state int, hash uint64, key, mapKey []byte, dst []record.Column) (found bool, err error)
	// Scan goes through a map's entries with low <= encoded map key < high (nil: unbounded), ascending or descending, as they
	// are at the call; the Scanner is valid until the next change to the back-end, or SetNow.
	Scan(state int, hash uint64, key, low, high []byte, descending bool) (Scanner, error)
	// Apply makes changes; clearing what is absent is nothing. An error is a fault of the disk or a limit, and fails the job.
	Apply(state int, keys *record.KeySet, changes *Changes) error

	// ApplyTimers makes changes to timers. reached is, by domain, the time up to which timers have fired: a timer set for a time
	// <= reached is kept for the next Due or dropped, as declared. Deleting or replacing counts at once.
	ApplyTimers(keys *record.KeySet, changes *TimerChanges, reached [2]int64) error
	// Due fills dst with a round of at most max timers with time <= upTo and returns their number; nothing is removed yet.
	Due(domain Domain, upTo int64, max int, dst *Round) (int, error)
	// Fired removes the entries [from, to) of a round that Due filled, those that still stand.
	Fired(domain Domain, round *Round, from, to int) error
	// NextTimer is the time of the earliest timer.
	NextTimer(domain Domain) (int64, bool)

	// Freeze fixes what changed since the last Freeze (everything, where base is set) for a checkpoint. Processing goes on at once:
	// reads see the frozen changes, writes go to new cells. The cost is that of the dirty list, not of its cells; where states have
	// a TTL, a bounded look for what has expired is added. The former Frozen has been closed.
	Freeze(base bool) (Frozen, error)
	// Restore adds the entries of one segment; segments come oldest first, before Declare. Entries whose key group is not in
	// [groups[0], groups[1]) are passed over.
	Restore(from Reader, groups [2]int, maxParallelism int) error

	Stats() Stats
	Close() error
}

// Scanner reads a map.
type Scanner interface {
	// Next appends at most max entries to dst (map key columns, then value columns) and returns their number, 0 at the end.
	Next(dst []record.Column, max int) (int, error)
}

// Frozen is the changes of one checkpoint. It is written by another goroutine than the back-end's.
type Frozen interface {
	// Write hands over all entries, space by space; within a space all deletions come before all entries, the order is
	// unspecified otherwise. What was deleted and is there again appears as both. A base has nothing that had expired at its Freeze.
	Write(to Writer) error
	// Close frees the frozen changes, written or not. Where the back-end has a store beneath, they have reached it by then.
	Close() error
}

// SpaceKind says what the entries of a space are.
type SpaceKind uint8

// Kinds of space.
const (
	SpaceValue            SpaceKind = 1 // sub empty, value a row
	SpaceList             SpaceKind = 2 // sub: 8 bytes big-endian sequence, value a row
	SpaceMap              SpaceKind = 3 // sub: encoded map key, value a row
	SpaceTimersEvent      SpaceKind = 4 // sub: time as 8 sign-flipped big-endian bytes and tag; name is that of the timer; value empty
	SpaceTimersProcessing SpaceKind = 5
)

// Space names a state or a timer name and gives its schema.
type Space struct {
	Kind   SpaceKind
	Name   string
	MapKey []record.Field
	Value  []record.Field
}

// Writer receives the entries of a checkpoint. Slices are only valid during the call.
type Writer interface {
	// Begin starts a run of entries of one space.
	Begin(space Space) error
	Put(key, sub, value []byte) error
	// Delete records that an entry is gone; an empty sub of a list or map space means all of the key's entries.
	Delete(key, sub []byte) error
}

// Reader gives the entries of one segment back. Slices are valid until the next call.
type Reader interface {
	// Next returns the next entry; io.EOF ends the segment. An error of integrity names the file.
	Next() (Entry, error)
}

// Entry is one entry of a segment.
type Entry struct {
	Space   *Space
	Key     []byte
	Sub     []byte
	Value   []byte
	Deleted bool
}

// Stats describe a back-end for metrics and the live view; all are current values.
type Stats struct {
	Cells      int64 // value cells, list elements and map entries, expired ones included until they are swept; -1 where it cannot be counted
	Timers     int64
	HotBytes   int64 // memory held
	StoreBytes int64 // bytes in the store beneath
	StoreReads int64 // reads that went to the store beneath, since the start
	Expired    int64 // cells that were swept since the start, because they had expired; from the store, where there is one
}

// Options of a back-end.
type Options struct {
	Dir           string // folder for the store beneath; its content is disposable
	HotBytesMax   int64  // aim for memory of clean cells, 0 = unlimited; dirty cells are always in memory until the next checkpoint
	StateBytesMax int64  // limit of all state of the subtask, 0 = unlimited; passing it fails the job with a coded error
	KeyFields     []record.Field
	// AllowUndeclared lets Declare leave out states and timer names that were restored: they are kept, and carried in checkpoints.
	AllowUndeclared bool
}

// Factory makes back-ends.
type Factory interface {
	New(options Options) (Backend, error)
}
