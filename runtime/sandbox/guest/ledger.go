package guest

import (
	"runtime"
	"time"

	"github.com/tidemill/tidemill/runtime/sandbox/vm"
)

// The sizes of slices of fuel. A slice that took longer than sliceLong is halved, one shorter than sliceShort doubled: the aim is to reach a
// yield every 30 to 100 microseconds, at some 40 ns each.
const (
	sliceMin   = 2_000
	sliceMax   = 500_000
	sliceFirst = 20_000
	sliceLong  = 100 * time.Microsecond
	sliceShort = 30 * time.Microsecond
)

// epoch is what slices are timed against: reading the monotonic clock alone takes half as long as time.Now.
var epoch = time.Now()

// Balance is the global of a metered module that holds what is left of the slice under way.
type Balance interface {
	Get() uint64
	Set(uint64)
}

// Ledger is the account of one instance. At any time during a call, budget = used in it + balance + pool, where the balance is
// the guest's global.
type Ledger struct {
	Balance Balance // nil until the module is known: the balance is the guest's own then
	budget  int64   // of this call
	pool    int64   // not yet granted
	left    int64   // balance at the end of the last call
	used    int64   // by all calls that have ended
	slice   int64
	min     int64 // of slice
	max     int64
	granted time.Duration // when the last slice of this call was granted, since epoch; 0 in the first
	spent   bool          // the last call was ended for its fuel
}

// Slices sets the size of the next slice, and the least and the most that it may become. No result depends on them.
func (l *Ledger) Slices(next, least, most int64) { l.slice, l.min, l.max = next, least, most }

// Begin opens a call. The new call takes over what the last one left of its slice, where it may.
func (l *Ledger) Begin(budget int64) {
	budget = max(budget, 0)
	l.budget, l.pool = budget, budget-l.left
	l.granted = 0
	if l.Balance != nil && (l.pool < 0 || l.left <= 0) {
		first := min(l.slice, budget)
		l.Balance.Set(uint64(first))
		l.pool = budget - first
	}
}

// End closes a call, however it ended. It reports false where the charges exceed the budget: the last ones of a call may have
// been made without a check.
func (l *Ledger) End() bool {
	l.left = int64(l.Balance.Get())
	used := l.budget - l.pool - l.left
	if l.spent {
		used = l.budget
	}
	l.used += min(used, l.budget)
	return used <= l.budget
}

// Refuel is the meter's import: it answers a guest whose balance is below zero with a new balance, not below zero, after giving way
// to other goroutines and the collector. Where the call's charges exceed its budget it ends the instance: all of the budget counts
// as used then.
func (l *Ledger) Refuel(balance int64) int64 {
	if -balance > l.pool {
		l.spent = true
		panic(&vm.Fault{Kind: vm.Fuel})
	}
	l.adapt()
	grant := min(max(l.slice, -balance), l.pool)
	l.pool -= grant
	return balance + grant
}

// adapt yields and sizes the next slice by how long the last one ran.
func (l *Ledger) adapt() {
	if l.granted != 0 {
		switch took := time.Since(epoch) - l.granted; {
		case took > sliceLong:
			l.slice = max(l.slice/2, l.min)
		case took < sliceShort:
			l.slice = min(l.slice*2, l.max)
		}
	}
	runtime.Gosched()
	l.granted = time.Since(epoch)
}

// Charge takes fuel for the work of a host function.
func (l *Ledger) Charge(units int64) {
	balance := int64(l.Balance.Get()) - units
	if balance < 0 {
		balance = l.Refuel(balance)
	}
	l.Balance.Set(uint64(balance))
}

// Left is what the call under way may still use.
func (l *Ledger) Left() int64 { return max(l.pool+int64(l.Balance.Get()), 0) }
