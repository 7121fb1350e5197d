package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
)

// guest is one instance and the buffer that it reserved for the host.
type guest struct {
	instance vm.Instance
	host     *host
	limits   *Limits
	sequence uint64 // of the last frame
	buffer   uint32 // address of the reserved buffer
	size     uint32
}

// newGuest instantiates a module; its start function runs with the given clock and seed.
func newGuest(m *Module, limits *Limits, h *host) (*guest, error) {
	config := vm.Config{MemoryBytesMax: limits.MemoryBytesMax, StartFuel: limits.StartFuel}
	instance, err := m.Compiled.Instantiate(context.Background(), h, config)
	if err != nil {
		return nil, err
	}
	return &guest{instance: instance, host: h, limits: limits}, nil
}

func (g *guest) close() { g.instance.Close() }

// span returns the n bytes at an address that a guest named, checked without overflow against its memory as it is now (I7).
func (g *guest) span(at, n uint32) ([]byte, bool) {
	memory := g.instance.Memory()
	if uint64(at)+uint64(n) > uint64(len(memory)) {
		return nil, false
	}
	return memory[at : at+n : at+n], true
}

// reserveMin is the least buffer that is asked for.
const reserveMin = 64 << 10

// reserve returns the guest's buffer with room for n bytes, growing it where needed.
func (g *guest) reserve(n int) ([]byte, error) {
	if uint32(n) > g.size {
		size := uint32(reserveMin)
		for int(size) < n {
			size *= 2
		}
		at, err := g.instance.Call(vm.Reserve, size, 0, g.limits.OpenFuel)
		if err != nil {
			return nil, err
		}
		if at == 0 {
			return nil, &vm.Fault{Kind: vm.Memory, Detail: fmt.Sprintf("no room for a frame of %d bytes", n)}
		}
		if at>>32 != 0 || at%abi.BufferAlign != 0 {
			return nil, abi.Broken("address %#x is not one of a 16-aligned buffer", at).In(abi.ExportReserve)
		}
		if _, ok := g.span(uint32(at), size); !ok {
			return nil, abi.Broken("%d bytes at %#x end after the memory", size, at).In(abi.ExportReserve)
		}
		g.buffer, g.size = uint32(at), size
	}
	b, ok := g.span(g.buffer, uint32(n))
	if !ok {
		return nil, abi.Broken("the reserved buffer is not in the memory any more").In(abi.ExportReserve)
	}
	return b, nil
}

// answer calls an export that answers JSON and returns a copy of the bytes.
func (g *guest) answer(export vm.Export, part string, a, b uint32) ([]byte, error) {
	packed, err := g.instance.Call(export, a, b, g.limits.OpenFuel)
	if err != nil {
		return nil, err
	}
	at, n := uint32(packed>>32), uint32(packed)
	if n > abi.DescriptorBytesMax {
		return nil, abi.Broken("%d bytes, at most %d", n, abi.DescriptorBytesMax).In("%s", part)
	}
	data, ok := g.span(at, n)
	if !ok {
		return nil, abi.Broken("%d bytes at %#x end after the memory", n, at).In("%s", part)
	}
	return append([]byte(nil), data...), nil
}

// open binds slot 0. A refusal by the operator is an *abi.OpenError.
func (g *guest) open(request *abi.OpenRequest) (*abi.Descriptor, *abi.Binding, error) {
	data, err := json.Marshal(request)
	if err != nil {
		return nil, nil, fmt.Errorf("encoding the open request: %w", err)
	}
	if len(data) > abi.DescriptorBytesMax {
		return nil, nil, abi.Broken("a request of %d bytes, at most %d", len(data), abi.DescriptorBytesMax).In(abi.ExportOpen)
	}
	buffer, err := g.reserve(len(data))
	if err != nil {
		return nil, nil, err
	}
	copy(buffer, data)
	reply, err := g.answer(vm.Open, abi.ExportOpen, g.buffer, uint32(len(data)))
	if err != nil {
		return nil, nil, err
	}
	answer, err := abi.ParseOpenAnswer(reply)
	if err != nil {
		return nil, nil, err
	}
	if answer.Error != nil {
		return nil, nil, &refusal{answer.Error}
	}
	binding, err := abi.Bind(request, answer.Descriptor)
	if err != nil {
		return nil, nil, err
	}
	if _, ok := g.span(binding.FaultCell, abi.FaultCellSize); !ok {
		return nil, nil, abi.Broken("address %#x is not in the memory", binding.FaultCell).In("fault_cell")
	}
	return answer.Descriptor, binding, nil
}

// refusal is the operator's own refusal of its parameters or inputs.
type refusal struct{ *abi.OpenError }

func (r *refusal) Error() string { return r.Message }

// notTheirs begin the names of functions that are not the operator's own: Go's runtime, the linker's entry and the SDK.
var notTheirs = []string{"runtime.", "wasm_pc_f_loop", "tidemill_process", "github.com_tidemill_tidemill_sdk_go_"}

// faultText says how a guest's code ended and in which functions. Those that are not the operator's are left out where there are
// others: a panic has half a dozen of them in front.
func faultText(f *vm.Fault) string {
	names := slices.DeleteFunc(slices.Clone(f.Frames), func(name string) bool {
		return slices.ContainsFunc(notTheirs, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
	})
	if len(names) == 0 {
		names = f.Frames
	}
	if len(names) == 0 {
		return f.Error()
	}
	return f.Error() + " in " + abi.CleanText([]byte(strings.Join(names[:min(len(names), framesShown)], " < ")))
}

// framesShown is how many functions of a guest's stack an error names.
const framesShown = 8

func asFault(err error) *vm.Fault {
	var f *vm.Fault
	if errors.As(err, &f) {
		return f
	}
	return nil
}

func asViolation(err error) *abi.Violation {
	var v *abi.Violation
	if errors.As(err, &v) {
		return v
	}
	return nil
}
