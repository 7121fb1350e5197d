// Package errcode gives every error that a user can meet a stable code, a place and a hint.
//
// A code is TM-<AREA>-<NNN>; areas follow the folders (ABI, BUILD, CKPT, CLI, CONN, FORMAT, JOB, PLAN, RUN, SANDBOX, STATE).
// Each package declares its codes once, as variables made by New, next to the code that returns them; All lists them for the
// generated reference. An error keeps what caused it (errors.Is and errors.As see through it).
//
// Errors are values: safe for concurrent use once built.
package errcode

import (
	"errors"
	"fmt"
	"sort"
	"strings"
	"sync"
)

// Class says which exit code of the command line an error becomes.
type Class int

// The exit codes of the command line.
const (
	Failed      Class = 1 // the job ran and failed
	Invalid     Class = 2 // the input (file, flag, module, record) is wrong
	Environment Class = 3 // the machine is at fault: full disk, missing toolchain, unreachable endpoint
)

// Code is one kind of user-facing error.
type Code struct {
	ID    string // TM-SANDBOX-007
	Class Class
	Title string // one line for the reference, without a full stop
}

var (
	mu  sync.Mutex
	all = map[string]*Code{}
)

// New declares a code. It panics when the id is declared twice: that is a mistake of the program.
func New(id string, class Class, title string) *Code {
	mu.Lock()
	defer mu.Unlock()
	if _, twice := all[id]; twice {
		panic("errcode: " + id + " is declared twice")
	}
	c := &Code{ID: id, Class: class, Title: title}
	all[id] = c
	return c
}

// All returns every declared code, sorted by id.
func All() []*Code {
	mu.Lock()
	defer mu.Unlock()
	list := make([]*Code, 0, len(all))
	for _, c := range all {
		list = append(list, c)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].ID < list[j].ID })
	return list
}

// Error is a user-facing error.
type Error struct {
	Code    *Code
	Message string // what is wrong, one sentence without a full stop
	Place   string // where: file:line:column, split and byte offset, operator, key; empty where there is none
	Hint    string // what to do about it
	Cause   error
}

// Error formats as "TM-X-001: message (at place): cause; hint".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Code.ID)
	b.WriteString(": ")
	b.WriteString(e.Message)
	if e.Place != "" {
		b.WriteString(" (at ")
		b.WriteString(e.Place)
		b.WriteString(")")
	}
	if e.Cause != nil {
		b.WriteString(": ")
		b.WriteString(e.Cause.Error())
	}
	if e.Hint != "" {
		b.WriteString("; ")
		b.WriteString(e.Hint)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Errorf starts an error of this code.
func (c *Code) Errorf(format string, args ...any) *Error {
	return &Error{Code: c, Message: fmt.Sprintf(format, args...)}
}

// At sets the place and returns the error.
func (e *Error) At(format string, args ...any) *Error {
	e.Place = fmt.Sprintf(format, args...)
	return e
}

// Because sets the cause and returns the error.
func (e *Error) Because(cause error) *Error {
	e.Cause = cause
	return e
}

// Do sets the hint and returns the error.
func (e *Error) Do(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// Of returns the outermost coded error in the chain, or nil.
func Of(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}

// Is reports whether any error in the chain carries the code.
func Is(err error, code *Code) bool {
	for _, e := range Each(err) {
		if e.Code == code || Is(e.Cause, code) {
			return true
		}
	}
	return false
}
