// Package maps is the hot table of a map state: an entry's cell has its map key and row, and a tree for each key keeps the refs
// of its entries in order.
//
// The tree (tree.go) has leaves of up to 128 refs with eight bytes of each map key beside them, so that most steps of a search read
// no entry; above several leaves is one directory. A map of one entry costs its cell and a leaf of 56 bytes. Trees are never
// frozen: a checkpoint reads entries from the dirty list alone, and those are replaced, not changed, while it does.
//
// Over a store a tree has what is in memory, entries known to be absent among it. A search that finds nothing there reads the
// store, unless the map is complete. A Scanner merges tree and store; it seeks anew with each Next, so what is read, brought up or
// forgotten between two calls does not disturb it.
package maps
