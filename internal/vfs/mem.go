package vfs

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"syscall"
	"time"
)

// ErrCrashed is what files that were open before a Crash return after it.
var ErrCrashed = errors.New("the machine has crashed since the file was opened")

// Mem is a file system in memory that knows what is durable: Crash leaves what a machine may find after a loss of power. It is safe
// for concurrent use. Times are zero.
type Mem struct {
	mu    sync.Mutex
	root  *node
	epoch int // grows with each Crash: files opened before are gone
}

// node is a file or a folder.
type node struct {
	folder bool
	names  map[string]*node
	// pending are changes of names since the folder was synced; durable are the names before them.
	pending []*change
	durable map[string]*node

	data, synced []byte
	locked       bool
}

// change is one atomic change of names, in one folder or, by a rename, in two. It is in the pending list of both.
type change struct{ sets []set }

type set struct {
	in   *node
	name string
	to   *node // nil: removed
}

// NewMem returns an empty file system.
func NewMem() *Mem { return &Mem{root: newFolder()} }

func newFolder() *node {
	return &node{folder: true, names: map[string]*node{}, durable: map[string]*node{}}
}

// Crash loses power: what was not synced is gone, names and bytes, and so are open files and locks. With a random source parts of it
// survive, as they may on a real disk: any of the changes of names, a rename as a whole, and of each file's new bytes the first few;
// now and then all of it does, as when only the process ends.
func (m *Mem) Crash(random *rand.Rand) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch++
	luck := func(n int) int { return 0 } // how many of n parts survive
	if random != nil && random.IntN(4) == 0 {
		luck = func(n int) int { return n }
	} else if random != nil {
		luck = func(n int) int { return random.IntN(n + 1) }
	}
	m.root.decide(luck)
	m.root.settle(luck)
}

// decide makes pending changes of names durable or forgets them.
func (n *node) decide(luck func(int) int) {
	for _, c := range n.pending {
		if luck(1) == 1 {
			c.apply()
		}
		c.drop()
	}
	for _, name := range sortedNames(n.durable) {
		n.durable[name].decide(luck)
	}
}

// settle makes what is durable all there is.
func (n *node) settle(luck func(int) int) {
	n.locked = false
	if !n.folder {
		if bytes.HasPrefix(n.data, n.synced) {
			n.synced = n.data[:len(n.synced)+luck(len(n.data)-len(n.synced))]
		} else if luck(1) == 1 {
			n.synced = n.data
		}
		n.data, n.synced = slices.Clone(n.synced), slices.Clone(n.synced)
		return
	}
	n.names = map[string]*node{}
	for _, name := range sortedNames(n.durable) {
		n.names[name] = n.durable[name]
		n.durable[name].settle(luck)
	}
}

func sortedNames(names map[string]*node) []string {
	list := make([]string, 0, len(names))
	for name := range names {
		list = append(list, name)
	}
	sort.Strings(list)
	return list
}

// apply makes a change durable.
func (c *change) apply() {
	for _, s := range c.sets {
		if s.to == nil {
			delete(s.in.durable, s.name)
		} else {
			s.in.durable[s.name] = s.to
		}
	}
}

// drop takes a change off all pending lists.
func (c *change) drop() {
	for _, s := range c.sets {
		s.in.pending = slices.DeleteFunc(slices.Clone(s.in.pending), func(o *change) bool { return o == c })
	}
}

// change carries out a change of names that is not durable yet.
func (m *Mem) change(sets ...set) {
	c := &change{sets: sets}
	for _, s := range sets {
		if s.to == nil {
			delete(s.in.names, s.name)
		} else {
			s.in.names[s.name] = s.to
		}
		if !slices.Contains(s.in.pending, c) {
			s.in.pending = append(s.in.pending, c)
		}
	}
}

// find walks to a name: its folder, its last element and what it names, nil where nothing.
func (m *Mem) find(op, name string) (in *node, last string, at *node, err error) {
	in, at = nil, m.root
	for _, part := range strings.Split(filepath.ToSlash(filepath.Clean(name)), "/") {
		if part == "" || part == "." {
			continue
		}
		if at == nil {
			return nil, "", nil, &fs.PathError{Op: op, Path: name, Err: syscall.ENOENT}
		}
		if !at.folder {
			return nil, "", nil, &fs.PathError{Op: op, Path: name, Err: syscall.ENOTDIR}
		}
		in, last, at = at, part, at.names[part]
	}
	return in, last, at, nil
}

