package wazerovm

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tidemill/tidemill/runtime/sandbox/vm"
	"github.com/tidemill/tidemill/runtime/sandbox/vmtest"
)

// TestCompiledCodeOnDisk compiles the same module into a folder again and again, with every kind of damage done to it in between.
// However the folder looks, the module must run, and be kept whole afterwards.
func TestCompiledCodeOnDisk(t *testing.T) {
	code := vmtest.Metered(t, vmtest.GuestText("", vmtest.Work, vmtest.WorkProcess))
	folder := t.TempDir()
	var warnings []error
	load := func(t *testing.T) {
		t.Helper()
		warnings = nil
		c, err := New(folder, func(err error) { warnings = append(warnings, err) }).Compile(context.Background(), code)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(context.Background())
		if _, err := instantiate(t, c, &vmtest.Host{}).Call(vm.Process, 10, 0, plenty); err != nil {
			t.Fatal(err)
		}
	}
	load(t)
	files := kept(t, folder)
	if len(files) != 2 {
		t.Fatalf("files: %q", files)
	}
	var compiled, sums string
	for path := range files {
		if filepath.Base(path) == sumsFile {
			sums = path
		} else {
			compiled = path
		}
	}
	made := func() int64 { // when the compiled code was written
		info, err := os.Stat(compiled)
		if err != nil {
			t.Fatal(err)
		}
		return info.ModTime().UnixNano()
	}
	flip := func(path string, at int) {
		b := []byte(files[path])
		b[(at+len(b))%len(b)] ^= 0x10
		write(t, path, string(b))
	}
	for name, damage := range map[string]func(){
		"header":         func() { flip(compiled, 0) },
		"function table": func() { flip(compiled, 30) },
		"machine code":   func() { flip(compiled, len(files[compiled])/2) },
		"last byte":      func() { flip(compiled, -1) },
		"truncated":      func() { write(t, compiled, files[compiled][:100]) },
		"empty":          func() { write(t, compiled, "") },
		"sums damaged":   func() { flip(sums, 3) },
		"sums missing":   func() { os.Remove(sums) },
		"code missing":   func() { os.Remove(compiled) },
		"another machine's": func() { // wazero's key has the features of the processor
			if err := os.Rename(compiled, compiled+"0"); err != nil {
				t.Fatal(err)
			}
			now, _, err := sumsOf(filepath.Dir(sums))
			if err != nil {
				t.Fatal(err)
			}
			write(t, sums, now)
		},
		"extra file": func() { write(t, filepath.Join(filepath.Dir(compiled), "more"), "x") },
	} {
		t.Run(name, func(t *testing.T) {
			old := made()
			damage()
			load(t)
			if now := kept(t, folder); len(now) != 2 || len(now[compiled]) != len(files[compiled]) || made() == old {
				t.Errorf("not made anew: %d files", len(now))
			}
			if len(warnings) > 0 {
				t.Errorf("warnings: %v", warnings)
			}
			files = kept(t, folder)
			old = made()
			load(t)
			if made() != old {
				t.Error("compiled again although the folder has it")
			}
		})
	}
}

// TestFolderThatCannotBeUsed has a file where the folder should be: a warning, and everything works.
func TestFolderThatCannotBeUsed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "")
	var warnings []error
	e := New(filepath.Join(file, "folder"), func(err error) { warnings = append(warnings, err) })
	c, err := e.Compile(context.Background(), vmtest.Metered(t, vmtest.GuestText("", "", "i64.const 7")))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(context.Background())
	if got, err := instantiate(t, c, &vmtest.Host{}).Call(vm.Process, 0, 0, plenty); got != 7 || err != nil {
		t.Errorf("%d, %v", got, err)
	}
	if len(warnings) == 0 {
		t.Error("no warning")
	}
}

// TestCompilingAtOnce has several goroutines, with engines of their own as processes have, work on one folder.
func TestCompilingAtOnce(t *testing.T) {
	code, folder := vmtest.Metered(t, vmtest.GuestText("", vmtest.Work, vmtest.WorkProcess)), t.TempDir()
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for range 3 {
				c, err := New(folder, nil).Compile(context.Background(), code)
				if err != nil {
					t.Error(err)
					return
				}
				i, err := c.Instantiate(context.Background(), &vmtest.Host{}, vm.Config{MemoryBytesMax: memoryMax, StartFuel: 1000})
				if err != nil {
					t.Error(err)
				} else if _, err := i.Call(vm.Process, 1, 0, plenty); err != nil {
					t.Error(err)
				}
				c.Close(context.Background())
			}
		})
	}
	wait.Wait()
}

func TestTypeErrorsHaveAPlace(t *testing.T) {
	code := vmtest.Metered(t, vmtest.GuestText("", `(func $broken i32.const 1 i64.const 2 i32.add drop)`, "i64.const 0"))
	folder := t.TempDir()
	_, err := New(folder, func(err error) { t.Errorf("warning: %v", err) }).Compile(context.Background(), code)
	if err == nil || !strings.HasPrefix(err.Error(), "TM-SANDBOX-011: ") ||
		!strings.Contains(err.Error(), "section code, function 5 (broken)") || !strings.Contains(err.Error(), "i32.add") {
		t.Errorf("error %v", err)
	}
	if files := kept(t, folder); len(files) != 0 {
		t.Errorf("an invalid module is kept: %q", files)
	}
}

// TestCompilationStops has a module of many functions and a context that has ended.
func TestCompilationStops(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	code := vmtest.Metered(t, vmtest.GuestText("", vmtest.Work, vmtest.WorkProcess))
	for _, folder := range []string{"", t.TempDir()} {
		if _, err := New(folder, func(err error) { t.Error(err) }).Compile(ctx, code); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	}
}

func kept(t *testing.T, folder string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		files[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
