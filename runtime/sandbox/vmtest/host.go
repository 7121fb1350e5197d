package vmtest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/runtime/sandbox/guest"
	"github.com/tidemill/tidemill/runtime/sandbox/profile"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
	"github.com/tidemill/tidemill/runtime/sandbox/wasm"
)

// What WASI preview 1 says: error numbers, and the sizes of what poll_oneoff reads and writes.
const (
	errnoBadf         = 8
	errnoFault        = 21
	errnoInval        = 28
	errnoNotcapable   = 76
	subscriptionBytes = 48
	eventBytes        = 32
)

// hostCall runs one host function with constant arguments. Its result is the call's.
func (e Engine) hostCall(t *testing.T, module, name string, host vm.Host, args ...int64) (i vm.Instance, result int64, err error) {
	t.Helper()
	sig := profile.Imports[profile.Import{Module: module, Name: name}]
	types := func(kind string, list []wasm.ValType) string {
		s := ""
		for _, v := range list {
			s += " " + v.String()
		}
		return "(" + kind + s + ")"
	}
	imports := fmt.Sprintf(`(import %q %q (func $f %s %s))`, module, name,
		types("param", sig.Params), types("result", sig.Results))
	body := ""
	for n, a := range args {
		body += fmt.Sprintf("%s.const %d ", sig.Params[n], a)
	}
	body += "call $f "
	switch {
	case len(sig.Results) == 0:
		body += "i64.const 0"
	case sig.Results[0].String() == "i32":
		body += "i64.extend_i32_s"
	}
	c := e.compile(t, GuestText(imports, `(data (i32.const 16) "hello" "\10\00\00\00\05\00\00\00" "\10\00\00\00\02\00\00\00")`, body))
	i = Instantiate(t, c, host)
	got, err := i.Call(vm.Process, 0, 0, Plenty)
	return i, int64(got), err
}

