package checkpoint_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/internal/vfs"
	"github.com/tidemill/tidemill/runtime/checkpoint"
	"github.com/tidemill/tidemill/runtime/checkpoint/segment"
	"github.com/tidemill/tidemill/runtime/checkpoint/store/dir"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
)

var testIdentity = checkpoint.Identity{Job: "late-flights", PlanDigest: "0123456789abcdef", MaxParallelism: modelGroups}

// history is a store that a job of two subtasks has filled, and the state that it had at each checkpoint.
type history struct {
	t      testing.TB
	path   string
	states map[uint64]modelState
}

// write takes checkpoints 1 to n with random changes in each; keep is retention's.
func write(t testing.TB, seed uint64, n uint64, keep int) *history {
	t.Helper()
	h := &history{t: t, path: filepath.Join(t.TempDir(), "store"), states: map[uint64]modelState{}}
	h.extend(seed, n, keep)
	return h
}

// extend goes on from the newest checkpoint of the store for n more.
func (h *history) extend(seed uint64, n uint64, keep int) {
	h.t.Helper()
	store := h.open()
	defer store.Close()
	r, err := checkpoint.Recover(store, testIdentity)
	if err != nil {
		h.t.Fatal(err)
	}
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	c := checkpoint.NewCoordinator(checkpoint.Options{Identity: testIdentity, Parallelism: 2, Interval: time.Second, Keep: keep})
	var subtasks []checkpoint.Subtask
	for i := range 2 {
		subtasks = append(subtasks, checkpoint.Subtask{ID: checkpoint.SubtaskID{Task: 1, Index: i}, Source: true,
			States: []checkpoint.StateRange{{Node: "delays", Groups: halves[i]}}})
	}
	c.Step(checkpoint.JobStarted{Now: now, Subtasks: subtasks, Recovery: r})
	current := modelState{}
	if r.Restored != nil {
		current = h.states[r.Restored.Checkpoint].clone()
	}
	rng := rand.New(rand.NewPCG(seed, 5))
	for range n {
		now = now.Add(time.Second)
		barrier := c.Step(checkpoint.Tick{Now: now})[0].(checkpoint.InjectBarrier)
		changes := [2][]modelChange{}
		for range rng.IntN(40) {
			g := rng.IntN(modelGroups)
			change := modelChange{key: modelKeys[g][rng.IntN(3)], sub: string(rune('a' + rng.IntN(4))), value: fmt.Sprint(rng.IntN(1000)),
				op: []int{0, 0, 0, 1, 2}[rng.IntN(5)]}
			if change.op == 2 {
				change.sub = ""
			}
			current.apply(change)
			changes[g/(modelGroups/2)] = append(changes[g/(modelGroups/2)], change)
		}
		h.states[barrier.Checkpoint] = current.clone()
		h.complete(store, c, barrier, changes, current)
	}
}

var halves = [2][2]int{{0, modelGroups / 2}, {modelGroups / 2, modelGroups}}

func (s modelState) clone() modelState {
	c := modelState{}
	for key, entries := range s {
		for sub, value := range entries {
			c.apply(modelChange{key: key, sub: sub, value: value})
		}
	}
	return c
}

// all lists the entries of some key groups as changes.
func (s modelState) all(groups [2]int) (list []modelChange) {
	for key, entries := range s {
		if g := record.KeyGroup(record.HashKey([]byte(key)), modelGroups); g >= groups[0] && g < groups[1] {
			for sub, value := range entries {
				list = append(list, modelChange{key: key, sub: sub, value: value})
			}
		}
	}
	slices.SortFunc(list, func(a, b modelChange) int { return strings.Compare(a.key+a.sub, b.key+b.sub) })
	return list
}

