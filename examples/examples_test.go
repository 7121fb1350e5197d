// Package examples runs the commands of the examples' pages and compares what they print with what the pages say.
package examples

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tidemill/tidemill/runtime/cmd/tidemill/cli"
)

// waitMax bounds the wait for something that a job does.
const waitMax = time.Minute

// TestMain makes this binary the command `tidemill` of the pages: it is one where it is called by that name.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "tidemill" {
		os.Exit(cli.Main(os.Args[1:], cli.Process()))
	}
	os.Exit(withCommand(m.Run))
}

// withCommand calls run with the command in the path and an empty cache of modules.
func withCommand(run func() int) int {
	folder, err := os.MkdirTemp("", "examples-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	if err := os.Symlink(self, filepath.Join(folder, "tidemill")); err != nil {
		panic(err)
	}
	os.Setenv("PATH", folder+string(filepath.ListSeparator)+os.Getenv("PATH"))
	os.Setenv("TIDEMILL_CACHE", filepath.Join(folder, "cache"))
	for _, name := range []string{"INTERVAL", "CHECKPOINTS", "OUT", "CLICKS", "DISCOVERY", "IDLENESS", "QUIET", "TEXT", "TRANSACTIONS", "MODULE"} {
		os.Unsetenv(name) // what the jobs read
	}
	return run()
}

// compiled compiles the module that most examples use into the cache, so that they do not all do it at once.
var compiled = sync.OnceValue(func() error {
	if out, err := exec.Command("tidemill", "inspect", "sessions/sessions.wasm").CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
})

// example is a copy of an example's folder and the page that is being followed.
type example struct {
	t     *testing.T
	dir   string
	steps []step
	next  int
}

// step is a block of commands of a page and, where a block of text follows it, what the last of them prints.
type step struct {
	commands string
	output   string
	shown    bool
}

