// Package meter rewrites a module so that it accounts for what it executes: fuel and stack depth (I11).
//
// The rewritten module has a mutable global, the fuel balance. Code takes from it before it runs: at each function entry and
// each loop head the cost of the longest way through the code ahead, up to the next such place. Where the balance falls below zero
// the module calls the host's refuel, which grants another slice, yields to Go's scheduler, or ends the instance. What a run
// costs is a property of the module and its input: it does not depend on the size of the slices.
//
// One unit is about one executed instruction. The cost of a region is its longest path, found in one pass backwards. A branch
// much shorter than its sibling is not charged the difference: the long arm takes it itself, without a check, since the next
// entry or loop head has one. Small loop-free functions are charged at their call sites. Bulk operations pay by length.
//
// A second global bounds the stack. It is counted in bytes of the frames' declared values, at least FrameBytesMin a call, so
// that one counter holds both limits: 1 MiB and 10,000 calls. Only targets of back edges in the call graph and functions that
// can be called indirectly count, each with what it can reach without passing another one; every cycle contains one of them.
//
// What costs is not the counter but a call inside a hot loop, since engines spill registers around it. So a loop is wrapped in a
// second one that holds the call: the hot head is load, subtract, store, compare and a branch that is not taken.
//
// Rewrite keeps every instruction of the original in its order and adds operand-neutral ones, so that the engine's type check of
// the result is a type check of the original; package wasm has bounded the indices. Debug sections are dropped, the names of
// functions kept, and data segments that lie side by side joined.
package meter
