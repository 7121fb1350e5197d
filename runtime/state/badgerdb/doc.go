// Package badgerdb is the state back-end for state that is larger than memory: the hot tables of package hot over a Badger.
//
// What has not changed since the last checkpoint may leave memory once there is more of it than HotBytesMax; it is read again
// from Badger, in bulk, with the batch that needs it. What has changed is in memory until its checkpoint has been written: then
// it goes to Badger, in the background, by WriteBatch. A key that is known to be absent is remembered like one that is there.
//
// Badger is a working store, not a durable one: its folder is emptied at the start, filled from checkpoints by Restore, and
// removed by Close. Nothing in it is ever synced. Timers are in memory.
//
// Entries are stored under the number of their space (two bytes), the key and the sub, with the key's length before the row.
// What has expired is deleted by the writer, which looks at some entries in turn with each flush: Badger's own TTL goes by the system's
// clock and whole seconds, and is not used.
//
// Versions count the flushes, by twos: deletions of a flush are one older than its puts, so that these win. Badger is opened for
// many instances on a small machine: memory for one memtable being filled and one being written (8 MiB each), no block cache and
// no compression (tables are mapped, the page cache is the cache), two compactors, its log off. A key with its sub may have
// 60,000 bytes, as Badger takes no more than 65,000.
package badgerdb
