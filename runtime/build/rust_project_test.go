//go:build rust

package build

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/internal/errcode"
)

// TestANewRustProjectBuildsOffline makes a project in two places, without the network and outside of this tree: its tests pass, its
// style is cargo's, and both give the same bytes, without a path of the machine.
func TestANewRustProjectBuildsOffline(t *testing.T) {
	t.Setenv("CARGO_NET_OFFLINE", "true")
	t.Setenv("CARGO_TARGET_DIR", "") // for its restoration
	os.Unsetenv("CARGO_TARGET_DIR")
	var sums []string
	for range 2 {
		dir := filepath.Join(t.TempDir(), "shop-totals")
		if _, err := New(dir, "rust"); err != nil {
			t.Fatal(err)
		}
		built, err := Build(context.Background(), dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		sums = append(sums, built.SHA256)
		binary, err := os.ReadFile(built.Path)
		if err != nil {
			t.Fatal(err)
		}
		home, err := os.UserHomeDir()
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{dir, home} {
			if strings.Contains(string(binary), path) {
				t.Errorf("the module carries %s", path)
			}
		}
		if len(sums) == 1 {
			continue
		}
		for _, args := range [][]string{{"fmt", "--check"}, {"test"}} {
			cmd := exec.Command("cargo", args...)
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("cargo %s: %v\n%s", args, err, out)
			}
		}
	}
	if sums[0] != sums[1] {
		t.Errorf("the same project built in two places gives other bytes: %q", sums)
	}
}

func TestMistakesInRustAreNamed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "broken")
	if _, err := New(dir, "rust"); err != nil {
		t.Fatal(err)
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		what, source string
		code         *errcode.Code
		says         string
	}{
		{"a mistake in the sources", "fn nothing() -> i64 { true }\n", ErrCompile, "mismatched types"},
		{"a part that is none", "#[derive(tidemill::Operator)]\nstruct Wrong { list: Vec<u8> }\n", ErrCompile, "`Vec<u8>` is no part of an operator"},
		{"a column that is none", "#[derive(tidemill::Row)]\nstruct Wrong { letter: char }\n", ErrCompile, "there is no column type for `char`"},
		{"no operators", "", ErrMarker, "does not export tidemill_abi_1"},
	} {
		write("src/lib.rs", c.source)
		_, err := Build(context.Background(), dir, Options{})
		if e := errcode.Of(err); e == nil || e.Code != c.code || !strings.Contains(e.Error(), c.says) || e.Hint == "" {
			t.Errorf("%s: %v, want %s with %q and a hint", c.what, err, c.code.ID, c.says)
		}
	}
}
