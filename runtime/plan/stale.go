package plan

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/tidemill/tidemill/internal/vfs"
)

// projects are the marks of a folder whose sources `tidemill build` makes a module of beside them, and where they lie in it.
var projects = []struct{ mark, folder, ext string }{{"go.mod", "", ".go"}, {"Cargo.toml", "src", ".rs"}, {"pyproject.toml", "", ".py"}}

// Stale has a warning for each module beside which lie newer sources: it was forgotten to build it again.
func Stale(files vfs.FS, made *Plan) []string {
	var warnings []string
	seen := map[string]bool{}
	for _, n := range made.Nodes {
		if n.Operator == nil || n.Operator.Module == nil || seen[n.Operator.Module.Path] {
			continue
		}
		module := n.Operator.Module.Path
		seen[module] = true
		info, err := files.Stat(module)
		if err != nil {
			continue // what it needed of it, the plan has read
		}
		if source := newerSource(files, module, info.ModTime()); source != "" {
			warnings = append(warnings, fmt.Sprintf("%s: %s is newer than %s: build it again with `tidemill build`", n.Place, source, module))
		}
	}
	return warnings
}

// newerSource is a source of a module that has changed after a time, or empty.
func newerSource(files vfs.FS, module string, built time.Time) string {
	folder := filepath.Dir(module)
	newer := func(path string) bool {
		info, err := files.Stat(path)
		return err == nil && info.ModTime().After(built)
	}
	if script := strings.TrimSuffix(module, ".wasm") + ".py"; newer(script) {
		return script
	}
	for _, p := range projects {
		if _, err := files.Stat(filepath.Join(folder, p.mark)); err != nil {
			continue
		}
		sources := filepath.Join(folder, p.folder)
		entries, _ := files.ReadDir(sources) // a folder that cannot be read has nothing to warn of
		for _, e := range entries {
			name := e.Name()
			test := strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "test_")
			if path := filepath.Join(sources, name); filepath.Ext(name) == p.ext && !test && newer(path) {
				return path
			}
		}
	}
	return ""
}
