package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func rustPageOf(t *testing.T) string {
	t.Helper()
	page, err := rustReference("../../sdk-rust")
	if err != nil {
		t.Fatal(err)
	}
	return string(page)
}

func source(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("../../sdk-rust/tidemill/src/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestTheRustPageIsFresh(t *testing.T) {
	got, err := os.ReadFile("../reference/sdk-rust.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, []byte(rustPageOf(t))) {
		t.Error("docs/reference/sdk-rust.md is stale: go generate ./docs/sdkref")
	}
}

// TestTheRustPageIsComplete finds public names by searching the sources, without the generator's reader.
func TestTheRustPageIsComplete(t *testing.T) {
	page := rustPageOf(t)
	exported := []string{"ListIter", "Scan", "Datum", "Config", "Rejected", "SetTimer", "Harness"} // of the public modules
	use := regexp.MustCompile(`(?m)^pub use \w+::(?:\{([^}]*)\}|(\w+));`)
	for _, m := range use.FindAllStringSubmatch(source(t, "lib.rs"), -1) {
		exported = append(exported, regexp.MustCompile(`\w+`).FindAllString(m[1]+m[2], -1)...)
	}
	if len(exported) < 45 {
		t.Fatalf("only %d names are exported", len(exported))
	}
	for _, name := range append(exported, "operators!") {
		if !regexp.MustCompile(`(?m)^### \w+ ` + name + `$`).MatchString(page) {
			t.Errorf("%s is not on the page", name)
		}
	}
	for _, macro := range []string{"derive Row", "derive Columns", "derive Operator", "attribute operator", "macro operators!"} {
		if !strings.Contains(page, "\n### "+macro+"\n") {
			t.Errorf("the page has no %s", macro)
		}
	}
	var files []string
	for _, glob := range []string{"*.rs", "state/*.rs", "testing/mod.rs"} {
		found, err := filepath.Glob("../../sdk-rust/tidemill/src/" + glob)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	block := regexp.MustCompile(`(?ms)^impl(?:<[^>]*>)? (\w+)[^\n]*\{\n(.*?)^\}`)
	function := regexp.MustCompile(`(?m)((?:^ *(?:///|#\[).*\n)*)^ +pub (?:const )?fn (\w+)`)
	foreign := regexp.MustCompile(
		`(?m)^impl[^\n]* (?:(?:fmt|std)::\w|Add|Sub|Neg|From|Default|Drop|\w*Iterator)[^\n]* for [^\n]*?(\w+)(?:<[^\n]*>)? \{`)
	count := 0
	for _, file := range files {
		text := source(t, strings.TrimPrefix(filepath.ToSlash(file), "../../sdk-rust/tidemill/src/"))
		for _, b := range block.FindAllStringSubmatch(text, -1) {
			if !slices.Contains(exported, b[1]) {
				continue
			}
			for _, f := range function.FindAllStringSubmatch(b[2], -1) {
				if strings.Contains(f[1], "doc(hidden)") {
					continue
				}
				count++
				if !strings.Contains(page, "\n#### "+b[1]+"::"+f[2]+"\n") {
					t.Errorf("%s: %s::%s is not on the page", file, b[1], f[2])
				}
			}
		}
		for _, m := range foreign.FindAllStringSubmatch(text, -1) {
			if slices.Contains(exported, m[1]) && !strings.Contains(page, "\n"+strings.TrimSuffix(m[0], " {")) {
				t.Errorf("%s: the page has no %s", file, m[0])
			}
		}
		if _, macro, is := strings.Cut(text, "macro_rules! text_columns"); is { // makes the types of two columns
			macro, _, _ = strings.Cut(macro, "\n}\n")
			count += 2 * strings.Count(macro, " pub fn ")
		}
	}
	for _, made := range []string{
		"impl From<bool> for Datum", "impl From<&[u8]> for Datum", "impl From<&str> for Datum", "TryFrom<i8> for Decimal<P, S>",
		"TryFrom<usize> for Decimal<P, S>", "impl Default for TextsBuf", "impl Default for BinariesBuf",
	} {
		if !strings.Contains(page, made+"\n") {
			t.Errorf("the page has no %s", made)
		}
	}
	if got := len(regexp.MustCompile(`(?m)^pub (?:const )?fn `).FindAllString(page, -1)); got != count || count < 100 {
		t.Errorf("the page has %d public functions, the sources %d", got, count)
	}
}

func TestTheRustPageIsWellFormed(t *testing.T) {
	anchors, targets := map[string]int{}, map[string]string{}
	fence := false
	for i, l := range strings.Split(rustPageOf(t), "\n") {
		if strings.HasPrefix(l, "```") {
			if fence = !fence; fence == (l == "```") {
				t.Errorf("line %d: a code block begins without its language or ends with one: %s", i+1, l)
			}
			continue
		}
		if fence {
			if l == "#" || strings.HasPrefix(l, "# ") {
				t.Errorf("line %d: hidden: %s", i+1, l)
			}
			continue
		}
		if level := len(l) - len(strings.TrimLeft(l, "#")); level > 0 && strings.HasPrefix(l[level:], " ") {
			anchor := strings.Map(func(r rune) rune {
				if r == ' ' {
					return '-'
				}
				if strings.ContainsRune(":!", r) {
					return -1
				}
				return r
			}, strings.ToLower(l[level+1:]))
			anchors[anchor]++
		}
		for _, m := range regexp.MustCompile("\\[`[^`]*`\\](\\(#([^)]*)\\))?").FindAllStringSubmatch(l, -1) {
			targets[m[2]] = l
		}
	}
	if fence {
		t.Error("the last code block does not end")
	}
	if len(targets) < 40 {
		t.Errorf("only %d symbols are linked to", len(targets))
	}
	for target, l := range targets {
		if anchors[target] != 1 {
			t.Errorf("%d headings are %q: %s", anchors[target], target, l)
		}
	}
}

func TestWhatIsNotUnderstoodIsRefused(t *testing.T) {
	const macro = "macro_rules! m {\n    "
	for _, c := range []struct{ lib, want string }{
		{"//! A crate.\n\n/// A type.\npub struct A;\n", ""},
		{"/// A type.\npub struct A;\n\npub struct B;\n", "lib.rs:4: B is public and has no documentation"},
		{"/// A union.\npub union A {\n    a: u8,\n}\n", "lib.rs:2: not understood: pub union A"},
		{"/// A type.\n#[repr(C)]\n#[newest]\npub struct A;\n", "lib.rs:3: not understood: #[newest]"},
		{"#![newest]\n", "lib.rs:1: not understood: #![newest]"},
		{"mod a;\npub use a::*;\n", "lib.rs:2: not understood: pub use a::*;"},
		{"pub use std::rc::Rc;\n", "lib.rs:1: not understood"},
		{"mod a;\npub use a::Gone;\n", "lib.rs:2: Gone is not found"},
		{"/* A type. */\npub struct A;\n", "lib.rs:1: block comments and raw strings"},
		{"/// Text.\npub const A: &str = r\"a\";\n", "lib.rs:2: block comments and raw strings"},
		{"/// See [`B`].\npub struct A;\n", "lib.rs:1: B is not on the page"},
		{"/// See [`A`\npub struct A;\n", "lib.rs:1: a link does not end"},
		{"/// See [it](other.md).\npub struct A;\n", "lib.rs:1: a link is not understood"},
		{"/// ```\n/// A\npub struct A;\n", "lib.rs:2: a code block does not end"},
		{"/// ```cobol\n/// A\n/// ```\npub struct A;\n", `lib.rs:1: a code block of "cobol"`},
		{"unknown!(A);\n", "lib.rs:1: the macro unknown is not understood"},
		{macro + "($($a:ident)*) => {$(\n        /// A type.\n        pub struct $a;\n    )*};\n}\nm!(A B);\n",
			"lib.rs:7: the macro m is not"},
		{macro + "($a:ident, $($b:ty),*) => {\n        /// A type.\n        pub struct $a($b);\n    };\n}\nm!(A, u8);\n",
			"lib.rs:7: the macro m is not"},
		{macro + "($a:ident, $b:ty) => {\n        /// A type.\n        pub struct $a(pub $c);\n    };\n}\nm!(A, u8);\n",
			"lib.rs:4: a variable of a macro is left"},
		{macro + "($t:ty) => {\n        impl From<$t> for A {}\n    };\n}\nm!(u8);\n",
			"lib.rs:6: the macro m is not"},
		{"mod a;\n/// A type.\npub struct A;\n", "a.rs:1: an impl block of A stands in another module"},
		{"/// A type.\npub struct A {\n", "lib.rs:2: what begins here does not end"},
		{"/// An enum.\npub enum A {\n    #[newest]\n    B,\n}\n", "lib.rs:2: attributes of variants"},
	} {
		sdk := t.TempDir()
		for name, text := range map[string]string{
			"tidemill/src/lib.rs": c.lib, "tidemill-macros/src/lib.rs": "",
			"tidemill/src/a.rs": "impl A {\n    /// Nothing.\n    pub fn nothing() {}\n}\n",
		} {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(sdk, name)), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(sdk, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		_, err := rustReference(sdk)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s\ngives %v, not %q", c.lib, err, c.want)
		}
	}
}
