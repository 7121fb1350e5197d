package faultfs

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"sort"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/tidemill/tidemill/internal/vfs"
)

// ErrCrashed is what files that were open before a crash return after it.
var ErrCrashed = errors.New("the machine has crashed since the file was opened")

// Mem is a disk in memory. Folders are durable at once; a file's bytes are after Sync, a name is after SyncDir of its folder.
type Mem struct {
	mu      sync.Mutex
	life    int // crashes so far
	names   map[string]*inode
	durable map[string]*inode
	folders map[string]bool
	journal map[string][]change // by folder: changes of names since its SyncDir, oldest first
	locks   map[string]bool
}

// inode is the content of a file.
type inode struct {
	data    []byte
	durable []byte
}

// change is one operation on names: each name then stands for the inode, or for nothing. All of it happens or nothing.
type change map[string]*inode

// NewMem returns an empty disk with the folder "/".
func NewMem() *Mem {
	return &Mem{names: map[string]*inode{}, durable: map[string]*inode{}, folders: map[string]bool{"/": true, ".": true},
		journal: map[string][]change{}, locks: map[string]bool{}}
}

// Crash stops the machine and starts it again: what was not durable is lost. With a random source parts of it survive, as they may
// on a real disk: of each folder's changes the first few, of each file's new bytes the first few. Locks are free, open files fail.
func (m *Mem) Crash(random *rand.Rand) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.life++
	if random != nil {
		for _, folder := range sortedKeys(m.journal) {
			changes := m.journal[folder]
			m.settle(changes[:random.IntN(len(changes)+1)])
		}
	}
	m.journal = map[string][]change{}
	m.locks = map[string]bool{}
	m.names = map[string]*inode{}
	for _, name := range sortedKeys(m.durable) {
		n := m.durable[name]
		survived := len(n.durable)
		if random != nil && bytes.HasPrefix(n.data, n.durable) {
			survived += random.IntN(len(n.data) - len(n.durable) + 1)
			n.durable = n.data[:survived:survived]
		}
		n.data = bytes.Clone(n.durable)
		m.names[name] = n
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

func (m *Mem) settle(changes []change) {
	for _, c := range changes {
		for name, n := range c {
			if n == nil {
				delete(m.durable, name)
			} else {
				m.durable[name] = n
			}
		}
	}
}

// apply makes a change of names in a folder, not yet durable.
func (m *Mem) apply(folder string, c change) {
	for name, n := range c {
		if n == nil {
			delete(m.names, name)
		} else {
			m.names[name] = n
		}
	}
	m.journal[folder] = append(m.journal[folder], c)
}

func pathError(op, name string, err error) error { return &fs.PathError{Op: op, Path: name, Err: err} }

// Open implements vfs.FS.
func (m *Mem) Open(name string) (vfs.File, error) { return m.open(name, false, false) }

// OpenAppend implements vfs.FS.
func (m *Mem) OpenAppend(name string) (vfs.File, error) { return m.open(name, true, false) }

// Create implements vfs.FS.
func (m *Mem) Create(name string) (vfs.File, error) { return m.open(name, true, true) }

func (m *Mem) open(name string, write, create bool) (vfs.File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	path := filepath.Clean(name)
	n := m.names[path]
	switch {
	case n == nil && m.folders[path] && !write:
		return &memFile{fs: m, name: name, life: m.life}, nil
	case m.folders[path]:
		return nil, pathError("open", name, syscall.EISDIR)
	case n == nil && (!create || !m.folders[filepath.Dir(path)]):
		return nil, pathError("open", name, fs.ErrNotExist)
	case n == nil:
		n = &inode{}
		m.apply(filepath.Dir(path), change{path: n})
	case create:
		n.data = nil
	}
	return &memFile{fs: m, name: name, node: n, life: m.life, write: write, atEnd: write && !create}, nil
}

// Rename implements vfs.FS.
func (m *Mem) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	from, to = filepath.Clean(from), filepath.Clean(to)
	n := m.names[from]
	if n == nil || !m.folders[filepath.Dir(to)] {
		return pathError("rename", from, fs.ErrNotExist)
	}
	if m.names[to] != n { // two names of one file both stay, as POSIX has it
		m.apply(filepath.Dir(to), change{from: nil, to: n})
	}
	return nil
}

