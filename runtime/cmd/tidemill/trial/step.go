package trial

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/tidemill/tidemill/runtime/record"
)

// Step is one thing that happened. Kind says which of the other fields count.
type Step struct {
	Kind   string          `json:"kind"` // record, bad, watermark, tick, end, emit, set, clear, append, clear_all, timer, fire, reject
	Port   string          `json:"port,omitempty"`
	Name   string          `json:"name,omitempty"`   // of the state or timer
	Op     string          `json:"op,omitempty"`     // of a timer: set, delete, delete_tag, delete_key
	Domain string          `json:"domain,omitempty"` // of a timer: event, processing
	Key    json.RawMessage `json:"key,omitempty"`
	MapKey json.RawMessage `json:"map_key,omitempty"`
	Value  json.RawMessage `json:"value,omitempty"` // the row, or the value of a state
	Time   string          `json:"time,omitempty"`
	Tag    string          `json:"tag,omitempty"`
	Split  string          `json:"split,omitempty"`
	At     *int64          `json:"at,omitempty"` // position of the record in its split
	Late   bool            `json:"late,omitempty"`
	Text   string          `json:"text,omitempty"` // of an error
}

// instant formats a time in us.
func instant(us int64) string {
	switch us {
	case record.WatermarkNone:
		return "none"
	case record.WatermarkEnd:
		return "end"
	}
	return time.UnixMicro(us).UTC().Format(time.RFC3339Nano)
}

// Print writes the step for people: what comes in at the margin, what comes of it indented.
func (s *Step) Print(w io.Writer) {
	switch s.Kind {
	case "record":
		late := ""
		if s.Late {
			late = " (late)"
		}
		fmt.Fprintf(w, "%s%s %s\n", s.Port, late, s.Value)
	case "bad":
		fmt.Fprintf(w, "%s bad record: %s\n", s.Port, s.Text)
	case "watermark", "tick":
		fmt.Fprintf(w, "-- %s %s\n", s.Kind, s.Time)
	case "end":
		fmt.Fprintln(w, "-- end")
	case "emit":
		fmt.Fprintf(w, "    -> %s %s\n", s.Port, s.Value)
	case "reject":
		fmt.Fprintf(w, "    rejected: %s\n", s.Text)
	case "fire":
		fmt.Fprintf(w, "    fires %s %s%s at %s\n", s.Name, s.Key, s.tag(), s.Time)
	case "timer":
		at := ""
		if s.Time != "" {
			at = " for " + s.Time
		}
		fmt.Fprintf(w, "    timer %s %s %s%s%s\n", s.Op, s.Name, s.Key, s.tag(), at)
	default:
		fmt.Fprintf(w, "    %s %s %s", s.Kind, s.Name, s.Key)
		if s.MapKey != nil {
			fmt.Fprintf(w, " %s", s.MapKey)
		}
		if s.Value != nil {
			fmt.Fprintf(w, " = %s", s.Value)
		}
		fmt.Fprintln(w)
	}
}

func (s *Step) tag() string {
	if s.Tag == "" {
		return ""
	}
	return fmt.Sprintf(" %q", s.Tag)
}
