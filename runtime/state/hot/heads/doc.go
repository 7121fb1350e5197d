// Package heads keeps one cell for each key of a list or map state, the head, from which all else of the key hangs: the blocks
// of a list, the tree of a map.
//
// A head says how much of its key is in memory: how many elements or entries, their bytes, and whether that is all there is
// (Complete) or the store beneath has more. It is never part of a checkpoint itself, but frozen elements name it for their key:
// therefore its key never changes, and a head that is removed keeps its memory until the checkpoint has been written.
//
// A Table belongs to one goroutine; of a frozen one only the keys may be read by another. Finding a head is one access to the
// index and one to the head; Resolve does that for a block of keys at a time, so that the misses overlap.
package heads
