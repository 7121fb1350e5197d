// Package profile decides whether a module may run here: whether it keeps to the portable profile of abi/SPEC.md.
//
// The profile is what every host of the ABI can run: WebAssembly 1.0 with sign extension, mutable globals, bulk memory,
// multi-value and non-trapping conversions; one memory of its own, exported as "memory"; imports only from the closed set of
// host functions, with their exact signatures; a reactor, not a command; the exports of the ABI. Its limits bound what a module
// can make the host allocate before a single instruction of it has run (I8).
//
// Check looks at the original bytes. What it does not decide is whether the operands of instructions have the right types: the
// engine does that on the metered module, which has every instruction of the original. Errors are those of package errcode, with
// section, function index and byte offset as their place (I13).
package profile
