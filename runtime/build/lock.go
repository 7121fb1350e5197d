package build

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// LockSuffix follows a module's name: late.wasm has late.wasm.lock.
const LockSuffix = ".lock"

// Lock says what a committed module was built from.
type Lock struct {
	Source    string `json:"source"`         // folder of the operator, relative to the lock
	Sources   string `json:"sources_sha256"` // of all that is compiled into the module but the language's own library
	Recipe    string `json:"recipe_sha256"`
	Toolchain string `json:"toolchain"`
	Module    string `json:"wasm_sha256"`
}

// Locks finds all locks below a folder, sorted.
func Locks(root string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && strings.HasPrefix(d.Name(), ".") {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".wasm"+LockSuffix) {
			found = append(found, path)
		}
		return nil
	})
	return found, err
}

// ReadLock reads a lock.
func ReadLock(path string) (*Lock, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	l := new(Lock)
	if err := json.Unmarshal(text, l); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return l, nil
}

// NewLock describes a module that was just built from a source folder.
func NewLock(path, source string, built *Built) (*Lock, error) {
	rel, err := filepath.Rel(filepath.Dir(path), source)
	if err != nil {
		return nil, err
	}
	in, err := languageOf(source)
	if err != nil {
		return nil, err
	}
	l := &Lock{Source: filepath.ToSlash(rel), Recipe: sum([]byte(in.recipe)), Toolchain: built.Toolchain, Module: built.SHA256}
	l.Sources, err = in.digest(source)
	return l, err
}

// Write writes the lock.
func (l *Lock) Write(path string) error {
	text, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// Check compares a lock with the module and the sources as they are now, without building.
func (l *Lock) Check(path string) error {
	binary, err := os.ReadFile(strings.TrimSuffix(path, LockSuffix))
	if err != nil {
		return err
	}
	if sum(binary) != l.Module {
		return fmt.Errorf("%s: the module is not the one that the lock describes", path)
	}
	source := filepath.Join(filepath.Dir(path), filepath.FromSlash(l.Source))
	in, err := languageOf(source)
	if err != nil {
		return err
	}
	if l.Recipe != sum([]byte(in.recipe)) {
		return fmt.Errorf("%s: the recipe has changed since the module was built", path)
	}
	now, err := in.digest(source)
	if err != nil {
		return err
	}
	if now != l.Sources {
		return fmt.Errorf("%s: the sources have changed since the module was built", path)
	}
	return nil
}

// digestFolders digests a prefix and the sources in folders and below.
func digestFolders(prefix []byte, folders []string, source func(name string) bool, skip ...string) (string, error) {
	h := sha256.New()
	h.Write(prefix)
	for i, folder := range folders {
		files, err := filesBelow(folder, source, skip...)
		if err != nil {
			return "", err
		}
		for _, file := range files {
			text, err := os.ReadFile(filepath.Join(folder, filepath.FromSlash(file)))
			if err != nil {
				return "", err
			}
			fmt.Fprintf(h, "%d %s %d\n", i, file, len(text))
			h.Write(text)
		}
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// filesBelow lists the sources of a folder and below, relative and sorted. Folders with a dot in front, and those of the given
// names, are left out.
func filesBelow(folder string, source func(name string) bool, skip ...string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if path != folder && (strings.HasPrefix(name, ".") || slices.Contains(skip, name)) {
				return filepath.SkipDir
			}
			return nil
		}
		if source(name) {
			rel, err := filepath.Rel(folder, path)
			if err != nil {
				return err
			}
			files = append(files, filepath.ToSlash(rel))
		}
		return nil
	})
	slices.Sort(files)
	return files, err
}

// sum is the SHA-256 of b in hex.
func sum(b []byte) string {
	digest := sha256.Sum256(b)
	return hex.EncodeToString(digest[:])
}
