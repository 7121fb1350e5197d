package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// The reader of Rust below knows what rustfmt makes of the SDK's own sources. What it does not know it refuses with file and
// line: nothing is left out of the page by accident.

// line is one of a file. In mask, which is as long as text, comments and the contents of strings and characters are blank.
type line struct {
	file       string
	number     int
	text, mask string
}

func (l line) wrong(format string, args ...any) error {
	return fmt.Errorf("%s:%d: %s", l.file, l.number, fmt.Sprintf(format, args...))
}

func (l line) indent() string {
	return l.text[:len(l.text)-len(strings.TrimLeft(l.text, " "))]
}

var (
	opaque = regexp.MustCompile(`//[^\n]*|"(?:\\(?s:.)|[^"\\])*"|'(?:\\.[^']*|[^'\\\n])'|/\*|\br#*"`)
	filled = regexp.MustCompile(`[^\n]`)
)

// newLines splits text, whose first line has that number in its file.
func newLines(file string, number int, text string) ([]line, error) {
	refused := -1
	mask := opaque.ReplaceAllStringFunc(text, func(found string) string {
		if found == "/*" || found[0] == 'r' {
			refused = strings.Index(text, found)
		}
		return filled.ReplaceAllLiteralString(found, " ")
	})
	if refused >= 0 {
		at := line{file: file, number: number + strings.Count(text[:refused], "\n")}
		return nil, at.wrong("block comments and raw strings are not understood")
	}
	var lines []line
	masks := strings.Split(mask, "\n")
	for i, t := range strings.Split(text, "\n") {
		lines = append(lines, line{file, number + i, t, masks[i]})
	}
	return lines, nil
}

func join(lines []line) (text, mask string) {
	var texts, masks []string
	for _, l := range lines {
		texts, masks = append(texts, l.text), append(masks, l.mask)
	}
	return strings.Join(texts, "\n"), strings.Join(masks, "\n")
}

// extent is the number of lines up to the one that ends with one of some bytes and with all brackets closed.
func extent(lines []line, ends string) (int, error) {
	depth := 0
	for i, l := range lines {
		for _, c := range l.mask {
			switch c {
			case '(', '[', '{':
				depth++
			case ')', ']', '}':
				depth--
			}
		}
		if code := strings.TrimSpace(l.mask); depth == 0 && code != "" && strings.IndexByte(ends, code[len(code)-1]) >= 0 {
			return i + 1, nil
		}
	}
	return 0, lines[0].wrong("what begins here does not end")
}

// item is what stands in a file, module, trait or impl block.
type item struct {
	at      line // its first line, after documentation and attributes
	docs    []line
	attrs   []line
	kind    string // the keyword, macro_rules! or, of a call of a macro, "call"
	name    string // of an impl block that of its type, none where it is of a trait
	public  bool
	text    string // all of it
	head    string // what stands before its braces
	body    []line // between the braces
	members []item // of a trait or impl block
}

func (it item) has(attribute string) bool {
	for _, a := range it.attrs {
		if strings.HasPrefix(a.text, "#["+attribute) {
			return true
		}
	}
	return false
}

// items reads lines that hold whole items. Those of tests are left out.
func items(lines []line) ([]item, error) {
	var list []item
	var next item
	for len(lines) > 0 {
		l := lines[0]
		t, n, err := strings.TrimSpace(l.text), 1, error(nil)
		switch {
		case strings.HasPrefix(t, "///"):
			l.text = strings.TrimPrefix(t[3:], " ")
			next.docs = append(next.docs, l)
		case strings.HasPrefix(t, "#["):
			if n, err = extent(lines, "]"); err == nil {
				l.text, _ = join(lines[:n])
				next.attribute(l)
			}
		case t == "", strings.HasPrefix(t, "// "):
		default:
			if n, err = extent(lines, ";}"); err == nil {
				err = next.read(lines[:n])
			}
			if !next.has("cfg(test)") && !next.has("cfg(doctest)") {
				list = append(list, next)
			}
			next = item{}
		}
		if err != nil {
			return nil, err
		}
		lines = lines[n:]
	}
	return list, nil
}

