package wasm

import (
	"fmt"
	"strings"
)

// NoFunc is the Func of an error that lies in no function.
const NoFunc = -1

// Error says what is wrong with a binary, and where.
type Error struct {
	Section string // "type", "code", "custom section \"name\"", or "header"
	Func    int    // index in the function index space (imports counted), or NoFunc
	Offset  int    // bytes from the beginning of the binary
	Feature string // the proposal that the binary uses where it is well-formed but newer than we speak: "SIMD"; else empty
	// Reserved says that the binary is well-formed but uses a name that the host keeps for itself.
	Reserved bool
	Detail   string // what is wrong, without a full stop
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
