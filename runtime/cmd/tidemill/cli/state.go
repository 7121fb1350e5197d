package cli

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/connectors/format"
	"github.com/tidemill/tidemill/connectors/spec"
	"github.com/tidemill/tidemill/runtime/checkpoint"
	"github.com/tidemill/tidemill/runtime/checkpoint/store/dir"
	"github.com/tidemill/tidemill/runtime/cmd/tidemill/view"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
)

// stateOptions are the flags of state.
type stateOptions struct {
	jobOptions
	checkpoint uint64
	limit      int
}

func (a *app) stateCommand() *cobra.Command {
	c := &cobra.Command{Use: "state", Short: "Look into the keyed state of a checkpoint"}
	var o stateOptions
	ls := &cobra.Command{
		Use: "ls STORE|JOB.yaml", Short: "List the states and timers of every operator, with their sizes", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return a.stateLs(args[0], o) },
	}
	get := &cobra.Command{
		Use: "get STORE|JOB.yaml OPERATOR [STATE [KEY...]]", Short: "Print entries of an operator's state, one JSON object a line",
		Long: "get prints what an operator keeps: of all states and timers, of one, or of one key, whose columns are given in order.\n" +
			"With a job.yaml keys are shown and given as their columns; with a folder, whose checkpoints do not know the types of keys, in hex.",
		Example: "  tidemill state get job.yaml delays days AA\n  tidemill state get checkpoints delays",
		Args:    cobra.MinimumNArgs(2),
		RunE:    func(_ *cobra.Command, args []string) error { return a.stateGet(args, o) },
	}
	get.Flags().IntVar(&o.limit, "limit", 1000, "print at most so many entries; 0 for all")
	for _, sub := range []*cobra.Command{ls, get} {
		sub.Flags().Uint64Var(&o.checkpoint, "checkpoint", 0, "of this checkpoint; without it, of the newest")
		sub.Flags().StringVar(&o.secrets, "secrets", "", "a YAML file of name: text, where the job.yaml needs one")
		c.AddCommand(sub)
	}
	return c
}

// spaceKinds are the kinds of spaces for people.
var spaceKinds = map[state.SpaceKind]string{
	state.SpaceValue: "value", state.SpaceList: "list", state.SpaceMap: "map", state.SpaceTimersEvent: "event timer",
	state.SpaceTimersProcessing: "processing timer",
}

// stateSummary is one state or timer name of an operator.
type stateSummary struct {
	Operator string `json:"operator"`
	Name     string `json:"name"`
	Kind     string `json:"kind"`
	Columns  string `json:"columns,omitempty"`
	Entries  int64  `json:"entries"`
	Bytes    int64  `json:"bytes"` // of keys and values
}

// stateListing is the result of ls.
type stateListing struct {
	Checkpoint uint64         `json:"checkpoint"`
	Finished   bool           `json:"finished"` // it is the one at the end of the job
	States     []stateSummary `json:"states"`
}

// Print implements printer.
func (l *stateListing) Print(w io.Writer) {
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
	printTable(w, rows)
}