// must is find of something that exists.
func (m *Mem) must(op, name string) (in *node, last string, at *node, err error) {
	in, last, at, err = m.find(op, name)
	if err == nil && at == nil {
		err = &fs.PathError{Op: op, Path: name, Err: syscall.ENOENT}
	}
	return in, last, at, err
}

// Open opens a file or a folder for reading.
func (m *Mem) Open(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, _, at, err := m.must("open", name)
	if err != nil {
		return nil, err
	}
	return &memFile{fs: m, node: at, name: name, epoch: m.epoch}, nil
}

// Create makes or truncates a file.
func (m *Mem) Create(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	in, last, at, err := m.find("open", name)
	switch {
	case err != nil:
		return nil, err
	case at != nil && at.folder:
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EISDIR}
	case at != nil:
		at.data = nil
	default:
		at = &node{}
		m.change(set{in, last, at})
	}
	return &memFile{fs: m, node: at, name: name, epoch: m.epoch, writable: true}, nil
}

// OpenAppend opens an existing file for writing at its end.
func (m *Mem) OpenAppend(name string) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, _, at, err := m.must("open", name)
	if err == nil && at.folder {
		err = &fs.PathError{Op: "open", Path: name, Err: syscall.EISDIR}
	}
	if err != nil {
		return nil, err
	}
	return &memFile{fs: m, node: at, name: name, epoch: m.epoch, writable: true, atEnd: true}, nil
}

// Rename gives a file another name; a file that has it already is replaced.
func (m *Mem) Rename(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	fromIn, fromName, at, fromErr := m.find("rename", from)
	toIn, toName, old, err := m.find("rename", to)
	switch err = cmp.Or(fromErr, err); {
	case err != nil:
		return err
	case at == nil:
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: syscall.ENOENT}
	case old != nil && old.folder:
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: syscall.EEXIST}
	}
	if old != at {
		m.change(set{fromIn, fromName, nil}, set{toIn, toName, at})
	}
	return nil
}

// Link makes a second name for a file.
func (m *Mem) Link(from, to string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, _, at, err := m.must("link", from)
	if err != nil {
		return err
	}
	in, last, old, err := m.find("link", to)
	if err == nil && old != nil {
		err = &os.LinkError{Op: "link", Old: from, New: to, Err: syscall.EEXIST}
	}
	if err != nil {
		return err
	}
	m.change(set{in, last, at})
	return nil
}

// Remove removes a file or an empty folder.
func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	in, last, at, err := m.must("remove", name)
	if err == nil && at.folder && len(at.names) > 0 {
		err = &fs.PathError{Op: "remove", Path: name, Err: syscall.ENOTEMPTY}
	}
	if err != nil {
		return err
	}
	m.change(set{in, last, nil})
	return nil
}

