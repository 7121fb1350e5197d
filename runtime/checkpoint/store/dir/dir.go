// Package dir keeps the checkpoints of a job in a folder.
//
// The folder holds chk-00000012.manifest and seg-... files, an empty LOCK, and for a moment .tmp-... files. A file gets its name by
// rename after its bytes are synced; the folder is synced before a manifest is written and after it has its name, so a manifest
// that can be seen after a crash names segments that are whole (I3). Files of others are left alone.
//
// Open takes the store for one process and cleans up after a killed one; View reads beside a running job, without a lock.
package dir

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync/atomic"

	"github.com/tidemill/tidemill/internal/failpoint"
	"github.com/tidemill/tidemill/internal/vfs"
	"github.com/tidemill/tidemill/runtime/checkpoint"
)

// View reads a folder of checkpoints. It is safe for concurrent use.
type View struct {
	fs   vfs.FS
	path string
}

// NewView reads the folder at path, which must exist, without a lock: files may expire while they are read.
func NewView(fsys vfs.FS, path string) (*View, error) {
	v := &View{fs: fsys, path: path}
	info, err := fsys.Stat(path)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "open", Path: path, Err: errors.New("it is not a folder")}
	}
	if err != nil {
		return nil, checkpoint.ReadError(path, err)
	}
	return v, nil
}

// Place is the path of a file.
func (v *View) Place(file string) string { return vfs.Join(v.path, file) }

// List names the files of the folder; folders in it are not the store's.
func (v *View) List() ([]checkpoint.File, error) {
	entries, err := v.fs.ReadDir(v.path)
	if err != nil {
		return nil, checkpoint.ReadError(v.path, err)
	}
	files := make([]checkpoint.File, 0, len(entries))
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // expired since ReadDir
		}
		if err != nil {
			return nil, checkpoint.ReadError(v.Place(e.Name()), err)
		}
		files = append(files, checkpoint.File{Name: e.Name(), Bytes: info.Size()})
	}
	return files, nil
}

// Open opens a file for reading.
func (v *View) Open(file string) (checkpoint.Content, error) {
	f, err := v.fs.Open(v.Place(file))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err != nil {
		return nil, checkpoint.ReadError(v.Place(file), err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, checkpoint.ReadError(v.Place(file), err)
	}
	return &content{f, info.Size(), v.Place(file)}, nil
}

// content is an open file.
type content struct {
	file  vfs.File
	bytes int64
	path  string
}

func (c *content) Bytes() int64 { return c.bytes }
func (c *content) Close() error { return c.file.Close() }

func (c *content) Read(p []byte) (int, error) {
	n, err := c.file.Read(p)
	if err != nil && err != io.EOF {
		err = checkpoint.ReadError(c.path, err)
	}
	return n, err
}

// Store is a folder of checkpoints taken for this process. It is safe for concurrent use.
type Store struct {
	View
	lock io.Closer
	// unsynced says that a name may not be durable yet.
	unsynced atomic.Bool
}

// Open makes the folder where it is missing, locks it, removes unfinished files and makes the names in it durable.
func Open(fsys vfs.FS, path string) (*Store, error) {
	s := &Store{View: View{fs: fsys, path: path}}
	if err := fsys.MkdirAll(path); err != nil {
		return nil, checkpoint.WriteError(path, err)
	}
	lock, err := fsys.Lock(s.Place(checkpoint.LockName))
	if errors.Is(err, vfs.ErrLocked) {
		holder := "another process"
		if known := (*vfs.LockedError)(nil); errors.As(err, &known) {
			holder = fmt.Sprintf("process %d", known.PID)
		}
		return nil, checkpoint.ErrInUse.Errorf("%s uses this checkpoint store", holder).At("%s", path).
			Do("wait for it or end it; jobs that run at the same time need a checkpoint.store each")
	}
	if err != nil {
		return nil, checkpoint.WriteError(path, err)
	}
	s.lock = lock
	if err := s.tidy(); err != nil {
		lock.Close()
		return nil, err
	}
	return s, nil
}

// tidy removes what a killed process left unfinished. It syncs the folder because a manifest that is seen now may be restored and its
// output published, and must not vanish after that.
func (s *Store) tidy() error {
	files, err := s.List()
	if err != nil {
		return err
	}
	for _, f := range files {
		if name, ok := checkpoint.ParseName(f.Name); ok && name.Kind == checkpoint.FileTemporary {
			if err := s.remove(f.Name); err != nil {
				return err
			}
		}
	}
	return s.sync()
}

// sync makes all names durable. The mark goes before the call: a segment that gets its name meanwhile sets it again.
func (s *Store) sync() error {
	s.unsynced.Store(false)
	if err := s.fs.SyncDir(s.path); err != nil {
		s.unsynced.Store(true)
		return checkpoint.WriteError(s.path, err)
	}
	return nil
}

func (s *Store) remove(file string) error {
	err := s.fs.Remove(s.Place(file))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return checkpoint.WriteError(s.Place(file), err)
	}
	return nil
}

