// Package tidemill has no code of its own: the tests here are about the whole tree.
package tidemill

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestNestedModules runs the tests of every module below this one (guests and SDKs have modules of their own) and passes their
// lines on. They need nothing but Go and have no requirements, so it works offline.
func TestNestedModules(t *testing.T) {
	var modules []string
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules"):
			return filepath.SkipDir
		case d.Name() == "go.mod" && path != "go.mod":
			modules = append(modules, filepath.Dir(path))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(modules) == 0 {
		t.Fatal("no nested module found: the walk is wrong")
	}
	for _, dir := range modules {
		t.Run(filepath.ToSlash(dir), func(t *testing.T) {
			args := []string{"test", "./..."}
			if testing.Short() {
				args = []string{"test", "-short", "./..."}
			}
			cmd := exec.Command("go", args...)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOWORK=off", "GOTOOLCHAIN=local")
			var stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = os.Stdout, &stderr
			if err := cmd.Run(); err != nil {
				t.Fatalf("go test ./... in %s: %v\n%s", dir, err, stderr.String())
			}
		})
	}
}