func (a *app) stateLs(name string, o stateOptions) error {
	store, err := a.store(name, o.jobOptions)
	if err != nil {
		return err
	}
	m, err := checkpoint.Find(store, o.checkpoint)
	if err != nil {
		return err
	}
	list := &stateListing{Checkpoint: m.Checkpoint, Finished: m.Finished, States: []stateSummary{}}
	for _, node := range m.StateNodes() {
		found := map[string]*stateSummary{}
		err := checkpoint.ScanState(store, m, node, checkpoint.Filter{}, func(e state.Entry) error {
			key := fmt.Sprintf("%d %s", e.Space.Kind, e.Space.Name)
			s := found[key]
			if s == nil {
				s = &stateSummary{Operator: node, Name: e.Space.Name, Kind: spaceKinds[e.Space.Kind], Columns: columnsOf(e.Space)}
				found[key] = s
			}
			s.Entries++
			s.Bytes += int64(len(e.Key) + len(e.Sub) + len(e.Value))
			return nil
		})
		if err != nil {
			return err
		}
		for _, key := range sortedKeys(found) {
			list.States = append(list.States, *found[key])
		}
	}
	return a.show(list, list)
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
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

// stateEntry is one entry as JSON; the fields that a kind does not have are left out.
type stateEntry struct {
	State  string          `json:"state,omitempty"`
	Timer  string          `json:"timer,omitempty"`
	Domain string          `json:"domain,omitempty"`
	Key    json.RawMessage `json:"key"` // the key columns, or hex where their types are not known
	MapKey json.RawMessage `json:"map_key,omitempty"`
	Index  *uint64         `json:"index,omitempty"` // of a list element: grows in the order of appending
	Value  json.RawMessage `json:"value,omitempty"`
	Time   string          `json:"time,omitempty"`
	Tag    string          `json:"tag,omitempty"`

	order string // key, then state, then what is in it
}

// stateEntries is the result of get.
type stateEntries struct {
	Checkpoint uint64       `json:"checkpoint"`
	Operator   string       `json:"operator"`
	Entries    []stateEntry `json:"entries"`
	Cut        bool         `json:"cut"` // there are more than --limit
}

// Print implements printer.
func (l *stateEntries) Print(w io.Writer) {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for i := range l.Entries {
		_ = e.Encode(&l.Entries[i]) // a broken pipe ends the process
	}
}

// errEnough ends a scan.
var errEnough = errors.New("enough entries")

func (a *app) stateGet(args []string, o stateOptions) error {
	store, key, err := a.stateStore(args[0], args[1], o.jobOptions)
	if err != nil {
		return err
	}
	m, err := checkpoint.Find(store, o.checkpoint)
	if err != nil {
		return err
	}
	filter := checkpoint.Filter{}
	if len(args) > 2 {
		filter.State = args[2]
	}
	if len(args) > 3 {
		if filter.Key, err = encodeKey(key, args[3:]); err != nil {
			return err
		}
	}
	out := &stateEntries{Checkpoint: m.Checkpoint, Operator: args[1], Entries: []stateEntry{}}
	err = checkpoint.ScanState(store, m, args[1], filter, func(e state.Entry) error {
		if o.limit > 0 && len(out.Entries) == o.limit {
			out.Cut = true
			return errEnough
		}
		entry, err := entryJSON(&e, key)
		out.Entries = append(out.Entries, entry)
		return err
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	slices.SortFunc(out.Entries, func(x, y stateEntry) int { return strings.Compare(x.order, y.order) })
	if len(out.Entries) == 0 && filter.State != "" {
		return a.nothing(store, m, args[1], filter)
	}
	if out.Cut && !a.json {
		fmt.Fprintf(a.Stderr, "only %d entries are shown; --limit 0 shows all\n", o.limit)
	}
	return a.show(out, out)
}

// nothing explains an empty answer: a name that is not there is a mistake, a key without state is not.
func (a *app) nothing(store checkpoint.View, m *checkpoint.Manifest, node string, filter checkpoint.Filter) error {
	names := map[string]bool{}
	if err := checkpoint.ScanState(store, m, node, checkpoint.Filter{}, func(e state.Entry) error {
		names[e.Space.Name] = true
		return nil
	}); err != nil {
		return err
	}
	if !names[filter.State] {
		known := sortedKeys(names)
		return errNotFound.Errorf("operator %s has nothing in a state or timer %q%s", node, filter.State, spec.Nearest(filter.State, known)).
			At("checkpoint %d", m.Checkpoint).Do("it has something in %s", strings.Join(known, ", "))
	}
	return errNotFound.Errorf("that key has nothing in %s", filter.State).At("checkpoint %d", m.Checkpoint).Do("without a key all entries are shown")
}

// stateStore opens a store and finds the key columns of an operator; they are nil where only the folder is known.
func (a *app) stateStore(name, node string, o jobOptions) (*dir.View, []record.Field, error) {
	folder, err := a.isFolder(name)
	if err != nil {
		return nil, nil, err
	}
	if folder {
		store, err := dir.NewView(a.Files, name)
		return store, nil, err
	}
	made, err := a.planned(name, o)
	if err != nil {
		return nil, nil, err
	}
	store, err := a.storeOf(made.Job, made.Checkpoint.Store)
	if err != nil {
		return nil, nil, err
	}
	for _, n := range made.Nodes {
		if n.Name == node && n.Operator != nil {
			return store, n.Operator.Key, nil
		}
	}
	return nil, nil, errNotFound.Errorf("the job has no operator %q", node).At("%s", name)
}

// encodeKey encodes a key given as texts: its columns, or hex where they are not known.
func encodeKey(key []record.Field, texts []string) ([]byte, error) {
	if key == nil {
		encoded, err := hex.DecodeString(strings.Join(texts, ""))
		if err != nil {
			return nil, errUsage.Errorf("a key of a store is given in hex").Because(err).Do("give the job.yaml in place of the store")
		}
		return encoded, nil
	}
	if len(texts) != len(key) {
		return nil, errUsage.Errorf("the key has %s: %s", several(len(key), "column"), (&record.Schema{Fields: key}).String())
	}
	columns := record.NewBatch(&record.Schema{Fields: key}, 1).Columns
	all := make([]int, len(key))
	for i := range columns {
		all[i] = i
		if problem := format.AppendText(&columns[i], []byte(texts[i])); problem != "" {
			return nil, errUsage.Errorf("key column %s: %s", key[i], problem)
		}
	}
	return record.AppendKey(nil, columns, all, 0), nil
}

func entryJSON(e *state.Entry, key []record.Field) (out stateEntry, err error) {
	out.order = string(e.Key) + "\x00" + e.Space.Name + "\x00" + string(e.Sub)
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
	out.Value, err = view.Row(e.Space.Value, func(c []record.Column) error { return state.NewCodec(e.Space.Value).Decode(e.Value, c) })
	return out, err
}

func timerJSON(out stateEntry, e *state.Entry) (stateEntry, error) {
	if len(e.Sub) < 8 {
		return out, fmt.Errorf("a timer of %s has %d bytes", e.Space.Name, len(e.Sub))
	}
	out.Timer, out.Domain, out.Tag = e.Space.Name, "event", string(e.Sub[8:])
	if e.Space.Kind == state.SpaceTimersProcessing {
		out.Domain = "processing"
	}
	out.Time = time.UnixMicro(int64(binary.BigEndian.Uint64(e.Sub) ^ 1<<63)).UTC().Format(time.RFC3339Nano)
	return out, nil
}
