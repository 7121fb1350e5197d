package wazerovm

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/zeebo/xxh3"

	"github.com/tidemill/tidemill/runtime/sandbox/wasm"
)

// codeFolder keeps compiled code, one folder a module.
//
// wazero checks the types of every instruction before it looks into its own cache, which takes more than half of the time of a
// cached start. What lies here has been checked when it was compiled. So the code is kept under the key of the module's hollow:
// the same module with empty functions, of which a start from the folder has nothing to check. wazero compiles a module that its
// cache does not have, and writes it there. A hollow that was compiled would trap in every function: so a start counts only if
// nothing was written.
type codeFolder struct {
	path string // empty for none
	warn func(error)
}

// sumsFile lists the files of an entry, a line each: checksum, space, path.
const sumsFile = "sums"

// codeEntry is the folder of one module. It is made whole and renamed into place.
type codeEntry struct {
	folder *codeFolder
	path   string
	code   []byte
	hollow []byte
}

func (f *codeFolder) entry(code []byte) *codeEntry {
	digest := xxh3.Hash128(code).Bytes() // a name only: within the folder the engine has a key of its own
	return &codeEntry{folder: f, path: filepath.Join(f.path, hex.EncodeToString(digest[:])), code: code, hollow: hollow(code)}
}

// hollow is a module with `unreachable` for the body of every function.
func hollow(code []byte) []byte {
	sections, err := wasm.Sections(code)
	if err != nil {
		return code // the engine says what is wrong
	}
	out := append(make([]byte, 0, 1<<16), code[:8]...)
	from := 8
	for _, s := range sections {
		if s.ID == wasm.CodeSection {
			count, _ := binary.Uvarint(code[s.Body.Start:])
			body := []byte{3, 0, byte(wasm.OpUnreachable), byte(wasm.OpEnd)} // length, no locals
			out = wasm.AppendSection(out, s.ID, append(wasm.AppendU32(nil, uint32(count)), bytes.Repeat(body, int(count))...))
		} else {
			out = append(out, code[from:s.Body.End]...)
		}
		from = s.Body.End
	}
	return out
}

// load takes the module from the folder. It returns nil where the entry is not there or not as it was made, and removes it then.
func (e *codeEntry) load(ctx context.Context) *compiled {
	if _, err := os.Stat(e.path); err != nil {
		return nil
	}
	var c *compiled
	before, err := e.verify()
	if err == nil {
		c, err = compileIn(ctx, e.hollow, e.path)
	}
	if err == nil && e.unchanged(before) {
		return c
	}
	if c != nil {
		_ = c.Close(ctx) // it has nothing but memory
	}
	if err := os.RemoveAll(e.path); err != nil {
		e.folder.warn(fmt.Errorf("removing compiled code: %w", err))
	}
	return nil
}

// make compiles the module and keeps it. That it cannot be kept is a warning.
func (e *codeEntry) make(ctx context.Context) (*compiled, error) {
	err := os.MkdirAll(e.folder.path, 0o700)
	var tmp string
	if err == nil {
		tmp, err = os.MkdirTemp(e.folder.path, ".new-*")
	}
	if err != nil {
		return e.unkept(ctx, err)
	}
	defer os.RemoveAll(tmp)
	full := filepath.Join(tmp, "full")
	c, err := compileIn(ctx, e.code, full)
	if ctx.Err() != nil {
		return nil, err
	}
	if err != nil { // the folder may be at fault, where a disk is full; without it only the module can be
		return e.unkept(ctx, err)
	}
	if err := e.keep(ctx, full, filepath.Join(tmp, "kept")); err != nil {
		e.folder.warn(fmt.Errorf("keeping compiled code on disk: %w", err))
	}
	return c, nil
}

func (e *codeEntry) unkept(ctx context.Context, why error) (*compiled, error) {
	c, err := compile(ctx, e.code, nil)
	if err == nil {
		e.folder.warn(fmt.Errorf("keeping compiled code on disk: %w", why))
	}
	return c, err
}

// keep puts what was compiled into the folder full into the place of its hollow, and that into the place of the entry.
func (e *codeEntry) keep(ctx context.Context, full, kept string) error {
	c, err := compileIn(ctx, e.hollow, kept)
	if err == nil {
		err = c.Close(ctx)
	}
	if err != nil {
		return err
	}
	from, err := onlyFile(full)
	if err != nil {
		return err
	}
	to, err := onlyFile(kept)
	if err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	sums, _, err := sumsOf(kept)
	if err == nil {
		err = os.WriteFile(filepath.Join(kept, sumsFile), []byte(sums), 0o600)
	}
	if err == nil {
		err = os.Rename(kept, e.path)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil // another process was faster
	}
	return err
}

func onlyFile(folder string) (string, error) {
	_, files, err := sumsOf(folder)
	if err == nil && len(files) != 1 {
		err = fmt.Errorf("the engine wrote %d files for one module", len(files))
	}
	for path := range files {
		return path, err
	}
	return "", err
}

// verify compares the files of the entry with their checksums.
func (e *codeEntry) verify() (map[string]fs.FileInfo, error) {
	want, err := os.ReadFile(filepath.Join(e.path, sumsFile))
	if err != nil {
		return nil, err
	}
	have, files, err := sumsOf(e.path)
	if err == nil && have != string(want) {
		err = errors.New("the files are not those that were written")
	}
	return files, err
}

// unchanged reports whether the entry still has these very files.
func (e *codeEntry) unchanged(before map[string]fs.FileInfo) bool {
	seen := 0
	err := eachFile(e.path, func(path string, d fs.DirEntry) error {
		now, err := d.Info()
		if err != nil {
			return err
		}
		was, known := before[path]
		if !known || !os.SameFile(now, was) || now.Size() != was.Size() || !now.ModTime().Equal(was.ModTime()) {
			return errors.New("changed")
		}
		seen++
		return nil
	})
	return err == nil && seen == len(before)
}

// sumsOf reads the files of a folder.
func sumsOf(folder string) (sums string, files map[string]fs.FileInfo, err error) {
	var lines []string
	files = map[string]fs.FileInfo{}
	err = eachFile(folder, func(path string, d fs.DirEntry) error {
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		sum := xxh3.Hash128(b).Bytes()
		lines = append(lines, fmt.Sprintf("%x %s\n", sum, filepath.ToSlash(name)))
		files[path] = info
		return nil
	})
	slices.Sort(lines)
	return strings.Join(lines, ""), files, err
}

// eachFile visits the files of a folder and below but for the list of sums.
func eachFile(folder string, visit func(path string, d fs.DirEntry) error) error {
	return filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path == filepath.Join(folder, sumsFile) {
			return err
		}
		return visit(path, d)
	})
}

// compileIn compiles a module with a folder of the engine's own cache.
func compileIn(ctx context.Context, code []byte, folder string) (*compiled, error) {
	cache, err := wazero.NewCompilationCacheWithDir(folder)
	if err != nil {
		return nil, err
	}
	return compile(ctx, code, cache)
}
