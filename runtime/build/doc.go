// Package build makes guest modules from their sources and starts new projects.
//
// Build runs the plain Go toolchain with the one recipe that the contract needs; what comes out carries no path of the machine
// and is the same bytes for the same sources and version of Go. New writes a project that builds offline: the SDK's sources are
// in the binary (sdk-go.zip, kept fresh by a test) and go into the project beside a replace line.
//
// Committed modules have a lock beside them (NAME.wasm.lock) that says what they were built from; Lock.Check finds one whose
// sources have changed since, without a build. The command in guests builds all of them again.
package build
