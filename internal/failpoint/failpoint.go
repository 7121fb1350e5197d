// Package failpoint names the windows in which a crash is interesting, so that a test can kill the process exactly there.
//
// A window is reached by Hit. Normally that is one atomic load. A test arms a window in another process through the environment
// variable TIDEMILL_FAILPOINT, "NAME" or "NAME:N": the N-th hit of NAME ends the process with SIGKILL, so nothing is
// flushed, deferred or handled. In the same process, Arm calls a function instead.
package failpoint

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// The windows, in the order in which a checkpoint passes them.
const (
	SinkFlushed         = "sink.flushed"          // a writer has flushed, nothing has been acknowledged
	SegmentSyncBefore   = "segment.sync.before"   // a segment's bytes are written, not durable
	SegmentSyncAfter    = "segment.sync.after"    // the segment is durable
	ManifestBefore      = "manifest.before"       // all segments are durable, no manifest
	ManifestAfter       = "manifest.after"        // the manifest is durable, nothing is published
	CommitRenameBefore  = "commit.rename.before"  // before the first rename of a commit
	CommitRenameBetween = "commit.rename.between" // between two renames
	CommitRenameAfter   = "commit.rename.after"   // all renames done, the folder not yet synced
)

// Names lists all windows.
func Names() []string {
	return []string{SinkFlushed, SegmentSyncBefore, SegmentSyncAfter, ManifestBefore, ManifestAfter, CommitRenameBefore,
		CommitRenameBetween, CommitRenameAfter}
}

// Environment is the variable that arms a window of a process.
const Environment = "TIDEMILL_FAILPOINT"

var (
	armed atomic.Bool
	mu    sync.Mutex
	name  string
	left  int
	act   func()
)

func init() {
	spec := os.Getenv(Environment)
	if spec == "" {
		return
	}
	at, count, found := strings.Cut(spec, ":")
	n := 1
	if found {
		var err error
		if n, err = strconv.Atoi(count); err != nil || n < 1 {
			fmt.Fprintf(os.Stderr, "%s=%q: want NAME or NAME:N\n", Environment, spec)
			os.Exit(2)
		}
	}
	if !known(at) {
		fmt.Fprintf(os.Stderr, "%s=%q: no such failpoint; known: %s\n", Environment, spec, strings.Join(Names(), ", "))
		os.Exit(2)
	}
	Arm(at, n, func() {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way: nothing may happen after this line
	})
}

func known(at string) bool {
	for _, n := range Names() {
		if n == at {
			return true
		}
	}
	return false
}

// Arm makes the n-th hit from now of a window call f, once. Disarm by arming "".
func Arm(at string, n int, f func()) {
	mu.Lock()
	defer mu.Unlock()
	name, left, act = at, n, f
	armed.Store(at != "")
}

// Hit says that a window has been reached. It costs one atomic load where nothing is armed. Safe for concurrent use.
func Hit(at string) {
	if !armed.Load() {
		return
	}
	mu.Lock()
	if at != name {
		mu.Unlock()
		return
	}
	left--
	fire := left == 0
	f := act
	if fire {
		armed.Store(false)
	}
	mu.Unlock()
	if fire {
		f()
	}
}
