package wazerovm

import (
	"runtime"
	"time"

	"github.com/tetratelabs/wazero/api"

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

// ledger is the account of one instance. At any time during a call, budget = used in it + balance + pool, where the balance is
// the guest's global.
type ledger struct {
	balance api.MutableGlobal // nil until the module is known: the balance is the guest's own then
	budget  int64             // of this call
	pool    int64             // not yet granted
	left    int64             // balance at the end of the last call
	used    int64             // by all calls that have ended
	slice   int64
	min     int64 // of slice
	max     int64
	granted time.Duration // when the last slice of this call was granted, since epoch; 0 in the first
	spent   bool          // the last call was ended for its fuel
}

// begin opens a call. The guest's balance is left, which a new call takes over as its first slice where it may.
func (l *ledger) begin(budget, left int64) {
	budget = max(budget, 0)
	l.budget, l.pool = budget, budget-left
	l.granted = 0
	if l.balance != nil && (l.pool < 0 || left <= 0) {
		first := min(l.slice, budget)
		l.balance.Set(uint64(first))
		l.pool = budget - first
	}
}

// end closes a call, however it ended. It reports false where the charges exceed the budget: the last ones of a call may have
// been made without a check.
func (l *ledger) end() bool {
	l.left = int64(l.balance.Get())
	used := l.budget - l.pool - l.left
	if l.spent {
		used = l.budget
	}
	l.used += min(used, l.budget)
	return used <= l.budget
}

// refuel answers a guest whose balance is below zero with a new balance, not below zero, after giving way to other goroutines
// and the collector. It reports false where the call's charges exceed its budget: all of it counts as used then.
func (l *ledger) refuel(balance int64) (int64, bool) {
	if -balance > l.pool {
		l.spent = true
		return 0, false
	}
	l.adapt()
	grant := min(max(l.slice, -balance), l.pool)
	l.pool -= grant
	return balance + grant, true
}

// adapt yields and sizes the next slice by how long the last one ran.
func (l *ledger) adapt() {
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

// hostRefuel is the meter's import: (balance) -> balance.
func hostRefuel(i *instance, balance int64) int64 {
	balance, ok := i.ledger.refuel(balance)
	if !ok {
		panic(&vm.Fault{Kind: vm.Fuel})
	}
	return balance
}

// charge takes fuel for the work of a host function.
func (i *instance) charge(units int64) {
	balance := int64(i.ledger.balance.Get()) - units
	if balance < 0 {
		balance = hostRefuel(i, balance)
	}
	i.ledger.balance.Set(uint64(balance))
}

// fuelLeft is what the call under way may still use.
func (i *instance) fuelLeft() int64 { return max(i.ledger.pool+int64(i.ledger.balance.Get()), 0) }
