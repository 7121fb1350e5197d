// Package segment is the file format of state in a checkpoint: a run of entries under checksums, written and read as a stream with
// one block in memory.
//
// A segment says what it holds (Of): the state of one node's key group range as of one checkpoint, all of it (a base) or what
// changed since the checkpoint before (a delta). A Ref names a finished segment with its length and hash; manifests keep Refs.
//
// Every byte is covered: a Reader returns no entry of a block that has changed, finds blocks that are missing, doubled or out of
// order, and says in which block of which file (Damage). format.go has the layout; golden files pin it.
package segment
