package wasm_test

import (
	"bytes"
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/runtime/sandbox/wasm"
	"github.com/tidemill/tidemill/runtime/sandbox/wat"
)

const sample = `(module
  (import "env" "f" (func $f (param i32) (result i64)))
  (table 4 funcref)
  (memory (export "memory") 1 2)
  (global $g (mut i32) (i32.const -5))
  (func $main (export "main") (param $x i32) (result i64) (local i64 f64)
    block $done
      loop $again
        local.get $x
        br_if $again
        local.get $x
        br_table $done $again $done
      end
    end
    local.get $x
    call $f)
  (func $second global.get $g drop memory.size drop)
  (elem (i32.const 1) func $main $f)
  (data (i32.const 8) "hello")
  (data "passive"))`

func TestDecode(t *testing.T) {
	m, err := wasm.Decode(wat.Must(sample))
	if err != nil {
		t.Fatal(err)
	}
	if m.ImportedFuncs != 1 || len(m.FuncTypes) != 3 || len(m.Bodies) != 2 || len(m.Data) != 2 || m.DataCount != 2 || m.Start != -1 {
		t.Errorf("counts: %+v", m)
	}
	if got := m.TypeOf(1).String(); got != "(i32) -> i64" {
		t.Errorf("type of main: %s", got)
	}
	if m.Memories[0].Min != 1 || m.Memories[0].Max != 2 || !m.Memories[0].HasMax || m.Tables[0].HasMax {
		t.Errorf("limits: %+v %+v", m.Memories, m.Tables)
	}
	for _, place := range []struct {
		what   string
		offset int
		starts string
	}{{"import", m.Imports[0].Offset, "\x03env\x01f"}, {"export", m.Exports[1].Offset, "\x04main"},
		{"memory", m.Memories[0].Offset, "\x01\x01\x02"}, {"table", m.Tables[0].Offset, "\x70\x00\x04"},
		{"element", m.Elements[0].Offset, "\x00\x41\x01"}, {"data", m.Data[0].Offset, "\x00\x41\x08"}} {
		if got := string(m.Binary[place.offset:][:len(place.starts)]); got != place.starts {
			t.Errorf("the %s's offset %#x leads to %q", place.what, place.offset, got)
		}
	}
	if e := m.Elements[0]; !e.Active() || len(e.Funcs) != 2 || e.Funcs[0] != 1 || e.Funcs[1] != 0 {
		t.Errorf("element: %+v", e)
	}
	if d := m.Data[0]; !d.Active || d.Place.Imm != 8 || string(m.Bytes(d.Init)) != "hello" || m.Data[1].Active {
		t.Errorf("data: %+v", m.Data)
	}
	if m.Exports[0].Name != "memory" || m.Exports[0].Kind != wasm.ExternMemory || m.Exports[1].Index != 1 {
		t.Errorf("exports: %+v", m.Exports)
	}
	if b := m.Bodies[0]; b.LocalCount != 2 || b.LocalRuns != 2 {
		t.Errorf("locals: %+v", b)
	}
	if names := m.FuncNames(); len(names) != 2 || names[1] != (wasm.FuncName{Index: 2, Name: "second"}) {
		t.Errorf("names: %+v", names)
	}
	instrs, err := m.Instructions(0, nil)
	if err != nil {
		t.Fatal(err)
	}
	var ops []wasm.Op
	for _, in := range instrs {
		ops = append(ops, in.Op)
	}
	want := []wasm.Op{wasm.OpBlock, wasm.OpLoop, wasm.OpLocalGet, wasm.OpBrIf, wasm.OpLocalGet, wasm.OpBrTable, wasm.OpEnd,
		wasm.OpEnd, wasm.OpLocalGet, wasm.OpCall, wasm.OpEnd}
	if len(ops) != len(want) {
		t.Fatalf("instructions: %x", ops)
	}
	for i := range want {
		if ops[i] != want[i] {
			t.Errorf("instruction %d: %x, want %x", i, ops[i], want[i])
		}
	}
	if targets := m.AppendTargets(nil, instrs[5]); len(targets) != 3 || targets[0] != 1 || targets[1] != 0 || targets[2] != 1 {
		t.Errorf("targets: %v", targets)
	}
}

