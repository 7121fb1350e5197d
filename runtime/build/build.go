package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/runtime/sandbox/wasm"
)

// goRecipe is how a Go guest is built: a reactor with named functions (-w drops DWARF; -s would drop the names that a trap needs)
// and without paths of the machine.
var goRecipe = []string{"build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-w"}

// goEnv is the environment of the recipe. GOFLAGS, a workspace or another toolchain would make other bytes.
var goEnv = []string{"GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GOTOOLCHAIN=local", "GOWASM="}

// Built is a module that Build made.
type Built struct {
	Path   string `json:"path"`
	Bytes  int    `json:"bytes"`
	SHA256 string `json:"sha256"` // hex
	Go     string `json:"go"`     // version of the toolchain: "go1.26.8"
}

// Build builds the operator in a folder and writes the module to out; an empty out means the folder's own name with .wasm, in the
// folder. It takes the time of a Go build, some 15 s the first time, and writes nothing but out and Go's own cache.
func Build(ctx context.Context, dir, out string) (*Built, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, ErrSources.Errorf("%s is not a folder", dir).Because(err)
	}
	if sources, _ := filepath.Glob(filepath.Join(abs, "*.go")); len(sources) == 0 {
		return nil, ErrSources.Errorf("there are no Go files").At("%s", dir).
			Do("name the folder of an operator's main package; `tidemill new NAME` starts one")
	}
	if out == "" {
		out = filepath.Join(abs, filepath.Base(abs)+".wasm")
	}
	goTool, version, err := toolchain(ctx)
	if err != nil {
		return nil, err
	}
	binary, err := compile(ctx, goTool, abs)
	if err != nil {
		return nil, err
	}
	if err := checkMarker(binary, dir); err != nil {
		return nil, err
	}
	if err := writeFile(out, binary); err != nil {
		return nil, err
	}
	return &Built{Path: out, Bytes: len(binary), SHA256: sum(binary), Go: version}, nil
}

func toolchain(ctx context.Context) (path, version string, err error) {
	path, err = exec.LookPath("go")
	if err != nil {
		return "", "", ErrToolchain.Errorf("there is no Go toolchain on the path").Because(err).
			Do("install Go 1.26 or later: your system's package manager has it (`apt install golang`, `brew install go`), or see go.dev/dl")
	}
	text, err := exec.CommandContext(ctx, path, "env", "GOVERSION").Output()
	if err != nil {
		return "", "", ErrToolchain.Errorf("%s does not run", path).Because(err).Do("reinstall Go 1.26 or later")
	}
	return path, strings.TrimSpace(string(text)), nil
}

// compile runs the recipe in a folder and returns the module.
func compile(ctx context.Context, goTool, dir string) ([]byte, error) {
	tmp, err := os.MkdirTemp("", "tidemill-build-")
	if err != nil {
		return nil, ErrWrite.Errorf("there is no room for the module while it is built").Because(err).Do("set TMPDIR to a writable folder")
	}
	defer os.RemoveAll(tmp)
	module := filepath.Join(tmp, "module.wasm")
	cmd := exec.CommandContext(ctx, goTool, append(slices.Clone(goRecipe), "-o", module, ".")...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), goEnv...)
	var says bytes.Buffer
	cmd.Stdout, cmd.Stderr = &says, &says
	if err := cmd.Run(); err != nil {
		text := strings.TrimSpace(says.String())
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			return nil, fmt.Errorf("running the compiler: %w", err)
		}
		return nil, ErrCompile.Errorf("go build failed:\n%s", text).At("%s", dir).Do("mend the sources; `go vet` shows the same errors")
	}
	binary, err := os.ReadFile(module)
	if err != nil {
		return nil, fmt.Errorf("reading what was built: %w", err)
	}
	return binary, nil
}

func checkMarker(binary []byte, dir string) error {
	m, err := wasm.Decode(binary)
	if err != nil {
		return ErrMarker.Errorf("what was built cannot be read").At("%s", dir).Because(err).Do("package main has to be built; see `tidemill new`")
	}
	marker := fmt.Sprintf("%s%d", abi.MarkerPrefix, abi.Version)
	for _, e := range m.Exports {
		if e.Name == marker {
			return nil
		}
	}
	return ErrMarker.Errorf("the module does not export %s", marker).At("%s", dir).
		Do("import the SDK's package operator and register an operator in func init")
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
