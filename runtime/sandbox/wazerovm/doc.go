// Package wazerovm runs metered modules on wazero's compiler: the default engine, and the only importer of wazero.
//
// Every compiled module has a wazero runtime of its own, with the closed set of host functions in it. That costs about a
// millisecond a module and isolates tenants from each other's locks and caches; closing the module frees all of it.
//
// The engine owns fuel. A call gets a budget; the guest's balance holds a slice of it, and the module asks for the next slice
// when the balance falls below zero (package meter). Each such request yields to Go's scheduler, because native code cannot be
// preempted: a guest that spins between two requests stops the collector and everything behind it. So slices aim at less than
// 100 microseconds. A call ends exactly where its charges exceed its budget, whatever the slices were.
//
// Host functions check every (pointer, length) against the memory as it is, without overflow (I7), and hand views to vm.Host.
// Compiled code may be kept in a folder. wazero checks only a part of such a file, and a damaged one would run; so each has a
// checksum of ours beside it, and what does not match is compiled anew. Whoever can write that folder can run code in this
// process: it must be as private as the binary.
package wazerovm
