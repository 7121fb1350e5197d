// Package task runs one subtask of a chain of nodes: a source or an exchange's gate, operators, sinks.
//
// A Task is one goroutine. It takes one piece of work at a time and runs it to completion through the whole chain: a batch, a
// watermark, due processing-time timers, a barrier. Chained nodes call each other directly; what leaves the chain goes into an
// exchange. While a receiver has no credit the task takes no work but commands, and no call waits for input: a task that has
// nothing to do sleeps on its signal and on one timer. The only waiting for a disk or a service is a sink writer's own.
//
// A watermark goes down the chain node by node: a node's timers fire and their output has been processed downstream before the
// node after it hears of the watermark. Neither a node's watermark nor the task's processing time ever goes back, also not over a
// restore (I6). The end of input is record.WatermarkEnd; a node that has passed it in a checkpoint does not pass it again.
//
// At a barrier operators let go of what they hold, the barrier goes on, state is frozen, writers flush; frozen state is written by
// a goroutine beside the task, and the subtask acknowledges when all of it is durable (I1, I3).
//
// The package knows no engine and no checkpoint store: a Host takes what a task reports, a StateWriter what it has frozen.
package task
