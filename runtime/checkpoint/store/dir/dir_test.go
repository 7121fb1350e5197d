package dir_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/internal/failpoint"
	"github.com/tidemill/tidemill/internal/faultfs"
	"github.com/tidemill/tidemill/internal/vfs"
	"github.com/tidemill/tidemill/runtime/checkpoint"
	"github.com/tidemill/tidemill/runtime/checkpoint/store/dir"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
)

var identity = checkpoint.Identity{Job: "job", PlanDigest: "plan", MaxParallelism: 4}

// life opens the store at path, goes on from its newest checkpoint and completes n more, each with a segment whose content tells its
// checkpoint, keeping two. It returns the newest complete checkpoint.
func life(fsys vfs.FS, path string, n int) (complete uint64, err error) {
	store, err := dir.Open(fsys, path)
	if err != nil {
		return 0, err
	}
	defer store.Close()
	r, err := checkpoint.Recover(store, identity)
	if err != nil {
		return 0, err
	}
	previous, digest := r.Restored, r.Digest
	if previous != nil {
		complete = previous.Checkpoint
		if err := contentOf(store, previous); err != nil {
			return complete, err
		}
	}
	for range n {
		m := manifest(r.NextID)
		if previous != nil {
			m.Previous = &checkpoint.Link{Checkpoint: previous.Checkpoint, SHA256: digest}
		}
		s, err := checkpoint.WriteSegment(store, of(m.Checkpoint), func(to state.Writer) error { return fill(to, m.Checkpoint, 10) })
		if err != nil {
			return complete, err
		}
		m.Segments = []checkpoint.Segment{*s}
		if digest, err = checkpoint.WriteManifest(store, m); err != nil {
			return complete, err
		}
		complete = m.Checkpoint
		r.Kept = append(r.Kept, checkpoint.Kept{Checkpoint: m.Checkpoint, Segments: []string{s.File}})
		for ; len(r.Kept) > 2; r.Kept = r.Kept[1:] {
			if err := store.Delete([]string{checkpoint.ManifestName(r.Kept[0].Checkpoint)}, r.Kept[0].Segments); err != nil {
				return complete, err
			}
		}
		previous = m
		r.NextID++
	}
	return complete, nil
}

func of(id uint64) checkpoint.SegmentOf {
	return checkpoint.SegmentOf{Checkpoint: id, Node: "count", Groups: [2]int{0, 4}, MaxParallelism: 4, Base: true}
}

func manifest(id uint64) *checkpoint.Manifest {
	return &checkpoint.Manifest{Job: "job", PlanDigest: "plan", Parallelism: 1, MaxParallelism: 4, Checkpoint: id, Kind: checkpoint.Periodic,
		Time: time.Unix(1_800_000_000, 0)}
}

func fill(to state.Writer, id uint64, entries int) error {
	if err := to.Begin(state.Space{Kind: state.SpaceValue, Name: "n", Value: []record.Field{{Name: "n", Type: record.UTF8}}}); err != nil {
		return err
	}
	for i := range entries {
		if err := to.Put([]byte(fmt.Sprint(i)), nil, []byte(fmt.Sprint(id))); err != nil {
			return err
		}
	}
	return nil
}

