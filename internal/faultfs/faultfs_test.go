package faultfs

import (
	"errors"
	"syscall"
	"testing"

	"github.com/tidemill/tidemill/internal/vfs"
)

func content(f vfs.FS, name string) string {
	b, err := vfs.ReadFile(f, name)
	if err != nil {
		return "?"
	}
	return string(b)
}

func TestFailAt(t *testing.T) {
	m := vfs.NewMem()
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
	f.FailFrom(2, vfs.ErrCrashed)
	if _, err := f.Stat("/a"); err != nil {
		t.Error(err)
	}
	for range 3 {
		if err := f.SyncDir("/"); !errors.Is(err, vfs.ErrCrashed) {
			t.Errorf("an operation after the crash: %v", err)
		}
	}
	f.Heal()
	if err := f.SyncDir("/"); err != nil || f.Fired() {
		t.Errorf("after Heal: %v", err)
	}
}
