package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/tidemill/tidemill/internal/errcode"
)

// report is what --json prints: one object, its fields in this order.
type report struct {
	Command string   `json:"command"`
	OK      bool     `json:"ok"`
	Result  any      `json:"result"`
	Error   *failure `json:"error"`
}

// failure is an error as JSON. Where several were found at once, More has the others.
type failure struct {
	Code    string    `json:"code"`
	Message string    `json:"message"`
	Place   string    `json:"place"`
	Hint    string    `json:"hint"`
	More    []failure `json:"more,omitempty"`
}

// coded gives every error a code: those that have none are the machine's where the operating system speaks, else the run's.
func coded(err error) []*errcode.Error {
	if list := errcode.Each(err); list != nil {
		return list
	}
	var path *fs.PathError
	var number syscall.Errno
	switch {
	case errors.Is(err, context.Canceled):
		return []*errcode.Error{errKilled.Errorf("interrupted").Do("run it again: a job goes on from its last checkpoint")}
	case errors.As(err, &path):
		return []*errcode.Error{errMachine.Errorf("%v", path.Err).At("%s", path.Path)}
	case errors.As(err, &number), errors.Is(err, os.ErrDeadlineExceeded):
		return []*errcode.Error{errMachine.Errorf("%v", err)}
	}
	return []*errcode.Error{errFailed.Errorf("%v", err)}
}

// message is an error's own words and those of its causes.
func message(e *errcode.Error) string {
	if e.Cause == nil {
		return e.Message
	}
	return e.Message + ": " + e.Cause.Error()
}

func failureOf(err error) *failure {
	var all []failure
	for _, e := range coded(err) {
		all = append(all, failure{Code: e.Code.ID, Message: message(e), Place: e.Place, Hint: e.Hint})
	}
	first := all[0]
	first.More = all[1:]
	return &first
}

// exitCode is that of the gravest error: a run that failed counts before a machine at fault, that before invalid input.
func exitCode(err error) int {
	if err == nil {
		return 0
	}
	return int(coded(err)[0].Code.Class)
}

// printError writes an error for people.
func printError(w io.Writer, err error) {
	for _, e := range coded(err) {
		fmt.Fprintf(w, "error %s: %s\n", e.Code.ID, message(e))
		if e.Place != "" {
			fmt.Fprintf(w, "  at %s\n", e.Place)
		}
		if e.Hint != "" {
			fmt.Fprintf(w, "  hint: %s\n", e.Hint)
		}
	}
}

func printJSON(w io.Writer, r report) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}