// TestScanLeavesOutWhatHasExpired: an entry that expires at the very time of the checkpoint is gone, one that does a microsecond
// later is not, and one without an expiry never is.
func TestScanLeavesOutWhatHasExpired(t *testing.T) {
	store, err := dir.Open(vfs.NewMem(), "store")
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	m := manifest(1)
	m.ProcessingTime = 1000
	row := func() []byte { return append([]byte{0, 1}, make([]byte, 8)...) }
	s, err := checkpoint.WriteSegment(store, of(1), func(to state.Writer) error {
		if err := to.Begin(state.Space{Kind: state.SpaceValue, Name: "n", Value: []record.Field{{Name: "n", Type: record.I64}}}); err != nil {
			return err
		}
		return errors.Join(to.Put([]byte("gone"), nil, state.AppendExpiry(row(), 1000)), to.Put([]byte("lasts"), nil, row()),
			to.Put([]byte("late"), nil, state.AppendExpiry(row(), 1001)))
	})
	if err != nil {
		t.Fatal(err)
	}
	m.Segments = []checkpoint.Segment{*s}
	var keys []string
	if err := checkpoint.ScanState(store, m, "count", checkpoint.Filter{}, func(e state.Entry) error {
		keys = append(keys, string(e.Key))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(keys)
	if !slices.Equal(keys, []string{"lasts", "late"}) {
		t.Fatalf("the scan gives %q", keys)
	}
}

// contentOf checks that a checkpoint has the state that fill wrote for it.
func contentOf(view checkpoint.View, m *checkpoint.Manifest) error {
	entries := 0
	err := checkpoint.ScanState(view, m, "count", checkpoint.Filter{}, func(e state.Entry) error {
		if string(e.Value) != fmt.Sprint(m.Checkpoint) {
			return fmt.Errorf("checkpoint %d has entry %q = %q", m.Checkpoint, e.Key, e.Value)
		}
		entries++
		return nil
	})
	if err == nil && entries < 10 {
		err = fmt.Errorf("checkpoint %d has %d entries", m.Checkpoint, entries)
	}
	return err
}

// check opens a store after a fault: the newest checkpoint that was complete, or the one that was being completed, is restored with
// its content, nothing is damaged, and checkpoints go on.
func check(t *testing.T, fsys vfs.FS, path string, complete uint64) {
	t.Helper()
	store, err := dir.Open(fsys, path)
	if err != nil {
		t.Fatalf("opening after it: %v", err)
	}
	r, err := checkpoint.Recover(store, identity)
	if err != nil {
		t.Fatalf("recovering after it: %v", err)
	}
	restored := uint64(0)
	if r.Restored != nil {
		restored = r.Restored.Checkpoint
		if err := contentOf(store, r.Restored); err != nil {
			t.Fatal(err)
		}
	}
	if restored != complete && restored != complete+1 || len(r.Skipped) > 0 {
		t.Fatalf("I3: checkpoint %d was restored, %d was complete; skipped %v", restored, complete, r.Skipped)
	}
	report, err := checkpoint.Verify(store)
	if err != nil || len(report.Damage) > 0 {
		t.Fatalf("verifying after it: %+v, %v", report, err)
	}
	store.Close()
	if _, err := life(fsys, path, 1); err != nil {
		t.Fatalf("going on after it: %v", err)
	}
}

// TestFullDisk fails every operation that a full disk can fail, one run each.
func TestFullDisk(t *testing.T) {
	for _, cause := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EIO} {
		for n := 1; ; n++ {
			disk := vfs.NewMem()
			first, err := life(disk, "/data/store", 2)
			if err != nil {
				t.Fatal(err)
			}
			faulty := faultfs.Wrap(disk)
			faulty.FailAt(n, cause, faultfs.Writes...)
			complete, err := life(faulty, "/data/store", 3)
			if !faulty.Fired() {
				if n < 15 {
					t.Errorf("only %d operations were failed", n-1)
				}
				break
			}
			what := fmt.Sprintf("%v at operation %d, %s", cause, n, faulty.Where())
			e := errcode.Of(err)
			if e == nil || !errors.Is(err, cause) {
				t.Fatalf("%s: %v", what, err)
			}
			if e.Code != checkpoint.ErrWrite || e.Code.Class != errcode.Environment || !strings.HasPrefix(e.Place, "/data/store") || e.Hint == "" {
				t.Errorf("%s: %+v", what, e)
			}
			if cause == syscall.ENOSPC && !strings.Contains(e.Hint, "free space") {
				t.Errorf("%s: the hint is %q", what, e.Hint)
			}
			faulty.Heal()
			t.Run(what, func(t *testing.T) { check(t, faulty, "/data/store", max(complete, first)) })
		}
	}
}

// TestCrashAnywhere stops the machine before each operation that changes the disk. What was not synced is lost, or by chance not.
func TestCrashAnywhere(t *testing.T) {
	for n := 1; ; n++ {
		fired := false
		for seed := range uint64(6) {
			random := rand.New(rand.NewPCG(seed, uint64(n)))
			if seed == 0 {
				random = nil
			}
			disk := vfs.NewMem()
			first, err := life(disk, "/data/store", n%3)
			if err != nil {
				t.Fatal(err)
			}
			faulty := faultfs.Wrap(disk)
			faulty.FailFrom(n, vfs.ErrCrashed, faultfs.Changes...)
			complete, _ := life(faulty, "/data/store", 3)
			fired = faulty.Fired()
			if !fired {
				break
			}
			disk.Crash(random)
			t.Run(fmt.Sprintf("seed %d: operation %d, %s", seed, n, faulty.Where()), func(t *testing.T) {
				check(t, disk, "/data/store", max(complete, first))
			})
		}
		if !fired {
			if n < 30 {
				t.Errorf("only %d operations were crashed", n-1)
			}
			return
		}
	}
}

// TestRestoredIsDurable ends a process at each operation, starts another, which restores a checkpoint and may publish its output, and
// then loses power: the checkpoint is still there.
func TestRestoredIsDurable(t *testing.T) {
	for n := 1; ; n++ {
		disk := vfs.NewMem()
		faulty := faultfs.Wrap(disk)
		faulty.FailFrom(n, vfs.ErrCrashed, faultfs.Changes...)
		_, _ = life(faulty, "/data/store", 3)
		if !faulty.Fired() {
			return
		}
		restored, err := life(disk, "/data/store", 0)
		if err != nil {
			t.Fatalf("operation %d, %s: %v", n, faulty.Where(), err)
		}
		disk.Crash(nil)
		again, err := life(disk, "/data/store", 0)
		if err != nil || again != restored {
			t.Errorf("operation %d, %s: checkpoint %d was restored, after a loss of power %d, %v", n, faulty.Where(), restored, again, err)
		}
	}
}

// hooked calls functions after two operations.
type hooked struct {
	vfs.FS
	synced  func()
	renamed func(to string)
}

func (h *hooked) SyncDir(name string) error {
	err := h.FS.SyncDir(name)
	h.synced()
	return err
}

func (h *hooked) Rename(from, to string) error {
	err := h.FS.Rename(from, to)
	h.renamed(to)
	return err
}

// TestSegmentBesideExpiry gives a segment its name while the folder is synced for something else, and loses power when the manifest
// that names it has just got its own: the segment has to be there wherever the manifest is.
func TestSegmentBesideExpiry(t *testing.T) {
	manifests := 0
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 0))
		disk := vfs.NewMem()
		h := &hooked{FS: disk, synced: func() {}, renamed: func(string) {}}
		store, err := dir.Open(h, "/store")
		if err != nil {
			t.Fatal(err)
		}
		name := "seg-00000002-count-0-4"
		segment, err := store.CreateSegment(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := segment.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
		h.synced = func() {
			h.synced = func() {}
			if err := segment.Commit(); err != nil {
				t.Fatal(err)
			}
		}
		if err := store.Delete([]string{checkpoint.ManifestName(1)}, nil); err != nil {
			t.Fatal(err)
		}
		h.renamed = func(string) { disk.Crash(random) }
		_ = store.PutManifest(checkpoint.ManifestName(2), []byte("x"))
		left := names(t, disk)
		if slices.Contains(left, checkpoint.ManifestName(2)) {
			manifests++
			if !slices.Contains(left, name) {
				t.Fatalf("I3: seed %d: after the crash there are %v", seed, left)
			}
		}
	}
	if manifests == 0 {
		t.Error("no manifest survived: the test does not test")
	}
}

