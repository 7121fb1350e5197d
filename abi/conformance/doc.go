// Package conformance holds the SDKs and the host to one contract: it runs drawn programs of the command interpreter (PROGRAM.md) on
// each language's guest through the real sandbox and state back-ends, and compares all that can be seen from outside with what
// package model says: output rows by port and key, refused items, state and timers, metrics, the log.
//
// A Case is run by many Plans: in batches of different sizes, with frames cut at random, with an instance a frame, restored at
// checkpoints, rolled back, at one subtask and several, and with the operator replaced by another language's in mid-stream. The
// results must be the same. A failure prints its seed and plan, and a smaller case that fails too.
package conformance
