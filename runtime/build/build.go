package build

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/runtime/sandbox/script"
	"github.com/tidemill/tidemill/runtime/sandbox/wasm"
)

// Built is a module that Build made.
type Built struct {
	Path      string `json:"path"`
	Bytes     int    `json:"bytes"`
	SHA256    string `json:"sha256"` // hex
	Language  string `json:"language"`
	Toolchain string `json:"toolchain"` // what compiled it: "go1.26.8", "rustc 1.85.0"
}

// Options say how to build.
type Options struct {
	Out string // path of the module; empty means the project's name or else the sources' own, with .wasm, in their folder or beside their one file
	// Standalone puts an interpreter that the operator needs into the module. Modules of compiled languages need none.
	Standalone bool
	// CacheFolder keeps interpreters compiled; empty for none, then each build of such a language takes some seconds.
	CacheFolder string
	// Compiling is told the size of an interpreter that is about to be compiled; it may be nil.
	Compiling func(bytes int)
}

// Build builds the operator at a path, a folder or for some languages one file. It takes the time of a build in that language, and
// writes nothing but the module and what the toolchain itself keeps.
func Build(ctx context.Context, path string, o Options) (*Built, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, ErrSources.Errorf("%s is not a folder", path).Because(err)
	}
	l, err := languageOf(abs)
	if err != nil {
		return nil, err
	}
	out := o.Out
	if out == "" {
		out = moduleOf(abs, l)
	}
	binary, toolchain, err := l.compile(ctx, abs, o)
	if err != nil {
		return nil, err
	}
	if err := checkMarker(binary, path, l); err != nil {
		return nil, err
	}
	if err := writeFile(out, binary); err != nil {
		return nil, err
	}
	return &Built{Path: out, Bytes: len(binary), SHA256: sum(binary), Language: l.name, Toolchain: toolchain}, nil
}

// moduleOf is where the module of the sources at a path goes: op.py has op.wasm beside it, a folder has it inside, by the name of
// its project where it has one, so that a copy under another name builds the module that its job.yaml names.
func moduleOf(path string, l *language) string {
	if name, single := strings.CutSuffix(path, l.file); single && l.file != "" {
		return name + ".wasm"
	}
	name := filepath.Base(path)
	if manifest, err := os.ReadFile(filepath.Join(path, l.manifest)); err == nil {
		if found := l.named.FindSubmatch(manifest); found != nil {
			name = string(found[1])
		}
	}
	return filepath.Join(path, name+".wasm")
}

// checkMarker looks for the mark of the contract, which code for an interpreter has in its base.
func checkMarker(binary []byte, path string, l *language) error {
	if code, err := script.Parse(binary); code != nil || err != nil {
		return err
	}
	m, err := wasm.Decode(binary)
	if err != nil {
		return ErrMarker.Errorf("what was built cannot be read").At("%s", path).Because(err).Do("%s", l.missing)
	}
	marker := fmt.Sprintf("%s%d", abi.MarkerPrefix, abi.Version)
	for _, e := range m.Exports {
		if e.Name == marker {
			return nil
		}
	}
	return ErrMarker.Errorf("the module does not export %s", marker).At("%s", path).Do("%s", l.missing)
}

// writeFile replaces a file as a whole.
func writeFile(path string, content []byte) error {
	tmp := path + ".tmp"
	err := os.WriteFile(tmp, content, 0o644)
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		os.Remove(tmp)
		return ErrWrite.Errorf("%s could not be written", path).Because(err).Do("choose a writable place with --output")
	}
	return nil
}
