package sink

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/internal/failpoint"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/telemetry"
)

// fake is a sink, its writer and its committer; each call is noted, and fails where fail names it.
type fake struct {
	calls  []string
	fail   map[string]error
	exists string
	plain  bool // has no committer
}

func (f *fake) call(format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	f.calls = append(f.calls, what)
	for name, err := range f.fail {
		if len(what) >= len(name) && what[:len(name)] == name {
			return err
		}
	}
	return nil
}

func (f *fake) ExactlyOnce() bool { return true }
func (f *fake) Writer(_ context.Context, subtask int, _ *record.Schema, states [][]byte) (connectors.Writer, error) {
	return f, f.call("writer %d %q", subtask, states)
}
func (f *fake) Committer(context.Context) (connectors.Committer, error) {
	if f.plain {
		return nil, nil
	}
	return f, f.call("committer")
}
func (f *fake) Write(b *record.Batch) error { return f.call("write %d", b.Rows) }
func (f *fake) Flush(_ context.Context, id uint64, last bool) (connectors.Flushed, error) {
	return connectors.Flushed{Committables: [][]byte{[]byte("x"), []byte("y")}, State: []byte("s")}, f.call("flush %d %t", id, last)
}
func (f *fake) Recover(_ context.Context, id uint64, pending []connectors.Committable, states [][]byte) error {
	return f.call("recover %d %d %q", id, len(pending), states)
}
func (f *fake) Commit(_ context.Context, list []connectors.Committable) error {
	return f.call("commit %d", len(list))
}
func (f *fake) Existing(context.Context) (string, error) { return f.exists, f.call("existing") }
func (f *fake) Close() error                             { return f.call("close") }

func TestWriter(t *testing.T) {
	f := &fake{}
	m := telemetry.NewJob("j").Node("out", telemetry.Sink, 3).Subtasks[2]
	w, err := OpenWriter(t.Context(), "out", 2, f, nil, [][]byte{[]byte("a")}, m)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Write(&record.Batch{Rows: 5}); err != nil {
		t.Fatal(err)
	}
	hit := 0
	failpoint.Arm(failpoint.SinkFlushed, 1, func() { hit++ })
	h, err := w.Flush(t.Context(), 9, true)
	failpoint.Arm("", 0, nil)
	if err != nil || hit != 1 || string(h.State) != "s" || len(h.Committables) != 2 {
		t.Fatalf("%+v, %v, %d", h, err, hit)
	}
	if c := h.Committables[1]; c.Sink != "out" || c.Subtask != 2 || c.Checkpoint != 9 || string(c.Data) != "y" {
		t.Errorf("%+v", c)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if m.RecordsIn.Load() != 5 || m.RecordsOut.Load() != 5 || m.BatchesIn.Load() != 1 {
		t.Error("not counted")
	}
	if want := []string{`writer 2 ["a"]`, "write 5", "flush 9 true", "close"}; !slices.Equal(f.calls, want) {
		t.Errorf("%q", f.calls)
	}
}

func TestPublisher(t *testing.T) {
	f := &fake{}
	p, err := OpenPublisher(t.Context(), "out", f)
	if err != nil {
		t.Fatal(err)
	}
	list := make([]connectors.Committable, 2)
	for _, err := range []error{p.RequireEmpty(t.Context()), p.Recover(t.Context(), 4, list, [][]byte{[]byte("s")}), p.Publish(t.Context(), list),
		p.Publish(t.Context(), nil), p.Close()} {
		if err != nil {
			t.Error(err)
		}
	}
	if want := []string{"committer", "existing", `recover 4 2 ["s"]`, "commit 2", "close"}; !slices.Equal(f.calls, want) {
		t.Errorf("%q", f.calls)
	}
	f.exists = "out/out-1.jsonl"
	if err := p.RequireEmpty(t.Context()); !errcode.Is(err, ErrOutput) {
		t.Errorf("%v", err)
	}

	p, err = OpenPublisher(t.Context(), "out", &fake{plain: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{p.RequireEmpty(t.Context()), p.Recover(t.Context(), 4, list, nil), p.Publish(t.Context(), list), p.Close()} {
		if err != nil {
			t.Errorf("a sink that publishes nothing: %v", err)
		}
	}
}

// A connector's own codes are kept; other errors get one that names the sink.
func TestErrorsAreCoded(t *testing.T) {
	own := ErrOutput.Errorf("of the connector")
	for call, code := range map[string]*errcode.Code{"writer": ErrWrite, "write ": ErrWrite, "flush": ErrWrite, "close": ErrWrite,
		"committer": ErrPublish, "existing": ErrPublish, "recover": ErrPublish, "commit ": ErrPublish} {
		for _, cause := range []error{errors.New("broken"), own} {
			f := &fake{fail: map[string]error{call: cause}}
			err := all(t, f)
			if want := code; cause == error(own) && !errcode.Is(err, ErrOutput) || cause != error(own) && (!errcode.Is(err, want) || !errors.Is(err, cause)) {
				t.Errorf("%s with %v: %v", call, cause, err)
			}
		}
	}
}

// all makes every call and returns the first error.
func all(t *testing.T, f *fake) error {
	m := telemetry.NewJob("j").Node("out", telemetry.Sink, 1).Subtasks[0]
	w, err := OpenWriter(t.Context(), "out", 0, f, nil, nil, m)
	if err != nil {
		return err
	}
	if err := w.Write(&record.Batch{Rows: 1}); err != nil {
		return err
	}
	if _, err := w.Flush(t.Context(), 1, false); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	p, err := OpenPublisher(t.Context(), "out", f)
	if err != nil {
		return err
	}
	if err := p.RequireEmpty(t.Context()); err != nil {
		return err
	}
	list := make([]connectors.Committable, 1)
	if err := p.Recover(t.Context(), 1, list, nil); err != nil {
		return err
	}
	if err := p.Publish(t.Context(), list); err != nil {
		return err
	}
	return p.Close()
}