func testHostFunctions(t *testing.T, e Engine) {
	const (
		text    = 16 // "hello"
		vectors = 21 // (16, 5), (16, 2)
		out     = 512
		end     = 1 << 16
	)
	u32 := func(v uint32) string { return string(binary.LittleEndian.AppendUint32(nil, v)) }
	u64 := func(v uint64) string { return string(binary.LittleEndian.AppendUint64(nil, v)) }
	for _, c := range []struct {
		module, name string
		args         []int64
		result       int64
		lines        []string // what the host sees
		memory       string   // what lies at out afterwards
		kind         vm.Kind  // of a fault
	}{
		{"tidemill_v1", "log", []int64{2, text, 5}, 0, []string{`log 2 "hello"`}, "", 0},
		{"tidemill_v1", "log", []int64{2, end - 1, 2}, 0, nil, "", vm.HostCall},
		{"tidemill_v1", "log", []int64{2, -1, -1}, 0, nil, "", vm.HostCall},
		{"tidemill_v1", "log", []int64{2, end, 0}, 0, []string{`log 2 ""`}, "", 0},
		{"tidemill_v1", "state_get", []int64{1, 2, text, 2, out, 8}, 5, []string{`get 1 2 "he" 8`}, "value", 0},
		{"tidemill_v1", "state_get", []int64{1, 2, text, 2, out, -1}, 0, nil, "", vm.HostCall},
		{"tidemill_v1", "state_scan_open", []int64{3, 4, text, 5, 6}, 7, []string{`open 3 4 "hello" 6`}, "", 0},
		{"tidemill_v1", "state_scan_open", []int64{3, 4, end - 4, 5, 6}, 0, nil, "", vm.HostCall},
		{"tidemill_v1", "state_scan_next", []int64{9, out, 16}, 5, []string{`next 9 16`}, "entry", 0},
		{"tidemill_v1", "state_scan_next", []int64{9, end, 1}, 0, nil, "", vm.HostCall},
		{"tidemill_v1", "state_apply", []int64{text, 5}, 0, []string{`apply "hello"`}, "", 0},
		{"tidemill_v1", "state_apply", []int64{-4, 8}, 0, nil, "", vm.HostCall},

		{"wasi_snapshot_preview1", "args_sizes_get", []int64{out, out + 4}, 0, nil, u32(0) + u32(0), 0},
		{"wasi_snapshot_preview1", "environ_sizes_get", []int64{out, end - 3}, errnoFault, nil, "", 0},
		{"wasi_snapshot_preview1", "args_get", []int64{out, out}, 0, nil, "", 0},
		{"wasi_snapshot_preview1", "environ_get", []int64{out, out}, 0, nil, "", 0},
		{"wasi_snapshot_preview1", "sched_yield", nil, 0, nil, "", 0},
		{"wasi_snapshot_preview1", "clock_time_get", []int64{0, 0, out}, 0, nil, u64(1_700_000_000_000_000_000), 0},
		{"wasi_snapshot_preview1", "clock_time_get", []int64{1, 0, out}, 0, nil, u64(1), 0},
		{"wasi_snapshot_preview1", "clock_time_get", []int64{2, 0, out}, errnoInval, nil, "", 0},
		{"wasi_snapshot_preview1", "clock_time_get", []int64{1, 0, end - 7}, errnoFault, nil, "", 0},
		{"wasi_snapshot_preview1", "random_get", []int64{out, 3}, 0, nil, "\x01\x02\x03\x00", 0},
		{"wasi_snapshot_preview1", "random_get", []int64{out, -1}, errnoFault, nil, "", 0},
		{"wasi_snapshot_preview1", "fd_write", []int64{1, vectors, 2, out}, 0, []string{`write 1 "hello"`, `write 1 "he"`}, u32(7), 0},
		{"wasi_snapshot_preview1", "fd_write", []int64{2, vectors, 1, out}, 0, []string{`write 2 "hello"`}, u32(5), 0},
		{"wasi_snapshot_preview1", "fd_write", []int64{0, vectors, 1, out}, errnoBadf, nil, "", 0},
		{"wasi_snapshot_preview1", "fd_write", []int64{3, vectors, 1, out}, errnoBadf, nil, "", 0},
		{"wasi_snapshot_preview1", "fd_write", []int64{1, end - 8, 2, out}, errnoFault, nil, "", 0},
		{"wasi_snapshot_preview1", "fd_write", []int64{1, vectors, 0x20000000, out}, errnoFault, nil, "", 0},
		{"wasi_snapshot_preview1", "fd_write", []int64{1, vectors, -1, out}, errnoFault, nil, "", 0},
		{"wasi_snapshot_preview1", "fd_read", []int64{0, vectors, 1, out}, errnoBadf, nil, "", 0},
		{"wasi_snapshot_preview1", "fd_prestat_get", []int64{3, out}, errnoBadf, nil, "", 0},
		{"wasi_snapshot_preview1", "path_open", []int64{3, 0, text, 5, 0, 0, 0, 0, out}, errnoNotcapable, nil, "", 0},
		{"wasi_snapshot_preview1", "poll_oneoff", []int64{0, out, 0, out}, errnoInval, nil, "", 0},
		{"wasi_snapshot_preview1", "poll_oneoff", []int64{0, out, 0x6000000, out}, errnoFault, nil, "", 0},
		{"wasi_snapshot_preview1", "proc_exit", []int64{2}, 0, nil, "", vm.Exit},
	} {
		t.Run(fmt.Sprintf("%s%v", c.name, c.args), func(t *testing.T) {
			host := &Host{}
			i, got, err := e.hostCall(t, c.module, c.name, host, c.args...)
			if !slices.Equal(host.Lines, c.lines) {
				t.Errorf("the host saw %q, want %q", host.Lines, c.lines)
			}
			if c.kind != 0 {
				FaultOf(t, err, c.kind)
				return
			}
			if err != nil || got != c.result {
				t.Errorf("result %d, %v; want %d", got, err, c.result)
			}
			if !bytes.HasPrefix(i.Memory()[out:], []byte(c.memory)) {
				t.Errorf("memory has %q, want %q", i.Memory()[out:out+16], c.memory)
			}
		})
	}
}

func testMisuse(t *testing.T, e Engine) {
	for name, args := range map[string][]int64{"state_get": {0, 0, 0, 0, 0, 0}, "state_scan_open": {0, 0, 0, 0, 0},
		"state_scan_next": {0, 0, 0}, "state_apply": {0, 0}} {
		_, _, err := e.hostCall(t, "tidemill_v1", name, &Host{Fail: errors.New("no state 0")}, args...)
		if f := FaultOf(t, err, vm.HostCall); f.Detail != "no state 0" {
			t.Errorf("%s: detail %q", name, f.Detail)
		}
	}
}

