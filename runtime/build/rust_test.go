package build

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/internal/errcode"
)

// TestADigestOfRustHasTheCratesOfItsPaths changes each file that is compiled into a module, and one that is not.
func TestADigestOfRustHasTheCratesOfItsPaths(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{
		"op/Cargo.toml":        "[dependencies]\nsdk = { path = \"../sdk/core\" }\n# other = { path = \"../other\" }\n",
		"op/Cargo.lock":        "version = 4\n",
		"op/src/lib.rs":        "//! An operator.\n",
		"sdk/core/Cargo.toml":  "[dependencies]\nbase.path = \"../base\"\n",
		"sdk/core/src/lib.rs":  "",
		"sdk/base/Cargo.toml":  "[package]\nbuild = \"build.rs\"\n",
		"sdk/base/build.rs":    "fn main() {}\n",
		"sdk/base/src/text.md": "# A text\n",
		"op/tests/op.rs":       "",
		"op/target/made.rs":    "",
		"other/Cargo.toml":     "",
	}
	for name, text := range files {
		if err := writeProjectFile(filepath.Join(dir, name), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	op := filepath.Join(dir, "op")
	crates, err := rustCrates(op)
	if want := []string{op, filepath.Join(dir, "sdk/core"), filepath.Join(dir, "sdk/base")}; err != nil || !slices.Equal(crates, want) {
		t.Fatalf("crates %q, %v; want %q", crates, err, want)
	}
	before, err := digestRust(op)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"// changed\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		after, err := digestRust(op)
		compiled := !slices.Contains([]string{"op/tests/op.rs", "op/target/made.rs", "other/Cargo.toml"}, name)
		if err != nil || (after != before) != compiled {
			t.Errorf("%s has changed: another digest is %v, want %v; %v", name, after != before, compiled, err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTheArtifactIsTheCratesOwn reads messages of cargo's.
func TestTheArtifactIsTheCratesOwn(t *testing.T) {
	messages := `{"reason":"compiler-artifact","filenames":["/p/target/dep.wasm"]}
{"reason":"compiler-artifact","filenames":["/p/target/libbuild.rlib"]}
{"reason":"build-script-executed","filenames":["/p/no.wasm"]}
{"reason":"compiler-artifact","filenames":["/p/target/op.wasm","/p/target/op.d"]}
{"reason":"build-finished","success":true}
`
	if got := artifact([]byte(messages)); got != "/p/target/op.wasm" {
		t.Errorf("got %q", got)
	}
	if got := artifact([]byte("{}\nno JSON\n")); got != "" {
		t.Errorf("got %q", got)
	}
}

// TestAMissingToolchainOfRustIsNamed has a path without cargo, and one with a compiler that has no library of the target.
func TestAMissingToolchainOfRustIsNamed(t *testing.T) {
	bin, home, op := t.TempDir(), t.TempDir(), t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CACHE_HOME", filepath.Join(home, "cache"))
	t.Setenv("PATH", bin)
	if err := writeProjectFile(filepath.Join(op, "Cargo.toml"), nil); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"rustup.rs", "run `rustup target add wasm32-unknown-unknown`"} {
		_, err := Build(context.Background(), op, Options{})
		if e := errcode.Of(err); e == nil || e.Code != ErrToolchain || !strings.Contains(e.Hint, want) {
			t.Errorf("%v, want %s with the hint %q", err, ErrToolchain.ID, want)
		}
		for name, script := range map[string]string{"cargo": "#!/bin/sh\nexit 1\n", "rustc": "#!/bin/sh\necho /nowhere\n"} {
			if err := os.WriteFile(filepath.Join(bin, name), []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
}
