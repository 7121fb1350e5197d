package checkpoint

import (
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/checkpoint/segment"
)

// Identity is what a job must have in common with a checkpoint to go on from it.
type Identity struct {
	Job            string
	PlanDigest     string
	MaxParallelism int
	Nodes          []string // names of all sources, operators and sinks, in the order of the plan: to say what changed
}

// Recovery is what a start found in a store.
type Recovery struct {
	Restored *Manifest // the checkpoint to go on from; nil to begin at the beginning
	Digest   string    // of Restored
	Skipped  []Skipped // newer checkpoints that are not whole, newest first: to be reported loudly (I4)

	Kept     []Kept     // older checkpoints and the restored one, oldest first
	Leftover []Leftover // files that belong to none of them
	NextID   uint64
}

// Skipped is a checkpoint that could not be restored.
type Skipped struct {
	Checkpoint uint64
	Damage     []Damage // not empty
}

// Kept is a checkpoint that retention counts.
type Kept struct {
	Checkpoint uint64
	Segments   []string // files that it names
}

// Leftover is a file that retention removes once everything of its age has expired.
type Leftover struct {
	File       string
	Checkpoint uint64
}

// Recover finds the newest checkpoint of which every byte is as written, and makes it the one to go on from: newer ones are set
// aside, so that they are never restored after output of theirs has been taken back. It reads all segments of the checkpoint once.
// A checkpoint of another job or plan, of a newer format, or a store in which no checkpoint is whole is a coded error.
func Recover(store Store, want Identity) (*Recovery, error) {
	files, err := store.List()
	if err != nil {
		return nil, err
	}
	r := newRecovery(files)
	ids := manifestIDs(files)
	follower := map[uint64]*Manifest{} // by the checkpoint that it follows
	for i := len(ids) - 1; i >= 0; i-- {
		m, digest, damage, err := whole(store, ids[i])
		if err != nil {
			return nil, err
		}
		if next := follower[ids[i]]; m != nil && next != nil && next.Previous.SHA256 != digest {
			damage = append(damage, notFollowed(ids[i], next))
		} else if m != nil && m.Previous != nil {
			follower[m.Previous.Checkpoint] = m
		}
		if len(damage) > 0 {
			r.Skipped = append(r.Skipped, Skipped{Checkpoint: ids[i], Damage: damage})
			continue
		}
		if err := want.accepts(m, store.Place(ManifestName(ids[i]))); err != nil {
			return nil, err
		}
		r.Restored, r.Digest = m, digest
		ids = ids[:i+1]
		break
	}
	if r.Restored == nil {
		if len(r.Skipped) > 0 {
			return nil, noneLeft(store, r.Skipped)
		}
		return r, r.collect(store, files, nil)
	}
	var aside []string
	for i := range r.Skipped {
		aside = append(aside, ManifestName(r.Skipped[i].Checkpoint))
	}
	if err := store.SetAside(aside); err != nil {
		return nil, err
	}
	return r, r.collect(store, files, ids)
}

// Fresh sets all checkpoints of a store aside: the job begins at the beginning.
func Fresh(store Store) (*Recovery, error) {
	files, err := store.List()
	if err != nil {
		return nil, err
	}
	var aside []string
	for _, id := range manifestIDs(files) {
		aside = append(aside, ManifestName(id))
	}
	if err := store.SetAside(aside); err != nil {
		return nil, err
	}
	r := newRecovery(files)
	return r, r.collect(store, files, nil)
}

// newRecovery picks an id that no file of the store has, so that nothing is ever overwritten.
func newRecovery(files []File) *Recovery {
	r := &Recovery{NextID: 1}
	for _, f := range files {
		if name, ok := ParseName(f.Name); ok && name.Checkpoint >= r.NextID {
			r.NextID = name.Checkpoint + 1
		}
	}
	return r
}

func manifestIDs(files []File) []uint64 {
	var ids []uint64
	for _, f := range files {
		if name, ok := ParseName(f.Name); ok && name.Kind == FileManifest {
			ids = append(ids, name.Checkpoint)
		}
	}
	slices.Sort(ids)
	return ids
}

