package connectortest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/connectors"
	_ "github.com/tidemill/tidemill/connectors/all"
	"github.com/tidemill/tidemill/connectors/blackhole"
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
				Files:   true,
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

func TestBlackholeCounts(t *testing.T) {
	s := newSink(t, connectors.Env{}, "blackhole", "{}").(*blackhole.Sink)
	if s.ExactlyOnce() {
		t.Error("a blackhole shows nothing, least of all exactly once")
	}
}
