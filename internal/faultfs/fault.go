package faultfs

import (
	"io"
	"io/fs"
	"slices"
	"sync"

	"github.com/tidemill/tidemill/internal/vfs"
)

// Op is an operation of a file system or a file.
type Op string

// The operations.
const (
	Open     Op = "open" // for reading or appending
	Create   Op = "create"
	Read     Op = "read" // Read and ReadAt
	Write    Op = "write"
	Sync     Op = "sync"
	Truncate Op = "truncate"
	Close    Op = "close"
	Rename   Op = "rename"
	Link     Op = "link"
	Remove   Op = "remove" // Remove and RemoveAll
	Mkdir    Op = "mkdir"
	SyncDir  Op = "syncdir"
	Stat     Op = "stat"
	ReadDir  Op = "readdir"
	Lock     Op = "lock"
)

// Writes are the operations that a full disk can fail.
var Writes = []Op{Create, Write, Sync, Truncate, Rename, Link, Mkdir, SyncDir}

// Changes are the operations that change what is on the disk, or make it durable: a crash between any two of them is of interest.
var Changes = append([]Op{Remove}, Writes...)

// FS passes operations on to another file system until one is to fail.
type FS struct {
	inner vfs.FS

	mu     sync.Mutex
	left   int // until the failure, 0 where none is planned
	err    error
	ops    []Op // that count and fail; nil is all
	sticky bool
	fired  bool
	path   string
	op     Op
}

// Wrap returns a file system that fails nothing yet.
func Wrap(inner vfs.FS) *FS { return &FS{inner: inner} }

// FailAt makes the n-th of the operations from now fail, n from 1; no ops means any operation.
func (f *FS) FailAt(n int, err error, ops ...Op) { f.plan(n, err, false, ops) }

// FailFrom makes the n-th of the operations from now fail, and every one of them after it.
func (f *FS) FailFrom(n int, err error, ops ...Op) { f.plan(n, err, true, ops) }

// Heal ends all failures.
func (f *FS) Heal() { f.plan(0, nil, false, nil) }

func (f *FS) plan(n int, err error, sticky bool, ops []Op) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left, f.err, f.sticky, f.ops, f.fired = n, err, sticky, ops, false
}

// Fired says whether an operation has failed since the last plan.
func (f *FS) Fired() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.fired
}

// Where names the operation that failed first since the last plan, for a test's messages.
func (f *FS) Where() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return string(f.op) + " " + f.path
}

// check counts an operation and returns the error it is to fail with.
func (f *FS) check(op Op, path string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.left == 0 || len(f.ops) > 0 && !slices.Contains(f.ops, op) {
		return nil
	}
	if f.left > 1 {
		f.left--
		return nil
	}
	if f.fired && !f.sticky {
		return nil
	}
	if !f.fired {
		f.fired, f.op, f.path = true, op, path
	}
	return &fs.PathError{Op: string(op), Path: path, Err: f.err}
}

// Open implements vfs.FS.
func (f *FS) Open(name string) (vfs.File, error) { return f.open(Open, name, f.inner.Open) }

// Create implements vfs.FS.
func (f *FS) Create(name string) (vfs.File, error) { return f.open(Create, name, f.inner.Create) }

// OpenAppend implements vfs.FS.
func (f *FS) OpenAppend(name string) (vfs.File, error) { return f.open(Open, name, f.inner.OpenAppend) }

func (f *FS) open(op Op, name string, open func(string) (vfs.File, error)) (vfs.File, error) {
	if err := f.check(op, name); err != nil {
		return nil, err
	}
	inner, err := open(name)
	if err != nil {
		return nil, err
	}
	return &file{inner, f}, nil
}

// Rename implements vfs.FS.
func (f *FS) Rename(from, to string) error {
	if err := f.check(Rename, to); err != nil {
		return err
	}
	return f.inner.Rename(from, to)
}

// Link implements vfs.FS.
func (f *FS) Link(from, to string) error {
	if err := f.check(Link, to); err != nil {
		return err
	}
	return f.inner.Link(from, to)
}

// Remove implements vfs.FS.
func (f *FS) Remove(name string) error {
	if err := f.check(Remove, name); err != nil {
		return err
	}
	return f.inner.Remove(name)
}

// RemoveAll implements vfs.FS.
func (f *FS) RemoveAll(name string) error {
	if err := f.check(Remove, name); err != nil {
		return err
	}
	return f.inner.RemoveAll(name)
}

// MkdirAll implements vfs.FS.
func (f *FS) MkdirAll(name string) error {
	if err := f.check(Mkdir, name); err != nil {
		return err
	}
	return f.inner.MkdirAll(name)
}

// Stat implements vfs.FS.
func (f *FS) Stat(name string) (fs.FileInfo, error) {
	if err := f.check(Stat, name); err != nil {
		return nil, err
	}
	return f.inner.Stat(name)
}

// ReadDir implements vfs.FS.
func (f *FS) ReadDir(name string) ([]fs.DirEntry, error) {
	if err := f.check(ReadDir, name); err != nil {
		return nil, err
	}
	return f.inner.ReadDir(name)
}

// SyncDir implements vfs.FS.
func (f *FS) SyncDir(name string) error {
	if err := f.check(SyncDir, name); err != nil {
		return err
	}
	return f.inner.SyncDir(name)
}

// Lock implements vfs.FS.
func (f *FS) Lock(name string) (io.Closer, error) {
	if err := f.check(Lock, name); err != nil {
		return nil, err
	}
	return f.inner.Lock(name)
}

type file struct {
	vfs.File
	fs *FS
}

func (f *file) Read(p []byte) (int, error) {
	if err := f.fs.check(Read, f.Name()); err != nil {
		return 0, err
	}
	return f.File.Read(p)
}

func (f *file) ReadAt(p []byte, off int64) (int, error) {
	if err := f.fs.check(Read, f.Name()); err != nil {
		return 0, err
	}
	return f.File.ReadAt(p, off)
}

func (f *file) Write(p []byte) (int, error) {
	if err := f.fs.check(Write, f.Name()); err != nil {
		n, _ := f.File.Write(p[:len(p)/2])
		return n, err
	}
	return f.File.Write(p)
}

func (f *file) Sync() error {
	if err := f.fs.check(Sync, f.Name()); err != nil {
		return err
	}
	return f.File.Sync()
}

func (f *file) Truncate(size int64) error {
	if err := f.fs.check(Truncate, f.Name()); err != nil {
		return err
	}
	return f.File.Truncate(size)
}

func (f *file) Stat() (fs.FileInfo, error) {
	if err := f.fs.check(Stat, f.Name()); err != nil {
		return nil, err
	}
	return f.File.Stat()
}

// Close closes the file also where it is to fail: a descriptor is gone in any case.
func (f *file) Close() error {
	err := f.fs.check(Close, f.Name())
	if inner := f.File.Close(); err == nil {
		err = inner
	}
	return err
}
