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

// FuzzValidation holds the decoder and the meter against wazero's own validation: what is decoded and valid metered must be valid
// as it is, and the other way round. Nothing that the meter adds may make an invalid module valid (I11). What is not even decoded is
// left out, because wazero may allocate whatever a malformed vector declares.
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
		if err == nil {
			err = validate(out)
		}
		if want := validate(b); (err == nil) != (want == nil) {
			t.Errorf("as it is: %v; metered: %v", want, err)
		}
	})
}
