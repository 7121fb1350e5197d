// Package sandbox runs a guest module as an operator: it is the host's side of abi/SPEC.md.
//
// An Operator cuts batches into frames, gives each frame the keys and states that the guest's descriptor asks for, calls the
// guest once, validates the answer completely (package abi/frame), and then lets outputs, state changes and timers take effect
// as one unit (I1). What an answer passes through is taken from the host's own batch, never read back from the guest. Timers fire
// in rounds; state that was not prefetched is read through host functions, with what the frame wrote before on top.
//
// A guest that traps, runs out of fuel, or answers what the contract does not allow loses its instance and nothing else (I9): the
// item at fault is found by the one algorithm for record errors (items.go), treated by the job's policy, and the next frame gets
// a new instance.
//
// The folders below are the parts: profile validates a module, meter adds accounting, modcache keeps the result, wazerovm
// executes it behind the contract vm. Describe and Inspect ask a throw-away instance what a module offers, for plan and inspect.
//
// An Operator is used by one goroutine, its task's.
package sandbox
