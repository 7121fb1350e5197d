package wat

import (
	"fmt"
	"strconv"
	"strings"
)

// node is an atom (a word or a string) or a list.
type node struct {
	text   string
	quoted bool
	list   []node
	isList bool
}

// head is the first word of a list.
func (n node) head() string {
	if n.isList && len(n.list) > 0 && !n.list[0].quoted {
		return n.list[0].text
	}
	return ""
}

func (n node) id() bool { return !n.isList && !n.quoted && strings.HasPrefix(n.text, "$") }

// parse reads one list.
func parse(src string) (node, error) {
	p := &parser{src: src}
	n, err := p.node()
	if err != nil {
		return node{}, err
	}
	if p.space(); p.pos != len(p.src) {
		return node{}, p.wrong("goes on after the end")
	}
	return n, nil
}

type parser struct {
	src string
	pos int
}

func (p *parser) wrong(what string) error {
	return fmt.Errorf("line %d: %s", 1+strings.Count(p.src[:p.pos], "\n"), what)
}

// space skips blanks and comments: from ;; to the end of the line.
func (p *parser) space() {
	for p.pos < len(p.src) {
		switch {
		case strings.ContainsRune(" \t\r\n", rune(p.src[p.pos])):
			p.pos++
		case strings.HasPrefix(p.src[p.pos:], ";;"):
			if n := strings.IndexByte(p.src[p.pos:], '\n'); n >= 0 {
				p.pos += n
			} else {
				p.pos = len(p.src)
			}
		default:
			return
		}
	}
}

func (p *parser) node() (node, error) {
	p.space()
	if p.pos == len(p.src) {
		return node{}, p.wrong("ends too early")
	}
	switch p.src[p.pos] {
	case '(':
		p.pos++
		n := node{isList: true}
		for {
			if p.space(); p.pos < len(p.src) && p.src[p.pos] == ')' {
				p.pos++
				return n, nil
			}
			child, err := p.node()
			if err != nil {
				return node{}, err
			}
			n.list = append(n.list, child)
		}
	case ')':
		return node{}, p.wrong("a bracket closes nothing")
	case '"':
		return p.quoted()
	}
	start := p.pos
	for p.pos < len(p.src) && !strings.ContainsRune(" \t\r\n()\";", rune(p.src[p.pos])) {
		p.pos++
	}
	return node{text: p.src[start:p.pos]}, nil
}

// quoted reads a string: \hh is a byte, \n \t \" \\ as usual.
func (p *parser) quoted() (node, error) {
	var b strings.Builder
	for p.pos++; p.pos < len(p.src); p.pos++ {
		switch c := p.src[p.pos]; c {
		case '"':
			p.pos++
			return node{text: b.String(), quoted: true}, nil
		case '\\':
			rest := p.src[p.pos+1:]
			if len(rest) > 0 && strings.IndexByte(`nt"\`, rest[0]) >= 0 {
				b.WriteByte("\n\t\"\\"[strings.IndexByte(`nt"\`, rest[0])])
				p.pos++
				continue
			}
			v, err := strconv.ParseUint(rest[:min(2, len(rest))], 16, 8)
			if err != nil {
				return node{}, p.wrong("bad escape in a string")
			}
			b.WriteByte(byte(v))
			p.pos += 2
		default:
			b.WriteByte(c)
		}
	}
	return node{}, p.wrong("a string does not end")
}
