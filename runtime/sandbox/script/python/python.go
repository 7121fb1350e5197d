// Package python carries the interpreter of Python operators: CPython compiled to WebAssembly, with the standard library and the SDK
// frozen in. It is built by the recipe in sdk-python/interpreter; the lock beside it says from what.
package python

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/json"
	"io"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/runtime/sandbox/script"
)

//go:embed tidemill-python.wasm.gz
var compressed []byte

//go:embed tidemill-python.lock
var lock []byte

// Base is the interpreter. Its bytes are unpacked in some 0.1 s, each time anew.
func Base() script.Base { return base }

var base = func() script.Base {
	var is struct {
		ABI      int    `json:"abi"`
		Language string `json:"language"`
		Version  string `json:"version"`
		SHA256   string `json:"wasm_sha256"`
	}
	if err := json.Unmarshal(lock, &is); err != nil {
		panic("the lock of the embedded interpreter: " + err.Error()) // a test reads it
	}
	return script.Base{Reference: script.Reference{ABI: is.ABI, Language: is.Language, Version: is.Version, SHA256: is.SHA256}, Binary: unpack}
}()

func unpack() ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, abi.ModuleBytesMax))
}
