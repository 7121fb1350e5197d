//go:build wasip1

package engine

import (
	"runtime"
	"runtime/debug"
	"unsafe"

	"github.com/tidemill/tidemill/sdk-go/internal/abi"
	"github.com/tidemill/tidemill/sdk-go/internal/frame"
	"github.com/tidemill/tidemill/sdk-go/internal/json"
)

// gcPercent keeps the heap of a module small: under churn 50 needs 5.8 MiB where 100 needs 7.8 and 20 needs 5.3. There is no
// environment to set it by.
const gcPercent = 50

func init() { debug.SetGCPercent(gcPercent) }

// exported is memory that the host reads or writes; it stays referenced while the host knows its address.
var exported struct {
	reserved []byte
	answer   []byte
}

func result(b []byte) uint64 {
	if len(b) == 0 {
		return 0
	}
	return uint64(address(unsafe.Pointer(unsafe.SliceData(b))))<<32 | uint64(len(b))
}

//go:wasmexport tidemill_abi_1
func abiVersion1() {}

//go:wasmexport tidemill_describe
func describe() uint64 {
	d, err := Registered.Describe()
	if err != nil {
		panic(err.Error())
	}
	exported.answer = json.Append(nil, d)
	return result(exported.answer)
}

//go:wasmexport tidemill_open
func open(p unsafe.Pointer, n uint32) uint64 {
	var req abi.OpenRequest
	var answer abi.OpenAnswer
	if err := json.Decode(unsafe.Slice((*byte)(p), n), &req); err != nil {
		answer.Error = openError(err)
	} else {
		answer = Registered.Open(req, imports{})
	}
	exported.answer = json.Append(nil, answer)
	return result(exported.answer)
}

// collectBytes is the size of a reservation from which on the one before it is worth collecting at once. That keeps memory small,
// and ends a collection that so large an allocation may have begun, see letCollectorRun.
const collectBytes = 256 << 10

//go:wasmexport tidemill_reserve
func reserve(n uint32) uint32 {
	exported.reserved = frame.Aligned(int(n))
	if n >= collectBytes {
		runtime.GC()
	}
	return address(unsafe.Pointer(unsafe.SliceData(exported.reserved)))
}

// yieldBytes of frames are processed between two yields to the collector.
const yieldBytes = 256 << 10

var processed int // bytes since the last yield

// letCollectorRun gives the collector's workers a turn. Nothing else does: between calls nothing runs, and a call that allocates
// little does not assist. A collection that does not end would keep the write barrier on, which halves the speed. A turn takes a
// few microseconds, so small frames share one.
func letCollectorRun(n int) {
	if processed += n; processed >= yieldBytes {
		processed = 0
		runtime.Gosched()
	}
}

//go:wasmexport tidemill_process
func process(p unsafe.Pointer, n uint32) uint64 {
	data := unsafe.Slice((*byte)(p), n)
	slot := Registered.Slot(frame.Slot(data))
	if slot == nil {
		panic("a frame of a slot that was not opened")
	}
	letCollectorRun(len(data))
	return result(slot.Process(data))
}
