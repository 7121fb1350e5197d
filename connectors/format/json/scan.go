package json

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// depthMax is how deep values may nest, as in encoding/json: it bounds the scanner's stack (I8).
const depthMax = 10_000

// kind is what a JSON value is.
type kind uint8

const (
	absent kind = iota
	null
	boolean
	number
	text    // a string without escapes: the span is what is between its quotes
	escaped // a string with escapes, which are valid
	object
	array
)

func (k kind) String() string {
	return [...]string{"nothing", "null", "a bool", "a number", "a string", "a string", "an object", "an array"}[k]
}

// span is where a value is in the record.
type span struct {
	kind       kind
	start, end int
}

// scanner validates JSON text. problem is set by the first error, at is then where it is.
type scanner struct {
	data    []byte
	at      int
	depth   int
	problem string
}

func (s *scanner) fail(problem string) bool {
	if s.problem == "" {
		s.problem = problem
	}
	return false
}

func (s *scanner) space() {
	for s.at < len(s.data) {
		if b := s.data[s.at]; b != ' ' && b != '\t' && b != '\n' && b != '\r' {
			return
		}
		s.at++
	}
}

// peek returns the next byte after white space, 0 at the end (a NUL is nowhere valid, so the two need not be told apart).
func (s *scanner) peek() byte {
	if s.at < len(s.data) && s.data[s.at] > ' ' {
		return s.data[s.at]
	}
	s.space()
	if s.at < len(s.data) {
		return s.data[s.at]
	}
	return 0
}

// value scans any value.
func (s *scanner) value() (span, bool) {
	b := s.peek()
	start := s.at
	switch {
	case b == '"':
		return s.str()
	case b == '-' || b-'0' <= 9:
		ok := s.number()
		return span{number, start, s.at}, ok
	case b == '{':
		ok := s.object()
		return span{object, start, s.at}, ok
	case b == '[':
		ok := s.array()
		return span{array, start, s.at}, ok
	case b == 't':
		return s.word("true", boolean)
	case b == 'f':
		return s.word("false", boolean)
	case b == 'n':
		return s.word("null", null)
	case s.at >= len(s.data):
		return span{}, s.fail("the record ends where a value is expected")
	}
	return span{}, s.fail("a value is expected")
}

func (s *scanner) word(w string, k kind) (span, bool) {
	start := s.at
	if len(s.data)-s.at < len(w) || string(s.data[s.at:s.at+len(w)]) != w {
		return span{}, s.fail("a value is expected")
	}
	s.at += len(w)
	return span{k, start, s.at}, true
}

func (s *scanner) digits() bool {
	from := s.at
	for s.at < len(s.data) && s.data[s.at]-'0' <= 9 {
		s.at++
	}
	return s.at > from || s.fail("a digit is expected")
}

func (s *scanner) number() bool {
	if s.data[s.at] == '-' {
		s.at++
	}
	if s.at < len(s.data) && s.data[s.at] == '0' {
		s.at++ // no digit may follow: what comes next is then not valid
	} else if !s.digits() {
		return false
	}
	if s.at < len(s.data) && s.data[s.at] == '.' {
		s.at++
		if !s.digits() {
			return false
		}
	}
	if s.at < len(s.data) && s.data[s.at]|0x20 == 'e' {
		s.at++
		if s.at < len(s.data) && (s.data[s.at] == '+' || s.data[s.at] == '-') {
			s.at++
		}
		return s.digits()
	}
	return true
}

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// special returns a mask whose lowest set bit is in the first of eight bytes that is a quote, a backslash or a control
// character. (Bits above it may be wrong: a borrow runs upwards only.)
func special(w uint64) uint64 {
	quote := w ^ ones*'"'
	slash := w ^ ones*'\\'
	return ((quote-ones) & ^quote | (slash-ones) & ^slash | (w-ones*' ') & ^w) & highs
}

