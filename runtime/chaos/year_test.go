//go:build long

package chaos

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tidemill/tidemill/internal/failpoint"
	"github.com/tidemill/tidemill/internal/vfs"
	"github.com/tidemill/tidemill/runtime/checkpoint"
	"github.com/tidemill/tidemill/runtime/checkpoint/store/dir"
)

const (
	flights    = 336_776
	slowedTo   = 11 * time.Second // the slowed run takes at least ten
	exampleDir = "../../examples/late-flights"
)

// world is what all tests share: the binary, the data and what should come out.
type world struct {
	binary  string
	flights string
	want    map[string][]string // port -> canonical rows, sorted
}

func newWorld(t *testing.T) *world {
	t.Helper()
	tmp := t.TempDir()
	w := &world{binary: filepath.Join(tmp, "tidemill"), flights: filepath.Join(tmp, "flights.csv"), want: map[string][]string{}}
	build := exec.Command("go", "build", "-o", w.binary, "../cmd/tidemill")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building tidemill: %v\n%s", err, out)
	}
	unzip(t, "testdata/flights-2013.csv.zip", w.flights)
	expected := filepath.Join(tmp, "expected")
	python := exec.Command("python3", filepath.Join(exampleDir, "expected.py"), w.flights, expected)
	if out, err := python.CombinedOutput(); err != nil {
		t.Fatalf("expected.py: %v\n%s", err, out)
	}
	for _, port := range []string{"daily", "alerts"} {
		w.want[port] = rows(t, filepath.Join(expected, port+".jsonl"))
		if len(w.want[port]) < 1000 {
			t.Fatalf("only %d expected rows of %s", len(w.want[port]), port)
		}
	}
	return w
}

func unzip(t *testing.T, archive, to string) {
	t.Helper()
	z, err := zip.OpenReader(archive)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	in, err := z.File[0].Open()
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

// rows reads files of JSON lines as sorted canonical rows: keys in order, numbers by value.
func rows(t *testing.T, files ...string) []string {
	t.Helper()
	var list []string
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		for s := bufio.NewScanner(f); s.Scan(); {
			var row map[string]any
			if err := json.Unmarshal(s.Bytes(), &row); err != nil {
				t.Fatalf("%s: %v in %q", file, err, s.Text())
			}
			canonical, err := json.Marshal(row)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, string(canonical))
		}
		f.Close()
	}
	sort.Strings(list)
	return list
}

// run is one job in a folder of its own: its job.yaml is the example's at another speed.
type run struct {
	*world
	t    *testing.T
	dir  string
	args []string
}

