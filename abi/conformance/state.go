package conformance

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tidemill/tidemill/abi/conformance/program"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
	"github.com/tidemill/tidemill/runtime/state/statetest"
)

// stateLines is what a chain of segments holds, as model.State writes it.
func stateLines(chain []*statetest.Segment) ([]string, error) {
	spaces := map[string]*space{}
	for _, segment := range chain {
		for r := segment.Reader(); ; {
			e, err := r.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, err
			}
			name := fmt.Sprint(e.Space.Kind, e.Space.Name)
			if spaces[name] == nil {
				spaces[name] = &space{Space: *e.Space, entries: map[string]map[string][]byte{}}
			}
			spaces[name].apply(&e)
		}
	}
	var lines []string
	for _, s := range spaces {
		if err := s.lines(&lines); err != nil {
			return nil, fmt.Errorf("reading state %s: %w", s.Name, err)
		}
	}
	slices.Sort(lines)
	return lines, nil
}

// space is the entries of a state or timer name, by key and sub.
type space struct {
	state.Space
	entries map[string]map[string][]byte
}

func (s *space) apply(e *state.Entry) {
	key, sub := string(e.Key), string(e.Sub)
	switch {
	case !e.Deleted && s.entries[key] == nil:
		s.entries[key] = map[string][]byte{sub: e.Value}
	case !e.Deleted:
		s.entries[key][sub] = e.Value
	case sub == "" && (s.Kind == state.SpaceList || s.Kind == state.SpaceMap):
		delete(s.entries, key)
	default:
		delete(s.entries[key], sub)
	}
}

func (s *space) lines(lines *[]string) error {
	for encoded, entries := range s.entries {
		columns, err := decodeKey(encoded, keyFields)
		if err != nil {
			return err
		}
		place := fmt.Sprintf("%s of %v", s.Name, program.Key{K: valueAt(&columns[0], 0), G: columns[1].Int(0)})
		subs := make([]string, 0, len(entries))
		for sub := range entries {
			subs = append(subs, sub)
		}
		slices.Sort(subs)
		for n, sub := range subs {
			line, err := s.line(n, sub, entries[sub])
			if err != nil {
				return err
			}
			*lines = append(*lines, place+line)
		}
	}
	return nil
}

// line is entry n of a key.
func (s *space) line(n int, sub string, value []byte) (string, error) {
	if s.Kind == state.SpaceTimersEvent || s.Kind == state.SpaceTimersProcessing {
		if strings.HasPrefix(s.Name, "clock") != (s.Kind == state.SpaceTimersProcessing) {
			return "", errors.New("the timer is of the other domain")
		}
		return fmt.Sprintf(": %d %q", int64(binary.BigEndian.Uint64([]byte(sub))^1<<63), sub[8:]), nil
	}
	columns := columnsOf(s.Value)
	if err := state.NewCodec(s.Value).Decode(value, columns); err != nil {
		return "", err
	}
	switch s.Kind {
	case state.SpaceValue:
		record, err := recordOf(s.Value, columns)
		return ": " + record, err
	case state.SpaceList:
		record, err := recordOf(s.Value, columns)
		return fmt.Sprintf(", %06d: %s", n, record), err
	}
	return s.mapLine(sub, columns)
}

func (s *space) mapLine(sub string, value []record.Column) (string, error) {
	key, err := decodeKey(sub, s.MapKey)
	if err != nil {
		return "", err
	}
	var record string
	index, k := 0, program.MapKey{}
	switch s.Name {
	case "programs":
		return fmt.Sprintf(", %q: %x", key[0].Bytes(0), value[0].Bytes(0)), nil
	case "pairs":
		index = program.Pairs
		k = program.MapKey{
			Small: int16(key[0].Int(0)), Amount: program.Decimal(key[1].Decimal(0)), Flag: key[2].Int(0) != 0, Day: int32(key[3].Int(0)),
			At: key[4].Int(0), Text: string(key[5].Bytes(0)),
		}
		r := program.NoRecord()
		r[program.FieldLarge] = valueAt(&value[0], 0)
		record = r.String()
	default:
		k.Text = string(key[0].Bytes(0))
		record, err = recordOf(s.Value, value)
	}
	return fmt.Sprintf(", %q: %s", k.Name(index), record), err
}

func recordOf(fields []record.Field, columns []record.Column) (string, error) {
	if len(fields) != len(program.Fields) {
		return "", fmt.Errorf("a record has %d fields", len(fields))
	}
	var r program.Record
	for i, f := range program.Fields {
		if want := (record.Field{Name: f.Name, Type: typeOf(f.Type), Nullable: f.Nullable}); fields[i] != want {
			return "", fmt.Errorf("field %d is %v, want %v", i, fields[i], want)
		}
		r[i] = valueAt(&columns[i], 0)
	}
	return r.String(), nil
}

func columnsOf(fields []record.Field) []record.Column {
	columns := make([]record.Column, len(fields))
	for i, f := range fields {
		columns[i] = record.NewColumn(f.Type, 1)
	}
	return columns
}

func decodeKey(encoded string, fields []record.Field) ([]record.Column, error) {
	columns := columnsOf(fields)
	return columns, record.DecodeKey([]byte(encoded), columns)
}
