package vfs_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tidemill/tidemill/internal/vfs"
)

// TestMemLikeDisk drives random calls against the machine's file system and the one in memory: every result is equal.
func TestMemLikeDisk(t *testing.T) {
	for seed := range uint64(50) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			disk := driver{fs: vfs.Disk, root: t.TempDir()}
			mem := driver{fs: vfs.NewMem(), root: "/store"}
			if err := mem.fs.MkdirAll("/store"); err != nil {
				t.Fatal(err)
			}
			for step := range 300 {
				call := randomCall(rng)
				if a, b := disk.do(call), mem.do(call); a != b {
					t.Fatalf("seed %d step %d: %+v\ndisk: %s\nmem:  %s", seed, step, call, a, b)
				}
			}
			disk.closeAll()
		})
	}
}

type call struct {
	op       string
	from, to string
	slot     int
	data     []byte
	at       int64
}

func randomCall(rng *rand.Rand) call {
	names := []string{"a", "b", "c", "d", "d/a", "d/b", "e/f", "a/x"}
	ops := []string{"create", "open", "append", "rename", "link", "remove", "removeall", "mkdir", "stat", "readdir", "syncdir",
		"write", "read", "readat", "seek", "sync", "truncate", "close", "write", "read", "readat"}
	data := make([]byte, rng.IntN(9))
	for i := range data {
		data[i] = byte('a' + rng.IntN(26))
	}
	return call{op: ops[rng.IntN(len(ops))], from: names[rng.IntN(len(names))], to: names[rng.IntN(len(names))],
		slot: rng.IntN(3), data: data, at: int64(rng.IntN(20))}
}

type driver struct {
	fs    vfs.FS
	root  string
	files [3]vfs.File
}

func (d *driver) closeAll() {
	for _, f := range d.files {
		if f != nil {
			f.Close()
		}
	}
}

// do makes a call and describes everything it returned.
func (d *driver) do(c call) string {
	from, to := vfs.Join(d.root, c.from), vfs.Join(d.root, c.to)
	switch c.op {
	case "create", "open", "append":
		open := map[string]func(string) (vfs.File, error){"create": d.fs.Create, "open": d.fs.Open, "append": d.fs.OpenAppend}[c.op]
		f, err := open(from)
		if info, statErr := d.fs.Stat(from); err == nil && statErr == nil && info.IsDir() {
			f.Close() // what an open folder does is not in the contract
		} else if err == nil {
			if d.files[c.slot] != nil {
				d.files[c.slot].Close()
			}
			d.files[c.slot] = f
		}
		return kind(err)
	case "rename":
		if a, err := d.fs.Stat(from); err == nil && a.IsDir() {
			return "a folder" // folders are not renamed by anyone
		}
		return kind(d.fs.Rename(from, to))
	case "link":
		if a, err := d.fs.Stat(from); err == nil && a.IsDir() {
			return "a folder"
		}
		return kind(d.fs.Link(from, to))
	case "remove":
		return kind(d.fs.Remove(from))
	case "removeall":
		return kind(d.fs.RemoveAll(from))
	case "mkdir":
		return kind(d.fs.MkdirAll(from))
	case "syncdir":
		if a, err := d.fs.Stat(from); err == nil && !a.IsDir() {
			return "a file"
		}
		return kind(d.fs.SyncDir(from))
	case "stat":
		info, err := d.fs.Stat(from)
		if err != nil {
			return kind(err)
		}
		return describe(info)
	case "readdir":
		list, err := d.fs.ReadDir(from)
		var b strings.Builder
		for _, e := range list {
			info, err := e.Info()
			if err != nil {
				return kind(err)
			}
			b.WriteString(describe(info) + "\n")
		}
		return b.String() + kind(err)
	}
	return d.doFile(c)
}

func (d *driver) doFile(c call) string {
	f := d.files[c.slot]
	if f == nil {
		return "no file"
	}
	switch c.op {
	case "write":
		n, err := f.Write(c.data)
		return fmt.Sprint(n, kind(err))
	case "read":
		n, err := f.Read(c.data)
		return fmt.Sprintf("%d %q %s", n, c.data[:n], kind(err))
	case "readat":
		n, err := f.ReadAt(c.data, c.at)
		return fmt.Sprintf("%d %q %s", n, c.data[:n], kind(err))
	case "seek":
		n, err := f.Seek(c.at-10, int(c.at)%3)
		return fmt.Sprint(n, kind(err))
	case "sync":
		return kind(f.Sync())
	case "truncate":
		return kind(f.Truncate(c.at))
	case "close":
		d.files[c.slot] = nil
		return kind(f.Close())
	}
	panic(c.op)
}

func describe(info fs.FileInfo) string {
	if info.IsDir() {
		return info.Name() + "/"
	}
	return fmt.Sprint(info.Name(), " ", info.Size())
}

// kind reduces an error to what callers may depend on.
func kind(err error) string {
	for _, known := range []error{syscall.ENOTEMPTY, fs.ErrNotExist, fs.ErrExist, io.EOF, syscall.ENOTDIR, syscall.EISDIR, fs.ErrClosed} {
		if errors.Is(err, known) {
			return known.Error()
		}
	}
	if err != nil {
		return "error"
	}
	return "ok"
}