// TestReadFaults fails every read: an error of the machine is not taken for damage, and nothing is set aside.
func TestReadFaults(t *testing.T) {
	disk := vfs.NewMem()
	if _, err := life(disk, "/data/store", 3); err != nil {
		t.Fatal(err)
	}
	for n := 1; ; n++ {
		faulty := faultfs.Wrap(disk)
		faulty.FailAt(n, syscall.EIO, faultfs.Open, faultfs.Read, faultfs.Stat, faultfs.ReadDir)
		_, err := life(faulty, "/data/store", 0)
		if !faulty.Fired() {
			if n < 10 {
				t.Errorf("only %d reads were failed", n-1)
			}
			break
		}
		if e := errcode.Of(err); e == nil || !errors.Is(err, syscall.EIO) || e.Code.Class != errcode.Environment || e.Place == "" {
			t.Errorf("read %d, %s: %v", n, faulty.Where(), err)
		}
	}
	if complete, err := life(disk, "/data/store", 0); err != nil || complete != 3 {
		t.Errorf("after all reads failed: checkpoint %d, %v", complete, err)
	}
}

// TestFileSizeLimit meets a real limit of the kernel, in a process of its own.
func TestFileSizeLimit(t *testing.T) {
	const variable = "DIR_TEST_LIMITED_STORE"
	if path := os.Getenv(variable); path != "" {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 16 << 10, Max: 16 << 10}); err != nil {
			t.Fatal(err)
		}
		store, err := dir.Open(vfs.Disk, path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = checkpoint.WriteSegment(store, of(4), func(to state.Writer) error { return fill(to, 4, 50_000) })
		if e := errcode.Of(err); e == nil || e.Code != checkpoint.ErrWrite || !errors.Is(err, syscall.EFBIG) ||
			!strings.Contains(e.Hint, "ulimit") || !strings.HasPrefix(e.Place, path) {
			t.Errorf("a segment over the limit: %v", err)
		}
		return
	}
	path := filepath.Join(t.TempDir(), "store")
	if _, err := life(vfs.Disk, path, 3); err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0], "-test.run=^TestFileSizeLimit$", "-test.v")
	child.Env = append(os.Environ(), variable+"="+path)
	if out, err := child.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	check(t, vfs.Disk, path, 3)
}

