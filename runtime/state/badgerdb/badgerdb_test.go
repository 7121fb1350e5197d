package badgerdb

import (
	"testing"

	"github.com/tidemill/tidemill/runtime/state"
	"github.com/tidemill/tidemill/runtime/state/statetest"
)

func TestSuite(t *testing.T) {
	statetest.Run(t, func(t *testing.T, o state.Options) state.Backend {
		o.Dir = t.TempDir()
		b, err := Factory{}.New(o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		return b
	})
}
