package checkpoint

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/tidemill/tidemill/runtime/checkpoint/segment"
)

// Report is the outcome of Verify.
type Report struct {
	Files       int // checked, of any kind
	Bytes       int64
	Checkpoints []Verified // oldest first
	Damage      []Damage   // all of it, by file; empty where the store is whole
	Notes       []Note     // files that no checkpoint needs
}

// Verified is one checkpoint of a report.
type Verified struct {
	Checkpoint uint64
	Manifest   *Manifest // nil where it cannot be read
	Damage     []Damage  // what keeps it from being restored
}

// Note says that a file is not part of a checkpoint, and why it may be there. It is no damage.
type Note struct {
	File, What string
}

// Verify reads every byte of every file of a store. It may run beside the job that writes it: what expires meanwhile is passed over.
// An error means that the store could not be read; a manifest of a newer format is one, too.
func Verify(view View) (*Report, error) {
	v := verifier{view: view, report: new(Report), digests: map[uint64]string{}, segments: map[string]*segmentUse{}}
	files, err := view.List()
	if err != nil {
		return nil, err
	}
	ids := manifestIDs(files)
	for _, id := range ids {
		if err := v.manifest(id); err != nil {
			return nil, err
		}
	}
	for i := range slices.Backward(v.report.Checkpoints) {
		v.content(&v.report.Checkpoints[i], ids)
	}
	if err := v.named(); err != nil {
		return nil, err
	}
	for _, f := range files {
		v.report.Files++
		v.report.Bytes += f.Bytes
		if err := v.file(f); err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(v.report.Damage, func(a, b Damage) int { return cmp.Compare(a.File, b.File) })
	return v.report, nil
}

type verifier struct {
	view     View
	report   *Report
	digests  map[uint64]string // of the manifests that can be read
	segments map[string]*segmentUse
}

// segmentUse is a segment that manifests name, and those manifests, newest first.
type segmentUse struct {
	segment Segment
	by      []*Verified
}

func (v *verifier) damage(d Damage) { v.report.Damage = append(v.report.Damage, d) }

// manifest reads a manifest.
func (v *verifier) manifest(id uint64) error {
	m, digest, err := ReadManifest(v.view, id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // expired since the listing
	}
	entry := Verified{Checkpoint: id, Manifest: m}
	if entry.Damage, err = addDamage(nil, err); err != nil {
		return err
	}
	if m != nil {
		v.digests[id] = digest
	}
	v.report.Damage = append(v.report.Damage, entry.Damage...)
	v.report.Checkpoints = append(v.report.Checkpoints, entry)
	return nil
}

// content notes the segments that a readable manifest names, and checks that the manifest before it is the one that it follows.
// It goes from the newest to the oldest, so that a manifest that a newer one disowns is no judge of others.
func (v *verifier) content(c *Verified, ids []uint64) {
	m := c.Manifest
	if m == nil || len(c.Damage) > 0 {
		return
	}
	for _, s := range m.Segments {
		use := v.segments[s.File]
		switch {
		case use == nil:
			v.segments[s.File] = &segmentUse{segment: s, by: []*Verified{c}}
		case use.segment == s:
			use.by = append(use.by, c)
		default:
			d := Damage{File: c.file(), Offset: -1, What: fmt.Sprintf("it names another %s than %s does", s.File, use.by[0].file())}
			c.Damage = append(c.Damage, d)
			v.damage(d)
		}
	}
	if m.Previous == nil {
		return
	}
	before := m.Previous.Checkpoint
	switch digest, readable := v.digests[before]; {
	case readable && digest != m.Previous.SHA256:
		i := slices.IndexFunc(v.report.Checkpoints, func(o Verified) bool { return o.Checkpoint == before })
		d := notFollowed(before, m)
		v.report.Checkpoints[i].Damage = append(v.report.Checkpoints[i].Damage, d)
		v.damage(d)
	case !slices.Contains(ids, before) && before > ids[0]: // older than all that are left it would have expired
		v.damage(Damage{File: ManifestName(before), Offset: -1, What: "it is missing; " + c.file() + " follows it"})
	}
}

func (c *Verified) file() string { return ManifestName(c.Checkpoint) }

// named reads the segments that manifests name.
func (v *verifier) named() error {
	for _, file := range slices.Sorted(maps.Keys(v.segments)) {
		use := v.segments[file]
		found, err := addDamage(nil, readSegment(v.view, use.segment))
		if err != nil {
			return err
		}
		for _, d := range found {
			counted := false
			for _, c := range use.by {
				if v.expired(c) {
					continue
				}
				c.Damage = append(c.Damage, d)
				if !counted {
					v.damage(d)
					counted = true
				}
			}
		}
	}
	return nil
}

// expired says whether a manifest has gone since the listing.
func (v *verifier) expired(c *Verified) bool {
	f, err := v.view.Open(c.file())
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	f.Close()
	return false
}

// file checks what manifests do not name.
func (v *verifier) file(f File) error {
	name, ours := ParseName(f.Name)
	note := func(what string) { v.report.Notes = append(v.report.Notes, Note{f.Name, what}) }
	switch {
	case !ours:
		note("not a file of the store")
	case name.Kind == FileTemporary:
		note("unfinished: being written, or left by a process that was killed; the next run removes it")
	case name.Kind == FileAside:
		note("set aside: a run went on without it; retention removes it")
	case name.Kind == FileLock && f.Bytes > 0:
		v.damage(Damage{File: f.Name, Offset: 0, What: fmt.Sprintf("it has %d bytes and should be empty", f.Bytes)})
	case name.Kind == FileSegment && v.segments[f.Name] == nil:
		note("of no checkpoint: one in progress, or not completed; retention removes it")
		return v.loose(f.Name)
	}
	return nil
}

// loose checks a segment that no manifest names by its own checksums.
func (v *verifier) loose(file string) error {
	content, err := v.view.Open(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	r, err := segment.NewReader(file, content, content.Bytes())
	if err == nil {
		defer r.Close()
		err = drain(r)
	}
	found, err := addDamage(nil, err)
	v.report.Damage = append(v.report.Damage, found...)
	return err
}
