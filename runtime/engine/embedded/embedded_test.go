package embedded_test

import (
	"log/slog"
	"testing"

	"github.com/tidemill/tidemill/internal/clock"
	"github.com/tidemill/tidemill/internal/vfs"
	"github.com/tidemill/tidemill/runtime/engine"
	"github.com/tidemill/tidemill/runtime/engine/embedded"
	"github.com/tidemill/tidemill/runtime/engine/enginetest"
	"github.com/tidemill/tidemill/runtime/state"
	"github.com/tidemill/tidemill/runtime/state/memory"
)

func newEngine(files vfs.FS, c clock.Clock) engine.Engine {
	return &embedded.Engine{Clock: c, FS: files, Log: slog.New(slog.DiscardHandler), WorkDir: "work",
		Backends: map[string]state.Factory{"memory": memory.Factory{}}}
}

func TestEngine(t *testing.T) { enginetest.Run(t, newEngine) }
