package embedded_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"

	"github.com/tidemill/tidemill/internal/clock"
	"github.com/tidemill/tidemill/internal/vfs"
	"github.com/tidemill/tidemill/runtime/engine"
	"github.com/tidemill/tidemill/runtime/engine/embedded"
	"github.com/tidemill/tidemill/runtime/engine/enginetest"
	"github.com/tidemill/tidemill/runtime/state"
	"github.com/tidemill/tidemill/runtime/state/memory"
)

func TestSmoke(t *testing.T) {
	e := &embedded.Engine{Clock: clock.System, FS: vfs.NewMem(), Log: slog.New(slog.DiscardHandler), Backends: map[string]state.Factory{"memory": memory.Factory{}}, WorkDir: "work"}
	n := &enginetest.Numbers{Seed: 1, Splits: 5, Rows: 20000, Keys: 10, Step: 3, Disorder: 100}
	out := enginetest.NewLedger()
	j, err := e.Deploy(context.Background(), enginetest.SumsPlan(n, out, 2), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r, err := j.Wait()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", r)
	if got, want := out.Rows(), enginetest.SumsRows(n); !slices.Equal(got, want) {
		t.Fatalf("%d rows, want %d", len(got), len(want))
	}
}
