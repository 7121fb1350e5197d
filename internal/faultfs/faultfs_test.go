package faultfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tidemill/tidemill/internal/vfs"
)

func put(t *testing.T, f vfs.FS, name, text string, sync bool) {
	t.Helper()
	file, err := f.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if sync {
		if err := file.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

func content(f vfs.FS, name string) string {
	b, err := vfs.ReadFile(f, name)
	if err != nil {
		return "?"
	}
	return string(b)
}

func TestCrash(t *testing.T) {
	m := NewMem()
	if err := m.MkdirAll("/d"); err != nil {
		t.Fatal(err)
	}
	put(t, m, "/d/whole", "abc", true)
	put(t, m, "/d/empty", "abc", false)
	_ = m.SyncDir("/d")
	put(t, m, "/d/unnamed", "abc", true)
	if err := m.Rename("/d/whole", "/d/renamed"); err != nil {
		t.Fatal(err)
	}
	if got := content(m, "/d/renamed"); got != "abc" {
		t.Errorf("before the crash: %q", got)
	}
	held, err := m.OpenAppend("/d/renamed")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := held.Write([]byte("def")); err != nil {
		t.Fatal(err)
	}
	lock, err := m.Lock("/d/lock")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Lock("/d/lock"); !errors.Is(err, vfs.ErrLocked) {
		t.Errorf("a second lock: %v", err)
	}
	m.Crash(nil)
	for name, want := range map[string]string{"whole": "abc", "empty": "", "unnamed": "?", "renamed": "?"} {
		if got := content(m, "/d/"+name); got != want {
			t.Errorf("%s holds %q, want %q", name, got, want)
		}
	}
	if _, err := held.Write([]byte("x")); !errors.Is(err, ErrCrashed) {
		t.Errorf("writing to a file from before the crash: %v", err)
	}
	if _, err := m.Lock("/d/lock"); err != nil {
		t.Errorf("the lock is not free after the crash: %v", err)
	}
	if err := lock.Close(); err != nil {
		t.Error(err)
	}
	if _, err := m.Lock("/d/lock"); !errors.Is(err, vfs.ErrLocked) {
		t.Errorf("a lock from before the crash freed the one after it: %v", err)
	}
}

// Whatever survives is a state that the disk could have been in: synced bytes and names are there, names change in order, and a
// rename leaves one of the two names.
func TestCrashWithLuck(t *testing.T) {
	kept := map[string]int{}
	for seed := uint64(0); seed < 300; seed++ {
		m := NewMem()
		put(t, m, "/a", "sync", true)
		_ = m.SyncDir("/")
		f, _ := m.OpenAppend("/a")
		_, _ = f.Write([]byte("tail"))
		put(t, m, "/first", "1", true)
		put(t, m, "/second", "2", true)
		_ = m.Rename("/first", "/third")
		m.Crash(rand.New(rand.NewPCG(seed, 0)))
		a := content(m, "/a")
		if !strings.HasPrefix("synctail", a) || len(a) < 4 {
			t.Fatalf("seed %d: /a holds %q", seed, a)
		}
		names := ""
		for _, n := range []string{"/first", "/second", "/third"} {
			if content(m, n) != "?" {
				names += n
			}
		}
		switch names {
		case "", "/first", "/first/second", "/second/third":
		default:
			t.Fatalf("seed %d: names %s", seed, names)
		}
		kept[names]++
		kept[a]++
	}
	if len(kept) != 4+5 {
		t.Errorf("of all outcomes only these came up: %v", kept)
	}
}

func TestFailAt(t *testing.T) {
	m := NewMem()
	f := Wrap(m)
	f.FailAt(2, syscall.ENOSPC, Write)
	file, err := f.Create("/a")
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []error{nil, syscall.ENOSPC, nil} {
		n, err := file.Write([]byte("abcd"))
		if !errors.Is(err, want) || err != nil && n != 2 {
			t.Errorf("write %d: %d, %v, want %v", i, n, err, want)
		}
	}
	if got := content(m, "/a"); got != "abcdababcd" || !f.Fired() || f.Where() != "write /a" {
		t.Errorf("%q, fired %v at %s", got, f.Fired(), f.Where())
	}
	f.FailFrom(2, ErrCrashed)
	if _, err := f.Stat("/a"); err != nil {
		t.Error(err)
	}
	for range 3 {
		if err := f.SyncDir("/"); !errors.Is(err, ErrCrashed) {
			t.Errorf("an operation after the crash: %v", err)
		}
	}
	f.Heal()
	if err := f.SyncDir("/"); err != nil || f.Fired() {
		t.Errorf("after Heal: %v", err)
	}
}

// The disk in memory answers as the machine's does.
func TestMemEqualsDisk(t *testing.T) {
	for seed := uint64(1); seed <= 12; seed++ {
		random := rand.New(rand.NewPCG(seed, 0))
		root := t.TempDir()
		m := NewMem()
		if err := m.MkdirAll(root); err != nil {
			t.Fatal(err)
		}
		for step := 0; step < 200; step++ {
			op := random.Uint64()
			want, got := act(vfs.Disk, root, op), act(m, root, op)
			if want != got {
				t.Fatalf("seed %d, step %d: disk %s\nmemory %s", seed, step, want, got)
			}
		}
	}
}

var outcomes = []error{fs.ErrNotExist, fs.ErrExist, syscall.EISDIR, syscall.ENOTDIR, syscall.ENOTEMPTY, syscall.EBADF, io.EOF}

func class(err error) string {
	if err == nil {
		return "ok"
	}
	for _, o := range outcomes {
		if errors.Is(err, o) {
			return o.Error()
		}
	}
	return "other: " + err.Error()
}

// act does one operation that the number chooses, and says what came of it.
func act(f vfs.FS, root string, n uint64) string {
	pick := func(k uint64) uint64 { v := n % k; n /= k; return v }
	name := func() string { return filepath.Join(root, []string{"a", "b", "d/a", "d/b", "d/e/a"}[pick(5)]) }
	folder := func() string { return filepath.Join(root, []string{"", "d", "d/e"}[pick(3)]) }
	switch op := pick(10); op {
	case 0:
		d := folder()
		return "mkdir " + class(f.MkdirAll(d))
	case 1, 2:
		file, err := f.Create(name())
		return "create " + class(err) + write(file, err, n)
	case 3, 4:
		file, err := f.OpenAppend(name())
		return "append " + class(err) + write(file, err, n)
	case 5:
		from, to := name(), name()
		return "rename " + class(f.Rename(from, to))
	case 6:
		from, to := name(), name()
		return "link " + class(f.Link(from, to))
	case 7:
		return "remove " + class(f.Remove(name()))
	case 8:
		d := folder()
		entries, err := f.ReadDir(d)
		out := "list " + class(err)
		for _, e := range entries {
			info, err := f.Stat(filepath.Join(d, e.Name()))
			out += fmt.Sprint(" ", e.Name(), e.IsDir(), class(err))
			if err == nil && !info.IsDir() {
				out += fmt.Sprint(info.Size())
			}
		}
		return out
	}
	file, err := f.Open(name())
	if err != nil {
		return "open " + class(err)
	}
	defer file.Close()
	at := int64(pick(20))
	p := make([]byte, 5)
	k, err := file.ReadAt(p, at)
	all, err2 := io.ReadAll(file)
	_, err3 := file.Write([]byte("x"))
	return fmt.Sprintf("read %q %s %q %s %s", p[:k], class(err), all, class(err2), class(err3))
}

func write(file vfs.File, err error, n uint64) string {
	if err != nil {
		return ""
	}
	defer file.Close()
	_, err = file.Write(bytes.Repeat([]byte{byte('a' + n%26)}, int(n/26%9)))
	out := class(err)
	if n/300%3 == 0 {
		out += class(file.Truncate(int64(n / 900 % 12)))
	}
	_, err = file.Seek(0, io.SeekStart)
	all, err2 := io.ReadAll(file)
	return fmt.Sprint(out, class(err), string(all), class(err2), class(file.Sync()))
}
