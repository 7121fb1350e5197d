// Package build makes guest modules from their sources and starts new projects, in each language that has an SDK.
//
// A language value (golang.go ...) holds all that differs between them; a folder's files say which one it is (language.go). Build
// runs the language's own toolchain with the one recipe that the contract needs. New writes a project that builds offline: the
// SDK's sources are in the binary (sdk-go.zip ..., kept fresh by a test) and go into the project.
//
// Committed modules have a lock beside them (NAME.wasm.lock) that says what they were built from; Lock.Check finds one whose
// sources have changed since, without a build. The command in guests builds all of them again.
package build
