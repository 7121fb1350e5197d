// Package vfs is the only way to files for everything a record or a checkpoint passes through, so that faults can be injected
// and a simulation can keep the disk in memory.
//
// The contract is a POSIX one: a file's bytes are durable after Sync, a name (after Create, Rename or Remove) after SyncDir of
// its folder. Errors are those of package os (errors.Is with fs.ErrNotExist, syscall.ENOSPC and so on works).
package vfs

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// File is an open file. A File is used by one goroutine at a time.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.Seeker
	io.Closer
	Name() string
	Stat() (fs.FileInfo, error)
	// Sync makes the bytes written so far durable.
	Sync() error
	Truncate(size int64) error
}

// FS is a file system. Implementations are safe for concurrent use.
type FS interface {
	Open(name string) (File, error)
	// Create makes or truncates a file for reading and writing.
	Create(name string) (File, error)
	// OpenAppend opens an existing file for reading and for writing at its end.
	OpenAppend(name string) (File, error)
	Rename(from, to string) error
	// Link makes a second name for a file; it fails with fs.ErrExist where the name is taken.
	Link(from, to string) error
	Remove(name string) error
	RemoveAll(name string) error
	// MkdirAll makes a folder and what is missing above it, durable on return.
	MkdirAll(name string) error
	Stat(name string) (fs.FileInfo, error)
	// ReadDir lists a folder, sorted by name.
	ReadDir(name string) ([]fs.DirEntry, error)
	// SyncDir makes the names in a folder durable.
	SyncDir(name string) error
	// Lock takes an exclusive lock on the file (made where missing) that the operating system frees when the process dies. It
	// does not wait: where another holder has it, the error is ErrLocked, a LockedError where it is known which.
	Lock(name string) (io.Closer, error)
}

// wholeBytesMax bounds what ReadFile reads; what is larger is read piece by piece.
const wholeBytesMax = 128 << 20

// ReadFile reads a whole file of at most 128 MiB.
func ReadFile(f FS, name string) ([]byte, error) {
	file, err := f.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, wholeBytesMax+1))
	if len(content) > wholeBytesMax {
		return nil, &fs.PathError{Op: "read", Path: name, Err: syscall.EFBIG}
	}
	return content, err
}

// ErrIrregular is the error of opening what is neither a file nor a folder: a pipe, a device, a socket. Reading one may never end.
var ErrIrregular = errors.New("it is no regular file")

// Base and Join are those of path/filepath, here so that callers need not import os-facing packages.
func Base(name string) string { return filepath.Base(name) }

// Join joins path elements.
func Join(elem ...string) string { return filepath.Join(elem...) }

// Disk is the machine's file system.
var Disk FS = disk{}

type disk struct{}

// Open does not wait for the other end of a pipe, and refuses it.
func (disk) Open(name string) (File, error) {
	f, err := open(name, os.O_RDONLY|syscall.O_NONBLOCK)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() && !info.IsDir() {
		return nil, errors.Join(&fs.PathError{Op: "open", Path: name, Err: cmp.Or(err, ErrIrregular)}, f.Close())
	}
	return f, nil
}
func (disk) Create(name string) (File, error) {
	return open(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
}
func (disk) OpenAppend(name string) (File, error) { return open(name, os.O_RDWR|os.O_APPEND) }

func open(name string, flags int) (File, error) {
	f, err := os.OpenFile(name, flags, 0o644)
	if err != nil {
		return nil, err // a nil *os.File must not become a non-nil File
	}
	return f, nil
}

func (disk) Rename(from, to string) error               { return os.Rename(from, to) }
func (disk) Link(from, to string) error                 { return os.Link(from, to) }
func (disk) Remove(name string) error                   { return os.Remove(name) }
func (disk) RemoveAll(name string) error                { return os.RemoveAll(name) }
func (disk) Stat(name string) (fs.FileInfo, error)      { return os.Stat(name) }
func (disk) ReadDir(name string) ([]fs.DirEntry, error) { return os.ReadDir(name) }

func (d disk) MkdirAll(name string) error {
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return nil
	}
	parent := filepath.Dir(name)
	if parent != name {
		if err := d.MkdirAll(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(name, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if info, err := os.Stat(name); err != nil || !info.IsDir() {
		return &fs.PathError{Op: "mkdir", Path: name, Err: syscall.ENOTDIR}
	}
	return d.SyncDir(parent)
}

func (disk) SyncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
