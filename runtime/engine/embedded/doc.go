// Package embedded runs a plan in this process.
//
// A deployment is one or more attempts, each of which restores the newest whole checkpoint, builds the tasks of the plan, and runs
// them, a goroutine each, until the job ends or something fails. An attempt leaves no goroutine behind.
//
// One goroutine, the attempt's loop, drives the checkpoint.Coordinator: what tasks report, what I/O came to and the clock are its
// inputs, and it carries out the commands. Durable work (manifests, commits, deletions) is done by one worker in the order of
// the commands; a segment is written beside its task.
package embedded