func TestSecondProcess(t *testing.T) {
	const variable = "DIR_TEST_HELD_STORE"
	if path := os.Getenv(variable); path != "" {
		if _, err := dir.Open(vfs.Disk, path); err != nil {
			t.Fatal(err)
		}
		fmt.Println("open")
		_, _ = io.Copy(io.Discard, os.Stdin) // until it is killed
		return
	}
	path := filepath.Join(t.TempDir(), "store")
	child := exec.Command(os.Args[0], "-test.run=^TestSecondProcess$")
	child.Env = append(os.Environ(), variable+"="+path)
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
	said := make([]byte, len("open\n"))
	if _, err := io.ReadFull(stdout, said); err != nil || string(said) != "open\n" {
		t.Fatalf("the child said %q, %v", said, err)
	}
	_, err = dir.Open(vfs.Disk, path)
	if e := errcode.Of(err); e == nil || e.Code != checkpoint.ErrInUse || e.Code.Class != errcode.Environment || e.Place != path || e.Hint == "" {
		t.Errorf("a second process: %v", err)
	}
	if _, err := dir.NewView(vfs.Disk, path); err != nil {
		t.Errorf("a view beside it: %v", err)
	}
	_ = child.Process.Kill()
	_ = child.Wait()
	store, err := dir.Open(vfs.Disk, path)
	if err != nil {
		t.Fatalf("after the other was killed: %v", err)
	}
	if err := store.Close(); err != nil {
		t.Error(err)
	}
	if store, err = dir.Open(vfs.Disk, path); err != nil {
		t.Errorf("after Close: %v", err)
	} else {
		store.Close()
	}
}

