package file

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sort"
	"unicode/utf8"

	"github.com/zeebo/xxh3"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/connectors/format"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/internal/vfs"
	"github.com/tidemill/tidemill/runtime/record"
)

// printBytes is how much of a file's beginning its fingerprint covers.
const printBytes = 1024

// source is a connectors.Source.
type source struct {
	env            connectors.Env
	patterns       []string
	place          string // of the option path
	schema         *record.Schema
	decoding       *format.Decoding
	tail           bool
	splitBytes     int64 // 0: by parallelism
	recordBytesMax int
}

// splitSpec is connectors.Split.Spec.
type splitSpec struct {
	Path string `json:"path"` // relative to the folder of job.yaml where the option is
	// The split owns the records that start in [Start, End). End is 0 where it ends with the file, or never.
	Start int64 `json:"start"`
	End   int64 `json:"end,omitempty"`
	// Header is the file's first line where the format has one; the first record starts after it.
	Header []byte `json:"header,omitempty"`
	// Print is XXH3-64 of the first PrintBytes bytes of the file.
	PrintBytes int    `json:"print_bytes"`
	Print      uint64 `json:"print"`
}

// enumeratorState is Enumerator.Snapshot: the files whose splits have been returned.
type enumeratorState struct {
	Files []string `json:"files"`
}

// Schema implements connectors.Source. It checks the header of the first file.
func (s *source) Schema(context.Context) (*record.Schema, error) {
	files, err := s.files()
	if err != nil {
		return nil, err
	}
	for _, path := range files[:min(1, len(files))] {
		header, ready, err := s.header(path)
		if err != nil {
			return nil, err
		}
		if !ready {
			break
		}
		if _, err := s.decoding.New(header); err != nil {
			return nil, headerError(err, path)
		}
	}
	return s.schema, nil
}

// headerError says in which file a header does not fit.
func headerError(err error, path string) error {
	if e := errcode.Of(err); e != nil {
		return &errcode.Error{Code: e.Code, Message: path + ": " + e.Message, Place: e.Place, Hint: e.Hint, Cause: e.Cause}
	}
	return fmt.Errorf("reading the header of %s: %w", path, err)
}

// Bounded implements connectors.Source.
func (s *source) Bounded() bool { return !s.tail }

// files lists the files that match now, sorted, each once. A bounded source must have one.
func (s *source) files() ([]string, error) {
	seen := map[string]bool{}
	var list []string
	for _, p := range s.patterns {
		found, err := glob(s.env.FS, s.env.Dir, p)
		if err != nil {
			return nil, err
		}
		if len(found) == 0 && !s.tail {
			return nil, ErrNoFile.Errorf("no file matches %s", absolute(s.env, p)).At("%s", s.place).
				Do("check the path; a relative one starts at the folder of job.yaml")
		}
		for _, path := range found {
			if !filepath.IsAbs(p) {
				if relative, err := filepath.Rel(filepath.Clean(s.env.Dir), path); err == nil {
					path = relative
				}
			}
			if !utf8.ValidString(path) {
				return nil, ErrOptions.Errorf("the name of the file %q is not UTF-8, and a checkpoint could not name it", path).At("%s", s.place).
					Do("rename the file, or let the pattern leave it out")
			}
			if !seen[path] {
				seen[path] = true
				list = append(list, path)
			}
		}
	}
	if len(list) > filesMax {
		return nil, ErrOptions.Errorf("%d files match, the limit is %d", len(list), filesMax).At("%s", s.place).
			Do("use several sources, or join small files")
	}
	sort.Strings(list)
	return list, nil
}

// header reads the first line of a file where the format needs it. ready is false where it is not complete yet.
func (s *source) header(path string) (header []byte, ready bool, err error) {
	if !s.decoding.Header {
		return nil, true, nil
	}
	full := absolute(s.env, path)
	f, err := s.env.FS.Open(full)
	if err != nil {
		return nil, false, readError(err, "opening the file failed", full)
	}
	defer f.Close()
	buf := make([]byte, 0, 4096)
	for {
		n, err := f.ReadAt(buf[len(buf):cap(buf)], int64(len(buf)))
		from := len(buf)
		buf = buf[:from+n]
		if i := bytes.IndexByte(buf[from:], '\n'); i >= 0 {
			return buf[:from+i+1], true, nil
		}
		if len(buf) >= s.recordBytesMax {
			return nil, false, format.ErrTooLong.Errorf("the header is longer than record_bytes_max, %d bytes", s.recordBytesMax).
				At("%s", full).Do("raise record_bytes_max if this is a file with a header")
		}
		switch {
		case err == io.EOF && s.tail:
			return nil, false, nil
		case err == io.EOF && len(buf) > 0:
			return buf, true, nil
		case err == io.EOF:
			return nil, false, format.ErrHeader.Errorf("the file is empty, and so has no header").At("%s", full)
		case err != nil:
			return nil, false, readError(err, "reading the header failed", full)
		}
		buf = append(buf, make([]byte, len(buf))...)[:len(buf)]
	}
}

// Enumerator implements connectors.Source.
func (s *source) Enumerator(_ context.Context, state []byte) (connectors.Enumerator, error) {
	e := &enumerator{source: s, seen: map[string]bool{}}
	if state != nil {
		var st enumeratorState
		if err := json.Unmarshal(state, &st); err != nil {
			return nil, fmt.Errorf("reading the enumerator's state: %w", err)
		}
		for _, f := range st.Files {
			e.seen[f] = true
		}
		e.restored = true
		s.warnOfOthers(st.Files)
	}
	return e, nil
}

