//go:build wasmtime

package wasmtimevm

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strconv"

	"github.com/bytecodealliance/wasmtime-go/v39"

	"github.com/tidemill/tidemill/runtime/sandbox/guest"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
)

// framesMax is how much of the guest's stack a fault tells.
const framesMax = 32

// details are wasmtime's traps in the words that a fault has on every engine.
var details = map[wasmtime.TrapCode]string{
	wasmtime.MemoryOutOfBounds:      "out of bounds memory access",
	wasmtime.TableOutOfBounds:       "invalid table access",
	wasmtime.IndirectCallToNull:     "invalid table access",
	wasmtime.BadSignature:           "indirect call type mismatch",
	wasmtime.IntegerOverflow:        "integer overflow",
	wasmtime.IntegerDivisionByZero:  "integer divide by zero",
	wasmtime.BadConversionToInteger: "invalid conversion to integer",
	wasmtime.UnreachableCodeReached: "unreachable",
}

// fail ends an instance after an error of wasmtime's or a fault, and says what it means. Its memory stays.
func (i *instance) fail(err error) error {
	i.closed = true
	fault := &vm.Fault{Kind: vm.Trap, Frames: i.compiled.frames(err.Error())}
	ours, trap := (*vm.Fault)(nil), (*wasmtime.Trap)(nil)
	switch {
	case i.ended != nil:
		if ended, is := i.ended.(*vm.Fault); is {
			fault.Kind, fault.Detail = ended.Kind, ended.Detail
			return fault
		}
		return fmt.Errorf("a host function failed: %v", i.ended)
	case errors.As(err, &ours):
		fault.Kind, fault.Detail = ours.Kind, ours.Detail
	case !errors.As(err, &trap) || trap.Code() == nil:
		fault.Detail = err.Error()
	case *trap.Code() == wasmtime.StackOverflow:
		fault.Kind = vm.Stack // the engine's own limit, behind the meter's
	default:
		fault.Detail = cmp.Or(details[*trap.Code()], err.Error())
	}
	return fault
}

// frame is a line of wasmtime's trace: number, offset in the module, name.
var frame = regexp.MustCompile(`(?m)^ +\d+: +0x([0-9a-f]+) - `)

// frames names the guest's functions in a trace. They are told by where their code lies: wasmtime changes names for reading.
func (c *compiled) frames(trace string) (list []string) {
	for _, found := range frame.FindAllStringSubmatch(trace, framesMax) {
		offset, _ := strconv.ParseInt(found[1], 16, 64) // digits
		list = append(list, guest.FunctionName(c.functionAt(int(offset))))
	}
	return list
}
