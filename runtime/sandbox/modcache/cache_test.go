package modcache

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/sandbox/profile"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
	"github.com/tidemill/tidemill/runtime/sandbox/wasm"
	"github.com/tidemill/tidemill/runtime/sandbox/wat"
)

const guest = `(module
  (memory (export "memory") 2)
  (func (export "tidemill_abi_1"))
  (func (export "tidemill_describe") (result i64) i64.const 0)
  (func (export "tidemill_open") (param i32 i32) (result i64) i64.const 0)
  (func (export "tidemill_reserve") (param i32) (result i32) i32.const 1024)
  (func (export "tidemill_process") (param i32 i32) (result i64) loop $l local.get 0 br_if $l end i64.const 7))`

// countingEngine counts compilations and remembers what it was given. It waits for gate where that is set.
type countingEngine struct {
	vm.Engine
	folder   string
	compiled atomic.Int32
	metered  []byte
	gate     chan struct{}
	err      error
}

func (e *countingEngine) Compile(_ context.Context, metered []byte) (vm.Compiled, error) {
	e.compiled.Add(1)
	e.metered = metered
	if e.gate != nil {
		<-e.gate
	}
	return &countingCompiled{}, e.err
}

func (e *countingEngine) Close(context.Context) error { return nil }

type countingCompiled struct {
	vm.Compiled
	closed int
}

func (c *countingCompiled) Close(context.Context) error {
	c.closed++
	return nil
}

func newCache(e *countingEngine, folder string, warn func(error)) *Cache {
	return New(func(folder string) vm.Engine {
		e.folder = folder
		return e
	}, Options{Folder: folder, Limits: profile.Limits{MemoryBytesMax: 1 << 20}, Warn: warn})
}

