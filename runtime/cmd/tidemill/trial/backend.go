package trial

import (
	"encoding/json"

	"github.com/tidemill/tidemill/runtime/cmd/tidemill/view"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
)

// traced is a back-end that writes down what changes in it.
type traced struct {
	state.Backend
	key    []record.Field
	states []state.Decl
	timers []state.TimerDecl
	note   func(Step)
}

// Declare implements state.Backend.
func (t *traced) Declare(states []state.Decl, timers []state.TimerDecl) error {
	t.states, t.timers = states, timers
	return t.Backend.Declare(states, timers)
}

func (t *traced) keyJSON(key []byte) json.RawMessage {
	shown, err := view.Key(t.key, key)
	if err != nil {
		return json.RawMessage(`"?"`) // the host encoded it itself
	}
	return shown
}

// Apply implements state.Backend.
func (t *traced) Apply(id int, keys *record.KeySet, changes *state.Changes) error {
	decl := &t.states[id]
	for i, op := range changes.Op {
		s := Step{Name: decl.Name, Key: t.keyJSON(keys.Key(int(changes.Key[i])))}
		switch op {
		case state.OpSet:
			s.Kind = "set"
		case state.OpAppend:
			s.Kind = "append"
		case state.OpClear:
			s.Kind = "clear"
		default:
			s.Kind = "clear_all"
		}
		if n := len(decl.MapKey); n > 0 && op != state.OpClearAll {
			s.MapKey = rowOf(decl.MapKey, changes.Columns[:n], i)
		}
		if op == state.OpSet || op == state.OpAppend {
			s.Value = rowOf(decl.Value, changes.Columns[len(decl.MapKey):], i)
		}
		t.note(s)
	}
	return t.Backend.Apply(id, keys, changes)
}

func rowOf(fields []record.Field, columns []record.Column, i int) json.RawMessage {
	row, err := view.Row(fields, func(dst []record.Column) error {
		for c := range dst {
			dst[c].AppendRow(&columns[c], i)
		}
		return nil
	})
	if err != nil {
		return json.RawMessage(`"?"`) // AppendRow does not fail
	}
	return row
}

var (
	timerOps = map[uint8]string{
		state.TimerSet: "set", state.TimerDelete: "delete", state.TimerDeleteTag: "delete_tag", state.TimerDeleteKey: "delete_key",
	}
	domains = [...]string{state.EventTime: "event", state.ProcessingTime: "processing"}
)

// ApplyTimers implements state.Backend.
func (t *traced) ApplyTimers(keys *record.KeySet, changes *state.TimerChanges, reached [2]int64) error {
	for i, op := range changes.Op {
		s := Step{Kind: "timer", Op: timerOps[op], Key: t.keyJSON(keys.Key(int(changes.Key[i])))}
		if op != state.TimerDeleteKey {
			s.Name, s.Domain = t.timers[changes.Name[i]].Name, domains[changes.Domain[i]]
			s.Tag = string(changes.Tags[changes.TagOff[i]:changes.TagOff[i+1]])
		}
		if op == state.TimerSet || op == state.TimerDelete && t.timers[changes.Name[i]].Many {
			s.Time = instant(changes.Time[i])
		}
		t.note(s)
	}
	return t.Backend.ApplyTimers(keys, changes, reached)
}

// Due implements state.Backend.
func (t *traced) Due(domain state.Domain, upTo int64, max int, dst *state.Round) (int, error) {
	n, err := t.Backend.Due(domain, upTo, max, dst)
	for i := range n {
		t.note(Step{Kind: "fire", Name: t.timers[dst.Name[i]].Name, Domain: domains[domain], Key: t.keyJSON(dst.Keys.Key(i)),
			Time: instant(dst.Time[i]), Tag: string(dst.Tags[dst.TagOff[i]:dst.TagOff[i+1]])})
	}
	return n, err
}
