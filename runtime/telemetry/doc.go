// Package telemetry counts what a running job does: records, watermarks, state, checkpoints, by node and subtask.
//
// A Job is made before the job is deployed and outlives its restarts. Each Subtask's counters are written by the goroutine of
// that subtask alone and read by anybody at any time: they are atomics, and a Snapshot is a copy for a live view, a metrics
// endpoint or a result. Numbers of one snapshot are read one after the other, so they may be a batch apart.
//
// Counters count work done: after a restart records are read again and counted again. What was delivered of a split, without
// what was read twice, is its Split.Records.
package telemetry
