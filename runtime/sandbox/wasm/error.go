package wasm

import (
	"fmt"
	"strings"
)

// NoFunc is the Func of an error that lies in no function.
const NoFunc = -1

// Kind says in which way a binary is unfit.
type Kind int

// The kinds of errors.
const (
	Malformed   Kind = iota
	Unsupported      // well-formed, but newer than we speak: Feature names the proposal
	TooLarge         // beyond a limit of this package
	Reserved         // uses a name that the host keeps for itself
)

// Error says what is wrong with a binary, and where.
type Error struct {
	Section string // "type", "code", "custom section \"name\"", or "header"
	Func    int    // index in the function index space (imports counted), or NoFunc
	Offset  int    // bytes from the beginning of the binary
	Kind    Kind
	Feature string // "SIMD"; of kind Unsupported only
	Detail  string // what is wrong, without a full stop
}

// Error formats as "section code, function 7, offset 0x1f3: unknown opcode 0xff".
func (e *Error) Error() string { return e.Place() + ": " + e.Detail }

// Place is the position alone.
func (e *Error) Place() string {
	var b strings.Builder
	if e.Section == "header" {
		b.WriteString("header")
	} else {
		fmt.Fprintf(&b, "section %s", e.Section)
	}
	if e.Func != NoFunc {
		fmt.Fprintf(&b, ", function %d", e.Func)
	}
	fmt.Fprintf(&b, ", offset %#x", e.Offset)
	return b.String()
}
