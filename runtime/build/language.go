package build

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// language builds and starts operators that are written in one language.
type language struct {
	name    string   // as `tidemill new --lang` takes it
	sources string   // what an operator's folder holds, for messages: "go.mod or *.go"
	marks   []string // patterns of files of which a folder of the language has one at least
	file    string   // extension of a source that is an operator by itself, without a folder; empty where there is none
	// compile makes the module of the sources at a path and tells the version of the toolchain.
	compile func(ctx context.Context, path string, o Options) (binary []byte, toolchain string, err error)
	recipe  string // all but sources and toolchain that decides what compile makes
	digest  func(path string) (string, error)
	missing string // hint where the module has no mark of the contract
	// starter is the folder of New's templates besides those of all languages, sdk where a project keeps the SDK's sources, and archive those sources.
	starter, sdk string
	archive      []byte
	manifest     string                 // a folder's file that names its project
	named        *regexp.Regexp         // whose first group is the name there
	packs        func(name string) bool // whether a file of the SDK goes into the archive
	leaves       []string               // names of folders that do not
	next         []string               // commands to try a new project by; {{name}} stands for its name
}

// languages are in the order in which a folder is asked what it holds; the first is New's default. Each has a file of its own
// (golang.go, rust.go, python.go) with its language value.
var languages = []*language{&golang, &rust, &python}

// Languages are the names that New takes, the default first.
func Languages() (names []string) {
	for _, l := range languages {
		names = append(names, l.name)
	}
	return names
}

// languageOf finds the language of the sources at a path: a folder, or one file where a language has operators of one file.
func languageOf(path string) (*language, error) {
	info, err := os.Stat(path)
	const hint = "name the folder of an operator; `tidemill new NAME` starts one"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, ErrSources.Errorf("there is no such folder or file").At("%s", path).Do(hint)
	case err != nil:
		return nil, ErrSources.Errorf("%s cannot be read", path).Because(err).Do(hint)
	}
	var expected []string
	for _, l := range languages {
		if l.holds(path, info.IsDir()) {
			return l, nil
		}
		expected = append(expected, l.sources)
	}
	if !info.IsDir() {
		return nil, ErrSources.Errorf("this file is no operator by itself").At("%s", path).Do(hint)
	}
	return nil, ErrSources.Errorf("there are no sources of an operator: no %s", strings.Join(expected, ", no ")).At("%s", path).Do(hint)
}

func (l *language) holds(path string, folder bool) bool {
	if !folder {
		return l.file != "" && filepath.Ext(path) == l.file
	}
	return slices.ContainsFunc(l.marks, func(pattern string) bool {
		found, _ := filepath.Glob(filepath.Join(path, pattern))
		return len(found) > 0
	})
}
