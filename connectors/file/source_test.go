package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/tidemill/tidemill/connectors"
	"github.com/tidemill/tidemill/connectors/connectortest"
	"github.com/tidemill/tidemill/connectors/format"
	_ "github.com/tidemill/tidemill/connectors/format/csv"
	_ "github.com/tidemill/tidemill/connectors/format/json"
	_ "github.com/tidemill/tidemill/connectors/format/raw"
	"github.com/tidemill/tidemill/connectors/spec"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/internal/faultfs"
	"github.com/tidemill/tidemill/internal/vfs"
	"github.com/tidemill/tidemill/runtime/record"
)

func put(t testing.TB, f vfs.FS, path, text string) {
	t.Helper()
	if err := f.MkdirAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	file, err := f.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(file.Sync(), file.Close(), f.SyncDir(filepath.Dir(path))); err != nil {
		t.Fatal(err)
	}
}

func add(t testing.TB, f vfs.FS, path, text string) {
	t.Helper()
	file, err := f.OpenAppend(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

func makeSource(t testing.TB, env connectors.Env, options string) (*source, error) {
	t.Helper()
	v, errs := spec.ParseText(options, sourceOptions)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	s, err := newSource(context.Background(), env, v)
	if err != nil {
		return nil, err
	}
	return s.(*source), nil
}

func mustSource(t testing.TB, env connectors.Env, options string) *source {
	t.Helper()
	s, err := makeSource(t, env, options)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Whatever the cuts, the limit and the line ends, each line comes once, from the split in whose range it starts, and a line over the
// limit is a bad record.
func TestCutAnywhere(t *testing.T) {
	for seed := uint64(1); seed <= 60; seed++ {
		random := rand.New(rand.NewPCG(seed, 0))
		var text strings.Builder
		for range random.IntN(60) {
			text.WriteByte("abc\n"[random.IntN(4)])
			if random.IntN(20) == 0 {
				text.WriteString(strings.Repeat("x", random.IntN(30)))
			}
		}
		mem := vfs.NewMem()
		put(t, mem, "/in", text.String())
		limit := 4 + random.IntN(12)
		var want []string
		bad := 0
		for line := range strings.SplitAfterSeq(text.String(), "\n") {
			switch {
			case len(strings.TrimSuffix(line, "\n")) > limit:
				bad++
			case line != "":
				want = append(want, fmt.Sprintf(`{"value":%q}`, strings.TrimSuffix(line, "\n")))
			}
		}
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			connectortest.TestSource(t, connectortest.Source{
				New: func(t *testing.T) connectors.Source {
					s := mustSource(t, connectors.Env{FS: mem, Dir: "/"}, "{path: in, format: raw, schema: {value: utf8}}")
					s.splitBytes, s.recordBytesMax = 1+int64(seed%17), limit
					return s
				},
				Want: want, Bad: bad,
			})
		})
	}
}

func TestSplitsFollowParallelism(t *testing.T) {
	mem := vfs.NewMem()
	put(t, mem, "/a", strings.Repeat("0123456789abcde\n", 64<<10)) // 1 MiB
	put(t, mem, "/b", "x\n")
	for _, c := range []struct {
		options     string
		parallelism int
		want        int
	}{
		{"{path: a, format: raw}", 1, 1},
		{"{path: a, format: raw}", 4, 4},
		{"{path: a, format: raw}", 100, 16},   // 64 KiB each
		{"{path: [a, b], format: raw}", 4, 5}, // 256 KiB each, and a small file
		{"{path: a, format: raw, split_bytes: 512KiB}", 4, 2},
		{"{path: a, format: {type: csv, multiline: true}, schema: {a: utf8}}", 4, 1},
		{"{path: a, format: raw, tail: true}", 4, 1},
	} {
		s := mustSource(t, connectors.Env{FS: mem, Dir: "/", Parallelism: c.parallelism}, c.options)
		e, _ := s.Enumerator(context.Background(), nil)
		splits, done, err := e.Discover(context.Background())
		if err != nil || len(splits) != c.want || done == s.tail {
			t.Errorf("%s over %d subtasks: %d splits, want %d, done %v, %v", c.options, c.parallelism, len(splits), c.want, done, err)
		}
	}
}

func TestGlob(t *testing.T) {
	mem := vfs.NewMem()
	for _, name := range []string{"/d/a1.csv", "/d/a2.csv", "/d/.a3.csv", "/d/b.csv", "/d/sub/a.csv", "/d/sub/deep/a.csv", "/d/.hidden/a.csv"} {
		put(t, mem, name, "x\n")
	}
	for pattern, want := range map[string]string{
		"a*.csv":            "/d/a1.csv /d/a2.csv",
		"*.csv":             "/d/a1.csv /d/a2.csv /d/b.csv",
		".*.csv":            "/d/.a3.csv",
		"a?.csv":            "/d/a1.csv /d/a2.csv",
		"[ab][!2]*":         "/d/a2.csv", // the class of package filepath is negated by ^
		"[ab][^2]*":         "/d/a1.csv /d/b.csv",
		"*/a.csv":           "/d/sub/a.csv",
		"*/*/a.csv":         "/d/sub/deep/a.csv",
		"b.csv":             "/d/b.csv",
		"none.csv":          "",
		"none/*.csv":        "",
		"/d/s*/*.csv":       "/d/sub/a.csv",
		"sub":               "/d/sub", // refused later: it is a folder
		"../d/b*":           "/d/b.csv",
		"sub/../a1.csv":     "/d/a1.csv",
		"/*/b.csv":          "/d/b.csv",
		"d*":                "",
		"/d/*/de*p/a.cs[v]": "/d/sub/deep/a.csv",
	} {
		got, err := glob(mem, "/d", pattern)
		if err != nil || strings.Join(got, " ") != want {
			t.Errorf("%s: %q, %v, want %q", pattern, got, err, want)
		}
	}
}

// next reads once and returns the values of the first column.
func next(t testing.TB, s *source, r connectors.Reader) ([]string, error) {
	t.Helper()
	b := record.NewBatch(s.schema, 4)
	var bad []connectors.BadRecord
	err := r.Next(context.Background(), b, 100, &bad)
	for _, x := range bad {
		t.Errorf("bad record: %v", x.Reason)
	}
	var values []string
	for i := range b.Rows {
		values = append(values, string(b.Columns[0].Bytes(i)))
	}
	return values, err
}

func TestTail(t *testing.T) {
	ctx := context.Background()
	root := t.TempDir() // on a real disk, where a file that is rotated can be told
	env := connectors.Env{FS: vfs.Disk, Dir: root}
	path := filepath.Join(root, "log-1")
	s := mustSource(t, env, "{path: log-*, format: raw, tail: true}")
	if s.Bounded() {
		t.Error("a tail is not bounded")
	}
	if _, err := s.Schema(ctx); err != nil {
		t.Errorf("no file yet: %v", err)
	}
	e, _ := s.Enumerator(ctx, nil)
	discover := func() []connectors.Split {
		splits, done, err := e.Discover(ctx)
		if err != nil || done {
			t.Fatalf("done %v, %v", done, err)
		}
		return splits
	}
	if got := discover(); len(got) != 0 {
		t.Fatalf("%d splits of no file", len(got))
	}
	put(t, vfs.Disk, path, "a\nb")
	splits := discover()
	if len(splits) != 1 || len(discover()) != 0 {
		t.Fatalf("%d splits", len(splits))
	}
	r, err := s.Open(ctx, splits[0], record.Position{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { r.Close() }()
	expect := func(want []string, wantErr error) {
		t.Helper()
		got, err := next(t, s, r)
		if !slices.Equal(got, want) || err != wantErr {
			t.Fatalf("got %q, %v, want %q, %v", got, err, want, wantErr)
		}
	}
	expect([]string{"a"}, nil)
	expect(nil, connectors.ErrIdle) // b has no line end yet
	at := r.Position()
	if at.Offset != 2 || at.Records != 1 || at.Done {
		t.Errorf("position %+v", at)
	}
	add(t, vfs.Disk, path, "b\nc\n")
	expect([]string{"bb", "c"}, nil)
	r.Close()
	if r, err = s.Open(ctx, splits[0], at); err != nil {
		t.Fatal(err)
	}
	expect([]string{"bb", "c"}, nil)

	put(t, vfs.Disk, filepath.Join(root, "log-2"), "z\n")
	state, err := e.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	if e, err = s.Enumerator(ctx, state); err != nil {
		t.Fatal(err)
	}
	if splits := discover(); len(splits) != 1 || splits[0].ID != "log-2" {
		t.Errorf("a restored enumerator finds %v", splits)
	}
	expect(nil, connectors.ErrIdle)

	for name, spoil := range map[string]func() error{
		"truncated": func() error { return os.Truncate(path, 1) },
		"rotated": func() error {
			return errors.Join(os.Rename(path, path+".old"), os.WriteFile(path, []byte("a\nbb\nc\nlonger than before\n"), 0o644))
		},
		"removed": func() error { return os.Remove(path) },
	} {
		if err := os.WriteFile(path, []byte("a\nbb\nc\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		r.Close()
		if r, err = s.Open(ctx, splits[0], record.Position{}); err != nil {
			t.Fatal(err)
		}
		expect([]string{"a", "bb", "c"}, nil)
		expect(nil, connectors.ErrIdle)
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if _, err := next(t, s, r); !errcode.Is(err, ErrReplaced) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A header that is still being written is waited for.
func TestTailWaitsForHeader(t *testing.T) {
	ctx := context.Background()
	mem := vfs.NewMem()
	put(t, mem, "/log", "a,")
	s := mustSource(t, connectors.Env{FS: mem, Dir: "/"}, "{path: log, format: {type: csv, header: true}, schema: {b: utf8}, tail: true}")
	e, _ := s.Enumerator(ctx, nil)
	if splits, _, err := e.Discover(ctx); err != nil || len(splits) != 0 {
		t.Fatalf("%d splits of half a header, %v", len(splits), err)
	}
	add(t, mem, "/log", "b\n1,x\n")
	splits, _, err := e.Discover(ctx)
	if err != nil || len(splits) != 1 {
		t.Fatalf("%d splits, %v", len(splits), err)
	}
	r, err := s.Open(ctx, splits[0], record.Position{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := next(t, s, r); err != nil || !slices.Equal(got, []string{"x"}) {
		t.Errorf("%q, %v", got, err)
	}
}

// A file that is not what it was when its splits were made is an error, at the opening and in the middle.
func TestReplaced(t *testing.T) {
	ctx := context.Background()
	const text = "one\ntwo\nthree\n"
	for name, c := range map[string]struct {
		text string
		at   record.Position
	}{
		"shorter than the position":  {"one\n", record.Position{Offset: 8, Records: 2}},
		"shorter than the split":     {"one\ntwo\n", record.Position{}},
		"other text of equal length": {"one\ntwo\nTHREE\n", record.Position{Offset: 8, Records: 2}},
		"empty":                      {"", record.Position{}},
	} {
		mem := vfs.NewMem()
		put(t, mem, "/in", text)
		s := mustSource(t, connectors.Env{FS: mem, Dir: "/"}, "{path: in, format: raw}")
		e, _ := s.Enumerator(ctx, nil)
		splits, _, err := e.Discover(ctx)
		if err != nil {
			t.Fatal(err)
		}
		put(t, mem, "/in", c.text)
		if _, err := s.Open(ctx, splits[0], c.at); !errcode.Is(err, ErrReplaced) || !strings.Contains(err.Error(), "/in") {
			t.Errorf("%s: %v", name, err)
		}
	}
	mem := vfs.NewMem()
	long := strings.Repeat("0123456789abcde\n", 64<<10)
	put(t, mem, "/in", long)
	s := mustSource(t, connectors.Env{FS: mem, Dir: "/"}, "{path: in, format: raw}")
	e, _ := s.Enumerator(ctx, nil)
	splits, _, _ := e.Discover(ctx)
	r, err := s.Open(ctx, splits[0], record.Position{})
	if err != nil {
		t.Fatal(err)
	}
	put(t, mem, "/in", long[:300<<10])
	for err == nil {
		_, err = next(t, s, r)
	}
	if !errcode.Is(err, ErrReplaced) {
		t.Errorf("a file cut while it is read: %v", err)
	}
}

func TestSourceErrors(t *testing.T) {
	ctx := context.Background()
	mem := vfs.NewMem()
	put(t, mem, "/in/a.csv", "carrier,dep_delay\nUA,1\n")
	put(t, mem, "/in/empty.csv", "")
	put(t, mem, "/latin/caf\xe9.csv", "a\n")
	env := connectors.Env{FS: mem, Dir: "/"}
	for _, c := range []struct {
		options, want string
		code          *errcode.Code
	}{
		{"{path: none.csv, format: raw}", "no file matches /none.csv", ErrNoFile},
		{"{path: in/*.json, format: raw}", "no file matches /in/*.json", ErrNoFile},
		{"{path: in, format: raw}", "/in is a folder", ErrOptions},
		{"{path: '[', format: raw}", "no path pattern", ErrOptions},
		{"{path: [], format: raw}", "empty", ErrOptions},
		{"{path: latin/*, format: raw}", `the name of the file "latin/caf\xe9.csv" is not UTF-8`, ErrOptions},
		{"{path: a, format: csv}", "format csv needs a schema", format.ErrSchema},
		{"{path: a, format: csv, schema: {a: int}}", `no type "int"`, format.ErrSchema},
		{"{path: a, format: raw, schema: {a: i32}}", "format raw wants", format.ErrOptions},
		{"{path: in/a.csv, format: {type: csv, header: true}, schema: {carier: utf8}}", `TM-FORMAT-002: in/a.csv: the header has no column "carier"; did you mean "carrier"?`, format.ErrHeader},
		{"{path: in/empty.csv, format: {type: csv, header: true}, schema: {a: utf8}}", "the file is empty", format.ErrHeader},
	} {
		s, err := makeSource(t, env, c.options)
		if err == nil {
			_, err = s.Schema(ctx)
		}
		if err == nil {
			e, _ := s.Enumerator(ctx, nil)
			_, _, err = e.Discover(ctx)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || !errcode.Is(err, c.code) {
			t.Errorf("%s: %v, want %s", c.options, err, c.want)
		}
	}
}

// A disk that fails to read is an error with the path, and the same reader can go on where the fault was passing.
func TestReadFaults(t *testing.T) {
	ctx := context.Background()
	mem := vfs.NewMem()
	put(t, mem, "/in", strings.Repeat("0123456789abcde\n", 64<<10))
	for n := 1; ; n++ {
		faulty := faultfs.Wrap(mem)
		s := mustSource(t, connectors.Env{FS: faulty, Dir: "/", Parallelism: 2}, "{path: in, format: raw}")
		faulty.FailAt(n, syscall.EIO, faultfs.Open, faultfs.Read, faultfs.Stat)
		rows := 0
		err := func() error {
			if _, err := s.Schema(ctx); err != nil {
				return err
			}
			e, _ := s.Enumerator(ctx, nil)
			splits, _, err := e.Discover(ctx)
			for _, split := range splits {
				r, err := s.Open(ctx, split, record.Position{})
				if err != nil {
					return err
				}
				for {
					values, err := next(t, s, r)
					if rows += len(values); err == io.EOF {
						break
					}
					if err != nil {
						return err
					}
				}
			}
			return err
		}()
		if !faulty.Fired() {
			if err != nil || rows != 64<<10 {
				t.Fatalf("%d rows, %v", rows, err)
			}
			return
		}
		if e := errcode.Of(err); e == nil || e.Code != ErrRead || !strings.Contains(e.Place, "/in") || !errors.Is(err, syscall.EIO) {
			t.Fatalf("%s failed: %v", faulty.Where(), err)
		}
	}
}

func TestBadRecordPlaces(t *testing.T) {
	ctx := context.Background()
	mem := vfs.NewMem()
	put(t, mem, "/in.csv", "a,b\n1,x\n\nfoo,y\n"+"3,"+strings.Repeat("z", 2000)+"\n4,w\n")
	s := mustSource(t, connectors.Env{FS: mem, Dir: "/"}, "{path: in.csv, format: {type: csv, header: true}, schema: {a: i32}, record_bytes_max: 1KiB}")
	e, _ := s.Enumerator(ctx, nil)
	splits, _, _ := e.Discover(ctx)
	r, err := s.Open(ctx, splits[0], record.Position{})
	if err != nil {
		t.Fatal(err)
	}
	b := record.NewBatch(s.schema, 4)
	var bad []connectors.BadRecord
	if err := r.Next(ctx, b, 100, &bad); err != nil || b.Rows != 2 || len(bad) != 2 {
		t.Fatalf("%d rows, %d bad, %v", b.Rows, len(bad), err)
	}
	for i, want := range []string{
		`TM-FORMAT-003: column a: "foo" is no i32: want a whole number (at /in.csv, line 4, byte 9)`,
		`TM-FORMAT-006: the record is longer than record_bytes_max, 1024 bytes: "3,` + strings.Repeat("z", 62) + `"... (at /in.csv, line 5, byte 15); raise record_bytes_max of the source if the record is sound`,
	} {
		if got := bad[i].Reason.Error(); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	if len(bad[1].Raw) != 1025 || string(bad[0].Raw) != "foo,y" {
		t.Errorf("raw: %q, %d bytes", bad[0].Raw, len(bad[1].Raw))
	}
}

// What a record too long has within its quotes is no record of its own, however its bytes fall into buffers.
func TestLongRecordsOfSeveralLines(t *testing.T) {
	for n := 1000; n < 1300; n += 7 {
		mem := vfs.NewMem()
		long := "\"" + strings.Repeat("666,\"\"fabricated\"\"\n", n/10) + strings.Repeat("x", n) + "\n\""
		put(t, mem, "/in.csv", "a,b\n1,x\n2,"+long+"\n3,\"y\nz\"\nfoo,w\n")
		s := mustSource(t, connectors.Env{FS: mem, Dir: "/"},
			"{path: in.csv, format: {type: csv, header: true, multiline: true}, schema: {a: i32}, record_bytes_max: 1KiB}")
		e, _ := s.Enumerator(t.Context(), nil)
		splits, _, _ := e.Discover(t.Context())
		r, err := s.Open(t.Context(), splits[0], record.Position{})
		if err != nil {
			t.Fatal(err)
		}
		b := record.NewBatch(s.schema, 4)
		var bad []connectors.BadRecord
		for err == nil {
			err = r.Next(t.Context(), b, 100, &bad)
		}
		if err != io.EOF || b.Rows != 2 || len(bad) != 2 || b.Columns[0].Int(1) != 3 || !errcode.Is(bad[0].Reason, format.ErrTooLong) {
			t.Fatalf("n %d: %d rows, %d bad, %v", n, b.Rows, len(bad), err)
		}
		if want := fmt.Sprintf("line %d,", 3+n/10+2+2); !strings.Contains(bad[1].Reason.Error(), want) {
			t.Errorf("n %d: %v, want %s", n, bad[1].Reason, want)
		}
	}
}

// A path that was changed under a checkpoint is told of; a file that is gone is not a changed path.
func TestRestoredWithAnotherPath(t *testing.T) {
	for _, c := range []struct {
		path, tail, want string
	}{
		{"[b.log, 'a*.log']", "true", ""},
		{"/data/*.log", "false", ""},
		{"a*.log", "true", "files that match now are read as well; to begin anew with path as it is now, run with --fresh\" source=in files=1 first=b.log"},
		{"b.log", "false", "the job goes on with them, and other files are not read; to begin anew with path as it is now, run with --fresh\" source=in files=2 first=a1.log"},
	} {
		mem := vfs.NewMem()
		put(t, mem, "/data/a1.log", "1")
		put(t, mem, "/data/b.log", "2")
		var log bytes.Buffer
		env := connectors.Env{FS: mem, Dir: "/data", Name: "in", Log: slog.New(slog.NewTextHandler(&log, nil))}
		s := mustSource(t, env, fmt.Sprintf("{path: %s, format: raw, tail: %s}", c.path, c.tail))
		if _, err := s.Enumerator(t.Context(), []byte(`{"files":["a1.log","a2.log","b.log"]}`)); err != nil {
			t.Fatal(err)
		}
		if got := log.String(); (got != "") != (c.want != "") || !strings.Contains(got, c.want) {
			t.Errorf("path %s, tail %s: %q, want %q", c.path, c.tail, got, c.want)
		}
	}
}
