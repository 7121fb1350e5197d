package build

import (
	"bytes"
	"embed"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// starter is the projects that New writes: templates (.tmpl) and files that are taken as they are. The folder job is in all of
// them, because the operator does the same in every language.
//
//go:embed starter
var starter embed.FS

// projectName is what a module path, a folder and a job can be called alike.
var projectName = regexp.MustCompile(`^[a-z][a-z0-9]*([-_][a-z0-9]+)*$`)

// Project is what New made.
type Project struct {
	Dir      string   `json:"dir"`
	Language string   `json:"language"`
	Files    []string `json:"files"` // relative to Dir, the SDK's left out
	Next     []string `json:"next"`  // commands, to be run in Dir
}

// New writes a project in one of Languages to a folder that does not exist or is empty; the folder's name is the project's. The
// project builds, tests and runs offline.
func New(dir, lang string) (*Project, error) {
	at := slices.IndexFunc(languages, func(l *language) bool { return l.name == lang })
	if at < 0 {
		return nil, ErrLanguage.Errorf("there are no projects in %q", lang).Do("choose one of %s", strings.Join(Languages(), ", "))
	}
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
	p := &Project{Dir: dir, Language: lang}
	if err := p.write(abs, name, languages[at]); err != nil {
		return nil, ErrWrite.Errorf("the project could not be written").At("%s", dir).Because(err).Do("choose a writable place")
	}
	return p, nil
}

func (p *Project) write(dir, name string, l *language) error {
	for _, command := range l.next {
		p.Next = append(p.Next, strings.ReplaceAll(command, "{{name}}", name))
	}
	for _, folder := range []string{"starter/job", l.starter} {
		if err := p.writeFolder(dir, name, folder); err != nil {
			return err
		}
	}
	return unpack(l.archive, filepath.Join(dir, filepath.FromSlash(l.sdk)))
}

func (p *Project) writeFolder(dir, name, folder string) error {
	return fs.WalkDir(starter, folder, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := starter.ReadFile(file)
		if err != nil {
			return err
		}
		target, isTemplate := strings.CutSuffix(strings.TrimPrefix(file, folder+"/"), ".tmpl")
		if isTemplate {
			text = bytes.ReplaceAll(text, []byte("{{name}}"), []byte(name))
		}
		if target == "gitignore" {
			target = ".gitignore" // an embedded folder leaves out names with a dot
		}
		p.Files = append(p.Files, target)
		return writeProjectFile(filepath.Join(dir, filepath.FromSlash(target)), text)
	})
}

func writeProjectFile(target string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
		return err
	}
	return os.WriteFile(target, text, 0o644)
}
