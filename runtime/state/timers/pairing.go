package timers

import (
	"bytes"

	"github.com/tidemill/tidemill/runtime/state/cells"
)

// The timers of one key and domain are a pairing heap (Fredman, Sedgewick, Sleator, Tarjan 1986): setting is one comparison,
// removing any timer a logarithm, amortised.

// before is the order of rule 4: time, name in declaration order, tag.
func (q *Queue) before(a, b []byte) bool {
	if ta, tb := i64(a, atTime), i64(b, atTime); ta != tb {
		return ta < tb
	}
	if ra, rb := q.names[nodeKind(a)>>1].rank, q.names[nodeKind(b)>>1].rank; ra != rb {
		return ra < rb
	}
	return bytes.Compare(nodeTag(a), nodeTag(b)) < 0
}

// meld joins two heaps, either of which may be empty, and returns the root.
func (q *Queue) meld(a, b cells.Ref) cells.Ref {
	if a == 0 || b == 0 {
		return a | b
	}
	na, nb := q.nodes.At(a), q.nodes.At(b)
	if q.before(nb, na) {
		a, b, na, nb = b, a, nb, na
	}
	first := u32(na, atChild)
	put32(nb, atSibling, first)
	put32(nb, atPrev, a)
	if first != 0 {
		put32(q.nodes.At(first), atPrev, b)
	}
	put32(na, atChild, b)
	return a
}

// meldSiblings joins the heaps of a list of siblings: in pairs from left to right, then those from right to left.
func (q *Queue) meldSiblings(first cells.Ref) cells.Ref {
	var pairs cells.Ref // a stack, by sibling
	for first != 0 {
		a := first
		na := q.nodes.At(a)
		b := u32(na, atSibling)
		first = 0
		put32(na, atSibling, 0)
		put32(na, atPrev, 0)
		if b != 0 {
			nb := q.nodes.At(b)
			first = u32(nb, atSibling)
			put32(nb, atSibling, 0)
			put32(nb, atPrev, 0)
		}
		m := q.meld(a, b)
		put32(q.nodes.At(m), atSibling, pairs)
		pairs = m
	}
	var root cells.Ref
	for pairs != 0 {
		n := q.nodes.At(pairs)
		next := u32(n, atSibling)
		put32(n, atSibling, 0)
		root = q.meld(root, pairs)
		pairs = next
	}
	return root
}

// unlink takes a timer out of the heap of its key, whose cell is h.
func (q *Queue) unlink(h []byte, ref cells.Ref) {
	n := q.nodes.At(ref)
	at := rootAt(uint8(nodeKind(n) & 1))
	children := q.meldSiblings(u32(n, atChild))
	put32(n, atChild, 0)
	if u32(h, at) == ref {
		put32(h, at, children)
		return
	}
	prev, next := u32(n, atPrev), u32(n, atSibling)
	if p := q.nodes.At(prev); u32(p, atChild) == ref {
		put32(p, atChild, next)
	} else {
		put32(p, atSibling, next)
	}
	if next != 0 {
		put32(q.nodes.At(next), atPrev, prev)
	}
	put32(n, atPrev, 0)
	put32(n, atSibling, 0)
	put32(h, at, q.meld(u32(h, at), children))
}

// matching appends the timers of a heap that match to dst. With kind < 0 all match.
func (q *Queue) matching(dst []cells.Ref, root cells.Ref, kind int, tag []byte) []cells.Ref {
	if root == 0 {
		return dst
	}
	stack := append(q.stack[:0], root)
	for len(stack) > 0 {
		ref := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		n := q.nodes.At(ref)
		if kind < 0 || int(nodeKind(n)) == kind && bytes.Equal(nodeTag(n), tag) {
			dst = append(dst, ref)
		}
		if c := u32(n, atChild); c != 0 {
			stack = append(stack, c)
		}
		if s := u32(n, atSibling); s != 0 {
			stack = append(stack, s)
		}
	}
	q.stack = stack
	return dst
}
