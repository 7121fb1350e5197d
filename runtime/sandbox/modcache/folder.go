package modcache

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/zeebo/xxh3"

	"github.com/tidemill/tidemill/runtime/sandbox/meter"
	"github.com/tidemill/tidemill/runtime/sandbox/profile"
)

// entry is what the folder keeps about a module that was accepted: a file of
//
//	16 bytes  XXH3-128 of all that follows, big-endian
//	 4 bytes  length of the head, little-endian
//	the head, JSON
//	the metered bytes
type entry struct {
	// The versions under which the module was accepted.
	Profile int `json:"profile"`
	Meter   int `json:"meter"`
	// MemoryBytesMin is what the module asks for at its start; the limit is checked against it.
	MemoryBytesMin uint64       `json:"memory_bytes_min"`
	Report         meter.Report `json:"report"`

	metered []byte
}

const (
	sumBytes  = 16
	headBytes = 4
)

var errDamaged = errors.New("the file is damaged")

func (c *Cache) path(digest Digest) string { return filepath.Join(c.folder, digest.String()) }

// read finds a module in the folder. What is damaged counts as not there, and is told.
func (c *Cache) read(digest Digest) (entry, bool) {
	if c.folder == "" {
		return entry{}, false
	}
	file, err := os.ReadFile(c.path(digest))
	if errors.Is(err, fs.ErrNotExist) {
		return entry{}, false
	}
	var e entry
	if err == nil {
		e, err = decode(file)
	}
	if err != nil {
		c.warn(fmt.Errorf("reading the module cache: %s: %w; the module is metered anew", c.path(digest), err))
		return entry{}, false
	}
	current := e.Profile == profile.Version && e.Meter == meter.Version && e.MemoryBytesMin <= c.limits.MemoryBytesMax
	if !current {
		return entry{}, false
	}
	return e, true
}

func decode(file []byte) (entry, error) {
	var e entry
	if len(file) < sumBytes+headBytes {
		return e, errDamaged
	}
	body := file[sumBytes:]
	if sum := xxh3.Hash128(body).Bytes(); !bytes.Equal(sum[:], file[:sumBytes]) {
		return e, errDamaged
	}
	length := uint64(binary.LittleEndian.Uint32(body))
	body = body[headBytes:]
	if length > uint64(len(body)) {
		return e, errDamaged
	}
	if err := json.Unmarshal(body[:length], &e); err != nil {
		return e, err
	}
	e.metered = body[length:]
	return e, nil
}

// write keeps a module in the folder.
func (c *Cache) write(digest Digest, e entry) {
	if c.folder == "" {
		return
	}
	e.Profile, e.Meter = profile.Version, meter.Version
	if err := writeFile(c.path(digest), encode(e)); err != nil {
		c.warn(fmt.Errorf("writing the module cache: %w", err))
	}
}

func encode(e entry) []byte {
	head, err := json.Marshal(e)
	if err != nil {
		panic(err) // a struct of numbers
	}
	file := make([]byte, sumBytes+headBytes, sumBytes+headBytes+len(head)+len(e.metered))
	binary.LittleEndian.PutUint32(file[sumBytes:], uint32(len(head)))
	file = append(append(file, head...), e.metered...)
	sum := xxh3.Hash128(file[sumBytes:]).Bytes()
	copy(file, sum[:])
	return file
}

// writeFile writes a file whole or not at all.
func writeFile(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}
