package guest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"strings"

	"github.com/tidemill/tidemill/runtime/sandbox/vm"
)

// Error numbers of WASI preview 1 that the subset answers.
const (
	errnoSuccess    = 0
	errnoBadf       = 8
	errnoFault      = 21
	errnoInval      = 28
	errnoNotcapable = 76
)

// Clocks of WASI preview 1 that there are.
const (
	clockRealtime  = 0
	clockMonotonic = 1
)

// The layouts of fd_write and poll_oneoff.
const (
	vectorBytes       = 8 // u32 pointer, u32 length
	subscriptionBytes = 48
	eventBytes        = 32
	eventTypeClock    = 0
	clockAbsolute     = 1 // flag: the timeout is a point in time
)

// writeBytesMax is what one fd_write takes; the rest is the guest's to write again.
const writeBytesMax = 64 << 10

// noFile is every function on files: there are none but the two for output.
func noFile(name string) Function {
	errno := uint64(errnoBadf)
	if strings.HasPrefix(name, "path_") {
		errno = errnoNotcapable
	}
	return func(_ *Instance, s []uint64) { s[0] = errno }
}

var wasiFunctions = map[string]Function{
	"args_get":          func(_ *Instance, s []uint64) { s[0] = errnoSuccess },
	"environ_get":       func(_ *Instance, s []uint64) { s[0] = errnoSuccess },
	"args_sizes_get":    noStrings,
	"environ_sizes_get": noStrings,
	"sched_yield":       func(_ *Instance, s []uint64) { s[0] = errnoSuccess },
	"clock_time_get":    clockTimeGet,
	"random_get":        randomGet,
	"fd_write":          fdWrite,
	"poll_oneoff":       pollOneoff,
	"proc_exit": func(_ *Instance, s []uint64) {
		panic(&vm.Fault{Kind: vm.Exit, Detail: fmt.Sprintf("exit code %d", uint32(s[0]))})
	},
}

// noStrings answers (count, bytes) of arguments and environment: none.
func noStrings(i *Instance, s []uint64) {
	count, ok1 := i.view(s[0], 4)
	bytes, ok2 := i.view(s[1], 4)
	if !ok1 || !ok2 {
		s[0] = errnoFault
		return
	}
	clear(count)
	clear(bytes)
	s[0] = errnoSuccess
}

// clockTimeGet (id, precision, result).
func clockTimeGet(i *Instance, s []uint64) {
	now, ok := i.clock(uint32(s[0]))
	out, inside := i.view(s[2], 8)
	switch {
	case !ok:
		s[0] = errnoInval
	case !inside:
		s[0] = errnoFault
	default:
		binary.LittleEndian.PutUint64(out, uint64(now))
		s[0] = errnoSuccess
	}
}

// clock is the time of a clock in nanoseconds.
func (i *Instance) clock(id uint32) (int64, bool) {
	switch id {
	case clockRealtime:
		return i.Host.WallMicros() * 1000, true
	case clockMonotonic:
		return i.Host.MonotonicNanos(), true
	}
	return 0, false
}

// randomGet (pointer, length).
func randomGet(i *Instance, s []uint64) {
	out, ok := i.view(s[0], s[1])
	if !ok {
		s[0] = errnoFault
		return
	}
	i.Ledger.Charge(int64(len(out)) * RandomByteUnits)
	i.Host.Random(out)
	s[0] = errnoSuccess
}

// fdWrite (fd, vectors, count, written).
func fdWrite(i *Instance, s []uint64) {
	fd := int32(s[0])
	if fd != 1 && fd != 2 {
		s[0] = errnoBadf
		return
	}
	vectors, ok1 := i.array(s[1], s[2], vectorBytes)
	out, ok2 := i.view(s[3], 4)
	if !ok1 || !ok2 {
		s[0] = errnoFault
		return
	}
	written := 0
	for ; len(vectors) > 0 && written < writeBytesMax; vectors = vectors[vectorBytes:] {
		p, ok := i.view(uint64(binary.LittleEndian.Uint32(vectors)), uint64(binary.LittleEndian.Uint32(vectors[4:])))
		if !ok {
			s[0] = errnoFault
			return
		}
		p = p[:min(len(p), writeBytesMax-written)]
		i.Ledger.Charge(VectorUnits + LineUnits*int64(bytes.Count(p, []byte{'\n'})))
		i.chargeBytes(len(p))
		i.Host.Write(fd, p)
		written += len(p)
	}
	binary.LittleEndian.PutUint32(out, uint32(written))
	s[0] = errnoSuccess
}

// pollOneoff (subscriptions, events, count, result) returns at once: it advances the instance's clock to the earliest point that
// is waited for, because a clock that stood still would let Go's sleep spin for ever. A subscription to a file is ready at once,
// with an error.
func pollOneoff(i *Instance, s []uint64) {
	if uint32(s[2]) == 0 {
		s[0] = errnoInval
		return
	}
	subscriptions, ok1 := i.array(s[0], s[2], subscriptionBytes)
	events, ok2 := i.array(s[1], s[2], eventBytes)
	out, ok3 := i.view(s[3], 4)
	if !ok1 || !ok2 || !ok3 {
		s[0] = errnoFault
		return
	}
	i.chargeBytes(len(subscriptions) + len(events))
	wait := i.shortestWait(subscriptions)
	ready := uint32(0)
	for ; len(subscriptions) > 0; subscriptions = subscriptions[subscriptionBytes:] {
		left, errno := i.waitOf(subscriptions)
		if left > wait {
			continue
		}
		event := events[:eventBytes]
		events = events[eventBytes:]
		clear(event)
		copy(event, subscriptions[:8]) // the guest's own mark
		binary.LittleEndian.PutUint16(event[8:], errno)
		event[10] = subscriptions[8]
		ready++
	}
	if wait > 0 {
		i.Host.Wait(wait)
	}
	binary.LittleEndian.PutUint32(out, ready)
	s[0] = errnoSuccess
}

func (i *Instance) shortestWait(subscriptions []byte) int64 {
	shortest := int64(math.MaxInt64)
	for ; len(subscriptions) > 0; subscriptions = subscriptions[subscriptionBytes:] {
		left, _ := i.waitOf(subscriptions)
		shortest = min(shortest, left)
	}
	return shortest
}

// waitOf is for how long a subscription waits from now on, in nanoseconds, and its error.
//
//	0 u64 the guest's mark   8 u8 type   16 u32 clock   24 u64 timeout   32 u64 precision   40 u16 flags
func (i *Instance) waitOf(subscription []byte) (left int64, errno uint16) {
	if subscription[8] != eventTypeClock {
		return 0, errnoBadf
	}
	now, ok := i.clock(binary.LittleEndian.Uint32(subscription[16:]))
	if !ok {
		return 0, errnoInval
	}
	timeout := binary.LittleEndian.Uint64(subscription[24:])
	if binary.LittleEndian.Uint16(subscription[40:])&clockAbsolute == 0 {
		now = 0
	}
	if timeout <= uint64(now) {
		return 0, errnoSuccess
	}
	return int64(min(timeout-uint64(now), math.MaxInt64)), errnoSuccess
}
