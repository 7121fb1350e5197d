// Package contents shows the keyed state and timers of a checkpoint, for the verb state: all of it in a table, or entry by entry as
// JSON.
package contents

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/tidemill/tidemill/runtime/checkpoint"
	"github.com/tidemill/tidemill/runtime/cmd/tidemill/view"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
)

// spaceKinds are the kinds of spaces for people.
var spaceKinds = map[state.SpaceKind]string{
	state.SpaceValue: "value", state.SpaceList: "list", state.SpaceMap: "map", state.SpaceTimersEvent: "event timer",
	state.SpaceTimersProcessing: "processing timer",
}

// Summary is one state or timer name of an operator.
type Summary struct {
	Operator string `json:"operator"`
	Name     string `json:"name"`
	Kind     string `json:"kind"`
	Columns  string `json:"columns,omitempty"`
	Entries  int64  `json:"entries"`
	Bytes    int64  `json:"bytes"` // of keys and values
}

// Listing is the result of ls.
type Listing struct {
	Checkpoint uint64    `json:"checkpoint"`
	Finished   bool      `json:"finished"` // it is the one at the end of the job
	States     []Summary `json:"states"`
}

// Print writes a table for people.
func (l *Listing) Print(w io.Writer) {
	switch {
	case len(l.States) > 0:
		fmt.Fprintf(w, "checkpoint %d\n", l.Checkpoint)
	case l.Finished:
		fmt.Fprintf(w, "checkpoint %d: the job has finished, and no operator kept anything beyond its end\n", l.Checkpoint)
		return
	default:
		fmt.Fprintf(w, "checkpoint %d: no operator keeps anything\n", l.Checkpoint)
		return
	}
	rows := [][]string{{"operator", "name", "kind", "entries", "bytes", "columns"}}
	for _, s := range l.States {
		rows = append(rows, []string{s.Operator, s.Name, s.Kind, view.Count(s.Entries), view.Bytes(s.Bytes), s.Columns})
	}
	view.Table(w, rows)
}

// List sums up the states and timers of all operators of a checkpoint.
func List(store checkpoint.View, m *checkpoint.Manifest) (*Listing, error) {
	list := &Listing{Checkpoint: m.Checkpoint, Finished: m.Finished, States: []Summary{}}
	for _, node := range m.StateNodes() {
		found := map[string]*Summary{}
		err := checkpoint.ScanState(store, m, node, checkpoint.Filter{}, func(e state.Entry) error {
			key := fmt.Sprintf("%d %s", e.Space.Kind, e.Space.Name)
			s := found[key]
			if s == nil {
				s = &Summary{Operator: node, Name: e.Space.Name, Kind: spaceKinds[e.Space.Kind], Columns: columnsOf(e.Space)}
				found[key] = s
			}
			s.Entries++
			s.Bytes += int64(len(e.Key) + len(e.Sub) + len(e.Value))
			return nil
		})
		if err != nil {
			return nil, err
		}
		for _, key := range slices.Sorted(maps.Keys(found)) {
			list.States = append(list.States, *found[key])
		}
	}
	return list, nil
}

func columnsOf(s *state.Space) string {
	if len(s.Value) == 0 {
		return ""
	}
	value := (&record.Schema{Fields: s.Value}).String()
	if len(s.MapKey) == 0 {
		return value
	}
	return (&record.Schema{Fields: s.MapKey}).String() + " to " + value
}

// Entry is one entry as JSON; the fields that a kind does not have are left out.
type Entry struct {
	State  string          `json:"state,omitempty"`
	Timer  string          `json:"timer,omitempty"`
	Domain string          `json:"domain,omitempty"`
	Key    json.RawMessage `json:"key"` // the key columns, or hex where their types are not known
	MapKey json.RawMessage `json:"map_key,omitempty"`
	Index  *uint64         `json:"index,omitempty"` // of a list element: grows in the order of appending
	Value  json.RawMessage `json:"value,omitempty"`
	Time   string          `json:"time,omitempty"`
	Tag    string          `json:"tag,omitempty"`
	// Expires is the processing time from which on it is absent, where its state has a time to live.
	Expires string `json:"expires,omitempty"`

	Order string `json:"-"` // key, then state, then what is in it
}

// Entries is the result of get.
type Entries struct {
	Checkpoint uint64  `json:"checkpoint"`
	Operator   string  `json:"operator"`
	Entries    []Entry `json:"entries"`
	Cut        bool    `json:"cut"` // there are more than --limit
}

// Print writes the entries, one JSON object a line.
func (l *Entries) Print(w io.Writer) {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for i := range l.Entries {
		_ = e.Encode(&l.Entries[i]) // a broken pipe ends the process
	}
}

// EntryOf shows an entry of the key columns given, or with its key in hex where they are nil.
func EntryOf(e *state.Entry, key []record.Field) (out Entry, err error) {
	out.Order = string(e.Key) + "\x00" + e.Space.Name + "\x00" + string(e.Sub)
	if key == nil {
		out.Key = json.RawMessage(`"` + hex.EncodeToString(e.Key) + `"`)
	} else if out.Key, err = view.Key(key, e.Key); err != nil {
		return out, err
	}
	switch e.Space.Kind {
	case state.SpaceTimersEvent, state.SpaceTimersProcessing:
		return timerJSON(out, e)
	case state.SpaceMap:
		if out.MapKey, err = view.Key(e.Space.MapKey, e.Sub); err != nil {
			return out, err
		}
	case state.SpaceList:
		if len(e.Sub) == 8 {
			index := binary.BigEndian.Uint64(e.Sub)
			out.Index = &index
		}
	}
	out.State = e.Space.Name
	if at, ok := state.Expiry(e.Value); ok {
		out.Expires = instant(at)
	}
	out.Value, err = view.Row(e.Space.Value, func(c []record.Column) error { return state.NewCodec(e.Space.Value).Decode(e.Value, c) })
	return out, err
}

func timerJSON(out Entry, e *state.Entry) (Entry, error) {
	if len(e.Sub) < 8 {
		return out, fmt.Errorf("a timer of %s has %d bytes", e.Space.Name, len(e.Sub))
	}
	out.Timer, out.Domain, out.Tag = e.Space.Name, "event", string(e.Sub[8:])
	if e.Space.Kind == state.SpaceTimersProcessing {
		out.Domain = "processing"
	}
	out.Time = instant(int64(binary.BigEndian.Uint64(e.Sub) ^ 1<<63))
	return out, nil
}

func instant(us int64) string { return time.UnixMicro(us).UTC().Format(time.RFC3339Nano) }