// Close gives the folder free.
func (s *Store) Close() error {
	if err := s.lock.Close(); err != nil {
		return checkpoint.WriteError(s.path, err)
	}
	return nil
}

// CreateSegment starts a segment under a temporary name.
func (s *Store) CreateSegment(file string) (checkpoint.SegmentFile, error) {
	return s.create(file)
}

// create opens the temporary file of a name.
func (s *Store) create(file string) (*temporary, error) {
	if strings.ContainsAny(file, `/\`) {
		return nil, errors.New("a store's file has no path: " + file)
	}
	f, err := s.fs.Create(s.Place(checkpoint.TemporaryPrefix + file))
	if err != nil {
		return nil, checkpoint.WriteError(s.Place(file), err)
	}
	return &temporary{store: s, file: f, name: file}, nil
}

// temporary is a file that has not got its name yet.
type temporary struct {
	store *Store
	file  vfs.File // nil once it is closed
	name  string
	done  bool
}

func (t *temporary) Write(p []byte) (int, error) {
	n, err := t.file.Write(p)
	return n, checkpoint.WriteError(t.store.Place(t.name), err)
}

// Commit of a segment passes the windows around its sync.
func (t *temporary) Commit() error {
	failpoint.Hit(failpoint.SegmentSyncBefore)
	if err := t.publish(); err != nil {
		return err
	}
	failpoint.Hit(failpoint.SegmentSyncAfter)
	return nil
}

// publish syncs the bytes, closes the file and gives it its name.
func (t *temporary) publish() error {
	err := t.file.Sync()
	closeErr := t.file.Close()
	t.file = nil
	if err == nil {
		err = closeErr
	}
	if err == nil {
		err = t.store.fs.Rename(t.store.Place(checkpoint.TemporaryPrefix+t.name), t.store.Place(t.name))
	}
	if err != nil {
		return checkpoint.WriteError(t.store.Place(t.name), err)
	}
	t.done = true
	t.store.unsynced.Store(true)
	return nil
}

// Abort removes the temporary file; where that fails the next Open does it.
func (t *temporary) Abort() {
	if t.done {
		return
	}
	t.done = true
	if t.file != nil {
		t.file.Close()
	}
	_ = t.store.remove(checkpoint.TemporaryPrefix + t.name)
}

// PutManifest makes the names of the segments durable, then writes the manifest and makes it durable.
func (s *Store) PutManifest(file string, content []byte) error {
	if s.unsynced.Load() {
		if err := s.sync(); err != nil {
			return err
		}
	}
	failpoint.Hit(failpoint.ManifestBefore)
	t, err := s.create(file)
	if err != nil {
		return err
	}
	defer t.Abort()
	if _, err := t.Write(content); err != nil {
		return err
	}
	if err := t.publish(); err != nil {
		return err
	}
	if err := s.sync(); err != nil {
		return err
	}
	failpoint.Hit(failpoint.ManifestAfter)
	return nil
}

// SetAside renames manifests.
func (s *Store) SetAside(manifests []string) error {
	if len(manifests) == 0 {
		return nil
	}
	for _, file := range manifests {
		if err := s.fs.Rename(s.Place(file), s.Place(checkpoint.AsideName(file))); err != nil {
			return checkpoint.WriteError(s.Place(file), err)
		}
	}
	return s.sync()
}

// Delete removes manifests one after the other, each durably, so that no gap appears among them, then the others.
func (s *Store) Delete(manifests, others []string) error {
	for _, file := range manifests {
		if err := s.remove(file); err != nil {
			return err
		}
		if err := s.sync(); err != nil {
			return err
		}
	}
	for _, file := range others {
		if err := s.remove(file); err != nil {
			return err
		}
	}
	return nil
}