// RemoveAll removes a file or folder with all that is in it; what is not there is no error.
func (m *Mem) RemoveAll(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	in, last, at, err := m.find("remove", name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && at == nil {
		return nil
	}
	if err == nil {
		m.change(set{in, last, nil})
	}
	return err
}

// MkdirAll makes a folder and those above it, durable at once.
func (m *Mem) MkdirAll(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	at := m.root
	for _, part := range strings.Split(filepath.ToSlash(filepath.Clean(name)), "/") {
		if part == "" || part == "." {
			continue
		}
		next := at.names[part]
		if next == nil {
			next = newFolder()
			at.names[part] = next
			at.durable[part] = next
		}
		if !next.folder {
			return &fs.PathError{Op: "mkdir", Path: name, Err: syscall.ENOTDIR}
		}
		at = next
	}
	return nil
}

// Stat describes a file or folder.
func (m *Mem) Stat(name string) (fs.FileInfo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, last, at, err := m.must("stat", name)
	if err != nil {
		return nil, err
	}
	return at.info(last), nil
}

func (n *node) info(name string) memInfo {
	return memInfo{name: name, bytes: int64(len(n.data)), folder: n.folder}
}

// ReadDir lists a folder.
func (m *Mem) ReadDir(name string) ([]fs.DirEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, _, at, err := m.must("open", name)
	if err == nil && !at.folder {
		err = &fs.PathError{Op: "readdir", Path: name, Err: syscall.ENOTDIR}
	}
	if err != nil {
		return nil, err
	}
	var list []fs.DirEntry
	for _, name := range sortedNames(at.names) {
		list = append(list, fs.FileInfoToDirEntry(at.names[name].info(name)))
	}
	return list, nil
}

// SyncDir makes the names in a folder durable.
func (m *Mem) SyncDir(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, _, at, err := m.must("sync", name)
	if err != nil {
		return err
	}
	for _, c := range at.pending {
		c.apply()
		c.drop()
	}
	return nil
}

// Lock locks a file until the lock is closed or Crash.
func (m *Mem) Lock(name string) (io.Closer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	in, last, at, err := m.find("open", name)
	if err != nil {
		return nil, err
	}
	if at == nil {
		at = &node{}
		m.change(set{in, last, at})
	}
	if at.locked {
		return nil, ErrLocked
	}
	at.locked = true
	return memLock{m, at, m.epoch}, nil
}

type memLock struct {
	fs    *Mem
	node  *node
	epoch int
}

func (l memLock) Close() error {
	l.fs.mu.Lock()
	defer l.fs.mu.Unlock()
	if l.epoch == l.fs.epoch {
		l.node.locked = false
	}
	return nil
}

type memInfo struct {
	name   string
	bytes  int64
	folder bool
}

func (i memInfo) Name() string       { return i.name }
func (i memInfo) Size() int64        { return i.bytes }
func (i memInfo) IsDir() bool        { return i.folder }
func (i memInfo) ModTime() time.Time { return time.Time{} }
func (i memInfo) Sys() any           { return nil }
func (i memInfo) Mode() fs.FileMode {
	if i.folder {
		return fs.ModeDir | 0o755
	}
	return 0o644
}

// memFile is an open file.
type memFile struct {
	fs       *Mem
	node     *node
	name     string
	at       int64
	epoch    int
	writable bool
	atEnd    bool
	closed   bool
}

// use locks the file system and checks that the file is still open; the caller unlocks.
func (f *memFile) use(op string, write bool) error {
	f.fs.mu.Lock()
	var err error
	switch {
	case f.epoch != f.fs.epoch:
		err = ErrCrashed
	case f.closed:
		err = fs.ErrClosed
	case f.node.folder:
		err = syscall.EISDIR
	case write && !f.writable:
		err = syscall.EBADF
	}
	if err != nil {
		return &fs.PathError{Op: op, Path: f.name, Err: err}
	}
	return nil
}

func (f *memFile) Read(p []byte) (int, error) {
	n, err := f.ReadAt(p, f.at)
	f.at += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	defer f.fs.mu.Unlock()
	if err := f.use("read", false); err != nil {
		return 0, err
	}
	if len(p) == 0 {
		return 0, nil
	}
	if off >= int64(len(f.node.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.node.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) Write(p []byte) (int, error) {
	defer f.fs.mu.Unlock()
	if err := f.use("write", true); err != nil || len(p) == 0 {
		return 0, err
	}
	if f.atEnd {
		f.at = int64(len(f.node.data))
	}
	f.node.resize(max(int64(len(f.node.data)), f.at+int64(len(p))))
	copy(f.node.data[f.at:], p)
	f.at += int64(len(p))
	return len(p), nil
}

func (n *node) resize(bytes int64) {
	if extra := bytes - int64(len(n.data)); extra > 0 {
		n.data = append(n.data, make([]byte, extra)...)
	}
	n.data = n.data[:bytes]
}

func (f *memFile) Seek(offset int64, whence int) (int64, error) {
	defer f.fs.mu.Unlock()
	if err := f.use("seek", false); err != nil {
		return 0, err
	}
	switch whence {
	case io.SeekCurrent:
		offset += f.at
	case io.SeekEnd:
		offset += int64(len(f.node.data))
	}
	if offset < 0 {
		return 0, &fs.PathError{Op: "seek", Path: f.name, Err: syscall.EINVAL}
	}
	f.at = offset
	return offset, nil
}

func (f *memFile) Close() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.closed {
		return &fs.PathError{Op: "close", Path: f.name, Err: fs.ErrClosed}
	}
	f.closed = true
	return nil
}

func (f *memFile) Name() string { return f.name }

func (f *memFile) Stat() (fs.FileInfo, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return f.node.info(filepath.Base(f.name)), nil
}

func (f *memFile) Sync() error {
	defer f.fs.mu.Unlock()
	if err := f.use("sync", false); err != nil {
		return err
	}
	f.node.synced = slices.Clone(f.node.data)
	return nil
}

func (f *memFile) Truncate(size int64) error {
	defer f.fs.mu.Unlock()
	if err := f.use("truncate", true); err != nil {
		return err
	}
	f.node.resize(size)
	return nil
}
