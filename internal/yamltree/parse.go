package yamltree

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Limits of one document.
const (
	BytesMax   = 256 << 10 // ten thousand lines of configuration; also what the parser's recursion can be given safely
	DepthMax   = 32        // lists and mappings within each other
	NodesMax   = 20_000    // after aliases are expanded
	AliasesMax = 256
)

// Parse reads one document. The file name is only for positions. An empty document is a Null node.
func Parse(file string, data []byte) (*Node, error) {
	at := func(line, column int) Pos { return Pos{file, line, column} }
	if len(data) > BytesMax {
		return nil, &Error{at(1, 1), fmt.Sprintf("the file has %d bytes; at most %d are read", len(data), BytesMax), "split the job"}
	}
	if line, column, bad := notText(data); bad {
		return nil, &Error{at(line, column), "the file is not UTF-8 text", "save it as UTF-8"}
	}
	tokens := lexer.Tokenize(string(data))
	if err := checkTokens(file, tokens); err != nil {
		return nil, err
	}
	doc, err := parseTokens(file, tokens)
	if err != nil {
		return nil, err
	}
	if doc == nil {
		return &Node{Pos: at(1, 1)}, nil
	}
	b := &builder{file: file, anchors: map[string]*Node{}}
	root := b.node(doc, 0)
	if b.err != nil {
		return nil, b.err
	}
	return root, nil
}

func notText(data []byte) (line, column int, bad bool) {
	line, column = 1, 1
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && size <= 1 || r == 0 {
			return line, column, true
		}
		if r == '\n' {
			line, column = line+1, 0
		}
		column++
		i += size
	}
	return 0, 0, false
}

// checkTokens refuses, before the recursive parser runs, what would make it deep: nested brackets and dashes.
func checkTokens(file string, tokens token.Tokens) error {
	brackets, dashes, dashLine := 0, 0, 0
	for _, t := range tokens {
		pos := Pos{file, t.Position.Line, t.Position.Column}
		switch t.Type {
		case token.MappingStartType, token.SequenceStartType:
			brackets++
		case token.MappingEndType, token.SequenceEndType:
			brackets--
		case token.SequenceEntryType, token.MappingKeyType:
			if t.Position.Line != dashLine {
				dashes, dashLine = 0, t.Position.Line
			}
			dashes++
		case token.MergeKeyType:
			return &Error{pos, "merge keys (<<) are not supported", "write the fields out, or use an alias for a whole value"}
		case token.TagType:
			return &Error{pos, fmt.Sprintf("tags (%s) are not supported", t.Value), "remove it; quote the value to make it text"}
		case token.DirectiveType:
			return &Error{pos, "directives (%) are not supported", "remove the line"}
		}
		if brackets > DepthMax || dashes > DepthMax {
			return &Error{pos, fmt.Sprintf("lists and mappings are nested more than %d deep", DepthMax), ""}
		}
	}
	return nil
}

// parseTokens runs the library's parser and returns the body of the one document, nil where it is empty.
func parseTokens(file string, tokens token.Tokens) (body ast.Node, err error) {
	defer func() {
		// The parser is another project's and has met a hostile file here; its panic is the file's fault to the user.
		if r := recover(); r != nil {
			body, err = nil, &Error{Pos{file, 1, 1}, "the file is not YAML that can be read", "look for unbalanced quotes or brackets"}
		}
	}()
	f, err := parser.Parse(tokens, 0)
	if err != nil {
		return nil, syntaxError(file, err)
	}
	for _, d := range f.Docs {
		if d.Body == nil {
			continue
		}
		if body != nil {
			return nil, &Error{position(file, d.Body.GetToken()), "a second document begins here", "one file is one job"}
		}
		body = d.Body
	}
	return body, nil
}

func syntaxError(file string, err error) error {
	var e yaml.Error
	if errors.As(err, &e) && e.GetToken() != nil {
		return &Error{position(file, e.GetToken()), e.GetMessage(), ""}
	}
	first, _, _ := bytes.Cut([]byte(err.Error()), []byte("\n"))
	return &Error{Pos{file, 1, 1}, string(first), ""}
}

func position(file string, t *token.Token) Pos {
	if t == nil || t.Position == nil {
		return Pos{file, 1, 1}
	}
	return Pos{file, max(t.Position.Line, 1), max(t.Position.Column, 1)}
}

// builder turns the parser's tree into nodes; it stops at the first error.
type builder struct {
	file    string
	anchors map[string]*Node
	nodes   int
	aliases int
	err     *Error
}

func (b *builder) fail(t *token.Token, hint, format string, args ...any) *Node {
	if b.err == nil {
		b.err = &Error{position(b.file, t), fmt.Sprintf(format, args...), hint}
	}
	return &Node{}
}

