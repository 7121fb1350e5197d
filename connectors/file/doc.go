// Package file is the connector file: a source that reads files in splits, and a sink that publishes files exactly once.
//
// Source. A file is cut into splits by byte range; a split owns the lines that start in its range, so cuts may fall anywhere. The
// position is the byte offset of the next record: a reader opened there delivers exactly the rest (I1). A split carries the
// file's header, read once, and a fingerprint of the file's beginning, so that a file replaced behind a checkpoint is an error and
// not silently other data. With tail the source follows files that grow and takes up files that appear.
//
// Sink. A writer writes to a file whose name begins with a dot, .<sink>-<subtask>-<seq>.<ext>.open. When the file is to be
// published, the flush at a barrier syncs it and hands over its name; the committer renames it to
// <sink>-<checkpoint>-<subtask>-<seq>.<ext> once the checkpoint is complete (I2). Subtask and seq identify a file under both names,
// so a restore finds what it needs: names.go and commit.go. A file that stays open over several checkpoints has its flushed length
// in the writer's state, and is cut back to it.
//
// All access goes through vfs. Readers hold one block and at most one record in memory, writers one buffer.
package file
