package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tidemill/tidemill/runtime/cmd/tidemill/cli"
)

var rewrite = flag.Bool("rewrite", false, "write what commands print now into the scripts, where they compare it")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tidemill": main})
}

// TestScripts runs testdata/script/*.txtar, each in a folder of its own. Beside testscript's commands they have
//
//	fails CODE tidemill ARGS...     the command must exit with CODE; its output is for stdout and stderr
//	json PATH WANT                  the last standard output is one JSON object whose field at PATH (a.b.0) is WANT; >N, <N: a number
//	example NAME...                 copies examples: their jobs, modules and data, not what somebody's own runs have left
//	await GLOB [GLOB...]            waits until files match each pattern
//	signal NAME FILE                sends a signal to the process whose id is in FILE
//	flip FILE [OFFSET]              changes one byte of the newest file that matches, in its middle or at an offset
//	rows GLOB N                     all matching files together have N lines
//	awaitrows GLOB N                waits until they have at least N lines
//	fetch FILE PATTERN PATH [WANT]  reads http://ADDRESS/PATH into the file fetched, where PATTERN finds ADDRESS in FILE (waiting for
//	                                it), until it matches WANT
func TestScripts(t *testing.T) {
	root, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	cache := t.TempDir()
	goEnv := goEnvironment(t)
	for _, module := range []string{"late-flights/delays.wasm", "sessions/sessions.wasm"} {
		warm(t, filepath.Join(root, "examples", module), cache)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		UpdateScripts:       *rewrite,
		Condition: func(name string) (bool, error) {
			if name == "root" { // whom permissions do not stop
				return os.Geteuid() == 0, nil
			}
			return false, fmt.Errorf("no condition %q", name)
		},
		Setup: func(e *testscript.Env) error {
			e.Setenv("ROOT", root)
			e.Setenv("TIDEMILL_CACHE", cache)
			for name, value := range goEnv {
				e.Setenv(name, value)
			}
			// A path with the command and without a Go toolchain.
			e.Setenv("NOGO", strings.SplitN(e.Getenv("PATH"), string(filepath.ListSeparator), 2)[0])
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"fails": fails, "json": jsonField, "example": example, "await": await, "signal": signal, "flip": flip, "rows": rows, "awaitrows": awaitRows,
			"fetch": fetch,
		},
	})
}

// goEnvironment is what a Go toolchain needs in a script, whose home is not one.
func goEnvironment(t *testing.T) map[string]string {
	t.Helper()
	vars := map[string]string{"GOCACHE": "", "GOMODCACHE": "", "GOPROXY": "off", "GOFLAGS": ""}
	for _, name := range []string{"GOCACHE", "GOMODCACHE"} {
		out, err := exec.Command("go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		vars[name] = strings.TrimSpace(string(out))
	}
	return vars
}

// warm compiles a module into the cache, so that scripts that run beside each other do not all do it.
func warm(t *testing.T, module, cache string) {
	t.Helper()
	streams := cli.Process()
	streams.Stdout = io.Discard
	streams.Env = func(name string) (string, bool) {
		if name == "TIDEMILL_CACHE" {
			return cache, true
		}
		return os.LookupEnv(name)
	}
	if code := cli.Main([]string{"inspect", module}, streams); code != 0 {
		t.Fatalf("inspecting %s: exit code %d", module, code)
	}
}

// waitMax bounds the wait for something that another process does.
const waitMax = 2 * time.Minute

func poll(ts *testscript.TestScript, what string, done func() bool) {
	for start := time.Now(); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Since(start) > waitMax {
			ts.Fatalf("waited %v for %s", waitMax, what)
		}
	}
}

func fails(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: fails CODE command...")
	}
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || strconv.Itoa(exit.ExitCode()) != args[0] {
		ts.Fatalf("exit code %s is wanted: %v", args[0], err)
	}
}