func (b *builder) node(n ast.Node, depth int) *Node {
	if b.err != nil {
		return &Node{}
	}
	b.nodes++
	switch {
	case depth > DepthMax:
		return b.fail(n.GetToken(), "", "lists and mappings are nested more than %d deep", DepthMax)
	case b.nodes > NodesMax:
		return b.fail(n.GetToken(), "", "the file has more than %d values", NodesMax)
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		return b.mapping(n.GetToken(), n.Values, depth)
	case *ast.MappingValueNode:
		return b.mapping(n.GetToken(), []*ast.MappingValueNode{n}, depth)
	case *ast.SequenceNode:
		list := &Node{Kind: List, Pos: position(b.file, n.Start)}
		for _, v := range n.Values {
			list.Items = append(list.Items, b.node(v, depth+1))
		}
		return list
	case *ast.AnchorNode:
		v := b.node(n.Value, depth)
		b.anchors[n.Name.GetToken().Value] = v
		return v
	case *ast.AliasNode:
		return b.alias(n, depth)
	case *ast.LiteralNode:
		return &Node{Kind: String, Pos: position(b.file, n.Start), Text: n.Value.Value, Quoted: true}
	case *ast.StringNode:
		return &Node{Kind: String, Pos: position(b.file, n.Token), Text: n.Value, Quoted: quoted(n.Token)}
	case *ast.NullNode:
		return &Node{Pos: position(b.file, n.Token)}
	case *ast.BoolNode, *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		t := n.GetToken()
		return &Node{Kind: kindOf(t.Value), Pos: position(b.file, t), Text: t.Value}
	}
	return b.fail(n.GetToken(), "", "%s is not supported here", strings.ToLower(n.Type().YAMLName()))
}

func quoted(t *token.Token) bool {
	return t.Type == token.SingleQuoteType || t.Type == token.DoubleQuoteType
}

func (b *builder) mapping(start *token.Token, values []*ast.MappingValueNode, depth int) *Node {
	m := &Node{Kind: Map, Pos: position(b.file, start)}
	seen := make(map[string]bool, len(values))
	for i, v := range values {
		key, ok := b.key(v.Key)
		if !ok {
			return b.fail(v.Key.GetToken(), "", "a key must be text")
		}
		kt := v.Key.GetToken()
		if i == 0 && start != nil && start.Type != token.MappingStartType {
			m.Pos = position(b.file, kt)
		}
		if seen[key] {
			return b.fail(kt, "", "%q is given twice", key)
		}
		seen[key] = true
		value := b.node(v.Value, depth+1)
		if value.Kind == Null && value.Text == "" && value.Pos.Line <= 1 && kt.Position.Line > 1 {
			value.Pos = position(b.file, kt) // an absent value has no token of its own
		}
		m.Fields = append(m.Fields, Field{key, position(b.file, kt), value})
	}
	return m
}

// key returns the text of a scalar key.
func (b *builder) key(k ast.MapKeyNode) (string, bool) {
	switch k := k.(type) {
	case *ast.StringNode:
		return k.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
		return k.GetToken().Value, true
	}
	return "", false
}

func (b *builder) alias(n *ast.AliasNode, depth int) *Node {
	b.aliases++
	if b.aliases > AliasesMax {
		return b.fail(n.Start, "", "the file has more than %d aliases", AliasesMax)
	}
	name := n.Value.GetToken().Value
	target := b.anchors[name]
	if target == nil {
		return b.fail(n.Start, "an anchor (&"+name+") must come before its aliases", "alias *%s has no anchor", name)
	}
	return b.copy(target, n.Start, depth)
}

// copy expands an alias: a value may be changed by its reader, so it is not shared.
func (b *builder) copy(n *Node, at *token.Token, depth int) *Node {
	b.nodes++
	switch {
	case b.err != nil:
		return &Node{}
	case b.nodes > NodesMax:
		return b.fail(at, "", "the file has more than %d values once its aliases are expanded", NodesMax)
	case depth > DepthMax:
		return b.fail(at, "", "lists and mappings are nested more than %d deep", DepthMax)
	}
	c := *n
	c.Items, c.Fields = nil, nil
	for _, i := range n.Items {
		c.Items = append(c.Items, b.copy(i, at, depth+1))
	}
	for _, f := range n.Fields {
		c.Fields = append(c.Fields, Field{f.Key, f.Pos, b.copy(f.Value, at, depth+1)})
	}
	return &c
}

// kindOf is the kind of an unquoted scalar.
func kindOf(text string) Kind {
	switch t := token.New(text, text, &token.Position{}); t.Type {
	case token.NullType, token.ImplicitNullType:
		return Null
	case token.BoolType:
		return Bool
	case token.IntegerType, token.BinaryIntegerType, token.OctetIntegerType, token.HexIntegerType:
		return Int
	case token.FloatType, token.InfinityType, token.NanType:
		return Float
	}
	return String
}
