// Package wasm reads the structure of a WebAssembly binary: sections, index spaces and instructions, each with its byte offset.
//
// It is what the portable profile checks and what the meter rewrites. It knows WebAssembly 2.0 without SIMD. Anything of a later
// or optional proposal (SIMD, threads, tail calls, exceptions, memory64, GC, typed references) is an error that names the
// proposal, so that a user reads "uses SIMD" and not "unknown opcode".
//
// Decode bounds every index: of types, functions, tables, memories, globals, data and element segments; Instructions bounds
// those of labels and locals and the ones inside bodies. Neither checks operand types: the engine does, on the metered module,
// where every instruction of the original is still there in its order. Because every index was bounded against the original,
// nothing that the meter adds can make an invalid index valid.
//
// Input is hostile. No input makes these functions panic, and time and memory are linear in its length: a vector is never
// allocated for more items than the bytes left can hold, and run-length encoded locals are never expanded. Errors are *Error.
//
// A Module is immutable once decoded and safe for concurrent use. Its byte slices alias the input, which must not change.
package wasm
