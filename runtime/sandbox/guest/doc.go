// Package guest is the half of an instance that does not depend on its engine: the account of its fuel, the host functions that it may
// import, and the words for a start that failed. Every engine embeds an Instance in its own, so that the same module does the same on
// each, to the unit of fuel.
//
// A call gets a budget of fuel; the guest's balance holds a slice of it, and the module asks for the next slice when the balance falls
// below zero (package meter). Each such request yields to Go's scheduler, because native code cannot be preempted: a guest that spins
// between two requests stops the collector and everything behind it. So slices aim at less than 100 microseconds. A call ends exactly
// where its charges exceed its budget, whatever the slices were.
//
// Host functions check every (pointer, length) against the memory as it is, without overflow (I7), and hand views to vm.Host. They end
// the instance by a panic with a *vm.Fault, which the engine turns into the error of the call.
package guest