// testWaiting has subscriptions to a relative and an absolute time and to a file, as poll_oneoff gets them.
func testWaiting(t *testing.T, e Engine) {
	type subscription struct {
		mark    uint64
		kind    byte
		clock   uint32
		timeout uint64
		flags   uint16
	}
	for name, c := range map[string]struct {
		subscriptions []subscription
		events        string // mark and error number of each
		waited        int64
	}{
		"one":              {[]subscription{{11, 0, 1, 5000, 0}}, "11:0", 5000},
		"the shortest":     {[]subscription{{11, 0, 1, 5000, 0}, {12, 0, 1, 300, 0}}, "12:0", 300},
		"both":             {[]subscription{{11, 0, 1, 300, 0}, {12, 0, 1, 300, 0}}, "11:0 12:0", 300},
		"absolute":         {[]subscription{{11, 0, 1, 701, 1}, {12, 0, 1, 800, 0}}, "11:0", 700},
		"absolute, past":   {[]subscription{{11, 0, 1, 0, 1}}, "11:0", 0},
		"absolute, wall":   {[]subscription{{11, 0, 0, 1_700_000_000_000_000_250, 1}}, "11:0", 250},
		"for ever":         {[]subscription{{11, 0, 1, 1<<64 - 1, 0}}, "11:0", 1<<63 - 1},
		"file":             {[]subscription{{11, 1, 0, 0, 0}, {12, 0, 1, 300, 0}}, "11:8", 0},
		"unknown clock":    {[]subscription{{11, 0, 9, 100, 0}}, "11:28", 0},
		"at once and late": {[]subscription{{11, 0, 1, 0, 0}, {12, 0, 1, 1, 0}}, "11:0", 0},
	} {
		t.Run(name, func(t *testing.T) {
			host := &Host{}
			i := e.start(t, host, `(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))`, "",
				`i32.const 0 i32.const 1024 local.get $a i32.const 4096 call $poll i64.extend_i32_u`)
			m := i.Memory()
			for n, s := range c.subscriptions {
				b := m[n*subscriptionBytes:]
				binary.LittleEndian.PutUint64(b, s.mark)
				b[8] = s.kind
				binary.LittleEndian.PutUint32(b[16:], s.clock)
				binary.LittleEndian.PutUint64(b[24:], s.timeout)
				binary.LittleEndian.PutUint16(b[40:], s.flags)
			}
			if got, err := i.Call(vm.Process, uint32(len(c.subscriptions)), 0, Plenty); err != nil || got != 0 {
				t.Fatalf("errno %d, %v", got, err)
			}
			var events []string
			for n := range binary.LittleEndian.Uint32(m[4096:]) {
				b := m[1024+n*eventBytes:]
				events = append(events, fmt.Sprintf("%d:%d", binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint16(b[8:])))
			}
			if got := strings.Join(events, " "); got != c.events || host.Nanos != c.waited {
				t.Errorf("events %q after %d ns, want %q after %d", got, host.Nanos, c.events, c.waited)
			}
		})
	}
}

// testHostFunctionsTakeFuel spends a call's fuel on one host function: a guest cannot get work done for nothing.
func testHostFunctionsTakeFuel(t *testing.T, e Engine) {
	i := e.start(t, &Host{}, `(import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
		(import "tidemill_v1" "fuel_left" (func $left (result i64)))`, "",
		`call $left i32.const 0 i32.const 65536 call $random drop call $left i64.sub`)
	used, err := i.Call(vm.Process, 0, 0, Plenty)
	if err != nil || used < 65536*guest.RandomByteUnits || used > 65536*guest.RandomByteUnits+300 {
		t.Errorf("64 KiB of random bytes take %d units, %v", used, err)
	}
	w := e.start(t, &Host{}, `(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
		(import "tidemill_v1" "fuel_left" (func $left (result i64)))`, "",
		`call $left i32.const 2048 i32.const 10 i32.const 1000 memory.fill
		i32.const 1024 i32.const 2048 i32.store i32.const 1028 i32.const 1000 i32.store
		i32.const 1 i32.const 1024 i32.const 2 i32.const 1040 call $write drop call $left i64.sub`)
	used, err = w.Call(vm.Process, 0, 0, Plenty)
	if want := uint64(1000*guest.LineUnits + 2*guest.VectorUnits + guest.CallUnits); err != nil || used < want || used > want+500 {
		t.Errorf("1000 lines in two vectors take %d units, %v, want about %d", used, err, want)
	}
	_, err = i.Call(vm.Process, 0, 0, 3000)
	if FaultOf(t, err, vm.Fuel); i.FuelUsed() < 3000 {
		t.Errorf("used %d", i.FuelUsed())
	}
}

// panicHost has a bug.
type panicHost struct{ Host }

func (panicHost) Log(int32, []byte) {
	list := make([]int, 0)
	list[len(list)]++
}

// testOwnBugs of the guest: they end the instance and are told as what they are, and the process goes on (I9).
func testOwnBugs(t *testing.T, e Engine) {
	i, _, err := e.hostCall(t, "tidemill_v1", "log", &panicHost{}, 1, 0, 0)
	if f := (*vm.Fault)(nil); err == nil || errors.As(err, &f) {
		t.Errorf("error %v", err)
	}
	if _, err := i.Call(vm.Process, 0, 0, Plenty); !errors.Is(err, guest.ErrClosed) {
		t.Errorf("the instance is not closed: %v", err)
	}
}
