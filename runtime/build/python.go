package build

import (
	"context"
	_ "embed"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/runtime/sandbox"
	"github.com/tidemill/tidemill/runtime/sandbox/modcache"
	"github.com/tidemill/tidemill/runtime/sandbox/profile"
	"github.com/tidemill/tidemill/runtime/sandbox/script"
	interpreter "github.com/tidemill/tidemill/runtime/sandbox/script/python"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
	"github.com/tidemill/tidemill/runtime/sandbox/wazerovm"
)

// sdkPython is the SDK's sources, for the tests of a project: modules have it in their base.
//
//go:embed sdk-python.zip
var sdkPython []byte

var python = language{
	name: "python", sources: "Python files", marks: []string{"*.py"}, file: ".py",
	compile: compilePython, recipe: interpreter.Base().SHA256, digest: digestPython,
	missing: "derive a class from tidemill.Operator; see `tidemill new --lang python`",
	starter: "starter/python", sdk: ".tidemill/sdk-python", archive: sdkPython,
	packs: pythonSource, leaves: []string{"tests", "typings", "interpreter", "__pycache__"},
	manifest: "pyproject.toml", named: regexp.MustCompile(`(?m)^\[project\]\s*\n(?:[^\[].*\n|\n)*?name\s*=\s*"([A-Za-z0-9._-]+)"`),
	next: []string{"python3 -m pytest", "tidemill build .", "tidemill test job.yaml", "tidemill run job.yaml"},
}

// pythonSource reports whether a file of the SDK belongs to it as it is installed.
func pythonSource(name string) bool {
	return strings.HasSuffix(name, ".py") && name != "hatch_build.py" || name == "py.typed"
}

// entryPython is the file of a folder that is imported as the operator's module.
const entryPython = "op.py"

// compilePython packs the sources and lets the interpreter load them and say what they hold. It needs no toolchain.
func compilePython(ctx context.Context, path string, o Options) (binary []byte, version string, err error) {
	archive, err := pythonSources(path)
	if err != nil {
		return nil, "", err
	}
	base := interpreter.Base()
	m := &script.Module{Base: base.Reference, Describe: []byte("{}")} // until the interpreter has said more
	if m.Code, err = archive.Encode(); err != nil {
		return nil, "", err
	}
	if m.Describe, err = describe(ctx, m, base, o); err != nil {
		return nil, "", err
	}
	version = "CPython " + base.Version
	if !o.Standalone {
		binary, err = m.Encode()
		return binary, version, err
	}
	whole, err := base.Binary()
	if err != nil {
		return nil, "", err
	}
	binary, err = script.Standalone(whole, m)
	return binary, version, err
}

// describe runs the code on its interpreter and returns what it says of itself.
func describe(ctx context.Context, m *script.Module, base script.Base, o Options) (said []byte, err error) {
	binary, err := m.Encode()
	if err != nil {
		return nil, err
	}
	cache := modcache.New(func(folder string) vm.Engine { return wazerovm.New(folder, nil) },
		modcache.Options{Folder: o.CacheFolder, Limits: profile.Limits{MemoryBytesMax: abi.MemoryBytesMaxPython}, Bases: []script.Base{base},
			Compiling: o.Compiling})
	defer cache.Close(ctx)
	loaded, err := cache.Load(ctx, binary)
	if err != nil {
		return nil, err
	}
	return sandbox.DescribeBytes(sandbox.FromCache(loaded), sandbox.Limits{})
}

// digestPython digests all that a build packs.
func digestPython(path string) (string, error) {
	archive, err := pythonSources(path)
	if err != nil {
		return "", err
	}
	code, err := archive.Encode()
	return sum(code), err
}