// TestEveryTruncationIsRefused cuts a module at each byte: an error with a place, never a panic and never a module.
func TestEveryTruncationIsRefused(t *testing.T) {
	whole := wat.Must(sample)
	ends := map[int]bool{} // cut between sections a module may be whole again
	for n := range whole {
		m, err := wasm.Decode(whole[:n:n])
		if err == nil {
			ends[n] = true
			if len(m.Bodies) != 0 && len(m.Bodies) != 2 {
				t.Errorf("cut at %d: %d bodies", n, len(m.Bodies))
			}
			continue
		}
		var e *wasm.Error
		if !errors.As(err, &e) || e.Section == "" || e.Offset > n {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
	if len(ends) > 8 {
		t.Errorf("%d truncations are modules", len(ends))
	}
}

// TestErrorsHavePlaces checks section, function and offset where a module is broken on purpose.
func TestErrorsHavePlaces(t *testing.T) {
	header := "\x00asm\x01\x00\x00\x00"
	for name, c := range map[string]struct {
		binary  []byte
		section string
		fn      int
		offset  int
		feature string
		detail  string
	}{
		"empty":           {nil, "header", -1, 0, "", "not a WebAssembly binary"},
		"component":       {[]byte("\x00asm\x0d\x00\x01\x00"), "header", -1, 0, "", "version 1"},
		"unknown section": {[]byte(header + "\x0e\x00"), "header", -1, 8, "", "no section with id 14"},
		"tag section":     {[]byte(header + "\x0d\x00"), "header", -1, 8, "exceptions", "exceptions"},
		"section order":   {[]byte(header + "\x05\x01\x00\x01\x01\x00"), "type", -1, 11, "", "must follow it"},
		"huge count":      {[]byte(header + "\x01\x05\xff\xff\xff\xff\x0f"), "type", -1, 10, "", "more than fit"},
		"long number":     {[]byte(header + "\x01\x06\x80\x80\x80\x80\x80\x00"), "type", -1, 10, "", "more than 5 bytes"},
		"large number":    {[]byte(header + "\x01\x05\x80\x80\x80\x80\x10"), "type", -1, 10, "", "too large for 32 bits"},
		"struct type":     {[]byte(header + "\x01\x04\x01\x5f\x00\x00"), "type", -1, 11, "GC", "belongs to GC"},
		"shared memory":   {[]byte(header + "\x05\x04\x01\x03\x01\x02"), "memory", -1, 11, "threads", "threads"},
		"memory64":        {[]byte(header + "\x05\x03\x01\x04\x01"), "memory", -1, 11, "memory64", "memory64"},
		"no such type":    {wat.Must(`(module (func (raw 2 9 11)))`), "code", 0, 24, "", "type 9 of a block"},
		"no such local":   {wat.Must(`(module (func (param i32) local.get 1 drop))`), "code", 0, 25, "", "local 1 is out of range, there are 1"},
		"no such global":  {wat.Must(`(module (func global.get 0 drop))`), "code", 0, 24, "", "global 0 is out of range"},
		"no such func":    {wat.Must(`(module (func nop) (func nop call 2))`), "code", 1, 30, "", "function 2 is out of range"},
		"no such label":   {wat.Must(`(module (func br 1))`), "code", 0, 24, "", "label 1 is out of range"},
		"no memory":       {wat.Must(`(module (func memory.size drop))`), "code", 0, 23, "", "there is none"},
		"SIMD":            {wat.Must(`(module (func (raw 0xfd 12 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0x1a)))`), "code", 0, 23, "SIMD", "SIMD"},
		"threads":         {wat.Must(`(module (func (raw 0xfe 3 0)))`), "code", 0, 23, "threads", "threads"},
		"tail call":       {wat.Must(`(module (func (raw 0x12 0)))`), "code", 0, 23, "tail calls", "tail calls"},
		"exceptions":      {wat.Must(`(module (func (raw 0x06 0x40 0x0b)))`), "code", 0, 23, "exceptions", "exceptions"},
		"else":            {wat.Must(`(module (func else))`), "code", 0, 23, "", "else without if"},
		"v128 parameter":  {wat.Must(`(module (type (func (param v128))))`), "type", -1, 13, "SIMD", "v128"},
		"locals":          {wat.Must(`(module (func (local i32) (raw 0)))`), "", 0, 0, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "locals" {
				// One declaration of 2^32-1 locals: five bytes.
				b := []byte(header + "\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00\x0a\x0a\x01\x08\x01\xff\xff\xff\xff\x0f\x7f\x0b")
				c.binary, c.section, c.offset, c.detail = b, "code", 23, "at most 50000"
			}
			err := decodeAll(c.binary)
			var e *wasm.Error
			if !errors.As(err, &e) {
				t.Fatalf("error %v", err)
			}
			if e.Section != c.section || e.Func != c.fn || e.Offset != c.offset || e.Feature != c.feature ||
				!strings.Contains(e.Detail, c.detail) {
				t.Errorf("%+v, want %+v", e, c)
			}
		})
	}
}

func decodeAll(b []byte) error {
	m, err := wasm.Decode(b)
	if err != nil {
		return err
	}
	var buf []wasm.Instr
	for i := range m.Bodies {
		if buf, err = m.Instructions(i, buf[:0]); err != nil {
			return err
		}
	}
	m.FuncNames()
	return nil
}

// TestMemoryIsBounded decodes binaries that declare much and hold little.
func TestMemoryIsBounded(t *testing.T) {
	most := append([]byte("\x00asm\x01\x00\x00\x00"), 0)
	for id := byte(1); id <= 12; id++ {
		body := append([]byte{0xff, 0xff, 0xff, 0xff, 0x07}, bytes.Repeat([]byte{0x60, 0, 0}, 1000)...)
		b := wasm.AppendSection(most[:8:8], wasm.SectionID(id), body)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_ = decodeAll(b)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 1<<20 {
			t.Errorf("section %d of %d bytes takes %d bytes", id, len(b), took)
		}
	}
}

// TestNestingIsNotRecursion decodes a function of a million nested blocks.
func TestNestingIsNotRecursion(t *testing.T) {
	const depth = 1_000_000
	body := append([]byte{0}, bytes.Repeat([]byte{2, 0x40}, depth)...)
	body = append(body, bytes.Repeat([]byte{0x0b}, depth+1)...)
	b := wasm.AppendSection([]byte("\x00asm\x01\x00\x00\x00"), wasm.TypeSection, []byte{1, 0x60, 0, 0})
	b = wasm.AppendSection(b, wasm.FunctionSection, []byte{1, 0})
	b = wasm.AppendSection(b, wasm.CodeSection, append(wasm.AppendU32([]byte{1}, uint32(len(body))), body...))
	if err := decodeAll(b); err != nil {
		t.Error(err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(wat.Must(sample))
	f.Add([]byte("\x00asm\x01\x00\x00\x00"))
	f.Add(wat.Must(`(module (memory 1) (func (raw 0xfc 10 0 0 0xfc 11 0 0xd2 0 0x25 0)) (elem func 0))`))
	f.Fuzz(func(t *testing.T, b []byte) {
		err := decodeAll(b)
		var e *wasm.Error
		if err != nil && (!errors.As(err, &e) || e.Offset < 0 || e.Offset > len(b) || e.Place() == "") {
			t.Errorf("error without a place: %#v", err)
		}
	})
}