var block = regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)^```$")

// follow begins an example. All steps of its page must be taken until the test ends.
func follow(t *testing.T, name string) *example {
	t.Parallel()
	if err := compiled(); err != nil {
		t.Fatal(err)
	}
	work := t.TempDir()
	e := &example{t: t, dir: filepath.Join(work, name)}
	for _, folder := range []string{name, "sessions"} {
		modules, err := filepath.Glob(filepath.Join(folder, "*.wasm"))
		if err != nil {
			t.Fatal(err)
		}
		parts := []string{"job.yaml", "testdata", "expected.py"} // not what somebody's own runs have left
		for _, m := range modules {
			parts = append(parts, filepath.Base(m))
		}
		for _, part := range parts {
			copyTree(t, filepath.Join(folder, part), filepath.Join(work, folder, part))
		}
	}
	page, err := os.ReadFile(filepath.Join(name, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range block.FindAllStringSubmatch(string(page), -1) {
		switch m[1] {
		case "sh":
			e.steps = append(e.steps, step{commands: m[2]})
		case "text":
			last := &e.steps[len(e.steps)-1]
			last.output, last.shown = m[2], true
		}
	}
	t.Cleanup(func() {
		if !t.Failed() && e.next != len(e.steps) {
			t.Errorf("%d of the %d steps of the page were taken", e.next, len(e.steps))
		}
	})
	return e
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	info, err := os.Stat(from)
	if os.IsNotExist(err) {
		return
	}
	if err == nil && info.IsDir() {
		err = os.CopyFS(to, os.DirFS(from))
	} else if err == nil {
		var content []byte
		if content, err = os.ReadFile(from); err == nil {
			if err = os.MkdirAll(filepath.Dir(to), 0o755); err == nil {
				err = os.WriteFile(to, content, 0o644)
			}
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (e *example) step() step {
	e.t.Helper()
	if e.next == len(e.steps) {
		e.t.Fatal("the page has no more steps")
	}
	e.next++
	return e.steps[e.next-1]
}

// shell is a shell in the example's folder, in which settings count before those of the page.
func (e *example) shell(commands string, settings []string) *exec.Cmd {
	cmd := exec.CommandContext(e.t.Context(), "sh", "-ec", commands)
	cmd.Dir = e.dir
	cmd.Env = append(os.Environ(), settings...)
	return cmd
}

// run takes a step and waits for its end. What it prints is what the page shows, if it shows anything.
func (e *example) run(settings ...string) string {
	e.t.Helper()
	s := e.step()
	cmd := e.shell(s.commands, settings)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		e.t.Fatalf("%s%v\n%s", s.commands, err, stderr.String())
	}
	if s.shown && string(out) != s.output {
		e.t.Fatalf("%sprints\n%sthe page shows\n%s", s.commands, out, s.output)
	}
	return string(out)
}

// job is a job that runs beside the test.
type job struct {
	e      *example
	cmd    *exec.Cmd
	stderr string // name of a file
	ended  bool
}

// start takes a step whose last command is a job without end, and returns while it runs.
func (e *example) start(settings ...string) *job {
	e.t.Helper()
	return e.startWith(func(commands string) string { return commands }, settings...)
}

func (e *example) startWith(edit func(commands string) string, settings ...string) *job {
	e.t.Helper()
	commands := edit(e.step().commands)
	at := strings.LastIndex(commands, "tidemill run")
	if at < 0 {
		e.t.Fatalf("there is no job in\n%s", commands)
	}
	j := &job{e: e, stderr: filepath.Join(e.t.TempDir(), "stderr")}
	j.cmd = e.shell(commands[:at]+"exec "+commands[at:], settings) // so that signals reach the job
	file, err := os.Create(j.stderr)
	if err != nil {
		e.t.Fatal(err)
	}
	defer file.Close()
	j.cmd.Stdout, j.cmd.Stderr = file, file
	if err := j.cmd.Start(); err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() {
		if !j.ended {
			_ = j.cmd.Process.Kill()
			_ = j.cmd.Wait()
			e.t.Logf("the job was still running; it said:\n%s", j.said())
		}
	})
	return j
}

func (j *job) said() string {
	text, err := os.ReadFile(j.stderr)
	if err != nil {
		j.e.t.Error(err)
	}
	return string(text)
}

// stop sends the signal by which a job ends in order, and returns what it said.
func (j *job) stop(signal syscall.Signal) string {
	j.e.t.Helper()
	if err := j.cmd.Process.Signal(signal); err != nil {
		j.e.t.Fatal(err)
	}
	err := j.cmd.Wait()
	j.ended = true
	if err != nil {
		j.e.t.Fatalf("stopping the job: %v\n%s", err, j.said())
	}
	return j.said()
}

// rows are the lines of all published files that match, by the names of the files.
func (e *example) rows(pattern string) []string {
	e.t.Helper()
	files, err := filepath.Glob(filepath.Join(e.dir, pattern))
	if err != nil {
		e.t.Fatal(err)
	}
	var rows []string
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			e.t.Fatal(err)
		}
		if !bytes.HasSuffix(text, []byte("\n")) {
			e.t.Fatalf("%s does not end with a whole line: %q", name, text)
		}
		rows = append(rows, strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")...)
	}
	return rows
}

func (e *example) await(what string, done func() bool) {
	e.t.Helper()
	for start := time.Now(); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Since(start) > waitMax {
			e.t.Fatalf("waited %v for %s", waitMax, what)
		}
	}
}

func (e *example) awaitRows(pattern string, n int) {
	e.t.Helper()
	e.await(fmt.Sprintf("%d rows in %s", n, pattern), func() bool { return len(e.rows(pattern)) >= n })
}

// object reads a line of JSON.
func object(t *testing.T, text string) map[string]any {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return o
}

// TestTail follows a file that grows and one that appears, stops in the middle of a line and goes on when the line has its end.
func TestTail(t *testing.T) {
	e := follow(t, "tail")
	const out = "out/clicks_json-*.jsonl"
	settings := []string{"INTERVAL=20ms", "DISCOVERY=20ms"}
	first := e.start(settings...)
	e.awaitRows(out, 2)
	e.run()
	e.awaitRows(out, 4)
	e.run()
	e.awaitRows(out, 5)
	first.stop(syscall.SIGTERM)
	if got := e.rows(out); len(got) != 5 || strings.Contains(strings.Join(got, "\n"), `"page":"ca"`) {
		t.Fatalf("there are %d rows: %s", len(got), got)
	}
	e.run()
	second := e.start(settings...)
	e.awaitRows(out, 7)
	if said := second.stop(syscall.SIGINT); !regexp.MustCompile(`going on from checkpoint \d+ of .*: 5 records read`).MatchString(said) {
		t.Errorf("the second run said:\n%s", said)
	}
	e.run()

	var want []string // from the files themselves
	files, err := filepath.Glob(filepath.Join(e.dir, "in", "*.csv"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		for _, c := range readCSV(t, name) {
			want = append(want, fmt.Sprintf(`{"at":%q,"user":%q,"page":%q}`, c["at"], c["user"], c["page"]))
		}
	}
	got := e.rows(out)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func readCSV(t *testing.T, name string) (rows []map[string]string) {
	t.Helper()
	file, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range lines[1:] {
		row := map[string]string{}
		for i, column := range lines[0] {
			row[column] = l[i]
		}
		rows = append(rows, row)
	}
	return rows
}

// published is the name of a published file.
var published = regexp.MustCompile(`^(\w+)-(\d+)-(\d+)-(\d+)\.jsonl$`)

// TestRolling looks at the size of each file, at the checkpoint with which it was published, and at all records.
func TestRolling(t *testing.T) {
	const records, rollBytes, rollCheckpoints, recordBytesMax = 100_000, 256 << 10, 10, 100
	e := follow(t, "rolling")
	e.run()
	e.run()
	entries, err := os.ReadDir(filepath.Join(e.dir, "out"))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]string{}
	for _, entry := range entries {
		m := published.FindStringSubmatch(entry.Name())
		if m == nil {
			t.Errorf("%s is no published file", entry.Name())
			continue
		}
		files[m[1]] = append(files[m[1]], entry.Name())
	}
	for sink, names := range files { // in order: there is one subtask
		ids, last := 0, 0
		for i, name := range names {
			rows := e.rows("out/" + name)
			size := 0
			for _, row := range rows {
				size += len(row) + 1
				if id := object(t, row)["id"]; id != float64(ids) {
					t.Fatalf("%s: record %v follows %d", name, id, ids-1)
				}
				ids++
			}
			checkpoint, _ := strconv.Atoi(published.FindStringSubmatch(name)[2])
			switch {
			case sink == "by_size" && size >= rollBytes+64*recordBytesMax, sink == "by_size" && size < rollBytes && i < len(names)-1:
				t.Errorf("%s has %d bytes", name, size)
			case sink == "by_count" && checkpoint-last < rollCheckpoints && i < len(names)-1:
				t.Errorf("%s follows that of checkpoint %d", name, last)
			}
			last = checkpoint
		}
		if ids != records {
			t.Errorf("%s has %d records, want %d", sink, ids, records)
		}
	}
	if len(files) != 2 || len(files["by_size"]) < 10 {
		t.Errorf("too few files: %v", files)
	}
}

// TestDeadLetters compares each dead letter with the line of the input that it must come from.
func TestDeadLetters(t *testing.T) {
	e := follow(t, "dead-letters")
	e.run()
	letters := map[string]map[string]any{} // by the cause that is expected
	input, err := os.ReadFile(filepath.Join(e.dir, "testdata/clicks.csv"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(input), "\n")
	for row := range strings.Lines(e.run()) {
		o := object(t, row)
		if o["line"] == 3.0 {
			comparePage(t, o)
		}
		for _, cause := range []string{
			"a quote is open at the end of the line", `column at: "2026-03-01T25:00:00Z" is no timestamp`, "a click without a page",
		} {
			if strings.Contains(o["error"].(string), cause) {
				letters[cause] = o
			}
		}
		at := 0
		for n, line := range lines {
			if float64(at) != o["position"] {
				at += len(line)
				continue
			}
			switch o["node"] {
			case "clicks":
				if o["line"] != float64(n+1) || o["record"] != strings.TrimSuffix(line, "\n") {
					t.Errorf("line %d is %q, the letter says %v, %q", n+1, line, o["line"], o["record"])
				}
			case "sessions":
				record := object(t, o["record"].(string))
				if want := strings.Split(strings.TrimSpace(line), ","); record["at"] != want[0] || record["user"] != want[1] || record["page"] != nil {
					t.Errorf("line %d is %q, the letter says %v", n+1, line, record)
				}
			}
			o["found"] = true
			break
		}
		if o["found"] == nil {
			t.Errorf("no line begins at %v", o["position"])
		}
	}
	if len(letters) != 3 || len(e.rows("out/bad-*.jsonl")) != 3 {
		t.Errorf("dead letters: %v", letters)
	}
}

// comparePage compares a dead letter with the one on the page.
func comparePage(t *testing.T, got map[string]any) {
	t.Helper()
	page, err := os.ReadFile("dead-letters/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range block.FindAllStringSubmatch(string(page), -1) {
		if m[1] == "json" {
			for name, want := range object(t, m[2]) {
				if !reflect.DeepEqual(got[name], want) {
					t.Errorf("%s is %v, the page says %v", name, got[name], want)
				}
			}
			return
		}
	}
	t.Error("the page shows no dead letter")
}

// TestIdleness has two files of which one is silent: its sessions come out with the rule, and without it none.
func TestIdleness(t *testing.T) {
	e := follow(t, "idleness")
	const sessions = "out/sessions_json-*.jsonl"
	first := e.start("INTERVAL=20ms")
	e.awaitRows(sessions, 2)
	e.run()
	first.stop(syscall.SIGINT)
	if n := len(e.rows(sessions)); n != 2 {
		t.Errorf("%d sessions, want 2: that of one o'clock is open", n)
	}

	// Twenty checkpoints take twice as long as the rule of the first run.
	second := e.startWith(func(commands string) string {
		return strings.Replace(commands, "run ", "run --metrics :0 ", 1)
	}, "INTERVAL=100ms")
	e.await("four clicks", func() bool {
		return strings.Contains(get(t, second.address()), `tidemill_records_in_total{job="idleness",kind="operator",node="sessions",subtask="0"} 4`)
	})
	begin := get(t, second.address())
	e.await("twenty checkpoints after them", func() bool { return completed(t, get(t, second.address()))-completed(t, begin) >= 20 })
	second.stop(syscall.SIGTERM)
	if got := e.rows("out/never/*.jsonl"); len(got) > 0 {
		t.Errorf("sessions are over although the watermark is held: %s", got)
	}
}

var completions = regexp.MustCompile(`(?m)^tidemill_checkpoints_completed_total\{.*\} (\d+)$`)

// completed is how many checkpoints the metrics count.
func completed(t *testing.T, metrics string) int {
	t.Helper()
	m := completions.FindStringSubmatch(metrics)
	if m == nil {
		t.Fatalf("no checkpoints are counted in\n%s", metrics)
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

var serving = regexp.MustCompile(`serving metrics.* address=(127\.0\.0\.1:\d+)`)

// address waits until a job serves metrics, and is where.
func (j *job) address() string {
	j.e.t.Helper()
	var m []string
	j.e.await("the address of the metrics", func() bool {
		m = serving.FindStringSubmatch(j.said())
		return m != nil
	})
	return "http://" + m[1] + "/metrics"
}

func get(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", url, response.Status, err)
	}
	return string(body)
}

// TestProcessingTime waits for users to be gone, who are not gone before their time.
func TestProcessingTime(t *testing.T) {
	e := follow(t, "processing-time")
	const out = "out/changes-*.jsonl"
	const quiet = 400 * time.Millisecond
	begin := time.Now()
	j := e.start("INTERVAL=20ms", "QUIET="+quiet.String())
	e.awaitRows(out, 4)
	if took := time.Since(begin); took < quiet {
		t.Errorf("they are gone after %v, before %v", took, quiet)
	}
	e.run()
	begin = time.Now()
	e.run()
	e.awaitRows(out, 6)
	if took := time.Since(begin); took < quiet {
		t.Errorf("ann is gone again after %v, before %v", took, quiet)
	}
	j.stop(syscall.SIGINT)
	e.run()
	if n := len(e.rows(out)); n != 6 {
		t.Errorf("%d changes, want 6", n)
	}
}

// curl is what the page of metrics asks the endpoint for.
var curl = regexp.MustCompile(`^curl -s localhost:9464/metrics \| grep -e '(.*)' -e '(.*)'\n$`)

// TestMetrics asks the endpoint by itself, on a port that is free, and greps as the page does.
func TestMetrics(t *testing.T) {
	e := follow(t, "metrics")
	j := e.startWith(func(commands string) string { return strings.Replace(commands, ":9464", ":0", 1) }, "INTERVAL=20ms")
	e.awaitRows("out/sessions_json-*.jsonl", 1)
	s := e.step()
	m := curl.FindStringSubmatch(s.commands)
	if m == nil {
		t.Fatalf("the page asks by\n%s", s.commands)
	}
	pattern := regexp.MustCompile(m[1] + "|" + m[2])
	var got strings.Builder
	for line := range strings.Lines(get(t, j.address())) {
		if pattern.MatchString(line) {
			got.WriteString(line)
		}
	}
	if got.String() != s.output {
		t.Errorf("the endpoint says\n%sthe page shows\n%s", got.String(), s.output)
	}
	if said := j.stop(syscall.SIGTERM); !strings.Contains(said, "stopped") {
		t.Errorf("the job said:\n%s", said)
	}
}

// TestEveryExampleIsListed compares the table of README.md with the folders.
func TestEveryExampleIsListed(t *testing.T) {
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed, there []string
	for _, m := range regexp.MustCompile(`(?m)^\| \[([\w-]+)\]\(([\w-]+)\) \|`).FindAllStringSubmatch(string(page), -1) {
		if m[1] != m[2] {
			t.Errorf("%s links to %s", m[1], m[2])
		}
		listed = append(listed, m[1])
	}
	jobs, err := filepath.Glob("*/job.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range jobs {
		there = append(there, filepath.Dir(name))
	}
	slices.Sort(listed)
	if !slices.Equal(listed, there) {
		t.Errorf("README.md lists %v, there are %v", listed, there)
	}
}