// pythonSources packs one file, or a folder as it is described in docs: all sources, data inside of packages, what lies below
// vendor as if it lay at the top, and no tests.
func pythonSources(from string) (*script.Archive, error) {
	info, err := os.Stat(from)
	if err != nil {
		return nil, ErrSources.Errorf("%s cannot be read", from).Because(err)
	}
	p := &pythonPacker{}
	if !info.IsDir() {
		if err := p.add(from, filepath.Base(from)); err != nil {
			return nil, err
		}
		return &script.Archive{Entry: filepath.Base(from), Files: p.files}, nil
	}
	if err := p.folder(from); err != nil {
		return nil, err
	}
	slices.SortFunc(p.files, func(a, b script.File) int { return strings.Compare(a.Path, b.Path) })
	entry, err := p.entry(from)
	return &script.Archive{Entry: entry, Files: p.files}, err
}

type pythonPacker struct {
	files []script.File
	bytes int64
	tops  []string // sources at the top of the folder itself
}

func (p *pythonPacker) entry(folder string) (string, error) {
	switch {
	case slices.Contains(p.tops, entryPython):
		return entryPython, nil
	case len(p.tops) == 1:
		return p.tops[0], nil
	case len(p.tops) == 0:
		return "", ErrSources.Errorf("there is no Python file at the top of the folder").At("%s", folder).Do("put the operator into %s", entryPython)
	}
	return "", ErrSources.Errorf("several files could be the operator's: %s", strings.Join(p.tops, ", ")).At("%s", folder).
		Do("name the operator's file %s, or build it alone: tidemill build %s", entryPython, filepath.Join(folder, p.tops[0]))
}

// vendor is the folder of dependencies, whose content is found as if it lay at the top.
const vendor = "vendor"

func (p *pythonPacker) folder(root string) error {
	return filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return ErrSources.Errorf("the folder cannot be read").At("%s", file).Because(err)
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		switch {
		case d.IsDir():
			if rel != "." && leftOutFolder(file, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		case !d.Type().IsRegular() || leftOutFile(d.Name()):
			return nil
		}
		switch path.Ext(rel) {
		case ".py":
			if !strings.Contains(rel, "/") {
				p.tops = append(p.tops, rel)
			}
		case ".so", ".pyd", ".dylib":
			return ErrSources.Errorf("%s is a native extension, which cannot run in a module", rel).At("%s", file).
				Do("use a pure-Python package in its place, or leave the folder out")
		case ".json", ".txt", ".csv", ".toml":
			if !isFile(filepath.Join(filepath.Dir(file), "__init__.py")) {
				return nil // not inside of a package, where nothing finds it
			}
		default:
			return nil
		}
		return p.add(file, strings.TrimPrefix(rel, vendor+"/"))
	})
}

func leftOutFolder(folder, name string) bool {
	switch name {
	case "__pycache__", "tests", "testdata", "build", "dist", "bin":
		return true
	}
	if strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".egg-info") || strings.HasSuffix(name, ".dist-info") {
		return true
	}
	return isFile(filepath.Join(folder, "pyvenv.cfg"))
}

func isFile(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func leftOutFile(name string) bool {
	return strings.HasPrefix(name, ".") || name == "conftest.py" || name == "setup.py" ||
		strings.HasSuffix(name, "_test.py") || strings.HasPrefix(name, "test_") && strings.HasSuffix(name, ".py")
}

func (p *pythonPacker) add(file, as string) error {
	info, err := os.Stat(file)
	if err == nil {
		if p.bytes += info.Size(); p.bytes > script.ArchiveBytesMax {
			return ErrSources.Errorf("the sources take more than %d bytes", script.ArchiveBytesMax).At("%s", file).
				Do("leave out what the operator does not import, and read large data from a source of the job")
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return ErrSources.Errorf("a source cannot be read").At("%s", file).Because(err)
	}
	for _, f := range p.files {
		if f.Path == as {
			return ErrSources.Errorf("%s is there twice, once below %s/", as, vendor).At("%s", file).Do("rename one of the two")
		}
	}
	p.files = append(p.files, script.File{Path: as, Text: string(text)})
	return nil
}