func example(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: example NAME...")
	}
	for _, name := range args {
		folder := filepath.Join(ts.Getenv("ROOT"), "examples", name)
		modules, err := filepath.Glob(filepath.Join(folder, "*.wasm"))
		ts.Check(err)
		for _, path := range append(modules, filepath.Join(folder, "job.yaml")) {
			if content, err := os.ReadFile(path); err == nil { // the folder of the shared module has no job
				ts.Check(os.MkdirAll(ts.MkAbs(name), 0o755))
				ts.Check(os.WriteFile(filepath.Join(ts.MkAbs(name), filepath.Base(path)), content, 0o644))
			}
		}
		if data := filepath.Join(folder, "testdata"); exists(data) {
			ts.Check(os.CopyFS(filepath.Join(ts.MkAbs(name), "testdata"), os.DirFS(data)))
		}
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func jsonField(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: json PATH WANT")
	}
	d := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		ts.Fatalf("standard output is no JSON: %v", err)
	}
	if _, err := d.Token(); err != io.EOF {
		ts.Fatalf("standard output is more than one JSON object")
	}
	for _, name := range strings.Split(args[0], ".") {
		switch at := v.(type) {
		case map[string]any:
			v = at[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i >= len(at) {
				ts.Fatalf("%s: no element %s of %d", args[0], name, len(at))
			}
			v = at[i]
		default:
			ts.Fatalf("%s: nothing at %s", args[0], name)
		}
	}
	if matches(v, args[1]) == neg {
		got, _ := json.Marshal(v)
		ts.Fatalf("%s is %s, want %s", args[0], got, args[1])
	}
}

func matches(v any, want string) bool {
	if n, ok := v.(json.Number); ok && (want[0] == '>' || want[0] == '<') {
		got, _ := n.Float64()
		limit, err := strconv.ParseFloat(want[1:], 64)
		return err == nil && (want[0] == '>' && got > limit || want[0] == '<' && got < limit)
	}
	if s, ok := v.(string); ok {
		return s == want || strings.HasPrefix(want, "~") && strings.Contains(s, want[1:])
	}
	text, err := json.Marshal(v)
	return err == nil && string(text) == want
}

func await(ts *testscript.TestScript, _ bool, patterns []string) {
	for _, p := range patterns {
		poll(ts, p, func() bool {
			found, err := filepath.Glob(ts.MkAbs(p))
			return err == nil && len(found) > 0
		})
	}
}

func signal(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(exec.Command("kill", "-"+args[0], strings.TrimSpace(ts.ReadFile(args[1]))).Run())
}

func flip(ts *testscript.TestScript, _ bool, args []string) {
	found, err := filepath.Glob(ts.MkAbs(args[0]))
	ts.Check(err)
	if len(found) == 0 {
		ts.Fatalf("no file matches %s", args[0])
	}
	name := found[len(found)-1]
	content, err := os.ReadFile(name)
	ts.Check(err)
	at := len(content) / 2
	if len(args) > 1 {
		at, err = strconv.Atoi(args[1])
		ts.Check(err)
	}
	content[at] ^= 0x40
	ts.Check(os.WriteFile(name, content, 0o644))
}

// lines counts the lines of all files that match. A file that is being taken back is passed over.
func lines(ts *testscript.TestScript, pattern string) (files, n int) {
	found, err := filepath.Glob(ts.MkAbs(pattern))
	ts.Check(err)
	for _, name := range found {
		content, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		ts.Check(err)
		n += bytes.Count(content, []byte("\n"))
	}
	return len(found), n
}

func rows(ts *testscript.TestScript, _ bool, args []string) {
	if files, n := lines(ts, args[0]); strconv.Itoa(n) != args[1] {
		ts.Fatalf("%d files have %d lines, want %s", files, n, args[1])
	}
}

func awaitRows(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[1])
	ts.Check(err)
	poll(ts, strings.Join(args, " "), func() bool {
		_, n := lines(ts, args[0])
		return n >= want
	})
}

func fetch(ts *testscript.TestScript, _ bool, args []string) {
	pattern := regexp.MustCompile(args[1])
	var address []string
	poll(ts, args[1], func() bool {
		content, err := os.ReadFile(ts.MkAbs(args[0]))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			ts.Check(err)
		}
		address = pattern.FindStringSubmatch(string(content))
		return address != nil
	})
	want := regexp.MustCompile(strings.Join(args[3:], ""))
	poll(ts, strings.Join(args[2:], " with "), func() bool {
		response, err := http.Get("http://" + address[1] + args[2])
		ts.Check(err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		ts.Check(err)
		if response.StatusCode != http.StatusOK {
			ts.Fatalf("status %s", response.Status)
		}
		ts.Check(os.WriteFile(ts.MkAbs("fetched"), body, 0o644))
		return want.Match(body)
	})
}
