package build

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// sdkRust is the SDK's sources.
//
//go:embed sdk-rust.zip
var sdkRust []byte

var rust = language{
	name: "rust", sources: "Cargo.toml", marks: []string{"Cargo.toml"},
	compile: compileRust, recipe: strings.Join(slices.Concat(rustRecipe, rustEnv, rustFlags), "\n"), digest: digestRust,
	missing: "make the crate a cdylib that depends on tidemill and names its operators by tidemill::operators!; see `tidemill new --lang rust`",
	starter: "starter/rust", sdk: ".tidemill/sdk-rust", archive: sdkRust,
	packs: rustSource, leaves: []string{"target", "tests"},
	manifest: "Cargo.toml", named: regexp.MustCompile(`(?m)^\[package\]\s*\n(?:[^\[].*\n|\n)*?name\s*=\s*"([A-Za-z0-9_-]+)"`),
	next: []string{"cargo test", "tidemill build .", "tidemill test job.yaml", "tidemill run job.yaml"},
}

const rustTarget = "wasm32-unknown-unknown"

// rustRecipe is how a Rust guest is built. What the compiler says is for people, what it makes for the one who reads the messages.
var rustRecipe = []string{"build", "--release", "--lib", "--target", rustTarget, "--message-format", "json-render-diagnostics"}

// rustEnv is the environment of the recipe: a profile whatever the project's own says, small and fast, with named functions, which a
// trap needs.
var rustEnv = []string{
	"CARGO_PROFILE_RELEASE_OPT_LEVEL=3", "CARGO_PROFILE_RELEASE_LTO=fat", "CARGO_PROFILE_RELEASE_CODEGEN_UNITS=1",
	"CARGO_PROFILE_RELEASE_PANIC=abort", "CARGO_PROFILE_RELEASE_STRIP=debuginfo", "CARGO_PROFILE_RELEASE_DEBUG=0",
	"CARGO_PROFILE_RELEASE_INCREMENTAL=false", "CARGO_INCREMENTAL=0",
}

// rustFlags are the features of the contract's profile, which older compilers do not use by themselves, and a stack of 256 KiB in
// place of 1 MiB, because each instance has it whether it uses it or not.
var rustFlags = []string{"-Ctarget-feature=+bulk-memory,+mutable-globals,+nontrapping-fptoint,+sign-ext", "-Clink-arg=-zstack-size=262144"}

// rustTools is the toolchain for a folder.
type rustTools struct {
	cargo   string
	env     []string
	version string // "rustc 1.85.0"
}

// findRust finds a toolchain with the target: that of the folder, or the private one that toolchain/rust.sh has put into the user's
// cache.
func findRust(ctx context.Context, dir string) (*rustTools, error) {
	cargo, err := exec.LookPath("cargo")
	if err != nil {
		return nil, ErrToolchain.Errorf("there is no cargo on the path").Because(err).
			Do("install Rust 1.85 or later by rustup, see rustup.rs; then run `rustup target add %s`", rustTarget)
	}
	ask := func(rustc string, args ...string) string {
		cmd := exec.CommandContext(ctx, rustc, args...)
		cmd.Dir = dir
		text, err := cmd.Output()
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(text))
	}
	t := &rustTools{cargo: cargo}
	rustc := "rustc"
	sysroot := ask(rustc, "--print", "sysroot")
	if _, err := os.Stat(filepath.Join(sysroot, "lib", "rustlib", rustTarget, "lib")); err != nil || sysroot == "" {
		private, err := privateRust()
		if err != nil {
			return nil, err
		}
		rustc = filepath.Join(private, "rustc")
		t.env = []string{"RUSTC=" + rustc, "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=" + filepath.Join(private, "wasm-ld")}
	}
	if words := strings.Fields(ask(rustc, "--version")); len(words) >= 2 {
		t.version = strings.Join(words[:2], " ")
		return t, nil
	}
	return nil, ErrToolchain.Errorf("%s does not run", rustc).Do("reinstall Rust 1.85 or later by rustup, see rustup.rs")
}

func privateRust() (folder string, err error) {
	if cache, err := os.UserCacheDir(); err == nil {
		folder = filepath.Join(cache, "tidemill", "rust-wasm")
		if _, err := os.Stat(filepath.Join(folder, "ok")); err == nil {
			return folder, nil
		}
	}
	return "", ErrToolchain.Errorf("the Rust toolchain cannot compile for %s", rustTarget).Do("run `rustup target add %s`", rustTarget)
}

