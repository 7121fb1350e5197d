// Command abigen writes the bindings of the SDKs from the one definition of the contract, the files abi.go and descriptor.go of
// package abi: its constants with their values, and the structs that cross the boundary as JSON.
//
//	go run ./abi/abigen        rewrites sdk-go/internal/abi/abi.go, sdk-rust/tidemill-sys/src/abi.rs and
//	                           sdk-python/interpreter/module/abi.h; run it in the root of the repository
//
// A test compares what is committed with what would be written. The values are those of the type checker, so a binding holds
// plain numbers whatever expression made them.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// bindings are the files that abigen writes, relative to the root of the repository.
var bindings = []struct {
	path   string
	render func(*definition) ([]byte, error)
}{
	{"sdk-go/internal/abi/abi.go", renderGo},
	{"sdk-rust/tidemill-sys/src/abi.rs", renderRust},
	{"sdk-python/interpreter/module/abi.h", renderC},
}

func main() {
	if err := write("."); err != nil {
		fmt.Fprintln(os.Stderr, "abigen:", err)
		os.Exit(1)
	}
}

func write(root string) error {
	def, err := load(filepath.Join(root, "abi"))
	if err != nil {
		return err
	}
	for _, b := range bindings {
		src, err := b.render(def)
		if err != nil {
			return fmt.Errorf("rendering %s: %w", b.path, err)
		}
		if err := os.WriteFile(filepath.Join(root, b.path), src, 0o644); err != nil {
			return err
		}
	}
	return nil
}
