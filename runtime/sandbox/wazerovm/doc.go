// Package wazerovm runs metered modules on wazero's compiler: the default engine, and the only importer of wazero.
//
// Every compiled module has a wazero runtime of its own, with the closed set of host functions in it. That costs about a
// millisecond a module and isolates tenants from each other's locks and caches; closing the module frees all of it.
//
// Compiled code may be kept in a folder. wazero checks only a part of such a file, and a damaged one would run; so each has a
// checksum of ours beside it, and what does not match is compiled anew. Whoever can write that folder can run code in this
// process: it must be as private as the binary.
package wazerovm
