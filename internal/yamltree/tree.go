// Package yamltree reads a YAML document into a tree of values that know where they stand, so that whoever reads a field can
// say file, line and column when it is wrong.
//
// It is the small part of YAML that a configuration needs: mappings with scalar keys, sequences, scalars, and aliases, which
// are expanded. Merge keys, tags, directives and several documents are refused by name. Everything has a limit (Limits): bytes,
// depth, nodes after expansion, aliases; an input of any content ends in a tree or in a *Error, never in a panic.
//
// A tree is plain data: its reader may change it (expanding variables), and it is not safe for concurrent changes.
package yamltree

import "fmt"

// Kind is what a node is.
type Kind int

// The kinds. A scalar's kind is that of YAML's core schema; a quoted scalar is always a String.
const (
	Null Kind = iota
	Bool
	Int
	Float
	String
	List
	Map
)

// String names the kind in messages.
func (k Kind) String() string {
	return [...]string{"nothing", "true or false", "a whole number", "a number", "text", "a list", "a mapping"}[k]
}

// Pos is a place in a file; the first line and column are 1, a column counts characters.
type Pos struct {
	File   string
	Line   int
	Column int
}

// String formats as "file:line:column".
func (p Pos) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column) }

// Node is one value.
type Node struct {
	Kind   Kind
	Pos    Pos
	Text   string  // a scalar's text as written, without quotes
	Quoted bool    // the scalar had quotes or was a block
	Secret bool    // the text holds a resolved secret: it must not be shown (I12)
	Items  []*Node // List
	Fields []Field // Map, in the order written, keys distinct
}

// Field is one entry of a mapping.
type Field struct {
	Key   string
	Pos   Pos // of the key
	Value *Node
}

// Get returns the value of a mapping's field, or nil.
func (n *Node) Get(key string) *Node {
	for i := range n.Fields {
		if n.Fields[i].Key == key {
			return n.Fields[i].Value
		}
	}
	return nil
}

// Scalar says whether the node is neither list nor mapping.
func (n *Node) Scalar() bool { return n.Kind < List }

// Shown is the text of a scalar for messages: quoted, at most 60 characters of it, and nothing of a secret.
func (n *Node) Shown() string {
	switch {
	case n.Secret:
		return "(a secret)"
	case !n.Scalar() || n.Kind == Null:
		return n.Kind.String()
	}
	r := []rune(n.Text)
	if len(r) > 60 {
		return fmt.Sprintf("%q...", string(r[:60]))
	}
	return fmt.Sprintf("%q", n.Text)
}

// Retype sets a scalar's text, as after expanding a variable, and its kind by the rules for an unquoted scalar, so that
// "${N:-4}" may stand where a number is wanted.
func (n *Node) Retype(text string) {
	n.Text = text
	n.Kind = kindOf(text)
}

// Error says what is wrong with a document and where.
type Error struct {
	Pos     Pos
	Message string
	Hint    string
}

func (e *Error) Error() string { return e.Pos.String() + ": " + e.Message }
