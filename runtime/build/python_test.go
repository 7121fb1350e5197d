package build

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/sandbox/script"
	"github.com/tidemill/tidemill/runtime/sandbox/wasm"
)

// interpreters is a folder with the interpreter compiled, for all tests.
var interpreters = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "tidemill-build-test-") })

func TestMain(m *testing.M) {
	code := m.Run()
	if folder, err := interpreters(); err == nil {
		os.RemoveAll(folder)
	}
	os.Exit(code)
}

func pythonOptions(t *testing.T) Options {
	t.Helper()
	folder, err := interpreters()
	if err != nil {
		t.Fatal(err)
	}
	return Options{CacheFolder: folder}
}

// tree writes files below a new folder.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "orders")
	for name, text := range files {
		if err := writeProjectFile(filepath.Join(dir, filepath.FromSlash(name)), []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestANewPythonProjectBuilds(t *testing.T) {
	o := pythonOptions(t)
	var binaries [][]byte
	for range 2 {
		dir := filepath.Join(t.TempDir(), "shop-totals")
		p, err := New(dir, "python")
		if err != nil {
			t.Fatal(err)
		}
		if want := []string{"job.yaml", "testdata/orders.csv", "README.md", ".gitignore", "op.py", "pyproject.toml", "test_op.py"}; !slices.Equal(p.Files, want) {
			t.Errorf("files %q, want %q", p.Files, want)
		}
		built, err := Build(context.Background(), dir, o)
		if err != nil {
			t.Fatal(err)
		}
		if built.Path != filepath.Join(dir, "shop-totals.wasm") || built.Language != "python" || !strings.HasPrefix(built.Toolchain, "CPython 3.") || built.Bytes > 10_000 {
			t.Errorf("%+v", built)
		}
		binary, err := os.ReadFile(built.Path)
		if err != nil {
			t.Fatal(err)
		}
		binaries = append(binaries, binary)
	}
	if string(binaries[0]) != string(binaries[1]) {
		t.Error("the same project built in two places gives other bytes")
	}
	m, err := script.Parse(binaries[0])
	if err != nil || m == nil || !strings.Contains(string(m.Describe), `"name":"shop-totals"`) {
		t.Fatalf("%+v, %v", m, err)
	}
}

func TestAStandalonePythonModule(t *testing.T) {
	dir := tree(t, map[string]string{"op.py": oneFunction})
	o := pythonOptions(t)
	o.Out = filepath.Join(dir, "alone.wasm")
	o.Standalone = true
	if _, err := Build(context.Background(), filepath.Join(dir, "op.py"), o); err != nil {
		t.Fatal(err)
	}
	binary, err := os.ReadFile(o.Out)
	if err != nil {
		t.Fatal(err)
	}
	m, err := wasm.Decode(binary)
	if err != nil || len(m.Bodies) < 1000 {
		t.Fatalf("%v", err)
	}
	if last := m.Sections[len(m.Sections)-1]; last.Name != script.DescribeSection || !strings.Contains(string(m.Bytes(last.Body)), `"name":"sizes"`) {
		t.Errorf("last section %+v", last)
	}
}

const oneFunction = "import tidemill\n\n@tidemill.map\ndef sizes(text: str) -> int:\n    return len(text)\n"

// TestPythonSources lists what goes into an archive.
func TestPythonSources(t *testing.T) {
	for name, c := range map[string]struct {
		files []string
		entry string
		want  []string
		error string
	}{
		"entry":  {[]string{"op.py", "more.py"}, "op.py", []string{"more.py", "op.py"}, ""},
		"single": {[]string{"counts.py", "test_counts.py", "conftest.py", "counts_test.py"}, "counts.py", []string{"counts.py"}, ""},
		"packages": {
			[]string{"op.py", "lib/__init__.py", "lib/a.py", "lib/rates.json", "lib/x.bin", "data/big.csv", "job.yaml", "orders.csv", "space/b.py"},
			"op.py", []string{"lib/__init__.py", "lib/a.py", "lib/rates.json", "op.py", "space/b.py"}, "",
		},
		"vendor": {
			[]string{"op.py", "vendor/six.py", "vendor/pkg/__init__.py", "vendor/pkg/t.txt", "vendor/six-1.dist-info/METADATA", "vendor/bin/run.py"},
			"op.py", []string{"op.py", "pkg/__init__.py", "pkg/t.txt", "six.py"}, "",
		},
		"left out": {
			[]string{"op.py", ".tidemill/sdk.py", "env/pyvenv.cfg", "env/lib/x.so", "__pycache__/op.py", "tests/a.py", "build/b.py", "dist/c.py",
				"a.egg-info/d.py", ".hidden.py", "setup.py"},
			"op.py", []string{"op.py"}, "",
		},
		"order":     {[]string{"op.py", "a/b.py", "a.py", "a0.py", "B.py"}, "op.py", []string{"B.py", "a.py", "a/b.py", "a0.py", "op.py"}, ""},
		"several":   {[]string{"a.py", "b.py"}, "", nil, "several files could be the operator's: a.py, b.py"},
		"none":      {[]string{"lib/a.py"}, "", nil, "no Python file at the top"},
		"native":    {[]string{"op.py", "vendor/fast/core.cpython-313.so"}, "", nil, "vendor/fast/core.cpython-313.so is a native extension"},
		"collision": {[]string{"op.py", "six.py", "vendor/six.py"}, "", nil, "six.py is there twice"},
	} {
		files := map[string]string{}
		for _, f := range c.files {
			files[f] = "# " + f
		}
		a, err := pythonSources(tree(t, files))
		if c.error != "" {
			if e := errcode.Of(err); e == nil || e.Hint == "" || !strings.Contains(err.Error(), c.error) {
				t.Errorf("%s: %v, want %q", name, err, c.error)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, f := range a.Files {
			got = append(got, f.Path)
		}
		if a.Entry != c.entry || !slices.Equal(got, c.want) {
			t.Errorf("%s: %s of %q, want %s of %q", name, a.Entry, got, c.entry, c.want)
		}
	}
}

// TestPythonMistakes are told with the file and the line.
func TestPythonMistakes(t *testing.T) {
	for name, c := range map[string]struct {
		text, place, want string
	}{
		"syntax":   {"import tidemill\n\ndef f(:\n    pass\n", "op.py:3", "SyntaxError"},
		"import":   {"import tidemill\nimport math\nimport numpy\n", "op.py:3", "No module named 'numpy'"},
		"raise":    {"def f():\n    return 1 // 0\n\nf()\n", "op.py:2", "ZeroDivisionError"},
		"nothing":  {"import tidemill\n", "", "no operator"},
		"encoding": {"x = '\xff'\n", "op.py", "not UTF-8"},
	} {
		_, err := Build(context.Background(), tree(t, map[string]string{"op.py": c.text}), pythonOptions(t))
		if e := errcode.Of(err); e == nil || e.Place != c.place || !strings.Contains(err.Error(), c.want) || e.Hint == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}
