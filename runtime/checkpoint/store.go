package checkpoint

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"github.com/tidemill/tidemill/runtime/checkpoint/segment"
	"github.com/tidemill/tidemill/runtime/state"
)

// View reads the files of a store. It is safe for concurrent use, also beside the process that writes the store: a file that
// a listing named may be gone when it is opened.
type View interface {
	// List names the files of the store, of any kind, by name.
	List() ([]File, error)
	// Open opens a file for reading. An error is fs.ErrNotExist or coded.
	Open(file string) (Content, error)
	// Place says where a file is, for people: a path or a URL.
	Place(file string) string
}

// File is one file of a listing.
type File struct {
	Name  string
	Bytes int64
}

// Content is an open file. One goroutine uses it. Errors are io.EOF or coded.
type Content interface {
	io.Reader
	io.Closer
	Bytes() int64
}

// Store keeps the checkpoints of one job, for one process at a time. Errors are coded. It is safe for concurrent use.
type Store interface {
	View
	// CreateSegment starts a segment file. It appears under its name only by Commit.
	CreateSegment(file string) (SegmentFile, error)
	// PutManifest makes a manifest durable under its name, all at once, after all segments committed before.
	PutManifest(file string, content []byte) error
	// SetAside renames a manifest that must never be restored again to the name that AsideName gives; durable on return.
	SetAside(manifests []string) error
	// Delete removes manifests in the order given, durably, and after them segments and other files; what is gone already is no
	// error.
	Delete(manifests, others []string) error
	Close() error
}

// SegmentFile is a segment being written. One goroutine uses it.
type SegmentFile interface {
	io.Writer
	// Commit makes the bytes durable and gives the file its name; the name is durable after the next PutManifest.
	Commit() error
	// Abort drops the file; after Commit it does nothing.
	Abort()
}

// FileKind is what a file's name says it is.
type FileKind int

// The kinds of files.
const (
	FileManifest FileKind = iota + 1
	FileSegment
	FileAside     // a manifest that was set aside: not restored, kept until it would have expired
	FileTemporary // unfinished, left by a process that was killed
	FileLock      // empty
)

// Name is a file's name taken apart.
type Name struct {
	Kind       FileKind
	Checkpoint uint64 // of manifests, segments and manifests set aside
}

const (
	manifestPrefix = "chk-"
	manifestSuffix = ".manifest"
	asideSuffix    = ".aside"
	// TemporaryPrefix begins the name of every unfinished file.
	TemporaryPrefix = ".tmp-"
	// LockName is the name of the empty file that a process locks.
	LockName = "LOCK"
)

// ManifestName is the file name of a manifest.
func ManifestName(checkpoint uint64) string {
	return fmt.Sprintf("%s%08d%s", manifestPrefix, checkpoint, manifestSuffix)
}

// AsideName is the name of a manifest once it has been set aside.
func AsideName(manifest string) string {
	return strings.TrimSuffix(manifest, manifestSuffix) + asideSuffix
}

// ParseName takes a file name apart; ok is false for files that are not the store's.
func ParseName(file string) (name Name, ok bool) {
	switch {
	case file == LockName:
		return Name{Kind: FileLock}, true
	case strings.HasPrefix(file, TemporaryPrefix):
		return Name{Kind: FileTemporary}, true
	case strings.HasPrefix(file, segment.Prefix):
		id, rest, _ := strings.Cut(file[len(segment.Prefix):], "-")
		name = Name{Kind: FileSegment, Checkpoint: parseID(id)}
		return name, name.Checkpoint != 0 && rest != ""
	case strings.HasPrefix(file, manifestPrefix):
		if id, found := strings.CutSuffix(file[len(manifestPrefix):], manifestSuffix); found {
			name = Name{Kind: FileManifest, Checkpoint: parseID(id)}
		} else if id, found := strings.CutSuffix(file[len(manifestPrefix):], asideSuffix); found {
			name = Name{Kind: FileAside, Checkpoint: parseID(id)}
		}
		return name, name.Checkpoint != 0
	}
	return Name{}, false
}

// parseID reads an id as ManifestName writes it, 0 where it is none.
func parseID(digits string) uint64 {
	id, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || fmt.Sprintf("%08d", id) != digits {
		return 0
	}
	return id
}

// WriteManifest makes a checkpoint complete (I3) and returns the digest by which the next one names it.
func WriteManifest(to Store, m *Manifest) (digest string, err error) {
	content, err := m.Encode()
	if err != nil {
		return "", err
	}
	if err := to.PutManifest(ManifestName(m.Checkpoint), content); err != nil {
		return "", err
	}
	return ManifestDigest(content), nil
}

// ReadManifest reads one manifest. The error is fs.ErrNotExist or coded.
func ReadManifest(from View, checkpoint uint64) (m *Manifest, digest string, err error) {
	file := ManifestName(checkpoint)
	content, err := readAll(from, file)
	if err != nil {
		return nil, "", err
	}
	if m, err = DecodeManifest(file, content); err != nil {
		return nil, "", err
	}
	return m, ManifestDigest(content), nil
}

func readAll(from View, file string) ([]byte, error) {
	f, err := from.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if f.Bytes() > ManifestBytesMax {
		return nil, segment.Damaged(file, -1, "it has %d bytes, a manifest has at most %d", f.Bytes(), ManifestBytesMax)
	}
	return io.ReadAll(io.LimitReader(f, ManifestBytesMax+1))
}

// WriteSegment writes what fill hands over (usually state.Frozen.Write) to a segment of its own and makes that durable. Where there
// is no entry there is no file, and the result is nil. It may run beside others for other segments.
func WriteSegment(to Store, of SegmentOf, fill func(state.Writer) error) (*Segment, error) {
	lazy := &lazyFile{store: to, name: segment.Name(of.Checkpoint, of.Node, of.Groups)}
	defer lazy.abort()
	w, err := segment.NewWriter(lazy, of)
	if err != nil {
		return nil, err
	}
	if err := fill(w); err != nil {
		return nil, err
	}
	s, err := w.Finish()
	if err != nil || s == nil {
		return nil, err
	}
	if err := lazy.file.Commit(); err != nil {
		return nil, err
	}
	return s, nil
}

// lazyFile creates a segment file with its first byte.
type lazyFile struct {
	store Store
	name  string
	file  SegmentFile
}

func (l *lazyFile) Write(p []byte) (int, error) {
	if l.file == nil {
		file, err := l.store.CreateSegment(l.name)
		if err != nil {
			return 0, err
		}
		l.file = file
	}
	return l.file.Write(p)
}

func (l *lazyFile) abort() {
	if l.file != nil {
		l.file.Abort()
	}
}

// OpenSegment opens a segment that a manifest names. The caller closes it.
func OpenSegment(from View, s Segment) (*segment.Reader, error) {
	f, err := from.Open(s.File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, segment.Damaged(s.File, -1, "it is missing")
	}
	if err != nil {
		return nil, err
	}
	return segment.Open(s, f, f.Bytes())
}

// RestoreState adds the state of a node's key groups to a back-end, which has not been declared yet: the whole chain, oldest first.
func RestoreState(from View, m *Manifest, node string, groups [2]int, to state.Backend) error {
	for _, s := range m.Chain(node, groups) {
		r, err := OpenSegment(from, s)
		if err != nil {
			return err
		}
		err = to.Restore(r, groups, m.MaxParallelism)
		if closeErr := r.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			return fmt.Errorf("restoring %s of checkpoint %d: %w", node, m.Checkpoint, err)
		}
	}
	return nil
}