// compileRust runs the recipe in a folder, and keeps what cargo keeps in the project's target folder.
func compileRust(ctx context.Context, dir string, _ Options) (binary []byte, version string, err error) {
	tools, err := findRust(ctx, dir)
	if err != nil {
		return nil, "", err
	}
	crates, err := rustCrates(dir)
	if err != nil {
		return nil, "", ErrSources.Errorf("Cargo.toml cannot be read").At("%s", dir).Because(err).Do("see `tidemill new --lang rust`")
	}
	cmd := exec.CommandContext(ctx, tools.cargo, rustRecipe...)
	cmd.Dir = dir
	cmd.Env = slices.Concat(os.Environ(), rustEnv, tools.env, []string{"CARGO_ENCODED_RUSTFLAGS=" + strings.Join(flagsFor(crates), "\x1f")})
	var messages, says bytes.Buffer
	cmd.Stdout, cmd.Stderr = &messages, &says
	if err := cmd.Run(); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			return nil, "", fmt.Errorf("running cargo: %w", err)
		}
		return nil, "", ErrCompile.Errorf("cargo build failed:\n%s", strings.TrimSpace(says.String())).At("%s", dir).
			Do("mend the sources; `cargo check` shows the same errors")
	}
	module := artifact(messages.Bytes())
	if module == "" {
		return nil, "", ErrMarker.Errorf("the crate makes no .wasm").At("%s", dir).Do(`Cargo.toml needs [lib] crate-type = ["cdylib"]`)
	}
	binary, err = os.ReadFile(module)
	if err != nil {
		return nil, "", fmt.Errorf("reading what was built: %w", err)
	}
	return binary, tools.version, nil
}

// flagsFor are the recipe's flags, and those that keep paths of the machine out of the module: a crate's folder is called by its name.
func flagsFor(crates []string) []string {
	flags := slices.Clone(rustFlags)
	if home, err := os.UserHomeDir(); err == nil {
		flags = append(flags, "--remap-path-prefix="+home+"=~")
	}
	for _, crate := range crates[1:] { // the first is the folder itself, in which paths are relative
		flags = append(flags, "--remap-path-prefix="+crate+"="+filepath.Base(crate))
	}
	return flags
}

// artifact finds the module in cargo's messages: the last one that was made is the crate's own.
func artifact(messages []byte) (module string) {
	for line := range bytes.Lines(messages) {
		var m struct {
			Reason    string
			Filenames []string
		}
		if json.Unmarshal(line, &m) != nil || m.Reason != "compiler-artifact" {
			continue
		}
		for _, name := range m.Filenames {
			if filepath.Ext(name) == ".wasm" {
				module = name
			}
		}
	}
	return module
}

var rustPath = regexp.MustCompile(`(?m)^[^#\n]*\bpath *= *"([^"]+)"`)

// rustCrates are the folders of a crate and of those that it names by a path, and so on.
func rustCrates(dir string) ([]string, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	crates := []string{abs}
	for i := 0; i < len(crates); i++ {
		manifest, err := os.ReadFile(filepath.Join(crates[i], "Cargo.toml"))
		if err != nil {
			return nil, err
		}
		for _, m := range rustPath.FindAllSubmatch(manifest, -1) {
			crate := filepath.Join(crates[i], filepath.FromSlash(string(m[1])))
			if _, err := os.Stat(filepath.Join(crate, "Cargo.toml")); err == nil && !slices.Contains(crates, crate) {
				crates = append(crates, crate)
			}
		}
	}
	return crates, nil
}

// digestRust digests what a guest is compiled from: its crate and those that it names by a path. What is for tests only is left out.
func digestRust(dir string) (string, error) {
	crates, err := rustCrates(dir)
	if err != nil {
		return "", err
	}
	return digestFolders(nil, crates, rustSource, "target", "tests", "testing")
}

// rustSource says whether a file is compiled or says how: texts are included in the documentation.
func rustSource(name string) bool {
	switch filepath.Ext(name) {
	case ".rs", ".toml", ".lock", ".md":
		return true
	}
	return false
}