func (w *world) newRun(t *testing.T, rate int, args ...string) *run {
	t.Helper()
	r := &run{world: w, t: t, dir: t.TempDir(), args: args}
	text, err := os.ReadFile(filepath.Join(exampleDir, "job.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	job := replaceOnce(t, string(text), "rate: 0", fmt.Sprintf("rate: %d", rate))
	job = replaceOnce(t, job, "interval: 1s", "interval: 200ms")
	if err := os.WriteFile(filepath.Join(r.dir, "job.yaml"), []byte(job), 0o644); err != nil {
		t.Fatal(err)
	}
	modules, err := filepath.Glob(filepath.Join(exampleDir, "*.wasm"))
	if err != nil || len(modules) == 0 {
		t.Fatalf("no module in %s: %v", exampleDir, err)
	}
	for _, m := range modules {
		b, err := os.ReadFile(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(r.dir, filepath.Base(m)), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func replaceOnce(t *testing.T, text, from, to string) string {
	t.Helper()
	if strings.Count(text, from) != 1 {
		t.Fatalf("job.yaml has %q %d times, want once", from, strings.Count(text, from))
	}
	return strings.Replace(text, from, to, 1)
}

func (r *run) command(failpoint string) (*exec.Cmd, *bytes.Buffer) {
	cmd := exec.Command(r.binary, append([]string{"run", "job.yaml"}, r.args...)...)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "FLIGHTS="+r.flights, "OUT="+filepath.Join(r.dir, "out"),
		"CHECKPOINTS="+filepath.Join(r.dir, "checkpoints"), "TIDEMILL_FAILPOINT="+failpoint)
	out := new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = out, out
	return cmd, out
}

func (r *run) toTheEnd() {
	r.t.Helper()
	cmd, out := r.command("")
	if err := cmd.Run(); err != nil {
		r.t.Fatalf("run: %v\n%s", err, out)
	}
}

// compare asserts that the published rows are exactly the expected ones, and that nothing unfinished is left.
func (r *run) compare() {
	r.t.Helper()
	out := filepath.Join(r.dir, "out")
	for port, want := range r.want {
		files, err := filepath.Glob(filepath.Join(out, port+"-*.jsonl"))
		if err != nil || len(files) == 0 {
			r.t.Fatalf("nothing published for %s: %v", port, err)
		}
		got := rows(r.t, files...)
		if len(got) != len(want) {
			r.t.Errorf("%s: %d rows, want %d", port, len(got), len(want))
		}
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				r.t.Fatalf("%s row %d:\n got %s\nwant %s", port, i, got[i], want[i])
			}
		}
	}
	if left, _ := filepath.Glob(filepath.Join(out, ".*.jsonl*")); len(left) > 0 {
		r.t.Errorf("unfinished output is left: %v", left)
	}
}

// state is what the store has complete: checkpoints, and the positions of the newest.
func (r *run) state() (checkpoints uint64, positions string, read int64) {
	view, err := dir.NewView(vfs.Disk, filepath.Join(r.dir, "checkpoints"))
	if err != nil {
		return 0, "no store yet", 0
	}
	m, err := checkpoint.Find(view, 0)
	if err != nil {
		return 0, "no checkpoint yet", 0
	}
	var parts []string
	for _, s := range m.Splits {
		parts = append(parts, fmt.Sprintf("%s at %d", s.Split.ID, s.Position.Offset))
		read += s.Position.Records
	}
	return m.Checkpoint, strings.Join(parts, ", "), read
}

// awaitCheckpoint returns when the store has its first checkpoint.
func (r *run) awaitCheckpoint() {
	r.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if n, _, _ := r.state(); n > 0 {
			return
		}
	}
	r.t.Fatal("no checkpoint within a minute")
}

func (r *run) reportKill(window string) {
	n, positions, read := r.state()
	fmt.Printf("killed in %-22s checkpoints done %3d, %6d of %d records: %s\n", window, n, read, flights, positions)
}

func killed(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

func TestYear(t *testing.T) {
	w := newWorld(t)
	for _, parallelism := range []string{"1", "2"} {
		t.Run("parallelism "+parallelism, func(t *testing.T) {
			r := w.newRun(t, 0, "--parallelism", parallelism)
			r.toTheEnd()
			r.compare()
		})
	}
}

func TestKill(t *testing.T) {
	w := newWorld(t)
	rate := int(flights / slowedTo.Seconds())
	seed := uint64(time.Now().UnixNano())
	fmt.Printf("seed %d\n", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for _, window := range failpoint.Names() {
		hit := 2 + random.IntN(8) // early enough for a slow machine, which completes fewer checkpoints
		t.Run(window, func(t *testing.T) {
			t.Parallel()
			r := w.newRun(t, rate)
			cmd, out := r.command(fmt.Sprintf("%s:%d", window, hit))
			if err := cmd.Run(); !killed(err) {
				t.Fatalf("the process was not killed at hit %d: %v\n%s", hit, err, out)
			}
			r.reportKill(window)
			r.toTheEnd()
			r.compare()
		})
	}
	for i := range 10 {
		after := time.Duration(random.Int64N(int64(slowedTo - 3*time.Second)))
		t.Run(fmt.Sprintf("random %d", i+1), func(t *testing.T) {
			t.Parallel()
			r := w.newRun(t, rate)
			cmd, out := r.command("")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if i > 0 { // the first is killed whether it has a checkpoint or not
				r.awaitCheckpoint()
			}
			time.Sleep(after) // the moment is the point: nothing is waited for
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); !killed(err) {
				t.Fatalf("the process ended before it was killed after %v: %v\n%s", after, err, out)
			}
			r.reportKill(fmt.Sprintf("random %v", after.Round(time.Millisecond)))
			r.toTheEnd()
			r.compare()
		})
	}
}