// complete carries a checkpoint out.
func (h *history) complete(store checkpoint.Store, c *checkpoint.Coordinator, b checkpoint.InjectBarrier, changes [2][]modelChange, s modelState) {
	h.t.Helper()
	var commands []checkpoint.Command
	for i := range 2 {
		id := checkpoint.SubtaskID{Task: 1, Index: i}
		base := b.WantsBase(id, "delays")
		if base {
			changes[i] = s.all(halves[i])
		}
		segment, err := checkpoint.WriteSegment(store, checkpoint.SegmentOf{Checkpoint: b.Checkpoint, Node: "delays", Groups: halves[i],
			MaxParallelism: modelGroups, Base: base}, func(to state.Writer) error { return writeChanges(to, changes[i]) })
		if err != nil {
			h.t.Fatal(err)
		}
		commands = c.Step(checkpoint.Acknowledged{Checkpoint: b.Checkpoint, Subtask: id, Snapshot: checkpoint.Snapshot{
			Splits: []checkpoint.Split{{Source: "flights", Split: connectors.Split{ID: fmt.Sprint(i)}, Position: record.Position{Offset: 9}}},
			States: []checkpoint.StateSnapshot{{Node: "delays", Base: base, Segment: segment}}}})
	}
	for len(commands) > 0 {
		command := commands[0]
		commands = commands[1:]
		switch command := command.(type) {
		case checkpoint.WriteCheckpoint:
			digest, err := checkpoint.WriteManifest(store, command.Manifest)
			if err != nil {
				h.t.Fatal(err)
			}
			commands = append(commands, c.Step(checkpoint.ManifestDurable{Checkpoint: b.Checkpoint, Digest: digest})...)
		case checkpoint.Expire:
			if err := store.Delete(command.Manifests, command.Others); err != nil {
				h.t.Fatal(err)
			}
		case checkpoint.CheckpointComplete:
		default:
			h.t.Fatalf("unexpected %T %+v", command, command)
		}
	}
}

func (h *history) open() *dir.Store {
	h.t.Helper()
	store, err := dir.Open(vfs.Disk, h.path)
	if err != nil {
		h.t.Fatal(err)
	}
	return store
}

func (h *history) view() *dir.View {
	h.t.Helper()
	view, err := dir.NewView(vfs.Disk, h.path)
	if err != nil {
		h.t.Fatal(err)
	}
	return view
}

// recover opens the store, recovers and closes it.
func (h *history) recover() (*checkpoint.Recovery, error) {
	store := h.open()
	defer store.Close()
	return checkpoint.Recover(store, testIdentity)
}

func (h *history) verify() *checkpoint.Report {
	h.t.Helper()
	report, err := checkpoint.Verify(h.view())
	if err != nil {
		h.t.Fatal(err)
	}
	return report
}

func (h *history) read(file string) []byte {
	h.t.Helper()
	b, err := os.ReadFile(filepath.Join(h.path, file))
	if err != nil {
		h.t.Fatal(err)
	}
	return b
}

func (h *history) put(file string, content []byte) {
	h.t.Helper()
	if err := os.WriteFile(filepath.Join(h.path, file), content, 0o644); err != nil {
		h.t.Fatal(err)
	}
}

