package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestBindingsAreFresh(t *testing.T) {
	root := filepath.Join("..", "..")
	def, err := load(filepath.Join(root, "abi"))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range bindings {
		want, err := b.render(def)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(root, b.path))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is stale: run `go run ./abi/abigen` in the root of the repository", b.path)
		}
	}
}
