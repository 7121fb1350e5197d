// Package frame is the codec of abi/SPEC.md, host side: it writes input frames directly into guest memory, and reads answers,
// what state_apply is given, and rows blocks.
//
// An answer is validated completely before the caller sees any of it: bounds without overflow, alignment, offsets, UTF-8, null
// counts, indexes, types against the binding, limits, what is passed through. A Decoder judges it against the frame that was
// asked; all its errors are *abi.Violation. Nothing is copied: a decoded column is a view of guest memory and must not outlive
// the call (I7).
//
// Input is symmetric: DecodeInput reads what Put wrote, for tests and for hosts of native operators. Writing a frame and decoding
// an answer allocate nothing once buffers have grown.
package frame
