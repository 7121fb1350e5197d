package build

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

//go:generate go run ./archive

// sdkGo is the SDK's sources. A module of its own cannot be embedded as files: go:embed stops at a go.mod.
//
//go:embed sdk-go.zip
var sdkGo []byte

var golang = language{
	name: "go", sources: "go.mod or Go files", marks: []string{"go.mod", "*.go"},
	compile: compileGo, recipe: strings.Join(goRecipe, " ") + "\n" + strings.Join(goEnv, " "), digest: digestGo,
	missing: "build a package main that imports the SDK's package operator and registers an operator in func init; see `tidemill new`",
	starter: "starter/go", sdk: ".tidemill/sdk-go", archive: sdkGo,
	packs: goSource, leaves: []string{"testdata"},
	manifest: "go.mod", named: regexp.MustCompile(`(?m)^module\s+"?(?:\S*?/)??([A-Za-z0-9._~-]+)(?:/v[0-9]+)?"?\s*(?://.*)?$`),
	next: []string{"go test ./...", "tidemill build .", "tidemill test job.yaml", "tidemill run job.yaml"},
}

// goRecipe is how a Go guest is built: a reactor with named functions (-w drops DWARF; -s would drop the names that a trap needs)
// and without paths of the machine.
var goRecipe = []string{"build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-w"}

// goEnv is the environment of the recipe. GOFLAGS, a workspace or another toolchain would make other bytes.
var goEnv = []string{"GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off", "GOTOOLCHAIN=local", "GOWASM="}

func goToolchain(ctx context.Context) (path, version string, err error) {
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

// compileGo runs the recipe in a folder. The first build takes some 15 s.
func compileGo(ctx context.Context, dir string, _ Options) (binary []byte, version string, err error) {
	if sources, _ := filepath.Glob(filepath.Join(dir, "*.go")); len(sources) == 0 {
		return nil, "", ErrSources.Errorf("there are no Go files").At("%s", dir).
			Do("name the folder of an operator's main package; `tidemill new NAME` starts one")
	}
	if _, _, err := goModuleOf(dir); err != nil {
		return nil, "", ErrSources.Errorf("the Go files belong to no module: there is no go.mod in their folder or above it").At("%s", dir).
			Do("run `go mod init NAME` there and require the SDK; `tidemill new NAME` makes a folder that has both")
	}
	goTool, version, err := goToolchain(ctx)
	if err != nil {
		return nil, "", err
	}
	tmp, err := os.MkdirTemp("", "tidemill-build-")
	if err != nil {
		return nil, "", ErrWrite.Errorf("there is no room for the module while it is built").Because(err).Do("set TMPDIR to a writable folder")
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
			return nil, "", fmt.Errorf("running the compiler: %w", err)
		}
		return nil, "", ErrCompile.Errorf("go build failed:\n%s", text).At("%s", dir).Do("mend the sources; `go vet` shows the same errors")
	}
	binary, err = os.ReadFile(module)
	if err != nil {
		return nil, "", fmt.Errorf("reading what was built: %w", err)
	}
	return binary, version, nil
}

// digestGo digests what a guest is compiled from: its own folder and, where its go.mod replaces a module by a folder, that folder
// too. Tests are left out: they are not in the module.
func digestGo(dir string) (string, error) {
	folders := []string{dir}
	root, mod, err := goModuleOf(dir)
	if err != nil {
		return "", err
	}
	for _, line := range strings.Split(string(mod), "\n") {
		_, to, found := strings.Cut(line, "=>")
		if to = strings.TrimSpace(to); found && strings.HasPrefix(to, ".") {
			folders = append(folders, filepath.Join(root, filepath.FromSlash(to)))
		}
	}
	return digestFolders(mod, folders, goSource, "testdata", "operatortest")
}

func goSource(name string) bool {
	return strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") || name == "go.mod" || name == "go.sum"
}

// goModuleOf finds the go.mod that a folder belongs to.
func goModuleOf(dir string) (root string, mod []byte, err error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", nil, err
	}
	for root = abs; ; root = filepath.Dir(root) {
		mod, err = os.ReadFile(filepath.Join(root, "go.mod"))
		if err == nil || root == filepath.Dir(root) {
			return root, mod, err
		}
	}
}
