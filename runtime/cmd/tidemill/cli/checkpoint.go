package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/runtime/checkpoint"
	"github.com/tidemill/tidemill/runtime/checkpoint/store/dir"
	"github.com/tidemill/tidemill/runtime/cmd/tidemill/view"
)

func (a *app) checkpointCommand() *cobra.Command {
	c := &cobra.Command{Use: "checkpoint", Short: "List and verify the checkpoints of a store"}
	var o jobOptions
	ls := &cobra.Command{
		Use: "ls STORE|JOB.yaml", Short: "List the checkpoints of a store, oldest first", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return a.checkpointLs(args[0], o) },
	}
	verify := &cobra.Command{
		Use: "verify STORE|JOB.yaml", Short: "Read every byte of a store and name what is damaged",
		Long: "verify reads every file of a checkpoint store and checks every byte against its checksum. It exits 1 where something is damaged\n" +
			"and names each file. It may run beside the job.",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return a.checkpointVerify(args[0], o) },
	}
	for _, sub := range []*cobra.Command{ls, verify} {
		sub.Flags().StringVar(&o.secrets, "secrets", "", "a YAML file of name: text, where the job.yaml needs one")
		c.AddCommand(sub)
	}
	return c
}

// store opens the store of a job, or that in a folder, for reading.
func (a *app) store(name string, o jobOptions) (*dir.View, error) {
	folder, err := a.isFolder(name)
	if err != nil {
		return nil, err
	}
	if folder {
		return dir.NewView(a.Files, name)
	}
	j, err := a.job(name, o)
	if err != nil {
		return nil, err
	}
	return a.storeOf(j.Name, j.Checkpoint.Store)
}

// storeOf opens the store of a job, which has none before it first ran.
func (a *app) storeOf(name, folder string) (*dir.View, error) {
	if _, err := a.Files.Stat(folder); errors.Is(err, fs.ErrNotExist) {
		return nil, errNotFound.Errorf("job %s has no checkpoint yet", name).At("%s", folder).
			Do("run the job first: it writes one after checkpoint.interval, and at its end")
	}
	return dir.NewView(a.Files, folder)
}

// isFolder tells a store from a job.yaml.
func (a *app) isFolder(name string) (bool, error) {
	info, err := a.Files.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, errNotFound.Errorf("there is no checkpoint store and no job").At("%s", name).
			Do("give the folder that checkpoint.store names, or a job.yaml")
	}
	return err == nil && info.IsDir(), nil
}

// checkpointEntry is a checkpoint as JSON.
type checkpointEntry struct {
	Checkpoint uint64          `json:"checkpoint"`
	Whole      *bool           `json:"whole,omitempty"` // of verify
	Readable   bool            `json:"readable"`
	Job        string          `json:"job,omitempty"`
	Kind       checkpoint.Kind `json:"kind,omitempty"`
	Finished   bool            `json:"finished"`
	Time       *time.Time      `json:"time,omitempty"`
	Records    int64           `json:"records"` // read by all splits before it
	Splits     int             `json:"splits"`
	Segments   int             `json:"segments"`
	Bytes      int64           `json:"bytes"`     // of all segments that it names
	BytesOwn   int64           `json:"bytes_own"` // written for it
	Damage     []string        `json:"damage,omitempty"`
}

func entryOf(v checkpoint.Verified) checkpointEntry {
	e := checkpointEntry{Checkpoint: v.Checkpoint, Readable: v.Manifest != nil, Damage: damageText(v.Damage)}
	if m := v.Manifest; m != nil {
		e.Job, e.Kind, e.Finished, e.Time = m.Job, m.Kind, m.Finished, &m.Time
		e.Splits, e.Segments = len(m.Splits), len(m.Segments)
		e.Bytes, e.BytesOwn = m.Bytes()
		for _, s := range m.Splits {
			e.Records += s.Position.Records
		}
	}
	return e
}

// checkpointList is the result of ls.
type checkpointList struct {
	Store       string            `json:"store"`
	Checkpoints []checkpointEntry `json:"checkpoints"`

	within string // where there may be some
}

