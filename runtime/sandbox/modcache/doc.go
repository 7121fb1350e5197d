// Package modcache turns the bytes of a module into a compiled module: checked against the profile, metered, compiled, once a
// process for each digest. A module of code for an interpreter is loaded with the base that it names, which is kept and shared
// likewise.
//
// With a folder, the verdict and the metered bytes outlast the process, keyed by the digest of the original, the version of the
// meter and the limits it was checked under; the engine keeps its compiled code beside them. Files are written whole or not at
// all and carry checksums: what does not match is made anew. A folder that cannot be written is a warning, not an error.
package modcache
