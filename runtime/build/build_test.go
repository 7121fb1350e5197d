package build

import (
	"archive/zip"
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/internal/errcode"
)

const root = "../.."

func TestCommittedGuestsAreFresh(t *testing.T) {
	locks, err := Locks(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(locks) == 0 {
		t.Fatal("no guest is committed")
	}
	for _, path := range locks {
		lock, err := ReadLock(path)
		if err == nil {
			err = lock.Check(path)
		}
		if err != nil {
			t.Errorf("%v: run `go run ./runtime/build/guests` in the root of the repository", err)
		}
	}
}

func TestEveryCommittedGoGuestHasALock(t *testing.T) {
	list, err := exec.Command("git", "-C", root, "ls-files", "-z", "*.wasm").Output()
	if err != nil {
		t.Skip("this is no clone: what is committed is not known")
	}
	for path := range strings.SplitSeq(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		if strings.HasPrefix(path, "abi/testdata/") {
			continue
		}
		path = filepath.Join(root, path)
		binary, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(binary, []byte("go:buildid")) {
			continue
		}
		if _, err := os.Stat(path + LockSuffix); err != nil {
			t.Errorf("%s is built by Go and has no lock: run `go run ./runtime/build/guests -new SOURCE %[1]s`", path)
		}
	}
}

// TestALockFindsChanges changes each thing that a lock covers.
func TestALockFindsChanges(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := writeProjectFile(filepath.Join(dir, name), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	write("op/go.mod", "module op\n\ngo 1.26\n\nreplace example.com/sdk => ../sdk\n")
	write("op/main.go", "package main\n")
	write("op/main_test.go", "package main\n")
	write("sdk/go.mod", "module example.com/sdk\n")
	write("sdk/sdk.go", "package sdk\n")
	write("op.wasm", "module")
	path := filepath.Join(dir, "op.wasm.lock")
	lock, err := NewLock(path, filepath.Join(dir, "op"), &Built{Toolchain: "go1.26.0", SHA256: "another"})
	if err != nil {
		t.Fatal(err)
	}
	if err := lock.Check(path); err == nil || !strings.Contains(err.Error(), "not the one") {
		t.Errorf("another module: %v", err)
	}
	lock.Module = sum([]byte("module"))
	if err := lock.Check(path); err != nil {
		t.Errorf("nothing has changed: %v", err)
	}
	write("op/main_test.go", "package main // a test is not in the module\n")
	if err := lock.Check(path); err != nil {
		t.Errorf("a test has changed: %v", err)
	}
	for _, name := range []string{"op/main.go", "sdk/sdk.go", "sdk/go.mod", "op/go.mod", "op/new.go"} {
		before, _ := os.ReadFile(filepath.Join(dir, name))
		write(name, string(before)+"// changed\n")
		if err := lock.Check(path); err == nil || !strings.Contains(err.Error(), "sources have changed") {
			t.Errorf("%s has changed: %v", name, err)
		}
		if before == nil {
			os.Remove(filepath.Join(dir, name))
		} else {
			write(name, string(before))
		}
	}
	lock.Recipe = "other"
	if err := lock.Check(path); err == nil || !strings.Contains(err.Error(), "recipe") {
		t.Errorf("another recipe: %v", err)
	}
}

// TestTheCarriedSDKsAreFresh compares contents, because another version of Go may pack them to other bytes.
func TestTheCarriedSDKsAreFresh(t *testing.T) {
	archives, err := Archives(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range languages {
		name := path.Base(l.sdk) + ".zip"
		if want, got := contents(t, archives[name]), contents(t, l.archive); want != got {
			t.Errorf("%s is stale: run `go generate ./runtime/build` in the root of the repository", name)
		}
	}
}

func contents(t *testing.T, packed []byte) string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, f := range z.File {
		in, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(f.Name + "\n")
		if _, err := io.Copy(&b, in); err != nil {
			t.Fatal(err)
		}
		in.Close()
	}
	return b.String()
}

// TestANewProjectBuildsOffline makes a project, runs its tests, and builds it in two places: without the network and outside of
// this tree.
func TestANewProjectBuildsOffline(t *testing.T) {
	t.Setenv("GOPROXY", "off")
	t.Setenv("GOFLAGS", "")
	var sums []string
	for range 2 {
		dir := filepath.Join(t.TempDir(), "shop-totals")
		p, err := New(dir, "go")
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"job.yaml", "testdata/orders.csv", "README.md", ".gitignore", "go.mod", "main.go", "main_test.go"}
		if !slices.Equal(p.Files, want) {
			t.Errorf("files %q, want %q", p.Files, want)
		}
		built, err := Build(context.Background(), dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if built.Path != filepath.Join(dir, "shop-totals.wasm") || built.Bytes < 1<<20 {
			t.Errorf("%+v", built)
		}
		sums = append(sums, built.SHA256)
		if len(sums) == 2 {
			cmd := exec.Command("go", "test", "./...")
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("the project's tests fail: %v\n%s", err, out)
			}
		}
	}
	if sums[0] != sums[1] {
		t.Errorf("the same project built in two places gives other bytes: %q", sums)
	}
}

func TestMistakesAreNamed(t *testing.T) {
	empty, broken, foreign, full := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	files := map[string]string{
		filepath.Join(broken, "go.mod"):   "module broken\n\ngo 1.26\n",
		filepath.Join(broken, "main.go"):  "package main\n\nfunc main() { undefined() }\n",
		filepath.Join(foreign, "go.mod"):  "module foreign\n\ngo 1.26\n",
		filepath.Join(foreign, "main.go"): "package main\n\nfunc main() {}\n",
		filepath.Join(full, "file"):       "",
	}
	for name, text := range files {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	build := func(dir, out string) error {
		_, err := Build(context.Background(), dir, Options{Out: out})
		return err
	}
	startIn := func(dir, lang string) error {
		_, err := New(dir, lang)
		return err
	}
	start := func(dir string) error { return startIn(dir, "go") }
	for _, c := range []struct {
		what string
		err  error
		code *errcode.Code
		says string
	}{
		{"no sources", build(empty, ""), ErrSources, "no go.mod or Go files"},
		{"a mistake in the sources", build(broken, ""), ErrCompile, "undefined: undefined"},
		{"no SDK", build(foreign, ""), ErrMarker, "does not export tidemill_abi_1"},
		{"a name in capitals", start(filepath.Join(empty, "Shop")), ErrName, `"Shop" cannot be the name`},
		{"a name with a blank", start(filepath.Join(empty, "a b")), ErrName, "cannot be the name"},
		{"a folder that is in use", start(mustRename(t, full, "full")), ErrExists, "not empty"},
		{"a file of that name", start(fileOf(t, "taken")), ErrExists, "something else of that name"},
		{"a language that we do not speak", startIn(filepath.Join(empty, "shop"), "cobol"), ErrLanguage, `no projects in "cobol"`},
		{"no room for the module", build(fixed(t), "no/such/folder/x.wasm"), ErrWrite, "could not be written"},
	} {
		e := errcode.Of(c.err)
		if e == nil || e.Code != c.code || !strings.Contains(e.Error(), c.says) || e.Hint == "" {
			t.Errorf("%s: %v, want %s with %q and a hint", c.what, c.err, c.code.ID, c.says)
		}
	}
	t.Setenv("PATH", empty)
	if e := errcode.Of(build(broken, "")); e == nil || e.Code != ErrToolchain || !strings.Contains(e.Hint, "go.dev/dl") {
		t.Errorf("no toolchain: %v", e)
	}
}

// mustRename gives a temporary folder a name that a project could have.
func mustRename(t *testing.T, dir, name string) string {
	t.Helper()
	to := filepath.Join(filepath.Dir(dir), name)
	if err := os.Rename(dir, to); err != nil {
		t.Fatal(err)
	}
	return to
}

// fileOf is a file that has a project's name.
func fileOf(t *testing.T, name string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// fixed is a project that builds.
func fixed(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "fixed")
	if _, err := New(dir, "go"); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestTheModuleHasTheProjectsName: a copy of a project under another name builds the module that its job.yaml names.
func TestTheModuleHasTheProjectsName(t *testing.T) {
	for _, c := range []struct{ file, text, want string }{
		{"go.mod", "module orders\n\ngo 1.26\n", "orders"},
		{"go.mod", "// Orders.\nmodule example.com/shop/orders\n", "orders"},
		{"go.mod", "module example.com/shop/orders/v2 // the second\n", "orders"},
		{"go.mod", "module \"example.com/orders\"\n", "orders"},
		{"Cargo.toml", "[package]\nversion = \"1.0.0\"\n\nname = \"orders\"\n", "orders"},
		{"Cargo.toml", "[lib]\nname = \"other\"\n[package]\nname = \"orders\"\n[[bin]]\nname = \"third\"\n", "orders"},
		{"Cargo.toml", "[package]\nedition = \"2021\"\n[lib]\nname = \"other\"\n", "copy"},
		{"pyproject.toml", "[tool.x]\nname = \"other\"\n\n[project]\nname = \"orders\"\n", "orders"},
		{"pyproject.toml", "[project]\nname = \"../orders\"\n", "copy"},
		{"op.py", "", "copy"},
	} {
		folder := filepath.Join(t.TempDir(), "copy")
		for name, text := range map[string]string{c.file: c.text, map[string]string{"pyproject.toml": "op.py"}[c.file]: ""} {
			if name != "" {
				if err := writeProjectFile(filepath.Join(folder, name), []byte(text)); err != nil {
					t.Fatal(err)
				}
			}
		}
		l, err := languageOf(folder)
		if err != nil {
			t.Fatal(err)
		}
		if got := filepath.Base(moduleOf(folder, l)); got != c.want+".wasm" {
			t.Errorf("%s with %q makes %s, want %s.wasm", c.file, c.text, got, c.want)
		}
	}
}
