package engine

import (
	"errors"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
)

// fault is what the fault cell points to after a panic; it must outlive the panic.
type fault struct{ message, place []byte }

// guard fills the fault cell when the user's code panics, and panics on: in a module that ends the instance.
func (s *Slot) guard() {
	p := recover()
	if p == nil {
		return
	}
	message := panicMessage(p)
	if _, bounds := p.(runtime.Error); bounds && s.Cursor.Key == NoKey && strings.Contains(message, "["+strconv.Itoa(NoKey)+"]") {
		message = "a state is used where no item with a key is under way"
	}
	s.fault = fault{[]byte(message[:min(len(message), abi.ErrorMessageBytes)]), []byte(userPlace())}
	s.Cursor.message = address(unsafe.Pointer(unsafe.SliceData(s.fault.message)))
	s.Cursor.messageLen = uint32(len(s.fault.message))
	s.Cursor.place = address(unsafe.Pointer(unsafe.SliceData(s.fault.place)))
	s.Cursor.placeLen = uint32(len(s.fault.place))
	panic(p)
}

// Fault is the message and place of the panic that Process passed on.
func (s *Slot) Fault() (message, place string) { return string(s.fault.message), string(s.fault.place) }

// address is a pointer as the contract has it; only a module has addresses of 32 bits.
func address(p unsafe.Pointer) uint32 { return uint32(uintptr(p)) }

func panicMessage(p any) string {
	switch p := p.(type) {
	case error:
		return p.Error()
	case string:
		return p
	case interface{ String() string }:
		return p.String()
	case int:
		return strconv.Itoa(p)
	}
	return "panic with a value that is no text"
}

// ownPackages begin the names of functions that are not the user's.
var ownPackages = []string{
	"runtime.", "github.com/tidemill/tidemill/sdk-go/operator.", "github.com/tidemill/tidemill/sdk-go/state.",
	"github.com/tidemill/tidemill/sdk-go/internal/",
}

func own(function string) bool {
	for _, p := range ownPackages {
		if strings.HasPrefix(function, p) {
			return true
		}
	}
	return false
}

// userPlace is the file and line of the innermost function on the panicking stack that is neither the runtime's nor the SDK's.
func userPlace() string {
	var callers [64]uintptr
	frames := runtime.CallersFrames(callers[:runtime.Callers(3, callers[:])])
	for {
		f, more := frames.Next()
		if f.File != "" && !own(f.Function) {
			return f.File + ":" + strconv.Itoa(f.Line)
		}
		if !more {
			return ""
		}
	}
}

// ParamError is an error of the user's Open about one parameter.
type ParamError struct {
	Param, Message string
}

func (e *ParamError) Error() string { return "parameter " + e.Param + ": " + e.Message }

func openError(err error) *abi.OpenError {
	out := &abi.OpenError{Message: err.Error()}
	if p := (*ParamError)(nil); errors.As(err, &p) {
		out.Param, out.Message = p.Param, p.Message
	}
	if p := (*portError)(nil); errors.As(err, &p) {
		out.Column, out.Message = p.port+"."+p.column.Column, p.column.Message
	}
	return out
}
