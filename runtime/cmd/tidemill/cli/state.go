package cli

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/connectors/format"
	"github.com/tidemill/tidemill/connectors/spec"
	"github.com/tidemill/tidemill/runtime/checkpoint"
	"github.com/tidemill/tidemill/runtime/checkpoint/store/dir"
	"github.com/tidemill/tidemill/runtime/cmd/tidemill/contents"
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
			"With a job.yaml keys are shown and given as their columns; with a folder, whose checkpoints do not know the types of keys, in hex.\n" +
			"Where a state has a time to live, expires says when an entry ends; what had expired at the checkpoint is left out.",
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

func (a *app) stateLs(name string, o stateOptions) error {
	store, err := a.store(name, o.jobOptions)
	if err != nil {
		return err
	}
	m, err := checkpoint.Find(store, o.checkpoint)
	if err != nil {
		return err
	}
	list, err := contents.List(store, m)
	if err != nil {
		return err
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
	out := &contents.Entries{Checkpoint: m.Checkpoint, Operator: args[1], Entries: []contents.Entry{}}
	err = checkpoint.ScanState(store, m, args[1], filter, func(e state.Entry) error {
		if o.limit > 0 && len(out.Entries) == o.limit {
			out.Cut = true
			return errEnough
		}
		entry, err := contents.EntryOf(&e, key)
		out.Entries = append(out.Entries, entry)
		return err
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	slices.SortFunc(out.Entries, func(x, y contents.Entry) int { return strings.Compare(x.Order, y.Order) })
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
