package spec

import (
	"fmt"
	"time"

	"github.com/tidemill/tidemill/internal/errcode"
)

// Secret is text that must not be shown: every way of formatting or marshalling it gives [secret]. The text hides in a closure,
// because package fmt prints the unexported fields of what holds a Secret without asking its methods.
type Secret struct{ reveal func() string }

const masked = "[secret]"

// Reveal returns the text, for the one call that needs it.
func (s Secret) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// String hides the text.
func (Secret) String() string { return masked }

// GoString hides the text.
func (Secret) GoString() string { return masked }

// Format hides the text under every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(masked)) }

// MarshalText hides the text.
func (Secret) MarshalText() ([]byte, error) { return []byte(masked), nil }

// Values are the parsed fields of one Object. The getters panic for a name that was not declared with that kind: that is a
// mistake of the program.
type Values struct {
	place   string
	choice  string
	fields  map[string]value
	written []string // names present in the file, valid or not
}

type value struct {
	v     any
	place string
}

// MapEntry is one pair of a Map: the value is read with the getters of Values under the name of the Map's element.
type MapEntry struct {
	Name  string
	Place string // of the name
	Value Values
}

// Choice is the value of the object's selector, or "".
func (v Values) Choice() string { return v.choice }

// Set says whether the field is written or has a default.
func (v Values) Set(name string) bool {
	_, ok := v.fields[name]
	return ok
}

// Place is where the field's value is written (file:line:column), or where the object begins.
func (v Values) Place(name string) string {
	if f, ok := v.fields[name]; ok && f.place != "" {
		return f.place
	}
	return v.place
}

// Errorf starts an error of a code at the place of a field.
func (v Values) Errorf(code *errcode.Code, name, format string, args ...any) *errcode.Error {
	return code.Errorf(format, args...).At("%s", v.Place(name))
}

func get[T any](v Values, name string) T {
	var zero T
	f, ok := v.fields[name]
	if !ok {
		return zero
	}
	t, ok := f.v.(T)
	if !ok {
		panic(fmt.Sprintf("spec: field %s holds %T, not %T", name, f.v, zero))
	}
	return t
}

// String returns a String or Enum; "" where not set.
func (v Values) String(name string) string { return get[string](v, name) }

// Int returns an Int, or a Size in bytes; 0 where not set.
func (v Values) Int(name string) int64 { return get[int64](v, name) }

// Float returns a Float; 0 where not set.
func (v Values) Float(name string) float64 { return get[float64](v, name) }

// Bool returns a Bool; false where not set.
func (v Values) Bool(name string) bool { return get[bool](v, name) }

// Duration returns a Duration; 0 where not set.
func (v Values) Duration(name string) time.Duration { return get[time.Duration](v, name) }

// Strings returns a List; nil where not set.
func (v Values) Strings(name string) []string { return get[[]string](v, name) }

// Secret returns a String declared Secret.
func (v Values) Secret(name string) Secret { return get[Secret](v, name) }

// Object returns a Nested object; where not set its getters return zeros.
func (v Values) Object(name string) Values { return get[Values](v, name) }

// Map returns the pairs of a Map in the order written.
func (v Values) Map(name string) []MapEntry { return get[[]MapEntry](v, name) }

// Tree returns a Tree with its references resolved, or nil.
func (v Values) Tree(name string) *Node { return get[*Node](v, name) }