func TestMemCrash(t *testing.T) {
	write := func(t *testing.T, m *vfs.Mem, name, text string, sync bool) {
		t.Helper()
		f, err := m.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if sync {
			if err := f.Sync(); err != nil {
				t.Fatal(err)
			}
		}
		f.Close()
	}
	read := func(m *vfs.Mem, name string) string {
		b, err := vfs.ReadFile(m, name)
		if err != nil {
			return kind(err)
		}
		return string(b)
	}
	cases := []struct {
		name string
		do   func(t *testing.T, m *vfs.Mem)
		want map[string]string
	}{
		{"a file whose name was not synced is gone", func(t *testing.T, m *vfs.Mem) { write(t, m, "a", "x", true) },
			map[string]string{"a": fs.ErrNotExist.Error()}},
		{"a file whose bytes were not synced is empty", func(t *testing.T, m *vfs.Mem) { write(t, m, "a", "x", false); m.SyncDir("/") },
			map[string]string{"a": ""}},
		{"what was synced is there", func(t *testing.T, m *vfs.Mem) { write(t, m, "a", "x", true); m.SyncDir("/") },
			map[string]string{"a": "x"}},
		{"a rename that was not synced did not happen", func(t *testing.T, m *vfs.Mem) {
			write(t, m, "a", "old", true)
			write(t, m, "tmp", "new", true)
			m.SyncDir("/")
			m.Rename("tmp", "a")
		}, map[string]string{"a": "old", "tmp": "new"}},
		{"a removal that was not synced did not happen", func(t *testing.T, m *vfs.Mem) {
			write(t, m, "a", "x", true)
			m.SyncDir("/")
			m.Remove("a")
		}, map[string]string{"a": "x"}},
		{"a folder is durable once made", func(t *testing.T, m *vfs.Mem) {
			m.MkdirAll("d/e")
			write(t, m, "d/e/a", "x", true)
			m.SyncDir("d/e")
		}, map[string]string{"d/e/a": "x"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			m := vfs.NewMem()
			c.do(t, m)
			m.Crash(nil)
			for name, want := range c.want {
				if got := read(m, name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
	t.Run("with luck", func(t *testing.T) {
		seen := map[string]int{}
		for seed := range uint64(500) {
			m := vfs.NewMem()
			write(t, m, "a", "sync", true)
			write(t, m, "first", "1", true)
			m.SyncDir("/")
			f, err := m.OpenAppend("a")
			if err != nil {
				t.Fatal(err)
			}
			f.Write([]byte("tail"))
			write(t, m, "second", "2", true)
			m.Rename("first", "third")
			m.Crash(rand.New(rand.NewPCG(seed, 0)))
			a := read(m, "a")
			if !strings.HasPrefix("synctail", a) || len(a) < 4 {
				t.Fatalf("seed %d: a holds %q", seed, a)
			}
			names := ""
			for _, name := range []string{"first", "second", "third"} {
				if _, err := m.Stat(name); err == nil {
					names += " " + name
				}
			}
			seen[a]++
			seen[names]++
		}
		want := []string{"sync", "synct", "syncta", "synctai", "synctail", " first", " first second", " third", " second third"}
		for _, w := range want {
			if seen[w] == 0 {
				t.Errorf("%q never happened", w)
			}
		}
		if len(seen) != len(want) {
			t.Errorf("outcomes %v", seen)
		}
	})
	t.Run("open files and locks end", func(t *testing.T) {
		m := vfs.NewMem()
		f, _ := m.Create("a")
		lock, err := m.Lock("LOCK")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.Lock("LOCK"); !errors.Is(err, vfs.ErrLocked) {
			t.Fatalf("a second lock: %v", err)
		}
		m.Crash(nil)
		if _, err := f.Write([]byte("x")); !errors.Is(err, vfs.ErrCrashed) {
			t.Errorf("writing to a file from before the crash: %v", err)
		}
		if _, err := m.Lock("LOCK"); err != nil {
			t.Errorf("the lock outlived the crash: %v", err)
		}
		lock.Close()
		if _, err := m.Lock("LOCK"); !errors.Is(err, vfs.ErrLocked) {
			t.Errorf("a lock from before the crash freed the one after it: %v", err)
		}
	})
}

// TestLockProcesses takes the lock in another process: it excludes this one while the other lives, and no longer.
func TestLockProcesses(t *testing.T) {
	name := os.Getenv("VFS_TEST_LOCK")
	if name != "" {
		if _, err := vfs.Disk.Lock(name); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("locked")
		io.Copy(io.Discard, os.Stdin) // until killed
		return
	}
	name = vfs.Join(t.TempDir(), "LOCK")
	child := exec.Command(os.Args[0], "-test.run=^TestLockProcesses$")
	child.Env = append(os.Environ(), "VFS_TEST_LOCK="+name)
	stdin, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 7)
	if _, err := io.ReadFull(stdout, line); err != nil || !bytes.Equal(line, []byte("locked\n")) {
		t.Fatalf("the child said %q, %v", line, err)
	}
	_, err = vfs.Disk.Lock(name)
	if !errors.Is(err, vfs.ErrLocked) {
		t.Errorf("the lock of a living process: %v", err)
	}
	if known := (*vfs.LockedError)(nil); errors.As(err, &known) && known.PID != child.Process.Pid {
		t.Errorf("the lock of process %d: %v", child.Process.Pid, err)
	} else if known == nil {
		t.Logf("whose the lock is cannot be known here: %v", err)
	}
	child.Process.Kill()
	child.Wait()
	lock, err := vfs.Disk.Lock(name)
	if err != nil {
		t.Fatalf("the lock of a dead process: %v", err)
	}
	if _, err := vfs.Disk.Lock(name); !errors.Is(err, vfs.ErrLocked) {
		t.Errorf("a second lock in one process: %v", err)
	}
	lock.Close()
}

// What may never end is refused at once: a pipe without a writer, a device.
func TestOnlyFilesAreOpened(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{pipe, "/dev/zero"} {
		if _, err := vfs.ReadFile(vfs.Disk, name); !errors.Is(err, vfs.ErrIrregular) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
