package build

import (
	"bytes"
	"embed"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// starter is the project that New writes: templates (.tmpl) and files that are taken as they are.
//
//go:embed starter
var starter embed.FS

// sdkFolder is where a project keeps the SDK's sources.
const sdkFolder = ".tidemill/sdk-go"

// projectName is what a module path, a folder and a job can be called alike.
var projectName = regexp.MustCompile(`^[a-z][a-z0-9]*([-_][a-z0-9]+)*$`)

// Project is what New made.
type Project struct {
	Dir   string   `json:"dir"`
	Files []string `json:"files"` // relative to Dir, the SDK's left out
}

// New writes a project to a folder that does not exist or is empty; the folder's name is the project's. The project builds, tests
// and runs offline.
func New(dir string) (*Project, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, ErrName.Errorf("%s is not a folder", dir).Because(err)
	}
	name := filepath.Base(abs)
	if !projectName.MatchString(name) || len(name) > 64 {
		return nil, ErrName.Errorf("%q cannot be the name of a project", name).
			Do("choose at most 64 lower-case letters, digits and single hyphens that begin with a letter: tidemill new late-flights")
	}
	if entries, err := os.ReadDir(abs); err == nil && len(entries) > 0 {
		return nil, ErrExists.Errorf("the folder is not empty").At("%s", dir).Do("choose another name or empty it")
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, ErrExists.Errorf("there is something else of that name").At("%s", dir).Because(err).Do("choose another name")
	}
	p := &Project{Dir: dir}
	if err := p.write(abs, name); err != nil {
		return nil, ErrWrite.Errorf("the project could not be written").At("%s", dir).Because(err).Do("choose a writable place")
	}
	return p, nil
}

func (p *Project) write(dir, name string) error {
	err := fs.WalkDir(starter, "starter", func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := starter.ReadFile(file)
		if err != nil {
			return err
		}
		target, isTemplate := strings.CutSuffix(strings.TrimPrefix(file, "starter/"), ".tmpl")
		if isTemplate {
			text = bytes.ReplaceAll(text, []byte("{{name}}"), []byte(name))
		}
		if target == "gitignore" {
			target = ".gitignore" // an embedded folder leaves out names with a dot
		}
		p.Files = append(p.Files, target)
		return writeProjectFile(filepath.Join(dir, filepath.FromSlash(target)), text)
	})
	if err != nil {
		return err
	}
	return unpackSDK(filepath.Join(dir, filepath.FromSlash(sdkFolder)))
}

func writeProjectFile(target string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	return os.WriteFile(target, text, 0o644)
}