var literal = regexp.MustCompile(`"([^"\\]*)"`)

// attribute notes an attribute, of which `#[doc = concat!(...)]` is documentation.
func (it *item) attribute(l line) {
	l.text = strings.TrimSpace(l.text)
	if !strings.HasPrefix(l.text, "#[doc = concat!(") {
		it.attrs = append(it.attrs, l)
		return
	}
	var text string
	for _, m := range literal.FindAllStringSubmatch(l.text, -1) {
		text += m[1]
	}
	l.text = text
	it.docs = append(it.docs, l)
}

var (
	declaration = regexp.MustCompile(`^(pub )?(?:pub\([a-z]+\) )?(?:(?:const|unsafe|extern "C") )*` +
		`(fn|struct|enum|trait|type|const|static|mod|use|extern crate|macro_rules!|impl)[ <$](?:r#)?(\w*)`)
	implementation = regexp.MustCompile(`^impl(?:<.*>)? (\w+)`)
	call           = regexp.MustCompile(`^(\w+)! ?[({]`)
)

// read takes an item apart.
func (it *item) read(lines []line) error {
	text, mask := join(lines)
	it.at, it.text = lines[0], strings.TrimSpace(text)
	it.head = it.text
	if m := declaration.FindStringSubmatch(it.text); m != nil {
		it.public, it.kind, it.name = m[1] != "", m[2], m[3]
	} else if m := call.FindStringSubmatch(it.text); m != nil {
		it.kind, it.name = "call", m[1]
	} else {
		return it.at.wrong("not understood: %s", it.text)
	}
	brace := strings.IndexByte(mask, '{')
	if brace < 0 || it.kind == "use" || it.kind == "call" {
		return nil
	}
	it.head = strings.TrimSuffix(strings.TrimSpace(text[:brace]), " =")
	if first := strings.Count(text[:brace], "\n") + 1; first < len(lines) {
		it.body = lines[first : len(lines)-1]
	} else if it.kind == "const" || it.kind == "static" {
		it.head = it.text
	} else if it.kind != "fn" && !strings.HasSuffix(it.text, "{}") {
		return it.at.wrong("a body on one line is not understood")
	}
	if it.kind == "impl" {
		it.name = ""
		if m := implementation.FindStringSubmatch(it.head); m != nil && !strings.Contains(it.head, " for ") {
			it.name = m[1]
		}
	}
	var err error
	if it.kind == "trait" || it.name != "" && it.kind == "impl" {
		it.members, err = items(it.body)
	}
	return err
}

var (
	arm      = regexp.MustCompile(`(?s)^ *\(([^()]*)\) => \{\n(.*)\n *\};?$`)
	argument = regexp.MustCompile(`^\s*(?:(\$\w+):\w+$|\|(\$\w+):\w+\|)`)
	variable = regexp.MustCompile(`\$\w+`)
)

// expand gives the items that a call of a macro makes: the macro has one arm that repeats nothing, and no argument
// holds a comma.
func (it item) expand(macro item) ([]item, error) {
	text, _ := join(macro.body)
	m := arm.FindStringSubmatchIndex(text)
	_, given, inBraces := strings.Cut(strings.TrimSuffix(it.text, ");"), "!(")
	if m == nil || !inBraces {
		return nil, it.at.wrong("the macro %s is not understood", it.name)
	}
	values, list := map[string]string{}, strings.Split(given, ",")
	for i, pattern := range strings.Split(text[m[2]:m[3]], ",") {
		if name := argument.FindStringSubmatch(pattern); name != nil && i < len(list) {
			value, _, _ := strings.Cut(strings.TrimLeft(list[i], " |"), "|") // of a closure only its parameter
			values[name[1]+name[2]] = strings.TrimSpace(value)
		}
	}
	made := variable.ReplaceAllStringFunc(text[m[4]:m[5]], func(name string) string {
		if value := values[name]; value != "" {
			return value
		}
		return name
	})
	lines, err := newLines(it.at.file, macro.body[0].number+strings.Count(text[:m[4]], "\n"), made)
	if err != nil {
		return nil, err
	}
	return items(lines)
}

