package modcache

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/sandbox/profile"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
	"github.com/tidemill/tidemill/runtime/sandbox/wat"
	"github.com/tidemill/tidemill/runtime/sandbox/wazerovm"
)

var rewrite = flag.Bool("rewrite", false, "write the hostile modules and what is said about them, for review")

//go:generate go test . -run TestHostile -rewrite

const hostile = "../../../abi/testdata/hostile"

// TestHostile loads and starts every module of the hostile corpus. None gets to run, and what the user reads is that of the .error
// file beside it: code, message, place, hint. The .wasm is what the .wat assembles to.
func TestHostile(t *testing.T) {
	texts, err := filepath.Glob(filepath.Join(hostile, "*.wat"))
	if err != nil || len(texts) < 40 {
		t.Fatalf("%d hostile modules, %v", len(texts), err)
	}
	cache := New(func(folder string) vm.Engine { return wazerovm.New(folder, nil) },
		Options{Limits: profile.Limits{MemoryBytesMax: 64 << 20}})
	defer cache.Close(context.Background())
	for _, path := range texts {
		name := strings.TrimSuffix(filepath.Base(path), ".wat")
		t.Run(name, func(t *testing.T) {
			binary := assemble(t, path)
			golden(t, strings.TrimSuffix(path, ".wat")+".wasm", binary)
			err := run(cache, binary)
			if err == nil {
				t.Fatal("the module runs")
			}
			e := errcode.Of(err)
			if e == nil || !strings.HasPrefix(e.Code.ID, "TM-SANDBOX-0") || e.Code.Class != errcode.Invalid {
				t.Fatalf("error without a code: %v", err)
			}
			if e.Place == "" || e.Hint == "" {
				t.Errorf("place %q, hint %q", e.Place, e.Hint)
			}
			golden(t, strings.TrimSuffix(path, ".wat")+".error", []byte(err.Error()+"\n"))
		})
	}
}

// run loads a module and makes an instance.
func run(cache *Cache, binary []byte) error {
	m, err := cache.Load(context.Background(), binary)
	if err != nil {
		return err
	}
	i, err := m.Compiled.Instantiate(context.Background(), noHost{}, vm.Config{MemoryBytesMax: 64 << 20, StartFuel: 50_000_000})
	if err != nil {
		return err
	}
	i.Close()
	return nil
}

// noHost is for modules that must not get as far as to ask for anything.
type noHost struct{ vm.Host }

var (
	cutAt = regexp.MustCompile(`(?m)^;; cut at (\d+)$`)
	plain = regexp.MustCompile(`(?m)^;; bytes: (.*)$`)
)

// assemble makes the binary of a hostile module: its text, which a comment may tell to cut short or to replace by bytes.
func assemble(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if m := plain.FindSubmatch(text); m != nil {
		s, err := strconv.Unquote(`"` + string(m[1]) + `"`)
		if err != nil {
			t.Fatal(err)
		}
		return []byte(s)
	}
	binary, err := wat.Assemble(string(text))
	if err != nil {
		t.Fatal(err)
	}
	if m := cutAt.FindSubmatch(text); m != nil {
		n, err := strconv.Atoi(string(m[1]))
		if err != nil || n >= len(binary) {
			t.Fatalf("cannot cut %d bytes at %s", len(binary), m[1])
		}
		binary = binary[:n]
	}
	return binary
}

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	want, err := os.ReadFile(path)
	if *rewrite {
		if err = nil; !bytes.Equal(got, want) {
			err = os.WriteFile(path, got, 0o644)
		}
		want = got
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not fresh:\n%q, want\n%q\n(go generate ./runtime/sandbox/modcache)", filepath.Base(path), got, want)
	}
}
