package errcode

import (
	"errors"
	"strings"
)

// List is several errors found at once, such as those of one file, in the order of their places.
type List []*Error

// Err returns the list as an error: nil where it is empty, the one error where there is one.
func (l List) Err() error {
	switch len(l) {
	case 0:
		return nil
	case 1:
		return l[0]
	}
	return l
}

// Error formats one error a line.
func (l List) Error() string {
	lines := make([]string, len(l))
	for i, e := range l {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns the errors, so that errors.Is and errors.As find each of them.
func (l List) Unwrap() []error {
	all := make([]error, len(l))
	for i, e := range l {
		all[i] = e
	}
	return all
}

// Each returns the outermost coded errors of err: where several errors are joined, those of each of them.
func Each(err error) []*Error {
	switch e := err.(type) { //nolint:errorlint // Each walks the chain itself, one wrapper at a time
	case nil:
		return nil
	case *Error:
		return List{e}
	case List:
		return e
	case interface{ Unwrap() []error }:
		var all List
		for _, member := range e.Unwrap() {
			all = append(all, Each(member)...)
		}
		return all
	}
	return Each(errors.Unwrap(err))
}
