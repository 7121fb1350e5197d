// Package values is the hot table of a value state: one cell a key, with the key and the row as at rest.
//
// Load and Apply work by blocks of 256 keys in passes (slots of the index, headers, rows), so that the cache misses of a pass
// overlap. Apply uses the cells that the Load before it found, so that a read and a write of a key look it up once. A row of one
// field of eight bytes, the commonest there is, is read and changed as a word.
//
// A cell is changed in place where it is not frozen and keeps its size in units; otherwise a new cell takes its place. Over a
// store a key that is not in memory is brought up by one read, and what the store does not have is remembered as absent.
//
// A Table belongs to one goroutine; only what Freeze returns is read by another.
package values
