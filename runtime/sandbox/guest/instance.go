package guest

import (
	"errors"
	"math"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/runtime/sandbox/profile"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
)

// ExportNames are those of the functions that vm.Instance.Call reaches.
var ExportNames = [...]string{vm.Describe: abi.ExportDescribe, vm.Open: abi.ExportOpen, vm.Reserve: abi.ExportReserve,
	vm.Process: abi.ExportProcess, vm.Load: profile.Load}

// Mistakes of the caller.
var (
	ErrClosed   = errors.New("the instance is closed")
	ErrNoExport = errors.New("the module is no interpreter: it does not export " + profile.Load)
)

// Instance is what host functions know of an instance.
type Instance struct {
	Host   vm.Host
	View   *[]byte // the guest's memory as it is whenever a host function runs: the engine keeps it current
	Ledger Ledger
}

// New makes an instance with an empty account.
func New(host vm.Host, view *[]byte) Instance {
	i := Instance{Host: host, View: view}
	i.Ledger.Slices(sliceFirst, sliceMin, sliceMax)
	return i
}

// FuelUsed implements vm.Instance.
func (i *Instance) FuelUsed() int64 { return i.Ledger.used }

// MemoryLimit is the most bytes of memory that an instance may have, whole pages. It is an error if the instance needs more at once.
func MemoryLimit(config vm.Config, needed uint64) (uint64, error) {
	bytesMax := min(config.MemoryBytesMax, math.MaxUint32+1) / profile.PageBytes * profile.PageBytes
	if needed > bytesMax {
		return 0, vm.ErrMemoryLimit.Errorf("the module asks for %d bytes of memory at once, the limit is %d", needed, bytesMax).
			Do("raise the operator's memory limit, or make the module smaller")
	}
	return bytesMax, nil
}

// StartFailed says that a function which runs when an instance is made has failed.
func StartFailed(what string, err error) error {
	e := vm.ErrStart.Errorf("%s failed", what).Because(err)
	if f := (*vm.Fault)(nil); errors.As(err, &f) {
		if len(f.Frames) > 0 {
			e = e.At("function %s", f.Frames[0])
		}
		if f.Kind == vm.Fuel {
			return e.Do("starting a module must end within its fuel: does it loop for ever, or compute what could be data?")
		}
	}
	return e.Do("what the module's global initialisers do must succeed without files, environment and arguments")
}

// view is the guest's memory from a pointer on. Both are 32-bit values, so their sum does not overflow in 64 bits.
func (i *Instance) view(pointer, length uint64) ([]byte, bool) {
	memory := *i.View
	pointer, length = uint64(uint32(pointer)), uint64(uint32(length))
	if pointer+length > uint64(len(memory)) {
		return nil, false
	}
	return memory[pointer : pointer+length : pointer+length], true
}

// array is a view of count items.
func (i *Instance) array(pointer, count, size uint64) ([]byte, bool) {
	length := uint64(uint32(count)) * size
	if length > math.MaxUint32 {
		return nil, false
	}
	return i.view(pointer, length)
}

// need is view for the ABI's own functions: a pointer out of bounds ends the instance.
func (i *Instance) need(pointer, length uint64) []byte {
	b, ok := i.view(pointer, length)
	if !ok {
		panic(&vm.Fault{Kind: vm.HostCall, Detail: "a pointer leads out of memory"})
	}
	return b
}