var (
	repeated = regexp.MustCompile(`(?s)^[^(]*\(\$\((\$\w+):ty(,.*)?\)\*\) => \{\s*\$\(`)
	safeImpl = regexp.MustCompile(`(?m)(?:^ *|\$\()(impl\b[^{\n]*) \{`) // unsafe traits are the SDK's own
)

// implementations gives the heads of the impl blocks that a call of a macro makes of each of its types, which it takes
// as `$($t:ty)*` or `$($t:ty, ...;)*`.
func (it item) implementations(macro item) ([]item, error) {
	heads := safeImpl.FindAllStringSubmatch(macro.text, -1)
	m := repeated.FindStringSubmatch(macro.text)
	if m == nil && len(heads) > 0 {
		return nil, it.at.wrong("the macro %s is not understood", it.name)
	}
	_, given, _ := strings.Cut(strings.TrimRight(it.text, ");}\n "), "!")
	types := strings.Split(given, ";\n")
	if m != nil && m[2] == "" {
		types = strings.Fields(given)
	}
	var list []item
	for _, head := range heads {
		for _, t := range types {
			t, _, _ = strings.Cut(strings.Trim(t, "({\n "), ",")
			list = append(list, item{at: macro.at, kind: "impl", head: strings.ReplaceAll(head[1], m[1], t)})
		}
	}
	return list, nil
}

// module is a file, or a module within one.
type module struct {
	item            // its declaration
	path     string // as users write it
	items    []item
	children map[string]*module
}

// load reads a file and those of its modules.
func load(file, path string, declared item) (*module, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	lines, err := newLines(filepath.ToSlash(file), 1, string(data))
	if err != nil {
		return nil, err
	}
	m := &module{item: declared, path: path}
	for ; len(lines) > 0; lines = lines[1:] {
		l, name := lines[0], ""
		if text, isDoc := strings.CutPrefix(l.text, "//!"); isDoc {
			l.text = strings.TrimPrefix(text, " ")
			m.docs = append(m.docs, l)
		} else if n, _ := fmt.Sscanf(l.text, "#![doc = include_str!(%q)]", &name); n == 1 {
			included, err := os.ReadFile(filepath.Join(filepath.Dir(file), name))
			if err != nil {
				return nil, l.wrong("%v", err)
			}
			for i, text := range strings.Split(strings.TrimSpace(string(included)), "\n") {
				m.docs = append(m.docs, line{file: name, number: i + 1, text: text})
			}
		} else if strings.HasPrefix(l.text, "#!") {
			return nil, l.wrong("not understood: %s", l.text)
		} else if l.text != "" {
			break
		}
	}
	return m, m.fill(lines, filepath.Dir(file))
}

// fill takes the module's items, with what its macros make, and those of its modules.
func (m *module) fill(lines []line, dir string) error {
	list, err := items(lines)
	m.children = map[string]*module{}
	macros := map[string]item{}
	for _, it := range list {
		made := []item{it}
		switch macro, known := macros[it.name]; {
		case it.kind == "macro_rules!":
			macros[it.name] = it
		case it.kind == "mod" && it.body != nil:
			child := &module{item: it, path: m.path + "::" + it.name}
			err = child.fill(it.body, filepath.Join(dir, it.name))
			m.children[it.name] = child
		case it.kind == "mod":
			file := filepath.Join(dir, it.name+".rs")
			if _, missing := os.Stat(file); missing != nil {
				file = filepath.Join(dir, it.name, "mod.rs")
			}
			m.children[it.name], err = load(file, m.path+"::"+it.name, it)
		case it.kind == "call" && !known && it.name != "thread_local":
			err = it.at.wrong("the macro %s is not understood", it.name)
		case it.kind == "call" && strings.Contains(macro.text, "pub "):
			made, err = it.expand(macro)
		case it.kind == "call" && known:
			made, err = it.implementations(macro)
		}
		if err != nil {
			return err
		}
		m.items = append(m.items, made...)
	}
	return err
}
