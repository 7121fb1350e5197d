package collect

import (
	"context"
	"testing"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/record"
)

func TestNamed(t *testing.T) {
	if first, again := Named("a"), Named("a"); first != again || first == Named("b") {
		t.Error("a name is not one sink")
	}
	a := Named("a")
	Forget("a")
	if Named("a") == a {
		t.Error("a forgotten sink is still there")
	}
}

// A checkpoint that another process took names rows that this one never had: that is said, and not passed over.
func TestRowsOfAnotherProcess(t *testing.T) {
	ctx := context.Background()
	var before Sink
	w, _ := before.Writer(ctx, 0, nil, nil)
	if err := w.Write(&record.Batch{Rows: 1}); err != nil {
		t.Fatal(err)
	}
	f, err := w.Flush(ctx, 1, true)
	if err != nil {
		t.Fatal(err)
	}
	var after Sink
	c, _ := after.Committer(ctx)
	if err := c.Recover(ctx, 1, []connectors.Committable{{Sink: "out", Checkpoint: 1, Data: f.Committables[0]}}, nil); !errcode.Is(err, ErrLost) {
		t.Errorf("%v", err)
	}
}
