package file

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"sort"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/internal/failpoint"
)

const outputHint = "restore an older checkpoint, or start anew with --fresh and an empty folder: the output cannot be continued exactly"

// committer is a connectors.Committer.
type committer struct{ sink *sink }

// Close implements connectors.Committer.
func (*committer) Close() error { return nil }

// Existing implements connectors.Committer.
func (c *committer) Existing(context.Context) (string, error) {
	files, err := c.sink.list()
	if err != nil {
		return "", err
	}
	for _, name := range sortedNames(files) {
		if files[name].state == published {
			return c.sink.path(name), nil
		}
	}
	return "", nil
}

func sortedNames(files map[string]found) []string {
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// Commit implements connectors.Committer.
func (c *committer) Commit(_ context.Context, committables []connectors.Committable) error {
	if len(committables) == 0 {
		return nil
	}
	failpoint.Hit(failpoint.CommitRenameBefore)
	for i, committable := range committables {
		if i > 0 {
			failpoint.Hit(failpoint.CommitRenameBetween)
		}
		if err := c.publish(committable); err != nil {
			return err
		}
	}
	failpoint.Hit(failpoint.CommitRenameAfter)
	return c.syncDir()
}

func (c *committer) syncDir() error {
	if err := c.sink.env.FS.SyncDir(c.sink.dir); err != nil {
		return writeError(err, "syncing the folder failed", c.sink.dir)
	}
	return nil
}

// publish renames one file. Where its published name is there it has been done; where neither name is, it has been done too and
// somebody has taken the file away since: the flush made the file durable under its first name before the checkpoint named it.
func (c *committer) publish(committable connectors.Committable) error {
	s := c.sink
	var data commitData
	if err := json.Unmarshal(committable.Data, &data); err != nil {
		return fmt.Errorf("reading what %s is to publish: %w", s.env.Name, err)
	}
	s.reserve(data.File)
	from := s.path(data.File.open(s.env.Name))
	to := s.path(data.File.published(s.env.Name, committable.Checkpoint))
	switch _, err := s.env.FS.Stat(to); {
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return readError(err, "looking at published output failed", to)
	}
	info, err := s.env.FS.Stat(from)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		s.env.Log.Warn("output of a checkpoint is not there any more, so it has been published and taken away before",
			"sink", s.env.Name, "file", to, "checkpoint", committable.Checkpoint)
		return nil
	case err != nil:
		return readError(err, "looking at unfinished output failed", from)
	case info.Size() != data.Bytes:
		return ErrOutput.Errorf("output to be published has %d bytes and not %d", info.Size(), data.Bytes).At("%s", from).Do(outputHint)
	}
	if err := s.env.FS.Rename(from, to); err != nil {
		return writeError(err, "publishing failed", to)
	}
	return nil
}

// Recover implements connectors.Committer. Each step leaves what a further run of Recover brings to the same end.
func (c *committer) Recover(ctx context.Context, checkpoint uint64, pending []connectors.Committable, states [][]byte) error {
	if err := c.sink.makeDir(); err != nil {
		return err
	}
	for _, committable := range pending {
		if err := c.publish(committable); err != nil {
			return err
		}
	}
	files, err := c.sink.list()
	if err != nil {
		return err
	}
	for _, text := range states {
		var st writerState
		if err := json.Unmarshal(text, &st); err != nil {
			return fmt.Errorf("reading the state of a writer of %s: %w", c.sink.env.Name, err)
		}
		for _, o := range st.Open {
			if err := c.reopen(o, checkpoint, files); err != nil {
				return err
			}
		}
	}
	if err := c.takeBack(checkpoint, files); err != nil {
		return err
	}
	return c.syncDir()
}

// reopen brings a file in progress to what it was at the checkpoint: where a later checkpoint has published it, it becomes
// unfinished again, and what was written later is cut off. It takes the file out of files.
func (c *committer) reopen(o openState, checkpoint uint64, files map[string]found) error {
	s := c.sink
	s.reserve(o.fileName)
	name := o.open(s.env.Name)
	path := s.path(name)
	if _, ok := files[name]; !ok {
		later := ""
		for _, n := range sortedNames(files) {
			if f := files[n]; f.state == published && f.fileName == o.fileName && f.checkpoint > checkpoint {
				later = n
			}
		}
		if later == "" {
			return ErrOutput.Errorf("unfinished output of checkpoint %d is missing", checkpoint).At("%s", path).Do(outputHint)
		}
		s.env.Log.Warn("taking back published output: it goes on from an earlier checkpoint",
			"sink", s.env.Name, "file", s.path(later), "published_by", files[later].checkpoint, "restored", checkpoint, "now", path)
		if err := s.env.FS.Rename(s.path(later), path); err != nil {
			return writeError(err, "taking back output failed", s.path(later))
		}
		delete(files, later)
	}
	delete(files, name)
	f, err := s.env.FS.OpenAppend(path)
	if err != nil {
		return readError(err, "opening unfinished output failed", path)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return readError(err, "looking at unfinished output failed", path)
	}
	if info.Size() < o.Bytes {
		return ErrOutput.Errorf("unfinished output has %d bytes, checkpoint %d had %d", info.Size(), checkpoint, o.Bytes).At("%s", path).
			Do(outputHint)
	}
	if err := f.Truncate(o.Bytes); err != nil {
		return writeError(err, "cutting back unfinished output failed", path)
	}
	if err := f.Sync(); err != nil {
		return writeError(err, "syncing failed", path)
	}
	return nil
}

// takeBack removes unfinished files that the checkpoint does not know and hides what later checkpoints have published.
func (c *committer) takeBack(checkpoint uint64, files map[string]found) error {
	s := c.sink
	for _, name := range sortedNames(files) {
		f := files[name]
		path := s.path(name)
		switch {
		case f.state == open:
			if err := s.env.FS.Remove(path); err != nil {
				return writeError(err, "removing unfinished output failed", path)
			}
		case f.state == published && f.checkpoint > checkpoint:
			hidden := s.path(f.takenBack(s.env.Name, f.checkpoint))
			s.env.Log.Warn("taking back published output: its records come again",
				"sink", s.env.Name, "file", path, "published_by", f.checkpoint, "restored", checkpoint, "now", hidden)
			if err := s.env.FS.Rename(path, hidden); err != nil {
				return writeError(err, "taking back output failed", path)
			}
		}
	}
	return nil
}
