package connectortest_test

import (
	"bytes"
	"context"
	stdcsv "encoding/csv"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/connectors"
	_ "github.com/tidemill/tidemill/connectors/all"
	"github.com/tidemill/tidemill/connectors/collect"
	"github.com/tidemill/tidemill/connectors/connectortest"
	"github.com/tidemill/tidemill/connectors/spec"
	"github.com/tidemill/tidemill/internal/vfs"
)

func newSink(t *testing.T, env connectors.Env, name, options string) connectors.Sink {
	t.Helper()
	typ := connectors.LookupSink(name)
	v, errs := spec.ParseText(options, typ.Options)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	s, err := typ.New(context.Background(), env, v)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// published reads the lines of the files that a user sees.
func published(t *testing.T, fs vfs.FS) []string {
	t.Helper()
	entries, err := fs.ReadDir(connectortest.Dir + "/out")
	if err != nil {
		return nil
	}
	var lines []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if !strings.HasPrefix(e.Name(), "out-") || !strings.HasSuffix(e.Name(), ".jsonl") {
			t.Fatalf("a file called %s", e.Name())
		}
		data, err := vfs.ReadFile(fs, connectortest.Dir+"/out/"+e.Name())
		if err != nil {
			t.Fatal(err)
		}
		if len(data) == 0 || data[len(data)-1] != '\n' {
			t.Fatalf("%s has no whole lines: %q", e.Name(), data)
		}
		for _, line := range strings.Split(strings.TrimSuffix(string(data), "\n"), "\n") {
			if !json.Valid([]byte(line)) {
				t.Fatalf("%s has the line %q", e.Name(), line)
			}
			lines = append(lines, line)
		}
	}
	return lines
}

func TestFileSink(t *testing.T) {
	for name, options := range map[string]string{
		"a file a checkpoint": "{path: out}",
		"small files":         "{path: out, roll_bytes: 1KiB}",
		"three checkpoints":   "{path: out, roll_checkpoints: 3}",
		"both":                "{path: out, roll_checkpoints: 2, roll_bytes: 1KiB}",
	} {
		t.Run(name, func(t *testing.T) {
			connectortest.TestSink(t, connectortest.Sink{
				New: func(t *testing.T, env connectors.Env, _ bool) connectors.Sink {
					return newSink(t, env, "file", options)
				},
				Visible: published,
				Unfinished: func(t *testing.T, fs vfs.FS) []string {
					entries, err := fs.ReadDir(connectortest.Dir + "/out")
					if err != nil {
						t.Fatal(err)
					}
					var left []string
					for _, e := range entries {
						if strings.HasSuffix(e.Name(), ".open") {
							left = append(left, e.Name())
						}
					}
					return left
				},
				Files: true,
			})
		})
	}
}

func TestCollectSink(t *testing.T) {
	connectortest.TestSink(t, connectortest.Sink{
		New: func(t *testing.T, env connectors.Env, fresh bool) connectors.Sink {
			if fresh {
				collect.Forget(t.Name())
			}
			return newSink(t, env, "collect", fmt.Sprintf("{into: %q}", t.Name()))
		},
		Visible: func(t *testing.T, _ vfs.FS) []string { return collect.Named(t.Name()).Lines() },
	})
}

func TestStdoutSink(t *testing.T) {
	var out bytes.Buffer
	connectortest.TestSink(t, connectortest.Sink{
		New: func(t *testing.T, env connectors.Env, fresh bool) connectors.Sink {
			if fresh {
				out.Reset()
			}
			env.Stdout = &out
			return newSink(t, env, "stdout", "{}")
		},
		Visible: func(t *testing.T, _ vfs.FS) []string {
			return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
		},
	})
}