// Print implements printer.
func (l *checkpointList) Print(w io.Writer) {
	if len(l.Checkpoints) == 0 {
		fmt.Fprintf(w, "%s has no checkpoints%s\n", l.Store, l.within)
		return
	}
	rows := [][]string{{"checkpoint", "time", "kind", "records", "splits", "segments", "bytes", "written", ""}}
	for _, e := range l.Checkpoints {
		if !e.Readable {
			rows = append(rows, []string{fmt.Sprint(e.Checkpoint), "", "", "", "", "", "", "", "DAMAGED: " + e.Damage[0]})
			continue
		}
		rows = append(rows, []string{fmt.Sprint(e.Checkpoint), e.Time.Format(time.RFC3339), string(e.Kind), view.Count(e.Records), fmt.Sprint(e.Splits),
			fmt.Sprint(e.Segments), view.Bytes(e.Bytes), view.Bytes(e.BytesOwn), ""})
	}
	view.Table(w, rows)
}

func (a *app) checkpointLs(name string, o jobOptions) error {
	store, err := a.store(name, o)
	if err != nil {
		return err
	}
	found, err := checkpoint.Checkpoints(store)
	if err != nil {
		return err
	}
	list := &checkpointList{Store: store.Place(""), Checkpoints: []checkpointEntry{}}
	if info, err := a.Files.Stat(filepath.Join(name, "checkpoints")); err == nil && info.IsDir() {
		list.within = "; the folder checkpoints in it may have some"
	}
	for _, v := range found {
		list.Checkpoints = append(list.Checkpoints, entryOf(v))
	}
	return a.show(list, list)
}

// verification is the result of verify.
type verification struct {
	Store       string            `json:"store"`
	Files       int               `json:"files"`
	Bytes       int64             `json:"bytes"`
	Whole       bool              `json:"whole"`
	Checkpoints []checkpointEntry `json:"checkpoints"`
	Damage      []damage          `json:"damage"`
	Notes       []note            `json:"notes,omitempty"`
}

type damage struct {
	File   string `json:"file"`
	Offset int64  `json:"offset"` // -1 where the whole file is meant
	What   string `json:"what"`
}

type note struct {
	File string `json:"file"`
	What string `json:"what"`
}

// Print implements printer.
func (v *verification) Print(w io.Writer) {
	for _, n := range v.Notes {
		fmt.Fprintf(w, "note: %s: %s\n", n.File, n.What)
	}
	whole := 0
	for _, c := range v.Checkpoints {
		if *c.Whole {
			whole++
		}
	}
	fmt.Fprintf(w, "%s, %s: %d of %s whole\n", several(v.Files, "file"), view.Bytes(v.Bytes), whole, several(len(v.Checkpoints), "checkpoint"))
}

func (a *app) checkpointVerify(name string, o jobOptions) error {
	store, err := a.store(name, o)
	if err != nil {
		return err
	}
	r, err := checkpoint.Verify(store)
	if err != nil {
		return err
	}
	out := &verification{Store: store.Place(""), Files: r.Files, Bytes: r.Bytes, Whole: len(r.Damage) == 0, Damage: []damage{},
		Checkpoints: []checkpointEntry{}}
	for _, v := range r.Checkpoints {
		e := entryOf(v)
		whole := len(v.Damage) == 0
		e.Whole = &whole
		out.Checkpoints = append(out.Checkpoints, e)
	}
	for _, n := range r.Notes {
		out.Notes = append(out.Notes, note{n.File, n.What})
	}
	for _, d := range r.Damage {
		out.Damage = append(out.Damage, damage{d.File, d.Offset, d.What})
		if !a.json {
			fmt.Fprintf(a.Stdout, "DAMAGED %s\n", d.Error())
		}
	}
	if err := a.show(out, out); err != nil {
		return err
	}
	if !out.Whole {
		return errDamage.Errorf("%s damaged", several(len(out.Damage), "place")).At("%s", out.Damage[0].File).
			Do("`tidemill run` goes on from the newest whole checkpoint and says so")
	}
	return nil
}
