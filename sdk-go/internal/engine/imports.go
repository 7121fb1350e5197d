//go:build wasip1

package engine

import "unsafe"

//go:wasmimport tidemill_v1 log
func hostLog(level int32, p unsafe.Pointer, n uint32)

//go:wasmimport tidemill_v1 state_get
func hostStateGet(state, key uint32, mapKey unsafe.Pointer, mapKeyLen uint32, out unsafe.Pointer, outCap uint32) int32

//go:wasmimport tidemill_v1 state_scan_open
func hostScanOpen(state, key uint32, bounds unsafe.Pointer, boundsLen, flags uint32) int32

//go:wasmimport tidemill_v1 state_scan_next
func hostScanNext(handle int32, out unsafe.Pointer, outCap uint32) int32

//go:wasmimport tidemill_v1 state_apply
func hostApply(p unsafe.Pointer, n uint32)

// imports is the host of a module.
type imports struct{}

func data(b []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(b)) }

func (imports) Log(level int, line string) {
	hostLog(int32(level), unsafe.Pointer(unsafe.StringData(line)), uint32(len(line)))
}

func (imports) StateGet(state, key uint32, mapKey, out []byte) int32 {
	return hostStateGet(state, key, data(mapKey), uint32(len(mapKey)), data(out), uint32(len(out)))
}

func (imports) ScanOpen(state, key uint32, bounds []byte, flags uint32) int32 {
	return hostScanOpen(state, key, data(bounds), uint32(len(bounds)), flags)
}

func (imports) ScanNext(handle int32, out []byte) int32 {
	return hostScanNext(handle, data(out), uint32(len(out)))
}

func (imports) Apply(frame []byte) { hostApply(data(frame), uint32(len(frame))) }
