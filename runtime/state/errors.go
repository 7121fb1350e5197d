package state

import (
	"strings"

	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/record"
)

// Errors of keyed state.
var (
	// CodeSchema says that a state is declared otherwise than it was restored.
	CodeSchema = errcode.New("TM-STATE-001", errcode.Invalid, "A state is declared with another kind or other fields than it was stored with")
	// CodeLimit says that a subtask's state has outgrown its limit.
	CodeLimit = errcode.New("TM-STATE-002", errcode.Failed, "The state of a subtask exceeds its limit")
	// CodeDamaged says that bytes at rest are not what was written.
	CodeDamaged = errcode.New("TM-STATE-003", errcode.Failed, "State at rest is damaged")
	// CodeVersion says that bytes at rest are of a form that this build does not know.
	CodeVersion = errcode.New("TM-STATE-004", errcode.Failed, "State at rest is of a form that this version does not know")
	// CodeKey says that a key is longer than a back-end can hold.
	CodeKey = errcode.New("TM-STATE-006", errcode.Failed, "A key is longer than the store of a state can hold")
	// CodeUndeclared says that a checkpoint has state or timers that the operator does not declare any more.
	CodeUndeclared = errcode.New("TM-STATE-007", errcode.Invalid, "A checkpoint has state or timers that the operator no longer declares")
	// CodeStore says that the store beneath the state failed.
	CodeStore = errcode.New("TM-STATE-005", errcode.Environment, "The working store of a state cannot be read or written")
)

// Resume checks that a state that was stored under a space may be used as declared. Only the same kind and the same fields
// may: changing them in the host (a nullable column added, a type widened) is reserved.
func Resume(stored Space, d Decl) error {
	declared := SpaceOf(d)
	if stored.Kind == declared.Kind && sameFields(stored.MapKey, declared.MapKey) && sameFields(stored.Value, declared.Value) {
		return nil
	}
	return CodeSchema.Errorf("state %q is stored as %s and declared as %s", d.Name, stored, declared).
		Do("host-side schema evolution is not supported yet: declare the state as it was, give the new state another name, or start anew with --fresh")
}

func sameFields(a, b []record.Field) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// SpaceOf is the space of a declared state.
func SpaceOf(d Decl) Space {
	s := Space{Kind: SpaceKind(d.Kind), Name: d.Name, Value: d.Value}
	if d.Kind == Map {
		s.MapKey = d.MapKey
	}
	return s
}

// String formats the schema of a space as "map {dest: utf8} -> {n: i64}".
func (s Space) String() string {
	var b strings.Builder
	b.WriteString(s.Kind.String())
	if s.Kind == SpaceMap {
		b.WriteString(" " + (&record.Schema{Fields: s.MapKey}).String() + " ->")
	}
	if s.Kind <= SpaceMap {
		b.WriteString(" " + (&record.Schema{Fields: s.Value}).String())
	}
	return b.String()
}

// String is the name of the kind for people.
func (k SpaceKind) String() string {
	switch k {
	case SpaceValue:
		return "value"
	case SpaceList:
		return "list"
	case SpaceMap:
		return "map"
	case SpaceTimersEvent:
		return "event timers"
	case SpaceTimersProcessing:
		return "processing timers"
	}
	return "unknown"
}
