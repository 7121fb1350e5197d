// Package hot is keyed state in hot tables: the back-end that package memory is, and that package badgerdb puts a store beneath.
//
// A Backend has one table for each state (values, lists, maps, by kind; table is what they share) and a queue of timers (package
// timers). All of them keep their data in the arenas of package cells, with rows as at rest, so that a checkpoint copies and a
// restore copies.
//
// Freeze hands out the dirty cells of all tables at once. What it returns is written by another goroutine, without locks: the
// tables do not change a frozen cell, they replace it, until the Frozen has been closed; the first write after that gives the
// memory back, bit by bit. Over a store the changes go there first and then into the segment, and a base is read from the store.
//
// What has expired is passed over by every read, and taken out where a list or map is loaded, chunk by chunk as a table is written to,
// and before a checkpoint (expiry.go); a store beneath is swept with each flush.
//
// With a store and a limit of memory the tables forget clean cells by a clock over their indexes, a bounded number before each
// batch. Dirty cells stay until a checkpoint has been written, so HotBytesMax is an aim, and the time between checkpoints
// bounds what goes beyond it.
package hot
