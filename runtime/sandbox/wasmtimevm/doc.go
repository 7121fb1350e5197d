// Package wasmtimevm runs metered modules on wasmtime: a second engine, by other authors, in another language, with another compiler,
// for tests that must not rest on what wazero happens to do. It is built with the tag wasmtime only, needs cgo, and is in no product:
//
//	go test -tags wasmtime ./runtime/sandbox/wasmtimevm ./abi/conformance
//
// There is no folder for compiled code, an image is copied into each instance, and a call costs some microseconds.
package wasmtimevm
