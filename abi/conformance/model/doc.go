// Package model is what abi/SPEC.md, and its ten rules above all, say that the interpreter of abi/conformance/PROGRAM.md does: one item
// after another, on Go's own maps and slices, without frames, batches, instances or subtasks. It shares no code with the runtime,
// an SDK or the ABI's packages, so that what it finds is found from the text. It is slow and obvious on purpose.
package model
