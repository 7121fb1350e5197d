package file

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/connectors/connectortest"
	"github.com/tidemill/tidemill/connectors/spec"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/internal/failpoint"
	"github.com/tidemill/tidemill/internal/vfs"
	"github.com/tidemill/tidemill/runtime/record"
)

func makeSink(t testing.TB, f vfs.FS, name, options string, log *bytes.Buffer) *sink {
	t.Helper()
	v, errs := spec.ParseText(options, sinkOptions)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if log == nil {
		log = &bytes.Buffer{}
	}
	s, err := newSink(context.Background(), connectors.Env{FS: f, Dir: "/", Name: name, Log: slog.New(slog.NewTextHandler(log, nil))}, v)
	if err != nil {
		t.Fatal(err)
	}
	return s.(*sink)
}

// life is a sink in use by one process, with one subtask.
type life struct {
	t testing.TB
	c connectors.Committer
	w connectors.Writer
}

func begin(t testing.TB, s *sink, checkpoint uint64, pending [][]byte, states ...[]byte) *life {
	t.Helper()
	ctx := context.Background()
	l := &life{t: t}
	l.c, _ = s.Committer(ctx)
	if err := l.c.Recover(ctx, checkpoint, committables(checkpoint, pending), states); err != nil {
		t.Fatal(err)
	}
	var err error
	if l.w, err = s.Writer(ctx, 0, connectortest.SinkSchema, states); err != nil {
		t.Fatal(err)
	}
	return l
}

func committables(checkpoint uint64, pending [][]byte) []connectors.Committable {
	var list []connectors.Committable
	for _, data := range pending {
		list = append(list, connectors.Committable{Checkpoint: checkpoint, Data: data})
	}
	return list
}

func (l *life) write(ids ...int) {
	l.t.Helper()
	b := record.NewBatch(connectortest.SinkSchema, len(ids))
	for _, id := range ids {
		b.Columns[0].AppendInt(int64(id))
		b.Columns[1].AppendNull()
	}
	b.Rows = len(ids)
	if err := l.w.Write(b); err != nil {
		l.t.Fatal(err)
	}
}

func (l *life) checkpoint(id uint64, last bool) connectors.Flushed {
	l.t.Helper()
	f, err := l.w.Flush(context.Background(), id, last)
	if err != nil {
		l.t.Fatal(err)
	}
	if err := l.c.Commit(context.Background(), committables(id, f.Committables)); err != nil {
		l.t.Fatal(err)
	}
	return f
}

// folder lists a folder, with the ids in each published file.
func folder(t testing.TB, f vfs.FS, dir string) []string {
	t.Helper()
	entries, err := f.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		item := e.Name()
		data, err := vfs.ReadFile(f, dir+"/"+e.Name())
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(data)) {
			var id int
			if _, err := fmt.Sscanf(line, `{"id":%d`, &id); err == nil {
				item += fmt.Sprint(" ", id)
			} else {
				item += " " + strings.TrimSpace(line)
			}
		}
		list = append(list, item)
	}
	return list
}