// TestWindows looks at the disk in each window of a checkpoint, as it is and as a loss of power would leave it.
func TestWindows(t *testing.T) {
	segment, half := "seg-00000001-count-0-4", ".tmp-seg-00000001-count-0-4"
	for window, want := range map[string]struct{ there, durable []string }{
		failpoint.SegmentSyncBefore: {[]string{half}, nil},
		failpoint.SegmentSyncAfter:  {[]string{segment}, nil}, // its name is durable before the manifest is written
		failpoint.ManifestBefore:    {[]string{segment}, []string{segment}},
		failpoint.ManifestAfter:     {[]string{"chk-00000001.manifest", segment}, []string{"chk-00000001.manifest", segment}},
	} {
		disk := vfs.NewMem()
		var there, durable []string
		hit := false
		failpoint.Arm(window, 1, func() {
			hit = true
			there = names(t, disk)
			disk.Crash(nil)
			durable = names(t, disk)
		})
		_, _ = life(disk, "/store", 1) // fails after the crash
		failpoint.Arm("", 0, nil)
		if !hit || !slices.Equal(there, want.there) || !slices.Equal(durable, want.durable) {
			t.Errorf("%s (hit: %t): there are %v, durable %v; want %v, %v", window, hit, there, durable, want.there, want.durable)
		}
	}
}

// names lists a store but for its lock.
func names(t *testing.T, fsys vfs.FS) (list []string) {
	t.Helper()
	entries, err := fsys.ReadDir("/store")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != checkpoint.LockName {
			list = append(list, e.Name())
		}
	}
	return list
}

func TestOpenTidies(t *testing.T) {
	path := t.TempDir()
	for _, file := range []string{".tmp-seg-00000009-count-0-4", ".tmp-anything", "notes.txt", ".hidden", "seg-00000009-count-0-4"} {
		if err := os.WriteFile(filepath.Join(path, file), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(path, ".tmp-folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	store, err := dir.Open(vfs.Disk, path)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	files, err := store.List()
	if err != nil {
		t.Fatal(err)
	}
	want := []checkpoint.File{{Name: ".hidden", Bytes: 1}, {Name: "LOCK"}, {Name: "notes.txt", Bytes: 1}, {Name: "seg-00000009-count-0-4", Bytes: 1}}
	if !slices.Equal(files, want) {
		t.Errorf("%v", files)
	}
	if info, err := os.Stat(filepath.Join(path, ".tmp-folder")); err != nil || !info.IsDir() {
		t.Errorf("a folder of someone: %v", err)
	}
}

func TestAbort(t *testing.T) {
	disk := vfs.NewMem()
	store, err := dir.Open(disk, "/store")
	if err != nil {
		t.Fatal(err)
	}
	stop := errors.New("the state cannot be read")
	_, err = checkpoint.WriteSegment(store, of(1), func(to state.Writer) error { return errors.Join(fill(to, 1, 50_000), stop) })
	if !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
	if got := names(t, disk); got != nil {
		t.Errorf("left behind: %v", got)
	}
}

func TestMissing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none")
	if _, err := dir.NewView(vfs.Disk, path); !errcode.Is(err, checkpoint.ErrRead) || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a view of nothing: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := dir.NewView(vfs.Disk, file); !errcode.Is(err, checkpoint.ErrRead) {
		t.Errorf("a view of a file: %v", err)
	}
	if _, err := dir.Open(vfs.Disk, filepath.Join(file, "below")); !errcode.Is(err, checkpoint.ErrWrite) {
		t.Errorf("a store below a file: %v", err)
	}
	if os.Geteuid() != 0 { // root may write anywhere
		locked := t.TempDir()
		if err := os.Chmod(locked, 0o555); err != nil {
			t.Fatal(err)
		}
		_, err := dir.Open(vfs.Disk, filepath.Join(locked, "store"))
		if e := errcode.Of(err); e == nil || !strings.Contains(e.Hint, "permission") {
			t.Errorf("a folder that cannot be written: %v", err)
		}
	}
}
