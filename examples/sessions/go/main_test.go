package main

import (
	"slices"
	"testing"
	"time"

	"github.com/tidemill/tidemill/sdk-go/operator"
	"github.com/tidemill/tidemill/sdk-go/operatortest"
)

var noon = operator.At(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))

func at(minute int) operator.Timestamp { return noon.Add(time.Duration(minute) * time.Minute) }

func clicked(user string, minute int) click {
	return click{User: user, Page: operator.Some("home"), At: at(minute)}
}

// sessionRow is a session with the type of its key column.
type sessionRow struct {
	User   string             `tm:"user"`
	Start  operator.Timestamp `tm:"start"`
	End    operator.Timestamp `tm:"end"`
	Clicks int64              `tm:"clicks"`
}

func TestSessions(t *testing.T) {
	h := operatortest.New(t, "sessions", operatortest.Config{Key: []string{"user"}, Params: map[string]any{"gap": 10 * time.Minute}, Shake: 1})
	operatortest.Send(h, "clicks", clicked("ann", 0), clicked("bob", 1), clicked("ann", 9), clicked("ann", 5))
	h.AdvanceWatermark(at(11))
	if got, want := operatortest.Rows[sessionRow](h, "sessions"), []sessionRow{{"bob", at(1), at(1), 1}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	operatortest.Send(h, "clicks", clicked("ann", 18), clicked("bob", 1))
	h.End()
	if got, want := operatortest.Rows[sessionRow](h, "sessions"), []sessionRow{{"ann", at(0), at(18), 4}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if closed, late, longest := h.Metric("sessions_closed"), h.Metric("late_clicks"), h.Metric("longest_session_s"); closed != 2 || late != 1 || longest != 18*60 {
		t.Errorf("metrics %v, %v, %v", closed, late, longest)
	}
}

func TestSessionsRejectAndRefuse(t *testing.T) {
	h := operatortest.New(t, "sessions", operatortest.Config{Key: []string{"user"}})
	operatortest.Send(h, "clicks", click{User: "ann", At: at(0)}, clicked("ann", 1))
	if errs := h.Errors(); len(errs) != 1 || errs[0].Message != "a click without a page" {
		t.Errorf("errors %v", errs)
	}
	if _, err := operatortest.Open(t, "sessions", operatortest.Config{Key: []string{"user"}, Params: map[string]any{"gap": -time.Minute}}); err == nil {
		t.Error("a negative gap is accepted")
	}
}

// changeRow is a change with the type of its key column.
type changeRow struct {
	User string `tm:"user"`
	Here bool   `tm:"here"`
}

func TestPresence(t *testing.T) {
	h := operatortest.New(t, "presence", operatortest.Config{Key: []string{"user"}, Params: map[string]any{"quiet": time.Minute}})
	h.AdvanceProcessingTime(noon)
	operatortest.Send(h, "clicks", clicked("ann", 0))
	h.AdvanceProcessingTime(noon.Add(50 * time.Second))
	operatortest.Send(h, "clicks", clicked("ann", 0))
	h.AdvanceProcessingTime(noon.Add(100 * time.Second))
	if got, want := operatortest.Rows[changeRow](h, "changes"), []changeRow{{"ann", true}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	h.AdvanceProcessingTime(noon.Add(110 * time.Second))
	operatortest.Send(h, "clicks", clicked("ann", 0))
	if got, want := operatortest.Rows[changeRow](h, "changes"), []changeRow{{"ann", false}, {"ann", true}}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
