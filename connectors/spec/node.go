package spec

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Limits of a configuration file (I8): a file within them is far larger than a person writes, and aliases cannot make it explode.
const (
	fileBytesMax = 256 << 10 // also what keeps the YAML parser, which is quadratic in places, under a second
	nodesMax     = 20_000
	depthMax     = 32
)

// NodeKind is the shape of a Node.
type NodeKind int

// The shapes.
const (
	Null NodeKind = iota
	Scalar
	Sequence
	Mapping
)

// Node is one value of a configuration file, aliases followed.
type Node struct {
	Kind    NodeKind
	Place   string // file:line:column
	Text    string // of a scalar, as written, references unresolved
	Quoted  bool   // the scalar is in quotes or a block: it is a string whatever it looks like
	Items   []*Node
	Entries []Entry
}

// Entry is a pair of a mapping.
type Entry struct {
	Name  string
	Place string // of the name
	Node  *Node
}

// Document is a configuration file.
type Document struct {
	Root    *Node
	resolve Resolve
}

// Resolve replaces the references in a text that contains "${". Its error must not show a secret.
type Resolve func(text string) (string, error)

// Load reads YAML text. file is the name that errors show. A nil resolve leaves every text as it is.
func Load(file string, text []byte, resolve Resolve) (*Document, error) {
	if len(text) > fileBytesMax {
		return nil, ErrSyntax.Errorf("the file has %d bytes, the limit is %d", len(text), fileBytesMax).At("%s", file)
	}
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	parsed, err := parseYAML(file, text)
	if err != nil {
		return nil, err
	}
	if len(parsed.Docs) > 1 {
		return nil, ErrSyntax.Errorf("the file has %d YAML documents", len(parsed.Docs)).At("%s", file).Do("keep one")
	}
	l := &loader{file: file, anchors: map[string]ast.Node{}}
	d := &Document{Root: &Node{Kind: Null, Place: file + ":1:1"}, resolve: resolve}
	if len(parsed.Docs) == 1 && parsed.Docs[0].Body != nil {
		if d.Root, err = l.node(parsed.Docs[0].Body, 0); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// parseYAML runs the library's parser on text that cannot make it run away.
func parseYAML(file string, text []byte) (parsed *ast.File, err error) {
	defer func() {
		// The parser is another project's. Where it panics, the file is one that a person did not mean to write.
		if r := recover(); r != nil {
			parsed, err = nil, ErrSyntax.Errorf("the file cannot be read as YAML").At("%s", file).Do("look for unbalanced quotes or brackets")
		}
	}()
	if !utf8.Valid(text) {
		return nil, ErrSyntax.Errorf("the file is not UTF-8 text").At("%s", file).Do("save it as UTF-8")
	}
	tokens := lexer.Tokenize(string(text))
	if err := checkDepth(file, tokens); err != nil {
		return nil, err
	}
	if parsed, err = parser.Parse(tokens, 0); err != nil {
		return nil, syntaxError(file, err)
	}
	return parsed, nil
}

// checkDepth refuses nesting before the parser sees it: the parser's time grows with the square of the depth, and worse.
func checkDepth(file string, tokens token.Tokens) error {
	brackets, dashes, line := 0, 0, 0
	for _, t := range tokens {
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			brackets++
		case token.MappingEndType, token.SequenceEndType:
			brackets--
		case token.SequenceEntryType, token.MappingKeyType, token.AnchorType, token.TagType:
			if t.Position.Line != line {
				dashes, line = 0, t.Position.Line
			}
			dashes++
		}
		if brackets > depthMax || dashes > 4*depthMax {
			return ErrSyntax.Errorf("lists and mappings are nested more than %d deep", depthMax).
				At("%s:%d:%d", file, t.Position.Line, t.Position.Column)
		}
	}
	return nil
}

func syntaxError(file string, err error) error {
	var positioned interface {
		GetToken() *token.Token
		GetMessage() string
	}
	if errors.As(err, &positioned) && positioned.GetToken() != nil {
		p := positioned.GetToken().Position
		e := ErrSyntax.Errorf("%s", positioned.GetMessage()).At("%s:%d:%d", file, p.Line, p.Column)
		if strings.Contains(e.Message, "'\t'") {
			e = e.Do("indent with spaces: YAML allows no tabs there")
		}
		return e
	}
	return ErrSyntax.Errorf("%s", firstLine(err.Error())).At("%s", file)
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

// loader turns the parser's tree into Nodes.
type loader struct {
	file    string
	anchors map[string]ast.Node
	nodes   int
}

func (l *loader) place(n ast.Node) string {
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		n = m.Values[0].Key // a block mapping's own token is the first colon
	}
	if n.GetToken() == nil || n.GetToken().Position == nil {
		return l.file
	}
	p := n.GetToken().Position
	return fmt.Sprintf("%s:%d:%d", l.file, p.Line, p.Column)
}

func (l *loader) node(n ast.Node, depth int) (*Node, error) {
	if l.nodes++; l.nodes > nodesMax || depth > depthMax {
		return nil, ErrSyntax.Errorf("the file has more than %d values, or lists and mappings are nested more than %d deep",
			nodesMax, depthMax).At("%s", l.place(n))
	}
	out := &Node{Place: l.place(n)}
	switch n := n.(type) {
	case *ast.NullNode:
		if v := n.GetToken().Value; v == "~" || v == "null" || v == "" {
			return out, nil
		}
		out.Kind, out.Text = Scalar, n.GetToken().Value // Null and NULL are null in YAML, and yet likelier to be meant as text
	case *ast.StringNode:
		out.Kind, out.Text = Scalar, n.Value
		out.Quoted = n.Token.Type == token.SingleQuoteType || n.Token.Type == token.DoubleQuoteType
	case *ast.LiteralNode:
		out.Kind, out.Text, out.Quoted = Scalar, n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		out.Kind, out.Text = Scalar, n.GetToken().Value
	case *ast.MappingNode:
		out.Kind = Mapping
		return out, l.mapping(out, n.Values, depth)
	case *ast.MappingValueNode:
		out.Kind = Mapping
		return out, l.mapping(out, []*ast.MappingValueNode{n}, depth)
	case *ast.SequenceNode:
		out.Kind = Sequence
		for _, item := range n.Values {
			v, err := l.node(item, depth+1)
			if err != nil {
				return nil, err
			}
			out.Items = append(out.Items, v)
		}
	case *ast.AnchorNode:
		l.anchors[n.Name.GetToken().Value] = n.Value
		return l.node(n.Value, depth+1)
	case *ast.AliasNode:
		target, ok := l.anchors[n.Value.GetToken().Value]
		if !ok {
			return nil, ErrSyntax.Errorf("no anchor &%s stands before this alias", n.Value.GetToken().Value).At("%s", out.Place)
		}
		return l.node(target, depth+1)
	default:
		return nil, ErrSyntax.Errorf("tags and other YAML extensions are not supported").At("%s", out.Place).Do("write the value plainly")
	}
	return out, nil
}

func (l *loader) mapping(out *Node, values []*ast.MappingValueNode, depth int) error {
	for _, pair := range values {
		if pair.Key.IsMergeKey() {
			return ErrSyntax.Errorf("the merge key << is not supported").At("%s", l.place(pair.Key)).Do("write the fields out")
		}
		key, ok := pair.Key.(ast.ScalarNode)
		if !ok {
			return ErrSyntax.Errorf("a name must be plain text").At("%s", l.place(pair.Key))
		}
		name := key.GetToken().Value
		for i := range out.Entries {
			if out.Entries[i].Name == name {
				return ErrSyntax.Errorf("%s appears twice", name).At("%s", l.place(key))
			}
		}
		v, err := l.node(pair.Value, depth+1)
		if err != nil {
			return err
		}
		out.Entries = append(out.Entries, Entry{Name: name, Place: l.place(key), Node: v})
	}
	return nil
}

// Get returns the value of a name of a mapping, or nil.
func (n *Node) Get(name string) *Node {
	for i := range n.Entries {
		if n.Entries[i].Name == name {
			return n.Entries[i].Node
		}
	}
	return nil
}

func (n *Node) describe() string {
	switch n.Kind {
	case Null:
		return "nothing"
	case Sequence:
		return "a list"
	case Mapping:
		return "a mapping"
	}
	return strconv.Quote(n.Text)
}

// Value turns a tree whose references are resolved into plain Go values: map[string]any, []any, string, int64, float64, bool, nil.
func (n *Node) Value() any {
	switch n.Kind {
	case Sequence:
		list := make([]any, len(n.Items))
		for i, item := range n.Items {
			list[i] = item.Value()
		}
		return list
	case Mapping:
		m := make(map[string]any, len(n.Entries))
		for _, e := range n.Entries {
			m[e.Name] = e.Node.Value()
		}
		return m
	case Scalar:
		return n.scalarValue()
	}
	return nil
}

func (n *Node) scalarValue() any {
	if n.Quoted {
		return n.Text
	}
	switch n.Text {
	case "true":
		return true
	case "false":
		return false
	}
	if v, err := strconv.ParseInt(n.Text, 10, 64); err == nil {
		return v
	}
	if looksNumeric(n.Text) {
		if v, err := strconv.ParseFloat(n.Text, 64); err == nil {
			return v
		}
	}
	return n.Text
}

// looksNumeric keeps words that ParseFloat takes (inf, nan, 0x1p4) strings.
func looksNumeric(s string) bool {
	return s != "" && strings.Trim(s, "0123456789+-.eE") == "" && strings.ContainsAny(s, "0123456789")
}