// str scans a string; the span is between the quotes.
func (s *scanner) str() (span, bool) {
	s.at++
	start, k := s.at, text
	for {
		for s.at+8 <= len(s.data) {
			if m := special(binary.LittleEndian.Uint64(s.data[s.at:])); m != 0 {
				s.at += bits.TrailingZeros64(m) >> 3
				break
			}
			s.at += 8
		}
		for s.at < len(s.data) && s.data[s.at] >= ' ' && s.data[s.at] != '"' && s.data[s.at] != '\\' {
			s.at++
		}
		switch {
		case s.at >= len(s.data):
			return span{}, s.fail("a string is not closed")
		case s.data[s.at] == '"':
			s.at++
			return span{k, start, s.at - 1}, true
		case s.data[s.at] == '\\':
			k = escaped
			if !s.escape() {
				return span{}, false
			}
		default:
			return span{}, s.fail("a control character in a string")
		}
	}
}

// escape scans one escape, or the two of a surrogate pair.
func (s *scanner) escape() bool {
	if s.at+1 >= len(s.data) {
		return s.fail("a string is not closed")
	}
	switch s.data[s.at+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.at += 2
		return true
	case 'u':
		r, ok := hex4(s.data, s.at+2)
		if !ok {
			return s.fail("four hex digits are expected after \\u")
		}
		if !utf16.IsSurrogate(r) {
			s.at += 6
			return true
		}
		low, ok := hex4(s.data, s.at+8)
		if ok && s.data[s.at+6] == '\\' && s.data[s.at+7] == 'u' && utf16.DecodeRune(r, low) != utf8.RuneError {
			s.at += 12
			return true
		}
		return s.fail("an escape is half a surrogate pair")
	}
	return s.fail("an unknown escape")
}

// hex4 reads four hex digits at data[at:].
func hex4(data []byte, at int) (rune, bool) {
	if at+4 > len(data) {
		return 0, false
	}
	var r rune
	for _, b := range data[at : at+4] {
		switch {
		case b-'0' <= 9:
			b -= '0'
		case b|0x20-'a' <= 5:
			b = b | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(b)
	}
	return r, true
}

// unescape appends the text of an escaped string, which str has found valid.
func unescape(dst, raw []byte) []byte {
	for i := 0; i < len(raw); {
		if raw[i] != '\\' {
			dst = append(dst, raw[i])
			i++
			continue
		}
		switch b := raw[i+1]; b {
		case 'u':
			r, _ := hex4(raw, i+2)
			i += 4
			if utf16.IsSurrogate(r) {
				low, _ := hex4(raw, i+4)
				r = utf16.DecodeRune(r, low)
				i += 6
			}
			dst = utf8.AppendRune(dst, r)
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		default:
			dst = append(dst, b)
		}
		i += 2
	}
	return dst
}

func (s *scanner) enter() bool {
	s.at++
	s.depth++
	return s.depth <= depthMax || s.fail("the record nests too deep")
}

// object scans an object that nobody wants.
func (s *scanner) object() bool {
	if !s.enter() {
		return false
	}
	if s.peek() == '}' {
		s.at++
		s.depth--
		return true
	}
	for {
		if _, ok := s.name(); !ok {
			return false
		}
		if _, ok := s.value(); !ok {
			return false
		}
		more, ok := s.next('}')
		if !ok || !more {
			return ok
		}
	}
}

// name scans the name of a member and its colon.
func (s *scanner) name() (span, bool) {
	if s.peek() != '"' {
		return span{}, s.fail("the name of a member is expected")
	}
	n, ok := s.str()
	if !ok {
		return n, false
	}
	if s.peek() != ':' {
		return n, s.fail("a colon is expected")
	}
	s.at++
	return n, true
}

// next scans what follows a member or an element: a comma, or the end, which closes the value.
func (s *scanner) next(end byte) (more, ok bool) {
	switch s.peek() {
	case ',':
		s.at++
		return true, true
	case end:
		s.at++
		s.depth--
		return false, true
	}
	if s.at >= len(s.data) {
		return false, s.fail("the record ends within an object or array")
	}
	return false, s.fail("a comma or the end of the object or array is expected")
}

func (s *scanner) array() bool {
	if !s.enter() {
		return false
	}
	if s.peek() == ']' {
		s.at++
		s.depth--
		return true
	}
	for {
		if _, ok := s.value(); !ok {
			return false
		}
		more, ok := s.next(']')
		if !ok || !more {
			return ok
		}
	}
}
