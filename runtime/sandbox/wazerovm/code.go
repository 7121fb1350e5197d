package wazerovm

import (
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/zeebo/xxh3"
)

// codeFolder keeps compiled code, one folder a module.
type codeFolder struct {
	path string
	warn func(error)
}

// sumsFile lists the files of an entry, a line each: checksum, space, path. It is written last.
const sumsFile = "sums"

// codeEntry is the folder of one module. Without a cache the engine compiles in memory.
type codeEntry struct {
	folder *codeFolder
	path   string
	cache  wazero.CompilationCache
	sealed bool
}

// open finds the entry of a module and verifies it: what does not match its checksums is removed.
func (f *codeFolder) open(metered []byte) *codeEntry {
	e := &codeEntry{folder: f}
	if f.path == "" {
		return e
	}
	digest := xxh3.Hash128(metered).Bytes() // a name only: within the folder the engine has a key of its own
	e.path = filepath.Join(f.path, hex.EncodeToString(digest[:]))
	want, err := os.ReadFile(filepath.Join(e.path, sumsFile))
	if err == nil {
		var have string
		have, err = e.sums()
		e.sealed = err == nil && have == string(want)
	}
	if !e.sealed {
		e.remove()
	}
	if e.cache, err = wazero.NewCompilationCacheWithDir(e.path); err != nil {
		f.warn(fmt.Errorf("keeping compiled code on disk: %w", err))
		e.cache = nil
	}
	return e
}

// seal writes the checksums of what has been compiled.
func (e *codeEntry) seal() {
	if e.cache == nil || e.sealed {
		return
	}
	sums, err := e.sums()
	if err == nil {
		err = writeFile(filepath.Join(e.path, sumsFile), sums)
	}
	if err != nil {
		e.folder.warn(fmt.Errorf("keeping compiled code on disk: %w", err))
	}
}

// remove gives the entry up.
func (e *codeEntry) remove() {
	if err := os.RemoveAll(e.path); err != nil {
		e.folder.warn(fmt.Errorf("removing compiled code: %w", err))
	}
}

func (e *codeEntry) sums() (string, error) {
	var lines []string
	err := filepath.WalkDir(e.path, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(e.path, path)
		if err != nil || name == sumsFile {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		sum := xxh3.Hash128(b).Bytes()
		lines = append(lines, fmt.Sprintf("%x %s\n", sum, filepath.ToSlash(name)))
		return nil
	})
	slices.Sort(lines)
	return strings.Join(lines, ""), err
}

// writeFile writes a small file whole or not at all.
func writeFile(path, content string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(content)
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
