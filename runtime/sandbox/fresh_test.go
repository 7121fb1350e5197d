package sandbox_test

import (
	"testing"

	"github.com/tidemill/tidemill/runtime/build"
)

// TestGuestIsFresh compares the committed guest with its sources, without a build.
func TestGuestIsFresh(t *testing.T) {
	path := "testdata/ledger.wasm" + build.LockSuffix
	lock, err := build.ReadLock(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := lock.Check(path); err != nil {
		t.Errorf("%v: run `go run ./runtime/build/guests`", err)
	}
}
