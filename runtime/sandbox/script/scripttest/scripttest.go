// Package scripttest is an interpreter of a dozen instructions, for tests of what surrounds interpreters: it has all exports of a
// base, starts in `_initialize`, and does what single characters of the sources tell it.
package scripttest

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/tidemill/tidemill/runtime/sandbox/script"
	"github.com/tidemill/tidemill/runtime/sandbox/wat"
)

// What the sources may hold. Anything else loads at once; loading takes fuel by the length of the sources.
const (
	Fails  = "#" // loading answers an error, with the place op.py:12
	Loops  = "@" // loading never ends
	Traps  = "$" // loading traps
	Chaos  = "%" // loading answers an address outside of the memory
	Babble = "!" // loading answers what is no error object
)

// Describe is what the interpreter says that it holds.
const Describe = `{"abi":1,"sdk":{"name":"test","version":"1","language":"wat"},` +
	`"entries":[{"name":"op","kind":"operator","inputs":[{"name":"in"}]}]}`

const (
	loadError  = `{"error":{"message":"ModuleNotFoundError: No module named 'numpy'","place":"op.py:12"}}`
	babble     = `{"abi":1}`
	descriptor = `{"descriptor":{"inputs":[{"columns":["*"]}],"outputs":[]}}`
)

// text is the interpreter. It finds its buffer at 65536 and keeps at 8 whether it has started, at 12 the number of loads.
var text = fmt.Sprintf(`(module
  (memory (export "memory") 2)
  (global (export "tidemill_code") i32 (i32.const 32))
  (data (i32.const 1024) %q) (data (i32.const 2048) %q) (data (i32.const 3072) %q) (data (i32.const 4096) %q)
  (func (export "tidemill_abi_1"))
  (func (export "_initialize") i32.const 8  i32.const 8  i32.load  i32.const 1  i32.add  i32.store)
  (func (export "tidemill_reserve") (param i32) (result i32) i32.const 65536)
  (func (export "tidemill_describe") (result i64) i64.const %d)
  (func (export "tidemill_open") (param i32 i32) (result i64) i64.const %d)
  (func (export "tidemill_process") (param i32 i32) (result i64) i64.const 0)
  (func (export "tidemill_load") (param $at i32) (param $n i32) (result i64) (local $end i32) (local $c i32)
    i32.const 8  i32.load  i32.const 1  i32.ne  if unreachable end
    i32.const 12  i32.const 12  i32.load  i32.const 1  i32.add  i32.store
    local.get $at  local.get $n  i32.add  local.set $end
    loop $next
      local.get $at  local.get $end  i32.eq  if i64.const 0 return end
      local.get $at  i32.load8_u  local.set $c
      local.get $c  i32.const 35  i32.eq  if i64.const %d return end
      local.get $c  i32.const 64  i32.eq  if loop $for br $for end end
      local.get $c  i32.const 36  i32.eq  if unreachable end
      local.get $c  i32.const 37  i32.eq  if i64.const -2 return end
      local.get $c  i32.const 33  i32.eq  if i64.const %d return end
      local.get $at  i32.const 1  i32.add  local.set $at
      br $next
    end
    unreachable))`, Describe, loadError, descriptor, babble, packed(1024, Describe), packed(3072, descriptor), packed(2048, loadError), packed(4096, babble))

func packed(at int64, s string) int64 { return at<<32 | int64(len(s)) }

// Base is the interpreter.
func Base() script.Base {
	binary := wat.Must(text)
	sum := sha256.Sum256(binary)
	return script.Base{
		Reference: script.Reference{ABI: 1, Language: "test", Version: "1.0", SHA256: hex.EncodeToString(sum[:])},
		Binary:    func() ([]byte, error) { return binary, nil },
	}
}

// Module is a user module of a base with one file of sources.
func Module(base script.Base, source string) []byte {
	code, err := (&script.Archive{Entry: "op.py", Files: []script.File{{Path: "op.py", Text: source}}}).Encode()
	if err != nil {
		panic(err) // input comes from this tree
	}
	m, err := (&script.Module{Base: base.Reference, Code: code, Describe: []byte(Describe)}).Encode()
	if err != nil {
		panic(err)
	}
	return m
}

// Redescribed is a module that says something else of itself.
func Redescribed(module []byte) []byte {
	return []byte(strings.Replace(string(module), `"name":"op","kind"`, `"name":"po","kind"`, 1))
}
