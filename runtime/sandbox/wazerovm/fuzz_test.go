package wazerovm

import (
	"context"
	"math/rand/v2"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/tidemill/tidemill/runtime/sandbox/meter"
	"github.com/tidemill/tidemill/runtime/sandbox/wasm"
	"github.com/tidemill/tidemill/runtime/sandbox/wat"
)

// FuzzValidation holds the meter against wazero's own validation: a module that can be metered is valid as it is if and only if it
// is valid metered. Nothing that the meter adds may make an invalid module valid (I11). What cannot even be decoded is left out:
// wazero may allocate whatever a malformed vector declares, and takes some numbers that the specification forbids.
func FuzzValidation(f *testing.F) {
	for seed := range uint64(5) {
		f.Add(wat.Must(wat.Random(rand.New(rand.NewPCG(seed, 2)).IntN, true)))
	}
	f.Add(wat.Must(`(module (memory 1) (table 2 funcref) (global (mut i64) (i64.const 1)) (func $f (param i32) (result i64)
		local.get 0 if (result i64) i64.const 1 else global.get 0 end) (elem (i32.const 0) $f) (data (i32.const 8) "ab") (data (i32.const 10) "c"))`))
	ctx := context.Background()
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().
		WithCoreFeatures(api.CoreFeaturesV2&^api.CoreFeatureSIMD))
	validate := func(b []byte) error {
		m, err := r.CompileModule(ctx, b)
		if err == nil {
			err = m.Close(ctx)
		}
		return err
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := wasm.Decode(b)
		if err != nil || len(b) > 1<<16 {
			return
		}
		out, _, err := meter.Rewrite(m)
		if err != nil {
			return
		}
		err = validate(out)
		// wazero refuses a malformed name section, which the specification says to ignore.
		plain := append([]byte(nil), b[:8]...)
		for _, s := range m.Sections {
			if s.ID != wasm.CustomSection {
				plain = wasm.AppendSection(plain, s.ID, m.Bytes(s.Body))
			}
		}
		if want := validate(plain); (err == nil) != (want == nil) {
			t.Errorf("as it is: %v; metered: %v", want, err)
		}
	})
}