func newSource(t *testing.T, env connectors.Env, name, options string) connectors.Source {
	t.Helper()
	typ := connectors.LookupSource(name)
	v, errs := spec.ParseText(options, typ.Options)
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	s, err := typ.New(context.Background(), env, v)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sample is records of a made-up stream, as text in a format and as the lines of JSON that they decode to, made by the standard
// library alone.
func sample(format string, n int) (data []byte, want []string, bad int) {
	random := rand.New(rand.NewPCG(7, 0))
	var out bytes.Buffer
	w := stdcsv.NewWriter(&out)
	w.UseCRLF = n%2 == 1
	if format == "csv" {
		w.Write([]string{"note", "id", "delay", "at"})
	}
	for id := range n {
		note := strings.Repeat("é,\"x", random.IntN(40))
		delay, delayText := "null", ""
		if random.IntN(3) > 0 {
			delayText = strconv.Itoa(random.IntN(200) - 50)
			delay = delayText
		}
		at := time.Unix(random.Int64N(2e9), 0).UTC().Format(time.RFC3339)
		isBad := random.IntN(50) == 0
		if isBad {
			bad++
			delayText, delay = "soon", `"soon"`
		}
		quoted, err := json.Marshal(note)
		if err != nil {
			panic(err)
		}
		line := fmt.Sprintf(`{"id":%d,"delay":%s,"at":"%s","note":%s}`, id, delay, at, quoted)
		if !isBad {
			want = append(want, line)
		}
		switch format {
		case "csv":
			w.Write([]string{note, strconv.Itoa(id), delayText, at})
		default:
			out.WriteString(line + "\n")
		}
	}
	w.Flush()
	return out.Bytes(), want, bad
}

const sampleSchema = "schema: {id: i64, delay: i32?, at: timestamp, note: utf8}"

func TestFileSource(t *testing.T) {
	put := func(t *testing.T, f vfs.FS, name string, data []byte) {
		t.Helper()
		if err := f.MkdirAll(connectortest.Dir + "/in"); err != nil {
			t.Fatal(err)
		}
		file, err := f.Create(connectortest.Dir + "/in/" + name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := file.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		options, format string
		files           []int // records of each
		splitsMin       int
		cutTail         bool // the last line has no line end
	}{
		"csv":          {"{path: in/a0, format: {type: csv, header: true}, split_bytes: 64KiB, " + sampleSchema + "}", "csv", []int{4000}, 5, false},
		"csv, crlf":    {"{path: in/a0, format: {type: csv, header: true}, split_bytes: 64KiB, " + sampleSchema + "}", "csv", []int{2001}, 3, true},
		"multiline":    {"{path: in/a0, format: {type: csv, header: true, multiline: true}, " + sampleSchema + "}", "csv", []int{2000}, 1, true},
		"json":         {"{path: in/a0, format: json, " + sampleSchema + "}", "json", []int{3000}, 3, true},
		"many files":   {"{path: [in/a*, in/a0], format: json, " + sampleSchema + "}", "json", []int{0, 900, 1, 1500}, 4, false},
		"tiny records": {"{path: in/a0, format: json, record_bytes_max: 1KiB, " + sampleSchema + "}", "json", []int{1500}, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			mem := vfs.NewMem()
			var want []string
			bad := 0
			for i, n := range c.files {
				data, lines, badHere := sample(c.format, n)
				if c.cutTail {
					data = bytes.TrimRight(data, "\r\n")
				}
				put(t, mem, fmt.Sprintf("a%d", i), data)
				want, bad = append(want, lines...), bad+badHere
			}
			put(t, mem, ".a0", []byte("hidden"))
			connectortest.TestSource(t, connectortest.Source{
				New: func(t *testing.T) connectors.Source {
					return newSource(t, connectors.Env{FS: mem, Dir: connectortest.Dir, Name: "in", Parallelism: 3}, "file", c.options)
				},
				Want: want, Bad: bad, SplitsMin: c.splitsMin,
			})
		})
	}
}

func TestDatagenSource(t *testing.T) {
	const rows = 5000
	var want []string
	for id := range rows {
		at := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(id) * 1500 * time.Microsecond).Format(time.RFC3339Nano)
		want = append(want, fmt.Sprintf(`{"id":%d,"at":"%s"}`, 10+3*id, at))
	}
	connectortest.TestSource(t, connectortest.Source{
		New: func(t *testing.T) connectors.Source {
			return newSource(t, connectors.Env{Parallelism: 3}, "datagen",
				fmt.Sprintf("{rows: %d, columns: {id: {kind: sequence, start: 10, step: 3}, at: {kind: time, every: 1500us}}}", rows))
		},
		Want: want, SplitsMin: 3,
	})
}
