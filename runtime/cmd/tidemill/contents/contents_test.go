package contents

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
)

// TestExpires: an entry says until when it is there, where it does not last, and its value is the same.
func TestExpires(t *testing.T) {
	fields := []record.Field{{Name: "n", Type: record.I64}}
	n := record.NewColumn(record.I64, 1)
	n.AppendInt(7)
	row := state.NewCodec(fields).Append(nil, []record.Column{n}, 0)
	e := state.Entry{Space: &state.Space{Kind: state.SpaceValue, Name: "seen", Value: fields}, Key: []byte{1}}
	for want, value := range map[string][]byte{
		`{"state":"seen","key":"01","value":{"n":7}}`:                                         row,
		`{"state":"seen","key":"01","value":{"n":7},"expires":"2026-03-01T12:00:00.000001Z"}`: state.AppendExpiry(slices.Clone(row), 1_772_366_400_000_001),
	} {
		e.Value = value
		shown, err := EntryOf(&e, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := json.Marshal(shown); err != nil || string(got) != want {
			t.Errorf("%s, want %s (%v)", got, want, err)
		}
	}
}
