// Package source turns the reads of a connector into batches with event times and watermarks.
//
// One Assigner a source of a job keeps the splits: it runs the connector's enumerator, gives each split to one subtask and
// remembers those that have ended. A Subtask runs on its task's goroutine and never waits: each split that it reads has a
// goroutine of its own, which decodes into a bounded queue.
//
// Positions are exact to the batch that was handed out last, never to what has been read ahead, so a checkpoint between two
// batches names the record to go on from (I1). A split's watermark is bounded-out-of-orderness over what was handed out; the
// subtask's is the least over its splits. In an unbounded source a split without records for the idleness period does not
// count. In a bounded source nothing is ever idle: a split that nobody has begun yet holds the watermark of every subtask, since
// any of them may be given it, and a subtask without a split follows the least watermark of the whole source.
//
// After a restore at the same parallelism every subtask goes on with its own splits, so that its watermark, which never goes back
// (I6), is still a lower bound for what it reads.
package source
