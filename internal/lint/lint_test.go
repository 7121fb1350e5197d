package lint

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"
)

// Sizes of packages (tests and generated files left out) and functions, in lines.
const (
	packageLinesMax    = 2000
	packageLinesReport = 600
	functionLinesMax   = 70
)

type source struct {
	path string // relative to the root
	pkg  string // folder
	test bool
	gen  bool
	file *ast.File
	set  *token.FileSet
	text string
}

func (s *source) place(p token.Pos) string {
	return fmt.Sprintf("%s:%d", s.path, s.set.Position(p).Line)
}

// sources reads every Go file of the root module: nested modules are other trees.
func sources(t *testing.T) []*source {
	t.Helper()
	root := filepath.Join("..", "..")
	var list []*source
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, path)
		if d.IsDir() {
			if name := d.Name(); rel != "." && (strings.HasPrefix(name, ".") || name == "testdata") {
				return filepath.SkipDir
			}
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil && rel != "." {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, path, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		list = append(list, &source{
			path: rel, pkg: filepath.ToSlash(filepath.Dir(rel)), test: strings.HasSuffix(rel, "_test.go"), gen: ast.IsGenerated(f),
			file: f, set: set, text: string(text),
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(list) < 20 {
		t.Fatalf("only %d Go files found: the walk is wrong", len(list))
	}
	return list
}

func imports(s *source) map[string]token.Pos {
	m := map[string]token.Pos{}
	for _, i := range s.file.Imports {
		path, _ := strconv.Unquote(i.Path.Value)
		m[path] = i.Pos()
	}
	return m
}

func TestLayers(t *testing.T) {
	for _, s := range sources(t) {
		if layerOf(s.pkg) < 0 {
			t.Errorf("%s: folder %s is in no layer; add it to layers.go", s.path, s.pkg)
			continue
		}
		if s.test {
			continue // proof may import everything
		}
		for path, pos := range imports(s) {
			to, ours := strings.CutPrefix(path, module)
			if ours && !mayImport(s.pkg, to) {
				t.Errorf("%s: %s (%s) must not import %s", s.place(pos), s.pkg, layers[layerOf(s.pkg)].name, to)
			}
		}
	}
}

func TestKeepersOfDependencies(t *testing.T) {
	for _, s := range sources(t) {
		for path, pos := range imports(s) {
			for _, k := range keepers {
				if strings.HasPrefix(path, k.dependency) && s.pkg != k.folder && !s.test {
					t.Errorf("%s: only %s imports %s", s.place(pos), k.folder, k.dependency)
				}
			}
			if strings.HasPrefix(path, "github.com/aws/") && !hasPrefix(s.pkg+"/", awsFolders) {
				t.Errorf("%s: the AWS SDK belongs into %v", s.place(pos), awsFolders)
			}
			if rest, ok := strings.CutPrefix(path, module+"connectors/"); ok && !s.test && concrete(rest) &&
				!hasPrefix(s.pkg, connectorUsers) && s.pkg != "connectors/"+rest && !strings.HasPrefix(s.pkg, "connectors/"+rest+"/") {
				t.Errorf("%s: %s imports a concrete connector; only %v may", s.place(pos), s.pkg, connectorUsers)
			}
		}
	}
}

func hasPrefix(s string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}

// concrete says whether a folder below connectors is a connector (and not the contract, a format or a suite).
func concrete(folder string) bool {
	switch first, _, _ := strings.Cut(folder, "/"); first {
	case "spec", "format", "connectortest", "all":
		return false
	}
	return true
}

// TestSimulatedFolders keeps time, randomness and files behind their seams.
func TestSimulatedFolders(t *testing.T) {
	forbidden := map[string]map[string]bool{
		"time":         {"Now": true, "Sleep": true, "After": true, "AfterFunc": true, "NewTimer": true, "NewTicker": true, "Tick": true, "Since": true, "Until": true},
		"os":           {"Open": true, "OpenFile": true, "Create": true, "ReadFile": true, "WriteFile": true, "Rename": true, "Remove": true, "RemoveAll": true, "MkdirAll": true, "Mkdir": true, "ReadDir": true, "CreateTemp": true, "MkdirTemp": true, "Stat": true},
		"math/rand":    nil,
		"math/rand/v2": nil,
		"crypto/rand":  nil,
	}
	for _, s := range sources(t) {
		if s.test || !hasPrefix(s.pkg, simulated) || excepted(s.pkg) {
			continue
		}
		names := map[string]string{} // local name -> import path
		for _, i := range s.file.Imports {
			path, _ := strconv.Unquote(i.Path.Value)
			uses, watched := forbidden[path]
			if !watched {
				continue
			}
			if uses == nil {
				t.Errorf("%s: %s imports %s; randomness comes from a seed the caller gives", s.place(i.Pos()), s.pkg, path)
				continue
			}
			name := path
			if i.Name != nil {
				name = i.Name.Name
			}
			names[name] = path
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if id, ok := sel.X.(*ast.Ident); ok && forbidden[names[id.Name]][sel.Sel.Name] {
				t.Errorf("%s: %s.%s; use internal/clock or internal/vfs", s.place(sel.Pos()), names[id.Name], sel.Sel.Name)
			}
			return true
		})
	}
}

func excepted(pkg string) bool {
	for p := range simulatedExcept {
		if pkg == p || strings.HasPrefix(pkg, p+"/") {
			return true
		}
	}
	return false
}

func TestSizes(t *testing.T) {
	lines := map[string]int{}
	var long []string
	for _, s := range sources(t) {
		if s.test || s.gen {
			continue
		}
		lines[s.pkg] += strings.Count(s.text, "\n")
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := s.set.Position(f.End()).Line - s.set.Position(f.Pos()).Line + 1; n > functionLinesMax {
				long = append(long, fmt.Sprintf("%s %s: %d lines", s.place(f.Pos()), f.Name.Name, n))
			}
		}
	}
	var packages []string
	for p := range lines {
		packages = append(packages, p)
	}
	sort.Slice(packages, func(i, j int) bool { return lines[packages[i]] > lines[packages[j]] })
	for _, p := range packages {
		switch n := lines[p]; {
		case n > packageLinesMax:
			t.Errorf("%s has %d lines; the limit is %d: make several rooms of it", p, n, packageLinesMax)
		case n > packageLinesReport:
			t.Logf("%s has %d lines", p, n)
		}
	}
	sort.Strings(long)
	for _, l := range long {
		t.Log("long function: " + l)
	}
}

func TestEveryPackageHasAComment(t *testing.T) {
	has := map[string]bool{}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		has[s.pkg] = has[s.pkg] || s.file.Doc != nil
	}
	for p, ok := range has {
		if !ok {
			t.Errorf("%s has no package comment", p)
		}
	}
}

// TestRules breaks each rule of the table once, so that the checks above are known to be able to fail.
func TestRules(t *testing.T) {
	for _, e := range []struct {
		from, to string
		want     bool
	}{
		{"runtime/task", "runtime/checkpoint", false},
		{"runtime/task", "runtime/engine", false},
		{"runtime/record", "abi", false},
		{"abi", "internal/errcode", false},
		{"runtime/sandbox", "abi", true},
		{"runtime/engine/embedded", "runtime/checkpoint", true},
		{"runtime/operator", "runtime/state", true},
		{"runtime/state", "runtime/operator", false},
		{"connectors/file", "connectors/spec", true},
		{"connectors/spec", "connectors/file", false},
		{"runtime/job", "runtime/cmd/tidemill", false},
		{"abi/conformance", "runtime/sandbox", true},
		{"abi/conformance/model", "abi/conformance/program", true},
		{"abi/conformance/model", "runtime/state", false},
		{"abi/conformance/model", "abi", false},
	} {
		if got := mayImport(e.from, e.to); got != e.want {
			t.Errorf("mayImport(%s, %s) = %v", e.from, e.to, got)
		}
	}
	if concrete("spec") || !concrete("file") {
		t.Error("concrete is wrong")
	}
}