// collect fills Kept and Leftover: kept are the readable ones among ids, ascending.
func (r *Recovery) collect(store View, files []File, ids []uint64) error {
	named := map[string]bool{}
	for _, id := range ids {
		m, _, err := ReadManifest(store, id)
		if err != nil {
			if errcode.Is(err, ErrDamaged) {
				continue // a leftover
			}
			return err
		}
		kept := Kept{Checkpoint: id}
		for _, s := range m.Segments {
			kept.Segments = append(kept.Segments, s.File)
			named[s.File] = true
		}
		named[ManifestName(id)] = true
		r.Kept = append(r.Kept, kept)
	}
	for _, f := range files {
		name, ok := ParseName(f.Name)
		if !ok || name.Checkpoint == 0 || named[f.Name] {
			continue
		}
		file := f.Name
		if name.Kind == FileManifest && !slices.Contains(ids, name.Checkpoint) {
			file = AsideName(file) // it has just been renamed
		}
		r.Leftover = append(r.Leftover, Leftover{File: file, Checkpoint: name.Checkpoint})
	}
	return nil
}

// whole reads a checkpoint and every byte that it names. Damage is what keeps it from being restored; err is everything else.
func whole(store View, id uint64) (m *Manifest, digest string, damage []Damage, err error) {
	m, digest, err = ReadManifest(store, id)
	if err == nil {
		for _, s := range m.Segments {
			if damage, err = addDamage(damage, readSegment(store, s)); err != nil {
				return nil, "", nil, err
			}
		}
		return m, digest, damage, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = segment.Damaged(ManifestName(id), -1, "it is missing")
	}
	damage, err = addDamage(nil, err)
	return nil, "", damage, err
}

// notFollowed is the damage of a manifest that is whole, but not the one that the next names.
func notFollowed(id uint64, next *Manifest) Damage {
	return Damage{File: ManifestName(id), Offset: -1, What: "it is not the manifest that " + ManifestName(next.Checkpoint) + " follows"}
}

// readSegment verifies every byte of a segment against the manifest that names it.
func readSegment(store View, s Segment) error {
	r, err := OpenSegment(store, s)
	if err != nil {
		return err
	}
	defer r.Close()
	return drain(r)
}

func drain(r *segment.Reader) error {
	for {
		if _, err := r.Next(); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// addDamage sorts an error into damage and others.
func addDamage(list []Damage, err error) ([]Damage, error) {
	var d *Damage
	if errors.As(err, &d) {
		return append(list, *d), nil
	}
	return list, err
}

func (want Identity) accepts(m *Manifest, place string) error {
	refuse := func(what, had, has, hint string) error {
		return ErrOtherJob.Errorf("checkpoint %d is of %s %s, this is %s", m.Checkpoint, what, had, has).At("%s", place).Do("%s", hint)
	}
	switch {
	case m.Job != want.Job:
		return refuse("job", m.Job, want.Job, "give each job a checkpoint.store of its own")
	case m.PlanDigest != want.PlanDigest:
		return refuse("plan", short(m.PlanDigest), short(want.PlanDigest)+": "+want.changed(m),
			"restore the old job.yaml, or start anew with --fresh and an empty output")
	case m.MaxParallelism != want.MaxParallelism:
		return ErrOtherJob.Errorf("checkpoint %d has max parallelism %d, the job has %d", m.Checkpoint, m.MaxParallelism,
			want.MaxParallelism).At("%s", place).Do("max parallelism is fixed for a job's life: set it back to %d", m.MaxParallelism)
	}
	return nil
}

// changed says in what the plan is not that of a checkpoint, as far as the checkpoint knows: its nodes, by their watermarks.
func (want Identity) changed(m *Manifest) string {
	var had, changes []string
	for _, w := range m.Watermarks {
		had = append(had, w.Node)
	}
	for _, node := range slices.Compact(had) { // watermarks are sorted by node
		if !slices.Contains(want.Nodes, node) {
			changes = append(changes, node+" is gone")
		}
	}
	for _, node := range want.Nodes {
		if !slices.Contains(had, node) {
			changes = append(changes, node+" is new")
		}
	}
	if len(changes) == 0 {
		return "a port, key, column or operator of its nodes changed"
	}
	return strings.Join(changes, ", ")
}

func short(digest string) string { return digest[:min(12, len(digest))] }

func noneLeft(store View, skipped []Skipped) error {
	first := skipped[0].Damage[0]
	return ErrNoneLeft.Errorf("none of the %d checkpoints is whole", len(skipped)).At("%s", store.Place("")).Because(&first).
		Do("restore the store from a copy, or start anew with --fresh and an empty output; `tidemill checkpoint verify` lists what is damaged")
}