// Link implements vfs.FS.
func (m *Mem) Link(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	from, to = filepath.Clean(from), filepath.Clean(to)
	switch n := m.names[from]; {
	case n == nil || !m.folders[filepath.Dir(to)]:
		return pathError("link", from, fs.ErrNotExist)
	case m.names[to] != nil || m.folders[to]:
		return pathError("link", to, fs.ErrExist)
	default:
		m.apply(filepath.Dir(to), change{to: n})
	}
	return nil
}

// Remove implements vfs.FS.
func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	path := filepath.Clean(name)
	if m.folders[path] {
		for _, other := range append(sortedKeys(m.names), sortedKeys(m.folders)...) {
			if strings.HasPrefix(other, path+"/") {
				return pathError("remove", name, syscall.ENOTEMPTY)
			}
		}
		delete(m.folders, path)
		return nil
	}
	if m.names[path] == nil {
		return pathError("remove", name, fs.ErrNotExist)
	}
	m.apply(filepath.Dir(path), change{path: nil})
	return nil
}

// RemoveAll implements vfs.FS.
func (m *Mem) RemoveAll(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	path := filepath.Clean(name)
	for _, other := range sortedKeys(m.names) {
		if other == path || strings.HasPrefix(other, path+"/") {
			m.apply(filepath.Dir(other), change{other: nil})
		}
	}
	for folder := range m.folders {
		if folder == path || strings.HasPrefix(folder, path+"/") {
			m.settle(m.journal[folder])
			delete(m.journal, folder)
			delete(m.folders, folder)
		}
	}
	return nil
}

// MkdirAll implements vfs.FS.
func (m *Mem) MkdirAll(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for path := filepath.Clean(name); !m.folders[path]; path = filepath.Dir(path) {
		if m.names[path] != nil {
			return pathError("mkdir", name, syscall.ENOTDIR)
		}
	}
	for path := filepath.Clean(name); !m.folders[path]; path = filepath.Dir(path) {
		m.folders[path] = true
	}
	return nil
}

// Stat implements vfs.FS.
func (m *Mem) Stat(name string) (fs.FileInfo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	path := filepath.Clean(name)
	if n := m.names[path]; n != nil {
		return memInfo{filepath.Base(path), int64(len(n.data)), false}, nil
	}
	if m.folders[path] {
		return memInfo{filepath.Base(path), 0, true}, nil
	}
	return nil, pathError("stat", name, fs.ErrNotExist)
}

// ReadDir implements vfs.FS.
func (m *Mem) ReadDir(name string) ([]fs.DirEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	folder := filepath.Clean(name)
	if !m.folders[folder] {
		return nil, pathError("readdir", name, fs.ErrNotExist)
	}
	entries := map[string]fs.DirEntry{}
	for path, n := range m.names {
		if filepath.Dir(path) == folder {
			entries[path] = fs.FileInfoToDirEntry(memInfo{filepath.Base(path), int64(len(n.data)), false})
		}
	}
	for path := range m.folders {
		if filepath.Dir(path) == folder && path != folder {
			entries[path] = fs.FileInfoToDirEntry(memInfo{filepath.Base(path), 0, true})
		}
	}
	list := make([]fs.DirEntry, 0, len(entries))
	for _, path := range sortedKeys(entries) {
		list = append(list, entries[path])
	}
	return list, nil
}

// SyncDir implements vfs.FS.
func (m *Mem) SyncDir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	folder := filepath.Clean(name)
	if !m.folders[folder] {
		return pathError("sync", name, fs.ErrNotExist)
	}
	m.settle(m.journal[folder])
	delete(m.journal, folder)
	return nil
}

// Lock implements vfs.FS.
func (m *Mem) Lock(name string) (io.Closer, error) {
	f, err := m.open(name, true, false)
	if errors.Is(err, fs.ErrNotExist) {
		f, err = m.open(name, true, true)
	}
	if err != nil {
		return nil, err
	}
	f.Close()
	m.mu.Lock()
	defer m.mu.Unlock()
	path := filepath.Clean(name)
	if m.locks[path] {
		return nil, vfs.ErrLocked
	}
	m.locks[path] = true
	return &memLock{fs: m, path: path, life: m.life}, nil
}

