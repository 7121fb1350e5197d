package guest

import (
	"github.com/tidemill/tidemill/runtime/sandbox/profile"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
)

// Imaged is an instance of which an image can be taken.
type Imaged interface {
	vm.Instance
	// Globals are the values of all globals but the fuel balance, which every call sets anew.
	Globals() []uint64
}

// Snapshot does the part of vm.Snapshotter that does not depend on the engine: it makes instances, of which only the one to be imaged
// is initialised, lets prepare call that one, and gives its memory to take. The instances are closed then.
func Snapshot(instance func(initialize bool) (Imaged, error), prepare func(vm.Instance) error, take func(memory []byte)) error {
	fresh, err := instance(false)
	if err != nil {
		return err
	}
	defer fresh.Close()
	if fresh.FuelUsed() > 0 {
		return vm.ErrSnapshot.Errorf("the module has a start function, which would run again in every instance").
			Do("let %s do what it does", profile.Initialize)
	}
	started, err := instance(true)
	if err != nil {
		return err
	}
	defer started.Close()
	if prepare != nil {
		if err := prepare(started); err != nil {
			return err
		}
	}
	before, after := fresh.Globals(), started.Globals()
	for global := range before {
		if before[global] != after[global] {
			return vm.ErrSnapshot.Errorf("starting the module leaves global %d changed: memory alone does not tell how it stands", global).
				Do("keep the value in memory")
		}
	}
	take(started.Memory())
	return nil
}
