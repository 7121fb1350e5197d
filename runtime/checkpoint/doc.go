// Package checkpoint decides when a checkpoint is taken and complete, and defines what it is at rest.
//
// Coordinator is a pure state machine: an engine feeds it what happened (acknowledgements, ticks, results of I/O) and carries
// out the commands it answers. It starts no goroutine, does no I/O and reads no clock, so a seeded simulator can drive it.
//
// At rest a checkpoint is a Manifest, which names Segments, files of state entries. A segment holds the state of one node's key
// group range: all of it (base), or what changed since the checkpoint before (delta); a base and the deltas after it are a chain.
// Segments are written first, the manifest last, and each manifest names the hash of the one before it. A checkpoint is complete
// when its manifest is durable (I3), its committables are published after that (I2), and everything that a barrier separated is
// in one manifest or in none (I1).
//
// Every byte of every file is covered by a checksum. Recover restores the newest checkpoint of which every byte is as it was
// written, and reports each newer one that it passed over (I4); Verify checks all files of a store and names what is damaged.
//
// A Store keeps the files; store/dir keeps them in a folder. View is the part of it that reading needs; it works beside a
// running job. A store belongs to one job and holds nothing else: other files in it are left alone.
package checkpoint
