package json

import (
	"errors"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Decode reads data into the struct that v points to. Unknown members are skipped, so that a newer host can send more.
func Decode(data []byte, v any) error {
	d := decoder{data: data}
	d.value(reflect.ValueOf(v).Elem())
	d.space()
	if d.err == nil && d.at < len(d.data) {
		d.fail("text after the value")
	}
	return d.err
}

// decoder reads one value after another; after the first error every call returns at once.
type decoder struct {
	data []byte
	at   int
	err  error
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = errors.New("json at byte " + strconv.Itoa(d.at) + ": " + what)
	}
	d.at = len(d.data)
}

func (d *decoder) space() {
	for d.at < len(d.data) {
		switch d.data[d.at] {
		case ' ', '\t', '\r', '\n':
			d.at++
		default:
			return
		}
	}
}

// peek is the next byte that is no white space, 0 at the end.
func (d *decoder) peek() byte {
	d.space()
	if d.at == len(d.data) {
		return 0
	}
	return d.data[d.at]
}

func (d *decoder) take(c byte) bool {
	if d.peek() != c {
		return false
	}
	d.at++
	return true
}

func (d *decoder) expect(c byte) {
	if !d.take(c) {
		d.fail("expected " + strconv.QuoteRune(rune(c)))
	}
}

// value reads into v; a mismatch of kinds is an error.
func (d *decoder) value(v reflect.Value) {
	if d.peek() == 'n' && v.Kind() != reflect.Interface {
		d.literal()
		v.SetZero()
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.members(func(name string) {
			t := v.Type()
			for i := range t.NumField() {
				if tag, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ","); tag == name {
					d.value(v.Field(i))
					return
				}
			}
			d.any()
		})
	case reflect.Slice:
		d.elements(func() {
			v.Grow(1)
			v.SetLen(v.Len() + 1)
			d.value(v.Index(v.Len() - 1))
		})
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.value(v.Elem())
	case reflect.Map, reflect.Interface:
		if x := d.any(); x != nil && d.err == nil {
			d.assign(v, reflect.ValueOf(x))
		}
	default:
		d.assign(v, reflect.ValueOf(d.any()))
	}
}

func (d *decoder) assign(v, x reflect.Value) {
	switch {
	case d.err != nil:
	case x.Type().AssignableTo(v.Type()):
		v.Set(x)
	case v.CanInt() && x.CanInt() && !v.OverflowInt(x.Int()):
		v.SetInt(x.Int())
	case v.CanUint() && x.CanInt() && x.Int() >= 0 && !v.OverflowUint(uint64(x.Int())):
		v.SetUint(uint64(x.Int()))
	default:
		d.fail("a " + x.Type().String() + " where a " + v.Type().String() + " belongs")
	}
}

func (d *decoder) members(member func(name string)) {
	d.expect('{')
	if d.take('}') {
		return
	}
	for d.err == nil {
		name := d.text()
		d.expect(':')
		member(name)
		if !d.take(',') {
			d.expect('}')
			return
		}
	}
}

func (d *decoder) elements(element func()) {
	d.expect('[')
	if d.take(']') {
		return
	}
	for d.err == nil {
		element()
		if !d.take(',') {
			d.expect(']')
			return
		}
	}
}

// any reads a value of any kind: nil, bool, int64, float64, string, []any or map[string]any.
func (d *decoder) any() any {
	switch c := d.peek(); {
	case c == '{':
		m := map[string]any{}
		d.members(func(name string) { m[name] = d.any() })
		return m
	case c == '[':
		list := []any{}
		d.elements(func() { list = append(list, d.any()) })
		return list
	case c == '"':
		return d.text()
	case c == '-' || c >= '0' && c <= '9':
		return d.number()
	}
	return d.literal()
}

func (d *decoder) word() string {
	start := d.at
	for d.at < len(d.data) && strings.IndexByte(" \t\r\n,:]}", d.data[d.at]) < 0 {
		d.at++
	}
	return string(d.data[start:d.at])
}

func (d *decoder) literal() any {
	switch word := d.word(); word {
	case "true":
		return true
	case "false":
		return false
	case "null":
		return nil
	default:
		d.fail("unknown literal " + strconv.Quote(word))
		return nil
	}
}

func (d *decoder) number() any {
	word := d.word()
	if n, err := strconv.ParseInt(word, 10, 64); err == nil {
		return n
	}
	f, err := strconv.ParseFloat(word, 64)
	if err != nil {
		d.fail("malformed number " + strconv.Quote(word))
	}
	return f
}

func (d *decoder) text() string {
	d.expect('"')
	var b []byte
	for d.at < len(d.data) {
		c := d.data[d.at]
		d.at++
		switch {
		case c == '"':
			return string(b)
		case c == '\\':
			b = d.escape(b)
		default:
			b = append(b, c)
		}
	}
	d.fail("a string without end")
	return ""
}

func (d *decoder) escape(b []byte) []byte {
	if d.at == len(d.data) {
		return b
	}
	c := d.data[d.at]
	d.at++
	switch c {
	case 'n':
		return append(b, '\n')
	case 't':
		return append(b, '\t')
	case 'r':
		return append(b, '\r')
	case 'b':
		return append(b, '\b')
	case 'f':
		return append(b, '\f')
	case 'u':
		r := d.hex4()
		if utf16.IsSurrogate(r) && d.at+1 < len(d.data) && d.data[d.at] == '\\' && d.data[d.at+1] == 'u' {
			d.at += 2
			r = utf16.DecodeRune(r, d.hex4())
		}
		return utf8.AppendRune(b, r)
	case '"', '\\', '/':
		return append(b, c)
	}
	d.fail("unknown escape")
	return b
}

func (d *decoder) hex4() rune {
	if d.at+4 > len(d.data) {
		d.fail("a cut escape")
		return 0
	}
	n, err := strconv.ParseUint(string(d.data[d.at:d.at+4]), 16, 32)
	if err != nil {
		d.fail("a malformed escape")
	}
	d.at = min(d.at+4, len(d.data))
	return rune(n)
}
