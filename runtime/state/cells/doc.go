// Package cells is the memory that keyed state and timers live in: pointer-free arenas, a hash index, and the accounting that
// lets a checkpoint read cells on another goroutine while their owner goes on.
//
// A cell is a run of 16-byte units in an Arena, named by a Ref. Its first word is a Header: the lengths of key and row, flags,
// and the generation in which it was written. An Index finds a cell by the hash of its key. The collector sees a few hundred
// slices of bytes and words and no pointer in any of them, so a table of ten million keys costs it nothing.
//
// A Ledger is an arena with generations. The cells changed since the last checkpoint are in its dirty list; Freeze hands that
// list out and begins the next generation. From then on until Release the owner may not change a frozen cell: it writes a new one
// and gives the old one back with Free, which keeps the memory until Release. The reader of frozen cells never touches the
// index, and the owner never touches a frozen cell, so the two share memory without locks. What was deleted is kept as a Log of
// keys, because the cell is gone.
//
// Memory that is given back is found again by bitmap, in address order, neighbours joined; there are no size classes and nothing
// is moved. Every type here belongs to one goroutine, but for Frozen.
package cells
