package script

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/runtime/sandbox/profile"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
)

// Base is an interpreter that the host carries.
type Base struct {
	Reference
	// Binary returns the module's bytes. It may take long (they are kept compressed) and is called only where nothing compiled is
	// at hand.
	Binary func() ([]byte, error)
}

// Start prepares a compiled base. Where the engine can, the result is an image of the interpreter as it is when it has started,
// and the base must stay open as long; else it is the base.
func Start(ctx context.Context, base vm.Compiled) (vm.Compiled, error) {
	engine, can := base.(vm.Snapshotter)
	if !can {
		return base, nil
	}
	return engine.Snapshot(ctx, nobody{}, limits, nil)
}

// limits are those of an interpreter that starts, and of code that is loaded.
var limits = vm.Config{MemoryBytesMax: abi.MemoryBytesMaxPython, StartFuel: 20_000_000_000}

// loadFuel is what code may use to be loaded.
const loadFuel = 2_000_000_000

// Program is an operator's code on its interpreter. It implements vm.Compiled; closing it leaves the interpreter open.
type Program struct {
	interpreter vm.Compiled
	code        []byte // to be loaded by each instance; nil where interpreter is an image that has it
}

var _ vm.Compiled = (*Program)(nil)

// Load joins a started interpreter and an archive's bytes. Where the engine can, the code is loaded once and instances begin with
// it; else each loads it, as part of its start. What the module does when it is imported must so depend on neither clock nor
// randomness. That the code is at fault is an *errcode.Error of ErrLoad, with the place in the sources.
func Load(ctx context.Context, interpreter vm.Compiled, code []byte) (*Program, error) {
	engine, can := interpreter.(vm.Snapshotter)
	if !can {
		return &Program{interpreter: interpreter, code: code}, nil
	}
	loaded, err := engine.Snapshot(ctx, nobody{}, limits, func(i vm.Instance) error {
		return (&instance{i}).load(code, loadFuel)
	})
	if err != nil {
		return nil, err
	}
	return &Program{interpreter: loaded}, nil
}

// Instantiate implements vm.Compiled.
func (p *Program) Instantiate(ctx context.Context, host vm.Host, config vm.Config) (vm.Instance, error) {
	i, err := p.interpreter.Instantiate(ctx, host, config)
	if err != nil {
		return nil, err
	}
	program := &instance{i}
	if p.code == nil {
		return program, nil
	}
	if err := program.load(p.code, config.StartFuel-i.FuelUsed()); err != nil {
		i.Close()
		return nil, err
	}
	return program, nil
}

// Close implements vm.Compiled.
func (p *Program) Close(ctx context.Context) error {
	if p.code == nil {
		return p.interpreter.Close(ctx) // the image is this program's own
	}
	return nil
}

// instance is one of the interpreter's. What functions of the interpreter were running when it used up its fuel or its stack says
// nothing to the author of the code.
type instance struct{ vm.Instance }

func (i *instance) Call(export vm.Export, a, b uint32, fuel int64) (uint64, error) {
	result, err := i.Instance.Call(export, a, b, fuel)
	if f := (*vm.Fault)(nil); errors.As(err, &f) && f.Kind != vm.Trap {
		f.Frames = nil
	}
	return result, err
}

// load hands the archive over.
func (i *instance) load(code []byte, fuel int64) error {
	before := i.FuelUsed()
	size := uint32(len(code))
	at, err := i.Call(vm.Reserve, size, 0, fuel)
	if err != nil {
		return loading(err)
	}
	if at == 0 {
		return loading(&vm.Fault{Kind: vm.Memory, Detail: "no room for the sources"})
	}
	buffer, ok := i.span(at, uint64(size))
	if !ok || at%abi.BufferAlign != 0 {
		return ErrBroken.Errorf("%s: %d bytes at %#x are not a buffer in its memory", abi.ExportReserve, size, at)
	}
	copy(buffer, code)
	answer, err := i.Call(vm.Load, uint32(at), size, fuel-(i.FuelUsed()-before))
	if err != nil {
		return loading(err)
	}
	if answer == 0 {
		return nil
	}
	text, ok := i.span(answer>>32, answer&(1<<32-1))
	if !ok || len(text) > abi.DescriptorBytesMax {
		return ErrBroken.Errorf("%s: an answer of %d bytes at %#x is not in its memory", profile.Load, uint32(answer), answer>>32)
	}
	var said struct {
		Error struct {
			Message string `json:"message"`
			Place   string `json:"place"`
		} `json:"error"`
	}
	if err := json.Unmarshal(text, &said); err != nil || said.Error.Message == "" {
		return ErrBroken.Errorf("%s: the answer is not an error object", profile.Load).Because(err)
	}
	return ErrLoad.Errorf("%s", clean(said.Error.Message)).At("%s", clean(said.Error.Place)).Do("mend the code and build the module again")
}

func clean(text string) string {
	return abi.CleanText([]byte(text[:min(len(text), abi.ErrorMessageBytes)]))
}

func (i *instance) span(at, n uint64) ([]byte, bool) {
	memory := i.Memory()
	if at > uint64(len(memory)) || n > uint64(len(memory))-at {
		return nil, false
	}
	return memory[at : at+n], true
}

// loading codes a fault that ended a load.
func loading(err error) error {
	f := (*vm.Fault)(nil)
	if !errors.As(err, &f) {
		return err
	}
	e := ErrLoad.Errorf("importing the operator's module ended in a %s", f).Because(f)
	switch f.Kind {
	case vm.Fuel:
		return e.Do("importing must end: does the module loop, or compute much, outside of any function?")
	case vm.Memory:
		return e.Do("raise memory_bytes_max under limits:, or load less at import")
	}
	return e.Do("look at what the module does outside of any function")
}

// nobody is the host of an interpreter that starts, before any operator is there: its clock stands, its random numbers are
// always the same (an interpreter draws new ones when an operator is opened), and what it says goes nowhere.
type nobody struct{}

var errNobody = errors.New("there is no state while an interpreter starts")

func (nobody) Log(int32, []byte)                                           {}
func (nobody) Write(int32, []byte)                                         {}
func (nobody) StateGet(uint32, uint32, []byte, []byte) (int32, error)      { return 0, errNobody }
func (nobody) StateScanOpen(uint32, uint32, []byte, uint32) (int32, error) { return 0, errNobody }
func (nobody) StateScanNext(int32, []byte) (int32, error)                  { return 0, errNobody }
func (nobody) StateApply([]byte) error                                     { return errNobody }
func (nobody) WallMicros() int64                                           { return 0 }
func (nobody) MonotonicNanos() int64                                       { return 1 }
func (nobody) Wait(int64)                                                  {}

func (nobody) Random(p []byte) {
	for i := range p {
		p[i] = byte(i*89 + 7)
	}
}
