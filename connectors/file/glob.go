package file

import (
	"errors"
	"io/fs"
	"path/filepath"
	"sort"
	"strings"

	"github.com/tidemill/tidemill/internal/vfs"
)

// filesMax is how many files one source takes up (I8): each has an entry in every checkpoint.
const filesMax = 100_000

// glob returns the files that match a pattern of package filepath, sorted; a name that begins with a dot matches only a pattern
// that does so too. A pattern without meta characters is returned where the file exists.
func glob(f vfs.FS, dir, pattern string) ([]string, error) {
	path := pattern
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	if !strings.ContainsAny(path, `*?[`) {
		if _, err := f.Stat(path); err != nil {
			if errors.Is(err, fs.ErrNotExist) {
				return nil, nil
			}
			return nil, readError(err, "looking for the file failed", path)
		}
		return []string{path}, nil
	}
	found := []string{""}
	if filepath.IsAbs(path) {
		found[0] = string(filepath.Separator)
	}
	segments := strings.Split(strings.Trim(path, string(filepath.Separator)), string(filepath.Separator))
	for i, segment := range segments {
		var next []string
		for _, base := range found {
			matches, err := globIn(f, base, segment, i == len(segments)-1)
			if err != nil {
				return nil, err
			}
			next = append(next, matches...)
		}
		found = next
	}
	sort.Strings(found)
	return found, nil
}

// globIn returns the entries of a folder that match one segment of a pattern: files, or folders where more segments follow.
func globIn(f vfs.FS, base, segment string, last bool) ([]string, error) {
	if !strings.ContainsAny(segment, `*?[`) {
		path := filepath.Join(base, segment)
		info, err := f.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil, nil
		case err != nil:
			return nil, readError(err, "looking for files failed", path)
		case info.IsDir() == last:
			return nil, nil
		}
		return []string{path}, nil
	}
	folder := base
	if folder == "" {
		folder = "."
	}
	entries, err := f.ReadDir(folder)
	if err != nil {
		return nil, readError(err, "listing the folder failed", folder)
	}
	var found []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") && !strings.HasPrefix(segment, ".") {
			continue
		}
		if ok, _ := filepath.Match(segment, e.Name()); !ok { // the pattern was checked with the options
			continue
		}
		path := filepath.Join(base, e.Name())
		info, err := f.Stat(path) // follows a symbolic link
		if err != nil || info.IsDir() == last {
			continue // vanished since, or of the wrong kind
		}
		found = append(found, path)
	}
	return found, nil
}
