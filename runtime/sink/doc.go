// Package sink runs the two halves of a sink: a Writer in each of its subtasks, on the task's goroutine, and one Publisher a job.
//
// At a barrier a writer flushes what it was given since the last one and hands over committables. They are durable with the
// checkpoint, and only then does the publisher make them visible, again after a restore: exactly once (I2) where the connector's
// sink is transactional.
package sink
