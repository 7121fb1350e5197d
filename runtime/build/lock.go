package build

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// LockSuffix follows a module's name: late.wasm has late.wasm.lock.
const LockSuffix = ".lock"

// Lock says what a committed module was built from.
type Lock struct {
	Source  string `json:"source"`         // folder of the main package, relative to the lock
	Sources string `json:"sources_sha256"` // of all that is compiled into the module but Go's own library
	Recipe  string `json:"recipe_sha256"`
	Go      string `json:"go"`
	Module  string `json:"wasm_sha256"`
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
	l := &Lock{Source: filepath.ToSlash(rel), Recipe: recipe(), Go: built.Go, Module: built.SHA256}
	l.Sources, err = sources(source)
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
	if l.Recipe != recipe() {
		return fmt.Errorf("%s: the recipe has changed since the module was built", path)
	}
	now, err := sources(filepath.Join(filepath.Dir(path), filepath.FromSlash(l.Source)))
	if err != nil {
		return err
	}
	if now != l.Sources {
		return fmt.Errorf("%s: the sources have changed since the module was built", path)
	}
	return nil
}

func recipe() string {
	return sum([]byte(strings.Join(goRecipe, " ") + "\n" + strings.Join(goEnv, " ")))
}

// sum is the SHA-256 of b in hex.
func sum(b []byte) string {
	digest := sha256.Sum256(b)
	return hex.EncodeToString(digest[:])
}

// sources digests what a guest is compiled from: its own folder and, where its go.mod replaces a module by a folder, that folder
// too. Tests are left out: they are not in the module.
func sources(dir string) (string, error) {
	folders := []string{dir}
	root, mod, err := moduleOf(dir)
	if err != nil {
		return "", err
	}
	for _, line := range strings.Split(string(mod), "\n") {
		_, to, found := strings.Cut(line, "=>")
		if to = strings.TrimSpace(to); found && strings.HasPrefix(to, ".") {
			folders = append(folders, filepath.Join(root, filepath.FromSlash(to)))
		}
	}
	h := sha256.New()
	h.Write(mod)
	for i, folder := range folders {
		files, err := compiled(folder)
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

// moduleOf finds the go.mod that a folder belongs to.
func moduleOf(dir string) (root string, mod []byte, err error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", nil, err
	}
	for root = abs; ; root = filepath.Dir(root) {
		mod, err = os.ReadFile(filepath.Join(root, "go.mod"))
		if err == nil || root == filepath.Dir(root) {
			return root, mod, err
		}
	}
}

// compiled lists the files of a folder and below that a build can read, relative and sorted.
func compiled(folder string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if path != folder && (strings.HasPrefix(name, ".") || name == "testdata" || name == "operatortest") {
				return filepath.SkipDir
			}
			return nil
		}
		if strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") || name == "go.mod" || name == "go.sum" {
			rel, err := filepath.Rel(folder, path)
			if err != nil {
				return err
			}
			files = append(files, filepath.ToSlash(rel))
		}
		return nil
	})
	sort.Strings(files)
	return files, err
}
