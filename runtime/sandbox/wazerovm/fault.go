package wazerovm

import (
	"errors"
	"fmt"
	"regexp"
	"runtime"
	"strings"

	"github.com/tidemill/tidemill/runtime/sandbox/guest"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
)

// framesMax is how much of the guest's stack a fault tells.
const framesMax = 32

// fail ends an instance after an error of wazero's, and says what it means.
func (i *instance) fail(err error) error {
	i.stop()
	if bug := runtime.Error(nil); errors.As(err, &bug) {
		return fmt.Errorf("a host function failed: %w", err)
	}
	text, trace, _ := strings.Cut(err.Error(), "\nwasm stack trace:")
	fault := &vm.Fault{Kind: vm.Trap, Frames: frames(trace)}
	ours := (*vm.Fault)(nil)
	switch detail, trap := strings.CutPrefix(text[strings.LastIndex(text, "wasm error: ")+1:], "asm error: "); {
	case errors.As(err, &ours):
		fault.Kind, fault.Detail = ours.Kind, ours.Detail
	case detail == "stack overflow":
		fault.Kind = vm.Stack // the engine's own limit, behind the meter's
	case trap:
		fault.Detail = detail
	default:
		fault.Detail = text
	}
	return fault
}

// signature is what wazero puts behind a function's name.
var signature = regexp.MustCompile(`\((?:[if](?:32|64),?)*\)(?: [if](?:32|64)| \([if0-9,]*\))?$`)

// frames reads the guest's functions from a trace of wazero's: a line each, module name, dot, function name, signature. The
// module has no name and the meter has made the functions' names printable. Host functions do not count.
func frames(trace string) []string {
	var list []string
	for line := range strings.Lines(trace) {
		line, ours := strings.CutPrefix(strings.TrimSpace(line), ".")
		if !ours || strings.HasPrefix(line, "..") {
			continue
		}
		if list = append(list, guest.FunctionName(signature.ReplaceAllString(line, ""))); len(list) == framesMax {
			break
		}
	}
	return list
}