func (h *history) files() (names []string) {
	h.t.Helper()
	list, err := os.ReadDir(h.path)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// copyTo makes a second store with the same files.
func (h *history) copyTo(t testing.TB) *history {
	t.Helper()
	c := &history{t: t, path: t.TempDir(), states: h.states}
	for _, file := range h.files() {
		c.put(file, h.read(file))
	}
	return c
}

// needs says which files a checkpoint consists of.
func (h *history) needs(id uint64) map[string]bool {
	h.t.Helper()
	m, _, err := checkpoint.ReadManifest(h.view(), id)
	if err != nil {
		h.t.Fatal(err)
	}
	files := map[string]bool{checkpoint.ManifestName(id): true}
	for _, s := range m.Segments {
		files[s.File] = true
	}
	return files
}

func damagedFiles(list []checkpoint.Damage) (files []string) {
	for _, d := range list {
		files = append(files, d.File)
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// TestFlips is the acceptance: 1,000 single-byte flips, uniform over all bytes of all files. Verify names the file each time and no
// other, and Recover chooses the newest checkpoint that does not need the file and says why it passed over the others.
func TestFlips(t *testing.T) {
	const seed = 20261122
	rng := rand.New(rand.NewPCG(seed, 1))
	h := write(t, seed, 12, 5)
	report := h.verify()
	if len(report.Damage)+len(report.Notes) != 0 || len(report.Checkpoints) != 5 {
		t.Fatalf("the store as written: %+v", report)
	}
	var files []string
	var ends []int
	total := 0
	for _, file := range h.files() {
		files = append(files, file)
		total += len(h.read(file))
		ends = append(ends, total)
	}
	if int64(total) != report.Bytes || len(files) != report.Files {
		t.Errorf("the report counts %d files and %d bytes, there are %d and %d", report.Files, report.Bytes, len(files), total)
	}
	needs := map[uint64]map[string]bool{}
	for id := uint64(8); id <= 12; id++ {
		needs[id] = h.needs(id)
	}
	hit := map[string]int{}
	for n := range 1000 {
		at := rng.IntN(total)
		i, _ := slices.BinarySearch(ends, at+1)
		file := files[i]
		content := h.read(file)
		offset := len(content) - (ends[i] - at)
		bad := bytes.Clone(content)
		bad[offset] ^= byte(1 + rng.IntN(255))
		h.put(file, bad)
		hit[file]++
		what := fmt.Sprintf("seed %d flip %d: byte %d of %s", seed, n, offset, file)

		report := h.verify()
		if got := damagedFiles(report.Damage); !slices.Equal(got, []string{file}) {
			t.Fatalf("%s: verify names %v: %v", what, got, report.Damage)
		}
		if d := report.Damage[0]; d.Offset > int64(offset) {
			t.Errorf("%s: verify names byte %d", what, d.Offset)
		}
		for _, v := range report.Checkpoints {
			if damaged := needs[v.Checkpoint][file]; damaged != (len(v.Damage) > 0) {
				t.Fatalf("%s: checkpoint %d is said to have damage %v", what, v.Checkpoint, v.Damage)
			}
		}
		if n%20 == 0 {
			h.copyTo(t).checkFallback(what, file, needs)
		}
		h.put(file, content)
	}
	if len(hit) < len(files)-1 { // all but LOCK, which is empty
		t.Errorf("only %d of %d files were hit", len(hit), len(files))
	}
}

func (h *history) checkFallback(what, file string, needs map[uint64]map[string]bool) {
	h.t.Helper()
	want, skipped := uint64(0), []uint64{}
	for id := uint64(12); id >= 8 && want == 0; id-- {
		if needs[id][file] {
			skipped = append(skipped, id)
		} else {
			want = id
		}
	}
	r, err := h.recover()
	if want == 0 {
		if !errcode.Is(err, checkpoint.ErrNoneLeft) || !strings.Contains(err.Error(), file) {
			h.t.Fatalf("%s: %v", what, err)
		}
		return
	}
	if err != nil || r.Restored.Checkpoint != want || len(r.Skipped) != len(skipped) {
		h.t.Fatalf("%s: restored %+v, %v; want %d after %v", what, r, err, want, skipped)
	}
	for i, s := range r.Skipped {
		if s.Checkpoint != skipped[i] || s.Damage[0].File != file {
			h.t.Fatalf("%s: skipped %+v, want %v", what, r.Skipped, skipped)
		}
	}
}

// TestOtherDamage has what a flip is not: files that are missing, cut, grown, exchanged or put there by someone.
func TestOtherDamage(t *testing.T) {
	whole := write(t, 3, 8, 4)
	other := write(t, 4, 8, 4) // another run of the same job
	newest := checkpoint.ManifestName(8)
	m, err := checkpoint.Find(whole.view(), 8)
	if err != nil {
		t.Fatal(err)
	}
	a, b := m.Segments[0].File, m.Segments[len(m.Segments)-1].File
	cases := []struct {
		name  string
		do    func(h *history)
		files []string // that Verify names
		skips bool     // checkpoint 8 cannot be restored
	}{
		{"a segment is missing", func(h *history) { os.Remove(filepath.Join(h.path, a)) }, []string{a}, true},
		{"a segment is empty", func(h *history) { h.put(a, nil) }, []string{a}, true},
		{"a segment is cut", func(h *history) { h.put(a, h.read(a)[:len(h.read(a))-1]) }, []string{a}, true},
		{"a segment has grown", func(h *history) { h.put(a, append(h.read(a), 0)) }, []string{a}, true},
		{"two segments are exchanged", func(h *history) { x, y := h.read(a), h.read(b); h.put(a, y); h.put(b, x) }, []string{a, b}, true},
		{"a segment is from another run", func(h *history) { h.put(a, other.read(a)) }, []string{a}, true},
		{"the newest manifest is empty", func(h *history) { h.put(newest, nil) }, []string{newest}, true},
		{"the newest manifest has grown", func(h *history) { h.put(newest, append(h.read(newest), '\n')) }, []string{newest}, true},
		{"two manifests are exchanged", func(h *history) {
			x, y := h.read(newest), h.read(checkpoint.ManifestName(7))
			h.put(newest, y)
			h.put(checkpoint.ManifestName(7), x)
		}, []string{checkpoint.ManifestName(7), newest}, true},
		{"a manifest in the middle is missing", func(h *history) { os.Remove(filepath.Join(h.path, checkpoint.ManifestName(6))) },
			[]string{checkpoint.ManifestName(6)}, false},
		{"an older manifest is from another run", func(h *history) {
			file := checkpoint.ManifestName(7)
			h.put(file, other.read(file))
			for _, f := range other.files() { // with its segments
				if _, err := os.Stat(filepath.Join(h.path, f)); err != nil {
					h.put(f, other.read(f))
				}
			}
		}, []string{checkpoint.ManifestName(7)}, false},
		{"the lock has bytes", func(h *history) { h.put(checkpoint.LockName, []byte("x")) }, []string{checkpoint.LockName}, false},
		{"a segment of no checkpoint is cut", func(h *history) { h.put("seg-00000009-delays-0-4", h.read(a)[:30]) },
			[]string{"seg-00000009-delays-0-4"}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h := whole.copyTo(t)
			c.do(h)
			got := damagedFiles(h.verify().Damage)
			if c.name == "an older manifest is from another run" {
				got = slices.DeleteFunc(got, func(f string) bool { return strings.HasPrefix(f, "seg-") }) // some have equal names
			}
			if !slices.Equal(got, c.files) {
				t.Errorf("verify names %v, want %v: %+v", got, c.files, h.verify().Damage)
			}
			r, err := h.recover()
			if err != nil && !errcode.Is(err, checkpoint.ErrNoneLeft) {
				t.Fatal(err)
			}
			restored := err == nil && r.Restored.Checkpoint == 8
			if restored == c.skips {
				t.Errorf("recovery %+v, %v", r, err)
			}
			if err == nil && r.Restored.Checkpoint < 8 && !slices.Contains(c.files, r.Skipped[0].Damage[0].File) {
				t.Errorf("skipped %+v", r.Skipped)
			}
		})
	}
}

// TestReplacedManifest exchanges the second newest manifest for one of another run that is whole, segments and all, and damages the
// newest: only the chain of hashes can tell that the second is not the one that the newest followed.
func TestReplacedManifest(t *testing.T) {
	h, other := write(t, 3, 3, 5), write(t, 4, 3, 5)
	m3, err := checkpoint.Find(h.view(), 3)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range m3.Segments {
		if s.Checkpoint == 3 { // the manifest stays readable
			os.Remove(filepath.Join(h.path, s.File))
		}
	}
	for file := range other.needs(2) {
		h.put(file, other.read(file))
	}
	r, err := h.recover()
	if err == nil {
		t.Fatalf("checkpoint %d was restored", r.Restored.Checkpoint)
	}
	if !errcode.Is(err, checkpoint.ErrNoneLeft) {
		t.Fatal(err)
	}
}

func TestVerifyNotes(t *testing.T) {
	h := write(t, 1, 3, 3)
	a := h.read("seg-00000001-delays-0-4")
	h.put("notes.txt", []byte("mine"))
	h.put(".tmp-chk-00000004.manifest", []byte("half"))
	h.put("chk-00000009.aside", []byte("anything"))
	os.Mkdir(filepath.Join(h.path, "folder"), 0o755)
	var loose bytes.Buffer
	of := checkpoint.SegmentOf{Checkpoint: 4, Node: "delays", Groups: halves[0], MaxParallelism: modelGroups}
	w, err := segment.NewWriter(&loose, of)
	if err != nil {
		t.Fatal(err)
	}
	if err := writeChanges(w, []modelChange{{key: "k", sub: "s", value: "v"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Finish(); err != nil {
		t.Fatal(err)
	}
	h.put("seg-00000004-delays-0-4", loose.Bytes())
	report := h.verify()
	var noted []string
	for _, n := range report.Notes {
		noted = append(noted, n.File)
	}
	if want := []string{".tmp-chk-00000004.manifest", "chk-00000009.aside", "notes.txt", "seg-00000004-delays-0-4"}; len(report.Damage) != 0 ||
		!slices.Equal(noted, want) {
		t.Errorf("damage %v, notes %v", report.Damage, report.Notes)
	}

	r, err := h.recover()
	if err != nil || r.Restored.Checkpoint != 3 || r.NextID != 10 {
		t.Fatalf("%+v, %v", r, err)
	}
	files := h.files()
	if slices.Contains(files, ".tmp-chk-00000004.manifest") || !slices.Contains(files, "notes.txt") {
		t.Errorf("after opening: %v", files)
	}
	if !bytes.Equal(a, h.read("seg-00000001-delays-0-4")) {
		t.Error("a segment has changed")
	}
}

// TestVerifyBesideExpiry lets all checkpoints but the newest expire while segments are read: nothing is called damage.
func TestVerifyBesideExpiry(t *testing.T) {
	const n = 40
	h := write(t, 2, n, n)
	view := &expiring{View: h.view(), h: h, newest: n}
	report, err := checkpoint.Verify(view)
	if err != nil || len(report.Damage) != 0 {
		t.Errorf("%+v, %v", report.Damage, err)
	}
	if view.missing < 5 {
		t.Errorf("%d segments had expired when they were read", view.missing)
	}
}

// expiring deletes checkpoints when the third segment is opened.
type expiring struct {
	*dir.View
	h              *history
	newest         uint64
	opens, missing int
}

func (e *expiring) Open(file string) (checkpoint.Content, error) {
	if strings.HasPrefix(file, "seg-") {
		if e.opens++; e.opens == 3 {
			e.expire()
		}
	}
	content, err := e.View.Open(file)
	if err != nil && strings.HasPrefix(file, "seg-") {
		e.missing++
	}
	return content, err
}

func (e *expiring) expire() {
	store := e.h.open()
	defer store.Close()
	kept := e.h.needs(e.newest)
	var manifests, others []string
	for id := uint64(1); id < e.newest; id++ {
		manifests = append(manifests, checkpoint.ManifestName(id))
	}
	for _, file := range e.h.files() {
		if strings.HasPrefix(file, "seg-") && !kept[file] {
			others = append(others, file)
		}
	}
	if err := store.Delete(manifests, others); err != nil {
		e.h.t.Fatal(err)
	}
}

func TestRecoverRefusals(t *testing.T) {
	h := write(t, 1, 3, 3)
	store := h.open()
	defer store.Close()
	for _, c := range []struct {
		name  string
		want  checkpoint.Identity
		names []string
	}{
		{"another job", checkpoint.Identity{Job: "early-flights", PlanDigest: testIdentity.PlanDigest, MaxParallelism: modelGroups},
			[]string{"late-flights", "early-flights"}},
		{"another plan", checkpoint.Identity{Job: testIdentity.Job, PlanDigest: "fedcba9876543210", MaxParallelism: modelGroups},
			[]string{"0123456789ab", "fedcba987654", "--fresh"}},
		{"another max parallelism", checkpoint.Identity{Job: testIdentity.Job, PlanDigest: testIdentity.PlanDigest, MaxParallelism: 64},
			[]string{"max parallelism 8", "64"}},
	} {
		_, err := checkpoint.Recover(store, c.want)
		if !errcode.Is(err, checkpoint.ErrOtherJob) || errcode.Of(err).Hint == "" || errcode.Of(err).Place == "" {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for _, name := range c.names {
			if !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %v does not name %s", c.name, err, name)
			}
		}
	}
	if _, err := checkpoint.Recover(store, testIdentity); err != nil {
		t.Errorf("after the refusals: %v", err)
	}
}

func TestNewerStore(t *testing.T) {
	h := write(t, 1, 3, 3)
	future, err := os.ReadFile("testdata/newer.manifest")
	if err != nil {
		t.Fatal(err)
	}
	h.put(checkpoint.ManifestName(4), future)
	for what, do := range map[string]func() error{
		"recover": func() error { _, err := h.recover(); return err },
		"verify":  func() error { _, err := checkpoint.Verify(h.view()); return err },
		"list":    func() error { _, err := checkpoint.Checkpoints(h.view()); return err },
	} {
		if err := do(); !errcode.Is(err, checkpoint.ErrNewer) || !strings.Contains(err.Error(), checkpoint.ManifestName(4)) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestFresh(t *testing.T) {
	h := write(t, 1, 3, 3)
	store := h.open()
	r, err := checkpoint.Fresh(store)
	store.Close()
	if err != nil || r.Restored != nil || r.NextID != 4 || len(r.Kept) != 0 {
		t.Fatalf("%+v, %v", r, err)
	}
	r, err = h.recover() // before the first checkpoint of the new run: still nothing to go on from
	if err != nil || r.Restored != nil || r.NextID != 4 {
		t.Fatalf("%+v, %v", r, err)
	}
	h.extend(9, 4, 3)
	if report := h.verify(); len(report.Damage)+len(report.Notes) != 0 || len(report.Checkpoints) != 3 {
		t.Errorf("after four checkpoints of the new run: %+v", report)
	}
	if files := h.files(); slices.ContainsFunc(files, func(f string) bool { return strings.Contains(f, "0000003") || strings.Contains(f, "aside") }) {
		t.Errorf("the old run's files have not expired: %v", files)
	}
}

func TestEmptyStore(t *testing.T) {
	h := &history{t: t, path: filepath.Join(t.TempDir(), "a", "b")}
	r, err := h.recover()
	if err != nil || r.Restored != nil || r.NextID != 1 || len(r.Skipped)+len(r.Kept)+len(r.Leftover) != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := checkpoint.Find(h.view(), 0); !errcode.Is(err, checkpoint.ErrUnknown) {
		t.Error(err)
	}
}

// TestScanState compares what a scan finds at each checkpoint with the state that the job had then.
func TestScanState(t *testing.T) {
	for seed := range uint64(3) {
		h := write(t, seed, 40, 30)
		list, err := checkpoint.Checkpoints(h.view())
		if err != nil || len(list) != 30 {
			t.Fatalf("seed %d: %d checkpoints, %v", seed, len(list), err)
		}
		for _, v := range list {
			got := modelState{}
			scan := func(filter checkpoint.Filter) {
				t.Helper()
				if err := checkpoint.ScanState(h.view(), v.Manifest, "delays", filter, func(e state.Entry) error {
					if e.Space.Name != "seen" || got[string(e.Key)][string(e.Sub)] != "" {
						t.Fatalf("seed %d: entry %+v comes twice or is of another state", seed, e)
					}
					got.apply(modelChange{key: string(e.Key), sub: string(e.Sub), value: string(e.Value)})
					return nil
				}); err != nil {
					t.Fatal(err)
				}
			}
			want := h.states[v.Checkpoint]
			scan(checkpoint.Filter{})
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("seed %d checkpoint %d:\ngot  %v\nwant %v", seed, v.Checkpoint, got, want)
			}
			got = modelState{}
			scan(checkpoint.Filter{State: "seen", Key: []byte(modelKeys[3][0])})
			if len(got) > 1 || fmt.Sprint(got[modelKeys[3][0]]) != fmt.Sprint(want[modelKeys[3][0]]) {
				t.Fatalf("seed %d checkpoint %d, one key: %v, want %v", seed, v.Checkpoint, got, want[modelKeys[3][0]])
			}
			got = modelState{}
			scan(checkpoint.Filter{State: "other"})
			if len(got) != 0 {
				t.Fatalf("another state: %v", got)
			}
		}
		m := list[len(list)-1].Manifest
		if nodes := m.StateNodes(); !slices.Equal(nodes, []string{"delays"}) {
			t.Errorf("nodes %v", nodes)
		}
		if err := checkpoint.ScanState(h.view(), m, "delay", checkpoint.Filter{}, nil); !errcode.Is(err, checkpoint.ErrUnknown) {
			t.Error(err)
		}
	}
}

func TestFind(t *testing.T) {
	h := write(t, 1, 4, 3)
	for id, want := range map[uint64]uint64{0: 4, 2: 2, 4: 4} {
		if m, err := checkpoint.Find(h.view(), id); err != nil || m.Checkpoint != want {
			t.Errorf("checkpoint %d: %v, %v", id, m, err)
		}
	}
	if _, err := checkpoint.Find(h.view(), 1); !errcode.Is(err, checkpoint.ErrUnknown) {
		t.Errorf("an expired checkpoint: %v", err)
	}
	h.put(checkpoint.ManifestName(4), []byte("x"))
	if _, err := checkpoint.Find(h.view(), 4); !errcode.Is(err, checkpoint.ErrDamaged) {
		t.Errorf("a damaged checkpoint: %v", err)
	}
	if m, err := checkpoint.Find(h.view(), 0); err != nil || m.Checkpoint != 3 {
		t.Errorf("the newest readable: %v, %v", m, err)
	}
}
