// Package exchange carries batches, watermarks and barriers between tasks of one process.
//
// A receiving subtask has one Gate over all its input queues, one Queue a sending subtask and edge. A sending subtask has one
// Output an edge, which chooses the receiver of each row: by key group (Hash), so that a key's records all meet in one subtask
// and keep the order of their sender (I5), or round robin by batch (Rebalance).
//
// Nothing here blocks. A Put always succeeds; what bounds a queue is credit: a sender asks Full before it takes more work of its
// own and stops while any of its queues is at its limit, so a queue never holds more than the limit and what one piece of work
// emits (I8); an operator that may emit much in one call waits for room in between. Both sides sleep on their task's Signal, which a put, a take and everything else that concerns the task wakes.
//
// Within a queue order is kept. A Gate merges over its queues: the watermark is the least of those that are not idle, and a
// barrier comes out when every queue has delivered it; until then queues that have are not read (aligned checkpoints, I1).
// The end of input is the watermark record.WatermarkEnd; barriers go on after it, so that a checkpoint passes a job of which
// some sources have ended like any other.
package exchange