func expectFolder(t testing.TB, f vfs.FS, dir string, want ...string) {
	t.Helper()
	if got := folder(t, f, dir); !slices.Equal(got, want) {
		t.Errorf("the folder has\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestPublishedNames(t *testing.T) {
	mem := vfs.NewMem()
	l := begin(t, makeSink(t, mem, "daily", "{path: out}", nil), 0, nil)
	l.write(1, 2)
	expectFolder(t, mem, "/out", ".daily-0-0000.jsonl.open") // buffered
	l.checkpoint(7, false)
	l.checkpoint(8, false) // nothing new: no file
	l.write(3)
	l.checkpoint(123456789, true)
	expectFolder(t, mem, "/out", "daily-00000007-0-0000.jsonl 1 2", "daily-123456789-0-0001.jsonl 3")
}

func TestRollBytes(t *testing.T) {
	mem := vfs.NewMem()
	l := begin(t, makeSink(t, mem, "out", "{path: out, roll_bytes: 1KiB, roll_checkpoints: 5, format: {type: csv, header: true}}", nil), 0, nil)
	for id := range 700 {
		l.write(id) // 5 bytes each, looked at after each write
	}
	f := l.checkpoint(1, false)
	if len(f.Committables) != 3 || f.State == nil {
		t.Errorf("%d files handed over, state %s", len(f.Committables), f.State)
	}
	l.checkpoint(2, true)
	rows := 0
	for _, item := range folder(t, mem, "/out") {
		parts := strings.Fields(item)
		if parts[1] != "id,text" || slices.Contains(parts[2:], "id,text") {
			t.Errorf("a header that is not once and first: %s", item)
		}
		rows += len(parts) - 2
		if size := len(strings.Join(parts[1:], "\n")); size > 1100 {
			t.Errorf("%s has %d bytes", parts[0], size)
		}
	}
	if rows != 700 {
		t.Errorf("%d rows", rows)
	}
}

// Sinks whose names contain each other share a folder and never touch each other's files, nor foreign ones.
func TestSharedFolder(t *testing.T) {
	mem := vfs.NewMem()
	names := []string{"daily", "daily-2", "daily-00000002", "daily-2-0001"}
	put(t, mem, "/out/daily-notes.txt", "mine\n")
	put(t, mem, "/out/.daily-0-0000.jsonl.open.bak", "mine\n")
	var states [][]byte
	for i, name := range names {
		l := begin(t, makeSink(t, mem, name, "{path: out, roll_checkpoints: 2}", nil), 0, nil)
		l.write(10 * i)
		l.checkpoint(1, false)
		l.checkpoint(2, false)
		l.write(10*i + 1)
		states = append(states, l.checkpoint(3, false).State)
		if err := l.w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	before := folder(t, mem, "/out")
	if len(before) != 2+2*len(names) {
		t.Fatalf("the folder has %q", before)
	}
	begin(t, makeSink(t, mem, "daily", "{path: out}", nil), 0, nil) // takes all of daily back
	after := folder(t, mem, "/out")
	want := slices.DeleteFunc(slices.Clone(before), func(s string) bool {
		return strings.HasPrefix(s, "daily-00000002-0-0000.jsonl ") || strings.HasPrefix(s, ".daily-0-0001.jsonl.open ")
	})
	want = append(want, ".daily-00000002-0-0000.jsonl.taken-back 0")
	slices.Sort(want)
	if !slices.Equal(after, want) {
		t.Errorf("after daily was taken back:\n%s\nwant\n%s", strings.Join(after, "\n"), strings.Join(want, "\n"))
	}
	for i, name := range names[1:] {
		l := begin(t, makeSink(t, mem, name, "{path: out}", nil), 3, nil, states[i+1])
		l.checkpoint(4, true)
	}
	for i, name := range names[1:] {
		for n, want := range []string{fmt.Sprintf("%s-00000002-0-0000.jsonl %d", name, 10*(i+1)), fmt.Sprintf("%s-00000004-0-0001.jsonl %d", name, 10*(i+1)+1)} {
			if !slices.Contains(folder(t, mem, "/out"), want) {
				t.Errorf("file %d of %s is not there: %s", n, name, want)
			}
		}
	}
}

func FuzzNames(f *testing.F) {
	f.Add("daily", "daily-00000001-0-0000.jsonl", uint64(1), 0, 0)
	f.Add("daily-2", ".daily-2-0-0001.csv.open", uint64(99999999), 3, 12345)
	f.Add("a", ".a-00000001-0-0000.raw.taken-back", uint64(1)<<63, 1, 1)
	f.Fuzz(func(t *testing.T, sink, name string, checkpoint uint64, subtask, seq int) {
		if p := parseName(sink, name); p.state != foreign && p.name(sink) != name {
			t.Fatalf("%q of %q is written %q", name, sink, p.name(sink))
		}
		if subtask < 0 || seq < 0 || strings.HasPrefix(sink, ".") {
			return
		}
		n := fileName{subtask, seq, "jsonl"}
		for want, name := range map[state]string{open: n.open(sink), published: n.published(sink, checkpoint), takenBack: n.takenBack(sink, checkpoint)} {
			if p := parseName(sink, name); p.fileName != n || p.state != want || want != open && p.checkpoint != checkpoint {
				t.Fatalf("%q of %q is read as %+v", name, sink, p)
			}
			for _, other := range []string{sink + "-2", sink + "-00000001", sink + "-0", strings.TrimSuffix(sink, "-2"), sink + "x"} {
				if p := parseName(other, name); other != sink && p.state != foreign {
					t.Fatalf("%q of %q is taken for %+v of %q", name, sink, p, other)
				}
			}
		}
	})
}

// A file that somebody has moved away after it was published is not missed, and its identity is not given to another one.
func TestOutputMovedAway(t *testing.T) {
	mem := vfs.NewMem()
	var log bytes.Buffer
	s := makeSink(t, mem, "out", "{path: out}", &log)
	l := begin(t, s, 0, nil)
	l.write(1)
	f := l.checkpoint(1, false)
	if err := mem.Remove("/out/out-00000001-0-0000.jsonl"); err != nil {
		t.Fatal(err)
	}
	l = begin(t, makeSink(t, mem, "out", "{path: out}", &log), 1, f.Committables)
	if !strings.Contains(log.String(), "taken away") {
		t.Errorf("nothing is said of it: %s", log.String())
	}
	l.write(2)
	expectFolder(t, mem, "/out", ".out-0-0001.jsonl.open")
	if err := l.c.Commit(context.Background(), committables(1, f.Committables)); err != nil {
		t.Errorf("committing again: %v", err)
	}
	expectFolder(t, mem, "/out", ".out-0-0001.jsonl.open")
}

// A restore that goes behind published output hides it, says so, and finds the file that was in progress then even where a later one
// could be mistaken for it.
func TestTakeBack(t *testing.T) {
	mem := vfs.NewMem()
	var log bytes.Buffer
	again := func() *sink { return makeSink(t, mem, "out", "{path: out, roll_checkpoints: 2}", &log) }
	l := begin(t, again(), 0, nil)
	l.write(1)
	first := l.checkpoint(1, false) // in progress
	l.write(2)
	l.checkpoint(2, false) // published
	l.write(3)
	l.checkpoint(3, false)
	l = begin(t, again(), 2, nil)
	l.write(4)
	l.checkpoint(3, false)
	l.checkpoint(4, false)
	expectFolder(t, mem, "/out", "out-00000002-0-0000.jsonl 1 2", "out-00000004-0-0001.jsonl 4")
	l = begin(t, again(), 1, nil, first.State)
	expectFolder(t, mem, "/out", ".out-0-0000.jsonl.open 1", ".out-00000004-0-0001.jsonl.taken-back 4")
	if n := strings.Count(log.String(), "level=WARN"); n != 2 || !strings.Contains(log.String(), "out-00000004-0-0001.jsonl") {
		t.Errorf("%d warnings: %s", n, log.String())
	}
	l.write(5)
	l.checkpoint(2, true)
	expectFolder(t, mem, "/out", ".out-00000004-0-0001.jsonl.taken-back 4", "out-00000002-0-0000.jsonl 1 5")
	l = begin(t, again(), 2, nil)
	l.write(6)
	l.checkpoint(3, true)
	if got := folder(t, mem, "/out"); got[2] != "out-00000003-0-0002.jsonl 6" { // 0001 is taken
		t.Errorf("%q", got)
	}
}

// Output that a checkpoint needs and that is gone or damaged is an error, never silently left out.
func TestDamagedOutput(t *testing.T) {
	ctx := context.Background()
	for name, spoil := range map[string]func(vfs.FS) error{
		"missing": func(f vfs.FS) error { return f.Remove("/out/.out-0-0000.jsonl.open") },
		"short": func(f vfs.FS) error {
			file, err := f.Create("/out/.out-0-0000.jsonl.open")
			if err == nil {
				err = file.Close()
			}
			return err
		},
	} {
		mem := vfs.NewMem()
		s := makeSink(t, mem, "out", "{path: out, roll_checkpoints: 9}", nil)
		l := begin(t, s, 0, nil)
		l.write(1)
		f := l.checkpoint(1, false)
		if err := spoil(mem); err != nil {
			t.Fatal(err)
		}
		err := l.c.Recover(ctx, 1, nil, [][]byte{f.State})
		if e := errcode.Of(err); e == nil || e.Code != ErrOutput || !strings.Contains(e.Place, "/out/.out-0-0000.jsonl.open") || e.Hint == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	mem := vfs.NewMem()
	s := makeSink(t, mem, "out", "{path: out}", nil)
	l := begin(t, s, 0, nil)
	l.write(1)
	f, err := l.w.Flush(ctx, 1, false)
	if err != nil {
		t.Fatal(err)
	}
	add(t, mem, "/out/.out-0-0000.jsonl.open", "x")
	if err := l.c.Commit(ctx, committables(1, f.Committables)); !errcode.Is(err, ErrOutput) {
		t.Errorf("publishing a file that somebody has written to: %v", err)
	}
}

func TestFormatChanged(t *testing.T) {
	mem := vfs.NewMem()
	l := begin(t, makeSink(t, mem, "out", "{path: out, roll_checkpoints: 9}", nil), 0, nil)
	l.write(1)
	f := l.checkpoint(1, false)
	l = begin(t, makeSink(t, mem, "out", "{path: out, format: csv}", nil), 1, nil, f.State)
	l.write(2)
	l.checkpoint(2, true)
	expectFolder(t, mem, "/out", "out-00000002-0-0000.jsonl 1", "out-00000002-0-0001.csv 2,")
}

func TestFailpointsOfCommit(t *testing.T) {
	for at, want := range map[string]int{failpoint.CommitRenameBefore: 0, failpoint.CommitRenameBetween: 1, failpoint.CommitRenameAfter: 3} {
		mem := vfs.NewMem()
		l := begin(t, makeSink(t, mem, "out", "{path: out, roll_bytes: 1KiB}", nil), 0, nil)
		for id := range 130 {
			l.write(id)
		}
		visible := -1
		failpoint.Arm(at, 1, func() {
			visible = 0
			for _, item := range folder(t, mem, "/out") {
				if !strings.HasPrefix(item, ".") {
					visible++
				}
			}
		})
		l.checkpoint(1, true)
		failpoint.Arm("", 0, nil)
		if visible != want {
			t.Errorf("at %s %d files are published, want %d", at, visible, want)
		}
	}
}
