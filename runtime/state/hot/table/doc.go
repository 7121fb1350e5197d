// Package table is what the kinds of hot table have in common: the interface that the back-end drives them by, what they know of
// their state's schema, what they count, and the store that may lie beneath.
//
// Packages values, lists and maps each are one kind of Table; package hot makes one for each state and moves them together
// through freezes, restores and evictions. A Store is what they are put on where memory is not to hold everything; package
// badgerdb has one. Without a store a table's Beneath is nil, and its cells are all there is.
//
// Over a store, a cell in memory always counts, whatever the store has under its key: one that is known to be absent
// is kept as a cell that says so. A cell may be forgotten (Evict) when no checkpoint to come and none under way needs it.
//
// All methods are called by the back-end's goroutine, but for those of Frozen, and of Store where that says so.
package table
