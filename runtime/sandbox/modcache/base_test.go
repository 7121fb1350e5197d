package modcache

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/sandbox/profile"
	"github.com/tidemill/tidemill/runtime/sandbox/script"
	"github.com/tidemill/tidemill/runtime/sandbox/script/scripttest"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
)

// baseCache makes a cache with the test's interpreter, which it asks for its bytes through binary.
func baseCache(e *countingEngine, folder string, binary func(original func() ([]byte, error)) ([]byte, error)) *Cache {
	base := scripttest.Base()
	original := base.Binary
	base.Binary = func() ([]byte, error) { return binary(original) }
	return New(func(string) vm.Engine { return e },
		Options{Folder: folder, Limits: profile.Limits{MemoryBytesMax: 1 << 20}, Bases: []script.Base{base}})
}

func asIs(original func() ([]byte, error)) ([]byte, error) { return original() }

// TestOneBaseForAll loads modules of one base at once: it is compiled once, and once more only where its file is a module itself.
func TestOneBaseForAll(t *testing.T) {
	e := &countingEngine{gate: make(chan struct{})}
	asked := 0
	folder := t.TempDir()
	c := baseCache(e, folder, func(original func() ([]byte, error)) ([]byte, error) {
		asked++
		return original()
	})
	sources := []string{"a", "b", "c"}
	modules := make([]*Module, len(sources))
	var wait sync.WaitGroup
	for n, source := range sources {
		wait.Go(func() { modules[n] = load(t, c, scripttest.Module(scripttest.Base(), source)) })
	}
	close(e.gate)
	wait.Wait()
	if n := e.compiled.Load(); n != 1 || asked != 1 {
		t.Errorf("%d compilations, asked %d times for the base", n, asked)
	}
	if modules[0].Digest == modules[1].Digest || modules[0].Script == nil || string(modules[0].Script.Describe) != scripttest.Describe {
		t.Errorf("module %+v", modules[0])
	}
	binary, err := scripttest.Base().Binary()
	if err != nil {
		t.Fatal(err)
	}
	if m := load(t, c, binary); m.Script != nil || e.compiled.Load() != 2 {
		t.Errorf("the base as a module: %+v, %d compilations", m, e.compiled.Load())
	}
	if err := c.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	// Another process finds the verdict and need not unpack the base.
	c = baseCache(&countingEngine{}, folder, func(func() ([]byte, error)) ([]byte, error) { return nil, errors.New("unpacked") })
	load(t, c, scripttest.Module(scripttest.Base(), "d"))
}

func TestBasesThatAreNotThere(t *testing.T) {
	other := scripttest.Base()
	other.SHA256 = strings.Repeat("0f", 32)
	other.Version = "2.0"
	c := baseCache(&countingEngine{}, "", asIs)
	_, err := c.Load(context.Background(), scripttest.Module(other, "a"))
	e := errcode.Of(err)
	if !errcode.Is(err, script.ErrBase) || !strings.Contains(e.Message, other.SHA256) || !strings.Contains(e.Message, "test 2.0") ||
		!strings.Contains(e.Hint, "test 1.0") || e.Place == "" {
		t.Errorf("an unknown base: %v", err)
	}
	if _, err := New(func(string) vm.Engine { return &countingEngine{} }, Options{}).Load(context.Background(), scripttest.Module(other, "a")); !errcode.Is(err, script.ErrBase) {
		t.Errorf("a host without bases: %v", err)
	}
	broken := baseCache(&countingEngine{}, "", func(original func() ([]byte, error)) ([]byte, error) {
		b, err := original()
		return append(b, 0), err
	})
	if _, err := broken.Load(context.Background(), scripttest.Module(scripttest.Base(), "a")); !errcode.Is(err, script.ErrBroken) {
		t.Errorf("a base of other bytes: %v", err)
	}
	module := scripttest.Module(scripttest.Base(), "a")
	if _, err := c.Load(context.Background(), append(module, module[8:]...)); !errcode.Is(err, script.ErrModule) {
		t.Errorf("a malformed module: %v", err)
	}
}

// TestClosingWhileLoading closes a cache between the load of a module and that of its base.
func TestClosingWhileLoading(t *testing.T) {
	e := &countingEngine{gate: make(chan struct{}), err: errors.New("refused")}
	c := baseCache(e, "", asIs)
	done := make(chan error)
	go func() {
		_, err := c.Load(context.Background(), scripttest.Module(scripttest.Base(), "a"))
		done <- err
	}()
	for e.compiled.Load() == 0 { // until the base is under way
		runtime.Gosched()
	}
	closed := make(chan error)
	go func() { closed <- c.Close(context.Background()) }()
	close(e.gate)
	if err := <-done; err == nil {
		t.Error("no error")
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}
