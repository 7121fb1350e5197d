// Package lists is the hot table of a list state: a chain of blocks for each key, the last first, with the elements end to end.
//
// Appending touches the head of the key and its last block, never what came before, and never the store: an element's place is
// a sequence that counts all elements of the state, and the store orders elements by it. Blocks grow from 64 bytes to 4 KiB. A
// block takes the elements of one checkpoint only, so frozen blocks never change, and a checkpoint writes whole blocks.
//
// Over a store the blocks in memory are the youngest elements of a key; Load brings up older ones until the list is complete or
// over the limit. Clear is one entry in the log of deletions, whatever the length of the list.
//
// Segments hold elements in no order. Restoring in memory takes them as they come and sorts those lists that need it, once, when
// the state is declared.
package lists
