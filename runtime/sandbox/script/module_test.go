package script

import (
	"bytes"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/sandbox/wasm"
	"github.com/tidemill/tidemill/runtime/sandbox/wat"
)

var digest = strings.Repeat("0123456789abcdef", 4)

func sample(t *testing.T) *Module {
	t.Helper()
	code, err := op().Encode()
	if err != nil {
		t.Fatal(err)
	}
	return &Module{Base: Reference{ABI: 1, Language: "python", Version: "3.13.5", SHA256: digest}, Code: code, Describe: []byte(`{"abi":1}`)}
}

// TestModuleBytes pins the form of a user module, which other tools write too.
func TestModuleBytes(t *testing.T) {
	m := sample(t)
	got, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	base := `{"abi":1,"language":"python","version":"3.13.5","sha256":"` + digest + `"}`
	want := "\x00asm\x01\x00\x00\x00"
	for _, s := range [][2]string{{"tidemill.base", base}, {"tidemill.code", string(m.Code)}, {"tidemill.describe", `{"abi":1}`}} {
		body := string(rune(len(s[0]))) + s[0] + s[1]
		size := string(wasm.AppendU32(nil, uint32(len(body))))
		want += "\x00" + size + body
	}
	if string(got) != want {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
	back, err := Parse(got)
	if err != nil || back.Base != m.Base || !bytes.Equal(back.Code, m.Code) || !bytes.Equal(back.Describe, m.Describe) {
		t.Errorf("%+v, %v", back, err)
	}
}

func TestOtherModulesAreNoScripts(t *testing.T) {
	for _, binary := range [][]byte{nil, []byte("\x00asm"), wat.Must(`(module)`), wat.Must(`(module (memory (export "memory") 1) (custom "tidemill.describe" "{}"))`)} {
		if m, err := Parse(binary); m != nil || err != nil {
			t.Errorf("%q: %+v, %v", binary, m, err)
		}
	}
}

func TestModulesThatCannotBe(t *testing.T) {
	for name, c := range map[string]struct {
		change func(m *Module) []byte
		want   string
	}{
		"code of its own": {func(m *Module) []byte {
			return append(encoded(m), wat.Must(`(module (memory 1))`)[8:]...)
		}, "has a section memory of its own"},
		"another section": {func(m *Module) []byte { return appendCustom(encoded(m), "producers", nil) }, `"producers" does not belong`},
		"twice":           {func(m *Module) []byte { return appendCustom(encoded(m), CodeSection, m.Code) }, "is there twice"},
		"no code":         {func(m *Module) []byte { return appendCustom([]byte(header), BaseSection, nil) }, "no section tidemill.code"},
		"no description": {func(m *Module) []byte {
			return appendCustom(appendCustom([]byte(header), BaseSection, nil), CodeSection, m.Code)
		}, "no section tidemill.describe"},
		"reference": {func(m *Module) []byte {
			out := appendCustom(appendCustom([]byte(header), BaseSection, []byte("python")), CodeSection, m.Code)
			return appendCustom(out, DescribeSection, m.Describe)
		}, "not JSON of the expected form"},
		"upper-case digest": {func(m *Module) []byte { m.Base.SHA256 = strings.ToUpper(digest); return raw(m) }, "not 64 lower-case hex digits"},
		"short digest":      {func(m *Module) []byte { m.Base.SHA256 = digest[:40]; return raw(m) }, "not 64 lower-case hex digits"},
		"version":           {func(m *Module) []byte { m.Base.ABI = 2; return raw(m) }, "version 2 of the ABI, this host speaks version 1"},
		"language":          {func(m *Module) []byte { m.Base.Language = ""; return raw(m) }, "no language"},
		"cut short":         {func(m *Module) []byte { b := encoded(m); return b[:len(b)-2] }, "cannot be read to its end"},
		"archive":           {func(m *Module) []byte { m.Code = append(m.Code, ' '); return encoded(m) }, "not canonical from byte"},
	} {
		_, err := Parse(c.change(sample(t)))
		if e := errcode.Of(err); e == nil || e.Hint == "" || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func encoded(m *Module) []byte {
	out, err := m.Encode()
	if err != nil {
		panic(err)
	}
	return out
}

// raw encodes a module whose reference Encode would refuse.
func raw(m *Module) []byte {
	wrong := m.Base
	m.Base = Reference{ABI: 1, Language: "python", Version: "3", SHA256: digest}
	var base string
	right := `{"abi":1,"language":"python","version":"3","sha256":"` + digest + `"}`
	switch {
	case wrong.SHA256 != digest:
		base = strings.Replace(right, digest, wrong.SHA256, 1)
	case wrong.ABI != 1:
		base = strings.Replace(right, `"abi":1`, `"abi":2`, 1)
	default:
		base = strings.Replace(right, `"python"`, `""`, 1)
	}
	out := appendCustom(appendCustom([]byte(header), BaseSection, []byte(base)), CodeSection, m.Code)
	return appendCustom(out, DescribeSection, m.Describe)
}

// TestStandalone checks the joined module by what it has in its memory.
func TestStandalone(t *testing.T) {
	base := wat.Must(`(module (memory (export "memory") 2 9) (global (export "tidemill_code") i32 (i32.const 32))
	  (data (i32.const 16) "before") (custom "note" "kept"))`)
	m := sample(t)
	joined, err := Standalone(base, m)
	if err != nil {
		t.Fatal(err)
	}
	d, err := wasm.Decode(joined)
	if err != nil {
		t.Fatal(err)
	}
	memory := make([]byte, int(d.Memories[0].Min)*pageBytes)
	for _, s := range d.Data {
		copy(memory[s.Place.Imm:], d.Bytes(s.Init))
	}
	at, n := 2*pageBytes, len(m.Code)
	if len(memory) != 3*pageBytes || string(memory[16:22]) != "before" || !bytes.Equal(memory[at:at+n], m.Code) {
		t.Errorf("%d bytes: %q", len(memory), memory[at:at+n])
	}
	if cell := memory[32:40]; !bytes.Equal(cell, []byte{0, 0, 2, 0, byte(n), 0, 0, 0}) {
		t.Errorf("cell %v", cell)
	}
	if last := d.Sections[len(d.Sections)-1]; last.Name != DescribeSection || !bytes.Equal(d.Bytes(last.Body), m.Describe) {
		t.Errorf("last section %+v", last)
	}
	if d.Memories[0].Max != 9 || !d.Memories[0].HasMax || !has(d.Sections, "note") {
		t.Errorf("memory %+v", d.Memories[0])
	}
	for name, text := range map[string]string{
		"no cell": `(module (memory (export "memory") 2) (data (i32.const 16) "before"))`,
		"no room": `(module (memory (export "memory") 2 2) (global (export "tidemill_code") i32 (i32.const 32)) (data (i32.const 16) "before"))`,
	} {
		if _, err := Standalone(wat.Must(text), m); errcode.Of(err) == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