func load(t *testing.T, c *Cache, binary []byte) *Module {
	t.Helper()
	m, err := c.Load(context.Background(), binary)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestOneCompilationADigest(t *testing.T) {
	e := &countingEngine{gate: make(chan struct{})}
	c := newCache(e, "", nil)
	binary := wat.Must(guest)
	var wait sync.WaitGroup
	modules := make([]*Module, 8)
	for n := range modules {
		wait.Go(func() { modules[n], _ = c.Load(context.Background(), binary) })
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	close(e.gate)
	wait.Wait()
	for _, m := range modules {
		if m == nil || m != modules[0] {
			t.Fatalf("modules %v", modules)
		}
	}
	if n := e.compiled.Load(); n != 1 {
		t.Errorf("%d compilations", n)
	}
	other := append(binary, wasm.AppendSection(nil, wasm.CustomSection, []byte("\x01x"))...)
	if load(t, c, other) == modules[0] || e.compiled.Load() != 2 {
		t.Error("another digest shares the module")
	}
	if _, err := c.Load(gone, wat.Must(guest+" ")); err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := c.Close(context.Background()); err != nil || modules[0].Compiled.(*countingCompiled).closed != 1 {
		t.Errorf("closing: %v", err)
	}
	if _, err := c.Load(context.Background(), binary); err == nil {
		t.Error("a closed cache loads")
	}
}

// TestACancelledLoadHarmsNoOther cancels the load that has begun a compilation while another waits for it.
func TestACancelledLoadHarmsNoOther(t *testing.T) {
	e := &countingEngine{gate: make(chan struct{})}
	c := newCache(e, "", nil)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	close(e.gate)
	first, err := c.Load(ctx, wat.Must(guest))
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if second := load(t, c, wat.Must(guest)); first != nil && second != first || e.compiled.Load() != 1 {
		t.Errorf("%d compilations", e.compiled.Load())
	}
}

// TestSlowCompilation has an engine that gives up when it is told to, and one that does not hear.
func TestSlowCompilation(t *testing.T) {
	binary := wat.Must(guest)
	e := &countingEngine{err: fmt.Errorf("stopped: %w", context.DeadlineExceeded)}
	if _, err := newCache(e, "", nil).Load(context.Background(), binary); !errcode.Is(err, ErrSlow) {
		t.Errorf("error %v", err)
	}
	e = &countingEngine{gate: make(chan struct{})}
	c := newCache(e, "", nil)
	c.most = time.Millisecond
	for range 2 {
		if _, err := c.Load(context.Background(), binary); !errcode.Is(err, ErrSlow) {
			t.Errorf("error %v", err)
		}
	}
	close(e.gate)
	for deadline := time.Now().Add(10 * time.Second); ; { // the module is there in the end
		if _, err := c.Load(context.Background(), binary); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the module is not there after its compilation")
		}
		runtime.Gosched()
	}
	if n := e.compiled.Load(); n != 1 {
		t.Errorf("%d compilations", n)
	}
}

func TestRefusalsAreNotKept(t *testing.T) {
	e := &countingEngine{}
	c := newCache(e, t.TempDir(), nil)
	for range 2 {
		if _, err := c.Load(context.Background(), []byte("rubbish")); !errcode.Is(err, profile.ErrMalformed) {
			t.Errorf("error %v", err)
		}
	}
	e.err = errors.New("out of memory")
	if _, err := c.Load(context.Background(), wat.Must(guest)); !errors.Is(err, e.err) {
		t.Errorf("error %v", err)
	}
	if len(c.modules) != 0 || len(names(t, c.folder)) != 0 {
		t.Errorf("kept: %v, %q", c.modules, names(t, c.folder))
	}
	e.err = nil
	load(t, c, wat.Must(guest))
}

// TestFolder keeps a module on disk and damages the file in every byte, and as a whole.
func TestFolder(t *testing.T) {
	folder := t.TempDir()
	var warnings []error
	binary := wat.Must(guest)
	again := func() (*countingEngine, *Module) {
		warnings = nil
		e := &countingEngine{}
		return e, load(t, newCache(e, folder, func(err error) { warnings = append(warnings, err) }), binary)
	}
	e, m := again()
	files := names(t, filepath.Join(folder, "modules"))
	if len(files) != 1 || filepath.Base(files[0]) != m.Digest.String() || e.folder != filepath.Join(folder, "code") {
		t.Fatalf("files %q, code in %q", files, e.folder)
	}
	want, report := string(e.metered), m.Report
	file, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if e, m := again(); string(e.metered) != want || m.Report != report || len(warnings) > 0 {
		t.Errorf("from the folder: %d bytes, %+v, %v", len(e.metered), m.Report, warnings)
	}
	for at := range file {
		damaged := append([]byte(nil), file...)
		damaged[at] ^= 1 << (at % 8)
		if _, err := decode(damaged); err == nil {
			t.Errorf("byte %d: the damage is not seen", at)
		}
	}
	for n := range file {
		if _, err := decode(file[:n]); err == nil {
			t.Errorf("cut at %d: the damage is not seen", n)
		}
	}
	for name, content := range map[string][]byte{"damaged": append([]byte{file[0] ^ 1}, file[1:]...), "empty": nil, "short": file[:100]} {
		if err := os.WriteFile(files[0], content, 0o600); err != nil {
			t.Fatal(err)
		}
		if e, _ := again(); string(e.metered) != want || len(warnings) != 1 {
			t.Errorf("%s: %d bytes, warnings %v", name, len(e.metered), warnings)
		}
		if now, err := os.ReadFile(files[0]); err != nil || string(now) != string(file) {
			t.Errorf("%s: the file is not made anew: %v", name, err)
		}
	}
}

// TestVerdictsOfOthersAreNotUsed has entries of other versions, and of a module that asks for more memory than this cache allows.
// TestACompilationIsTold where nothing is kept of a module, with its size, and only there.
func TestACompilationIsTold(t *testing.T) {
	folder, binary := t.TempDir(), wat.Must(guest)
	var told []int
	for range 2 { // the second cache is another process's, with the folder of the first
		c := New(func(string) vm.Engine { return &countingEngine{} },
			Options{Folder: folder, Limits: profile.Limits{MemoryBytesMax: 1 << 20}, Compiling: func(bytes int) { told = append(told, bytes) }})
		load(t, c, binary)
		load(t, c, binary)
		if err := c.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if len(told) != 1 || told[0] != len(binary) {
		t.Errorf("told of modules of %v bytes, want one of %d", told, len(binary))
	}
}

func TestVerdictsOfOthersAreNotUsed(t *testing.T) {
	folder := t.TempDir()
	c := newCache(&countingEngine{}, folder, func(err error) { t.Error(err) })
	m := load(t, c, wat.Must(guest))
	e, kept := c.read(m.Digest)
	if !kept || e.MemoryBytesMin != 2<<16 {
		t.Fatalf("entry %+v", e)
	}
	for name, change := range map[string]func(*entry){
		"meter":   func(e *entry) { e.Meter++ },
		"profile": func(e *entry) { e.Profile-- },
		"memory":  func(e *entry) { e.MemoryBytesMin = 1<<20 + 1 },
	} {
		other := e
		change(&other)
		if err := writeFile(c.path(m.Digest), encode(other)); err != nil {
			t.Fatal(err)
		}
		if _, kept := c.read(m.Digest); kept {
			t.Errorf("an entry of another %s is used", name)
		}
	}
	small := New(func(string) vm.Engine { return &countingEngine{} },
		Options{Folder: folder, Limits: profile.Limits{MemoryBytesMax: 1 << 16}})
	if _, err := small.Load(context.Background(), wat.Must(guest)); !errcode.Is(err, profile.ErrLimit) {
		t.Errorf("error %v", err)
	}
}

func TestFolderThatCannotBeUsed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var warnings []error
	e := &countingEngine{}
	c := newCache(e, filepath.Join(file, "below"), func(err error) { warnings = append(warnings, err) })
	load(t, c, wat.Must(guest))
	if len(warnings) != 1 || e.folder != "" {
		t.Errorf("warnings %v, code in %q", warnings, e.folder)
	}
}

func names(t *testing.T, folder string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			list = append(list, path)
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}
