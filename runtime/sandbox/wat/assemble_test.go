package wat

import (
	"bytes"
	"strings"
	"testing"
)

// TestAssemble compares with bytes written by hand after the specification.
func TestAssemble(t *testing.T) {
	for src, want := range map[string]string{
		`(module)`: "",
		`(module (func (export "f") (param i32 i64) (result i32) (local f32) local.get 0 i32.const -1 i32.add))`: "\x01\x07\x01\x60\x02\x7f\x7e\x01\x7f" + "\x03\x02\x01\x00" + "\x07\x05\x01\x01f\x00\x00" +
			"\x0a\x0b\x01\x09\x01\x01\x7d\x20\x00\x41\x7f\x6a\x0b",
		`(module (memory 1 2) (data (i32.const 4) "a\00\"")) ;; done`: "\x05\x04\x01\x01\x01\x02" + "\x0c\x01\x01" + "\x0b\x09\x01\x00\x41\x04\x0b\x03a\x00\"",
		`(module (func $f loop $l br $l end) (start $f))`: "\x01\x04\x01\x60\x00\x00" + "\x03\x02\x01\x00" + "\x08\x01\x00" + "\x0a\x09\x01\x07\x00\x03\x40\x0c\x00\x0b\x0b" +
			"\x00\x0b\x04name\x01\x04\x01\x00\x01f",
	} {
		got, err := Assemble(src)
		if err != nil {
			t.Errorf("%s: %v", src, err)
		} else if want = "\x00asm\x01\x00\x00\x00" + want; !bytes.Equal(got, []byte(want)) {
			t.Errorf("%s:\n%x, want\n%x", src, got, want)
		}
	}
}

func TestErrors(t *testing.T) {
	for src, want := range map[string]string{
		`(func)`:                             "begins with (module",
		`(module (func foo))`:                `unknown instruction "foo"`,
		"(module\n(func br $x))":             "unknown label $x",
		`(module (export "a" (func $b)))`:    "unknown name $b",
		`(module (func i32.const x))`:        "not a number",
		`(module`:                            "ends too early",
		`(module (data (i32.const 0) "\g"))`: "bad escape",
	} {
		if _, err := Assemble(src); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", src, err, want)
		}
	}
}