type memLock struct {
	fs   *Mem
	path string
	life int
}

func (l *memLock) Close() error {
	l.fs.mu.Lock()
	defer l.fs.mu.Unlock()
	if l.life == l.fs.life {
		delete(l.fs.locks, l.path)
	}
	return nil
}

// memFile is an open file, or with a nil node an open folder.
type memFile struct {
	fs     *Mem
	name   string
	node   *inode
	life   int
	at     int64
	write  bool
	atEnd  bool // writes go to the end
	closed bool
}

// use locks the disk and checks that the file can be used; unlock where the error is nil.
func (f *memFile) use(op string, write bool) error {
	f.fs.mu.Lock()
	err := error(nil)
	switch {
	case f.life != f.fs.life:
		err = ErrCrashed
	case f.closed:
		err = fs.ErrClosed
	case f.node == nil:
		err = syscall.EISDIR
	case write && !f.write:
		err = syscall.EBADF
	}
	if err != nil {
		f.fs.mu.Unlock()
		return pathError(op, f.name, err)
	}
	return nil
}

func (f *memFile) Name() string { return f.name }

func (f *memFile) Read(p []byte) (int, error) {
	if err := f.use("read", false); err != nil {
		return 0, err
	}
	defer f.fs.mu.Unlock()
	if f.at >= int64(len(f.node.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.node.data[f.at:])
	f.at += int64(n)
	return n, nil
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.use("read", false); err != nil {
		return 0, err
	}
	defer f.fs.mu.Unlock()
	n := 0
	if off < int64(len(f.node.data)) {
		n = copy(p, f.node.data[off:])
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) Write(p []byte) (int, error) {
	if err := f.use("write", true); err != nil {
		return 0, err
	}
	defer f.fs.mu.Unlock()
	if f.atEnd {
		f.at = int64(len(f.node.data))
	}
	f.grow(f.at + int64(len(p)))
	copy(f.node.data[f.at:], p)
	f.at += int64(len(p))
	return len(p), nil
}

func (f *memFile) grow(size int64) {
	if missing := size - int64(len(f.node.data)); missing > 0 {
		f.node.data = append(f.node.data, make([]byte, missing)...)
	}
}

func (f *memFile) Seek(offset int64, whence int) (int64, error) {
	if err := f.use("seek", false); err != nil {
		return 0, err
	}
	defer f.fs.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		offset += f.at
	case io.SeekEnd:
		offset += int64(len(f.node.data))
	}
	if offset < 0 {
		return 0, pathError("seek", f.name, syscall.EINVAL)
	}
	f.at = offset
	return offset, nil
}

func (f *memFile) Truncate(size int64) error {
	if err := f.use("truncate", true); err != nil {
		return err
	}
	defer f.fs.mu.Unlock()
	f.grow(size)
	f.node.data = f.node.data[:size:size]
	return nil
}

func (f *memFile) Sync() error {
	if err := f.use("sync", false); err != nil {
		return err
	}
	defer f.fs.mu.Unlock()
	f.node.durable = bytes.Clone(f.node.data)
	return nil
}

func (f *memFile) Stat() (fs.FileInfo, error) {
	if f.node == nil {
		return memInfo{filepath.Base(f.name), 0, true}, nil
	}
	if err := f.use("stat", false); err != nil {
		return nil, err
	}
	defer f.fs.mu.Unlock()
	return memInfo{filepath.Base(f.name), int64(len(f.node.data)), false}, nil
}

func (f *memFile) Close() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return pathError("close", f.name, fs.ErrClosed)
	}
	f.closed = true
	return nil
}

// memInfo is a fs.FileInfo without a time.
type memInfo struct {
	name   string
	size   int64
	folder bool
}

func (i memInfo) Name() string       { return i.name }
func (i memInfo) Size() int64        { return i.size }
func (i memInfo) IsDir() bool        { return i.folder }
func (i memInfo) ModTime() time.Time { return time.Time{} }
func (i memInfo) Sys() any           { return nil }
func (i memInfo) Mode() fs.FileMode {
	if i.folder {
		return fs.ModeDir | 0o755
	}
	return 0o644
}
