package script

import (
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tidemill/tidemill/abi"
)

// The limits of an archive. It reaches the interpreter through a buffer like a frame's.
const (
	ArchiveBytesMax = abi.FrameBytesMax
	FilesMax        = 10_000
	PathBytesMax    = 512
)

// Archive is an operator's sources. Its encoding is canonical JSON: {"entry":"op.py","files":[["op.py","..."]]}.
type Archive struct {
	Entry string // path of the file that is imported as the operator's module; it is at the top and named as a module can be
	Files []File // ascending by path, each path once
}

// File is one text file of an archive.
type File struct {
	Path string // relative, parts joined by "/"
	Text string // UTF-8
}

// suffixes are those of files that an interpreter reads: sources, and data that comes with a package.
var suffixes = []string{".py", ".json", ".txt", ".csv", ".toml"}

// Encode returns the canonical bytes, or an *errcode.Error where there is something that an archive cannot hold.
func (a *Archive) Encode() ([]byte, error) {
	if err := a.check(); err != nil {
		return nil, err
	}
	out := a.append(nil)
	if len(out) > ArchiveBytesMax {
		return nil, tooLarge(len(out))
	}
	return out, nil
}

func (a *Archive) append(out []byte) []byte {
	out = appendString(append(out, `{"entry":`...), a.Entry)
	out = append(out, `,"files":[`...)
	for i, f := range a.Files {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendString(append(out, '['), f.Path)
		out = append(appendString(append(out, ','), f.Text), ']')
	}
	return append(out, "]}"...)
}

func tooLarge(bytes int) error {
	return ErrArchive.Errorf("the sources take %d bytes, at most %d are allowed", bytes, ArchiveBytesMax).
		Do("leave out what the operator does not import, and read large data from a source of the job")
}

// ParseArchive reads an archive. What is not canonical is refused with an *errcode.Error.
func ParseArchive(data []byte) (*Archive, error) {
	if len(data) > ArchiveBytesMax {
		return nil, tooLarge(len(data))
	}
	var file struct {
		Entry string      `json:"entry"`
		Files [][2]string `json:"files"`
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, ErrArchive.Errorf("the archive is not JSON of the expected form").Because(err).Do(rebuild)
	}
	a := &Archive{Entry: file.Entry}
	for _, f := range file.Files {
		a.Files = append(a.Files, File{Path: f[0], Text: f[1]})
	}
	if err := a.check(); err != nil {
		return nil, err
	}
	if again := a.append(make([]byte, 0, len(data))); string(again) != string(data) {
		return nil, ErrArchive.Errorf("the archive is not canonical from byte %d on", differAt(again, data)).Do(rebuild)
	}
	return a, nil
}

const rebuild = "build the module again with `tidemill build`"

func differAt(a, b []byte) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

func (a *Archive) check() error {
	if len(a.Files) > FilesMax {
		return ErrArchive.Errorf("the archive has %d files, at most %d are allowed", len(a.Files), FilesMax).
			Do("leave out what the operator does not import")
	}
	for i, f := range a.Files {
		if problem := badPath(f.Path); problem != "" {
			return ErrArchive.Errorf("the path %.100q %s", f.Path, problem).Do("rename the file, or leave it out")
		}
		if !utf8.ValidString(f.Text) {
			return ErrArchive.Errorf("the file is not UTF-8").At("%s", f.Path).Do("store it as UTF-8")
		}
		if i > 0 && f.Path == a.Files[i-1].Path {
			return ErrArchive.Errorf("the path %q is there twice", f.Path).Do("rename one of the two files, or leave it out")
		}
		if i > 0 && f.Path < a.Files[i-1].Path {
			return ErrArchive.Errorf("the files are not in the order of their paths: %q comes too late", f.Path).Do(rebuild)
		}
	}
	name, isSource := strings.CutSuffix(a.Entry, ".py")
	if !isSource || !identifier(name) {
		return ErrArchive.Errorf("the entry %.100q cannot be imported by its name", a.Entry).
			Do("name the file with letters, digits and underscores, not with a digit first, and .py at the end: op.py")
	}
	if !slices.ContainsFunc(a.Files, func(f File) bool { return f.Path == a.Entry }) {
		return ErrArchive.Errorf("the entry %q is not among the files", a.Entry).Do(rebuild)
	}
	return nil
}

// badPath says what is wrong with a path, "" where nothing is.
func badPath(p string) string {
	switch {
	case p == "":
		return "is empty"
	case len(p) > PathBytesMax:
		return fmt.Sprintf("is longer than %d bytes", PathBytesMax)
	case !utf8.ValidString(p):
		return "is not UTF-8"
	case strings.ContainsFunc(p, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\\' || r == ':' }):
		return "has a backslash, a colon or a control character"
	case path.IsAbs(p) || path.Clean(p) != p || p == "." || p == ".." || strings.HasPrefix(p, "../"):
		return "does not stay below the folder, or is written in a roundabout way"
	case !slices.Contains(suffixes, path.Ext(p)):
		return "is of a kind that an archive does not hold: it holds " + strings.Join(suffixes, ", ")
	}
	return ""
}

func identifier(s string) bool {
	for i, c := range []byte(s) {
		if c != '_' && (c|0x20 < 'a' || c|0x20 > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// escapes are the short ones of JSON.
var escapes = [0x20]byte{'\b': 'b', '\t': 't', '\n': 'n', '\f': 'f', '\r': 'r'}

// appendString appends s in JSON with no more escapes than JSON needs, which is also what Python's json.dumps does with
// ensure_ascii=False. (encoding/json would escape U+2028 and U+2029 as well.)
func appendString(out []byte, s string) []byte {
	out = append(out, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			out = append(out, '\\', c)
		case c >= 0x20:
			out = append(out, c)
		case escapes[c] != 0:
			out = append(out, '\\', escapes[c])
		default:
			out = fmt.Appendf(out, `\u%04x`, c)
		}
	}
	return append(out, '"')
}
