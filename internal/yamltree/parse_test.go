package yamltree

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// dump writes a tree as "line:column kind text" lines, indented by depth.
func dump(w *strings.Builder, n *Node, depth int) {
	fmt.Fprintf(w, "%s%d:%d %s", strings.Repeat(" ", depth), n.Pos.Line, n.Pos.Column, n.Kind)
	if n.Scalar() && n.Kind != Null {
		fmt.Fprintf(w, " %q", n.Text)
	}
	w.WriteByte('\n')
	for _, i := range n.Items {
		dump(w, i, depth+1)
	}
	for _, f := range n.Fields {
		fmt.Fprintf(w, "%s%d:%d %s:\n", strings.Repeat(" ", depth), f.Pos.Line, f.Pos.Column, f.Key)
		dump(w, f.Value, depth+1)
	}
}

const document = `# a job
name: late-flights
checkpoint: {interval: 1s, store: "${DIR:-./c}", keep: 5}
empty:
tilde: ~
sources:
  flights: &flights
    path: 'a b'   # why
    rate: 0x10
    list:
      - -2.5
      - b: yes
        c: false
    text: |
      two
      lines
  again: *flights
ü: {ö: 1, d: 2024-01-01}
`

const documentTree = `2:1 a mapping
2:1 name:
 2:7 text "late-flights"
3:1 checkpoint:
 3:13 a mapping
 3:14 interval:
  3:24 text "1s"
 3:28 store:
  3:35 text "${DIR:-./c}"
 3:50 keep:
  3:56 a whole number "5"
4:1 empty:
 4:7 nothing
5:1 tilde:
 5:8 nothing
6:1 sources:
 7:3 a mapping
 7:3 flights:
  8:5 a mapping
  8:5 path:
   8:11 text "a b"
  9:5 rate:
   9:11 a whole number "0x10"
  10:5 list:
   11:7 a list
    11:9 a number "-2.5"
    12:9 a mapping
    12:9 b:
     12:12 text "yes"
    13:9 c:
     13:12 true or false "false"
  14:5 text:
   14:11 text "two\nlines\n"
 17:3 again:
  8:5 a mapping
  8:5 path:
   8:11 text "a b"
  9:5 rate:
   9:11 a whole number "0x10"
  10:5 list:
   11:7 a list
    11:9 a number "-2.5"
    12:9 a mapping
    12:9 b:
     12:12 text "yes"
    13:9 c:
     13:12 true or false "false"
  14:5 text:
   14:11 text "two\nlines\n"
18:1 ü:
 18:4 a mapping
 18:5 ö:
  18:8 a whole number "1"
 18:11 d:
  18:14 text "2024-01-01"
`

func TestParseKeepsPositionsAndKinds(t *testing.T) {
	n, err := Parse("job.yaml", []byte(document))
	if err != nil {
		t.Fatal(err)
	}
	var got strings.Builder
	dump(&got, n, 0)
	if got.String() != documentTree {
		t.Errorf("tree:\n%s\nwant:\n%s", got.String(), documentTree)
	}
	if n.Get("sources").Get("again") == n.Get("sources").Get("flights") {
		t.Error("an alias shares its anchor's node: changing one would change the other")
	}
}

func TestParseRefuses(t *testing.T) {
	deep := strings.Repeat("[", DepthMax+1) + strings.Repeat("]", DepthMax+1)
	var block strings.Builder
	for i := range DepthMax + 2 {
		block.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	bomb := "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
	for c := 'b'; c < 'i'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c,", c-1), 10), ","))
	}
	for _, c := range []struct{ name, in, want string }{
		{"open list", "a: [1, 2", "1:4: sequence end token ']' not found"},
		{"two colons", "a: b: c", "1:4: mapping value is not allowed"},
		{"tab", "\ta: 1", "1:2: tab character"},
		{"twice", "a: 1\na: 2", `2:1: mapping key "a" already defined`},
		{"twice in flow", "x: {a: 1, a: 2}", `already defined`},
		{"open quote", `a: "x`, "1:4: could not find end character of double-quoted text"},
		{"merge key", "<<: 1", "1:1: merge keys (<<) are not supported"},
		{"tag", "a: !!str x", "1:4: tags (!!str) are not supported"},
		{"directive", "%YAML 1.2\n---\na: 1", "1:1: directives (%) are not supported"},
		{"two documents", "a: 1\n---\nb: 2", "3:2: a second document begins here"},
		{"unknown alias", "a: *x", "1:4: alias *x has no anchor"},
		{"alias within its anchor", "a: &x [*x]", "alias *x has no anchor"},
		{"deep brackets", "a: " + deep, "nested more than 32 deep"},
		{"deep dashes", strings.Repeat("- ", DepthMax+1) + "1", "nested more than 32 deep"},
		{"deep blocks", block.String(), "nested more than 32 deep"},
		{"alias bomb", bomb, "more than 20000 values"},
		{"many aliases", "a: &a 1\nb: [" + strings.Repeat("*a, ", AliasesMax+1) + "1]", "more than 256 aliases"},
		{"too long", strings.Repeat("#", BytesMax+1), "at most 262144 are read"},
		{"not text", "a: \xff", "1:4: the file is not UTF-8 text"},
		{"a zero byte", "a: 1\nb\x00: 1", "2:2: the file is not UTF-8 text"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("job.yaml", []byte(c.in))
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(e.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

func TestParseEmpty(t *testing.T) {
	for _, in := range []string{"", "\n", "# nothing\n", "---\n"} {
		if n, err := Parse("f", []byte(in)); err != nil || n.Kind != Null {
			t.Errorf("%q: %v %v", in, n, err)
		}
	}
}

func TestShown(t *testing.T) {
	for _, c := range []struct {
		n    Node
		want string
	}{
		{Node{Kind: String, Text: "a"}, `"a"`},
		{Node{Kind: String, Text: "a", Secret: true}, "(a secret)"},
		{Node{Kind: String, Text: strings.Repeat("ä", 61)}, `"` + strings.Repeat("ä", 60) + `"...`},
		{Node{Kind: Map}, "a mapping"},
		{Node{}, "nothing"},
	} {
		if got := c.n.Shown(); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(document))
	f.Add([]byte("a: &a [*a, {b: !!x 1}]\n? c\n: - d\n...\n---\n|2-\n x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		n, err := Parse("f", data)
		if (n == nil) == (err == nil) {
			t.Fatalf("node %v and error %v", n, err)
		}
		if err == nil {
			check(t, n, 0)
		}
	})
}

func check(t *testing.T, n *Node, depth int) {
	if depth > DepthMax || n.Pos.Line < 1 || n.Pos.Column < 1 {
		t.Fatalf("node at %v, depth %d", n.Pos, depth)
	}
	for _, i := range n.Items {
		check(t, i, depth+1)
	}
	seen := map[string]bool{}
	for _, f := range n.Fields {
		if seen[f.Key] {
			t.Fatalf("%q twice", f.Key)
		}
		seen[f.Key] = true
		check(t, f.Value, depth+1)
	}
}