// warnOfOthers says which files of a checkpoint path does not match any more: it was changed, and their records stay part of the
// job beside those of other files, or in place of them.
func (s *source) warnOfOthers(files []string) {
	others := slices.DeleteFunc(files, func(file string) bool {
		return slices.ContainsFunc(s.patterns, func(p string) bool {
			ok, _ := filepath.Match(absolute(s.env, p), absolute(s.env, file)) // the pattern was checked with the options
			return ok
		})
	})
	if len(others) == 0 {
		return
	}
	then := "other files are not read"
	if s.tail {
		then = "files that match now are read as well"
	}
	s.env.Log.Warn("path does not match files of the checkpoint: the job goes on with them, and "+then+
		"; to begin anew with path as it is now, run with --fresh", "source", s.env.Name, "files", len(others), "first", others[0], "place", s.place)
}

type enumerator struct {
	source   *source
	seen     map[string]bool
	restored bool
}

// Discover implements connectors.Enumerator. A bounded source returns everything at once, so a restored one has nothing left.
func (e *enumerator) Discover(ctx context.Context) ([]connectors.Split, bool, error) {
	s := e.source
	if e.restored && !s.tail {
		return nil, true, nil
	}
	files, err := s.files()
	if err != nil {
		return nil, false, err
	}
	var specs []splitSpec
	total := int64(0)
	for _, path := range files {
		if e.seen[path] {
			continue
		}
		if err := ctx.Err(); err != nil {
			return nil, false, err
		}
		whole, size, ready, err := s.whole(path)
		if err != nil {
			return nil, false, err
		}
		if !ready {
			continue // its header is still being written
		}
		if !s.tail && s.decoding.Lines {
			whole.End = size
		}
		total += size - whole.Start
		specs = append(specs, whole)
	}
	var splits []connectors.Split
	for _, whole := range specs {
		cut, err := s.cut(whole, total)
		if err != nil {
			return nil, false, err
		}
		splits = append(splits, cut...)
		e.seen[whole.Path] = true
	}
	return splits, !s.tail, nil
}

// whole describes a file as one split.
func (s *source) whole(path string) (sp splitSpec, size int64, ready bool, err error) {
	header, ready, err := s.header(path)
	if err != nil || !ready {
		return sp, 0, false, err
	}
	full := absolute(s.env, path)
	if _, err := s.decoding.New(header); err != nil {
		return sp, 0, false, headerError(err, full)
	}
	f, err := s.env.FS.Open(full)
	if err != nil {
		return sp, 0, false, readError(err, "opening the file failed", full)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return sp, 0, false, readError(err, "looking at the file failed", full)
	}
	if info.IsDir() {
		return sp, 0, false, ErrOptions.Errorf("%s is a folder", full).At("%s", s.place).Do("write %s/* for the files in it", path)
	}
	size = info.Size()
	sp = splitSpec{Path: path, Start: int64(len(header)), Header: header, PrintBytes: int(min(size, printBytes))}
	if sp.Print, err = fingerprint(f, sp.PrintBytes); err != nil {
		return sp, 0, false, readError(err, "reading the file failed", full)
	}
	return sp, size, true, nil
}

func fingerprint(f vfs.File, n int) (uint64, error) {
	buf := make([]byte, n)
	if _, err := io.ReadFull(io.NewSectionReader(f, 0, int64(n)), buf); err != nil {
		return 0, err
	}
	return xxh3.Hash(buf), nil
}

// cut makes the splits of a file; total is the number of bytes of all new files.
func (s *source) cut(whole splitSpec, total int64) ([]connectors.Split, error) {
	length := s.splitBytes
	if length == 0 {
		parallelism := int64(max(s.env.Parallelism, 1))
		length = max((total+parallelism-1)/parallelism, splitBytesMin)
	}
	var splits []connectors.Split
	add := func(sp splitSpec, id string) error {
		data, err := json.Marshal(sp)
		splits = append(splits, connectors.Split{ID: id, Spec: data})
		return err
	}
	if whole.End == 0 {
		err := add(whole, whole.Path)
		return splits, err
	}
	for start := whole.Start; start < whole.End; start += length {
		part := whole
		part.Start, part.End = start, min(start+length, whole.End)
		if err := add(part, fmt.Sprintf("%s:%d-%d", whole.Path, part.Start, part.End)); err != nil {
			return nil, err
		}
	}
	return splits, nil
}

// Snapshot implements connectors.Enumerator.
func (e *enumerator) Snapshot() ([]byte, error) {
	st := enumeratorState{Files: make([]string, 0, len(e.seen))}
	for f := range e.seen {
		st.Files = append(st.Files, f)
	}
	sort.Strings(st.Files)
	return json.Marshal(st)
}

// Close implements connectors.Enumerator.
func (e *enumerator) Close() error { return nil }

// Open implements connectors.Source.
func (s *source) Open(_ context.Context, split connectors.Split, at record.Position) (connectors.Reader, error) {
	var sp splitSpec
	if err := json.Unmarshal(split.Spec, &sp); err != nil {
		return nil, fmt.Errorf("reading split %s: %w", split.ID, err)
	}
	decoder, err := s.decoding.New(sp.Header)
	if err != nil {
		return nil, fmt.Errorf("reading the header of %s: %w", sp.Path, err)
	}
	r := &reader{source: s, spec: sp, path: absolute(s.env, sp.Path), decoder: decoder, records: at.Records}
	if at.Done {
		r.base, r.done = at.Offset, true
		return r, nil
	}
	if r.file, err = s.env.FS.Open(r.path); err != nil {
		return nil, readError(err, "opening the file failed", r.path)
	}
	if err := r.start(at); err != nil {
		r.file.Close()
		return nil, err
	}
	return r, nil
}
