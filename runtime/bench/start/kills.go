package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/tidemill/tidemill/runtime/bench/measure"
)

// The job is the example at a rate at which its month takes some ten seconds, with a checkpoint every 200 ms: rows are published
// when the checkpoint after them is complete.
const (
	rate     = "2700"
	interval = "200ms"
	wait     = time.Minute // for a row, at most
)

// kills measures P7: A is the first kill of a run, A/A the second, B the first row of the same run's start from the beginning.
func kills(root string, repeats int) ([]*measure.Result, error) {
	folder, err := os.MkdirTemp("", "start")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	binary := filepath.Join(folder, "tidemill")
	build := exec.Command("go", "build", "-o", binary, "./runtime/cmd/tidemill")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building tidemill: %w\n%s", err, out)
	}
	r := &measure.Result{Bench: "P7", What: "kill -9 of tidemill run to the first new published row, checkpoints every " + interval,
		A: "start again after kill -9", B: "start from the beginning", Unit: "start", Units: 1, Budget: "A <= 1 s, wall",
		Output: "after two kills the rows of alerts and daily equal those of expected.py, and every row counted was one of them",
		Notes:  "ratios are of wall time; CPU time of the processes is not taken"}
	var first, again, cold, ab, aa []float64
	for i := range repeats {
		t, err := newTrial(binary, root, filepath.Join(folder, fmt.Sprint("run-", i)))
		if err != nil {
			return nil, err
		}
		took, err := t.measure()
		if err != nil {
			return nil, err
		}
		b, a, second := float64(took[0]), float64(took[1]), float64(took[2])
		r.Pairs = append(r.Pairs, measure.Pair{A: measure.Sample{WallNs: a}, B: measure.Sample{WallNs: b}})
		r.AA = append(r.AA, measure.Sample{WallNs: second})
		first, again, cold, ab, aa = append(first, a), append(again, second), append(cold, b), append(ab, a/b), append(aa, a/second)
	}
	r.RatioAB, r.RatioAA = measure.SpreadOf(ab), measure.SpreadOf(aa)
	r.WallNsA, r.WallNsB = measure.SpreadOf(append(first, again...)), measure.SpreadOf(cold)
	return []*measure.Result{r}, nil
}

// trial is one job in a folder of its own.
type trial struct {
	binary, folder string
	env            []string
	expected       map[string]int // rows not yet published
}

func newTrial(binary, root, folder string) (*trial, error) {
	example := filepath.Join(root, "examples", "late-flights")
	r := &trial{binary: binary, folder: folder, expected: map[string]int{}, env: append(os.Environ(), "FLIGHTS="+filepath.Join(example, "testdata", "flights.csv"),
		"OUT="+filepath.Join(folder, "out"), "CHECKPOINTS="+filepath.Join(folder, "checkpoints"),
		"TIDEMILL_CACHE="+filepath.Join(filepath.Dir(folder), "cache"))}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	job, err := os.ReadFile(filepath.Join(example, "job.yaml"))
	if err != nil {
		return nil, err
	}
	text := strings.NewReplacer("rate: 0", "rate: "+rate, "interval: 1s", "interval: "+interval,
		"module: delays.wasm", "module: "+filepath.Join(example, "delays.wasm")).Replace(string(job))
	for _, port := range []string{"daily", "alerts"} {
		rows, err := lines(filepath.Join(example, "testdata", "expected-30-120", port+".jsonl"))
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			r.expected[canonical(row)]++
		}
	}
	return r, os.WriteFile(filepath.Join(folder, "job.yaml"), []byte(text), 0o644)
}

// measure runs the job, kills it twice, and returns how long each of the three processes took to its first new row.
func (r *trial) measure() (took [3]time.Duration, err error) {
	begin := time.Now()
	for i := range took {
		cmd := exec.Command(r.binary, "run", "job.yaml")
		cmd.Dir, cmd.Env = r.folder, r.env
		var out strings.Builder
		cmd.Stdout, cmd.Stderr = &out, &out
		before, err := r.published()
		if err != nil {
			return took, err
		}
		if err := cmd.Start(); err != nil {
			return took, err
		}
		for {
			now, err := r.published()
			if err == nil && len(now) > len(before) {
				took[i] = time.Since(begin)
				err = r.check(now)
			}
			if err == nil && time.Since(begin) > wait {
				err = fmt.Errorf("no new row within %v", wait)
			}
			if err != nil {
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
				return took, fmt.Errorf("%w\n%s", err, out.String())
			}
			if took[i] > 0 {
				break
			}
			time.Sleep(time.Millisecond)
		}
		if i == len(took)-1 {
			if err := cmd.Wait(); err != nil {
				return took, fmt.Errorf("the last process: %w\n%s", err, out.String())
			}
			break
		}
		time.Sleep(time.Second) // into the middle, between two checkpoints or in one
		begin = time.Now()
		if err := cmd.Process.Kill(); err != nil {
			return took, err
		}
		_ = cmd.Wait() // reports the kill
	}
	now, err := r.published()
	if err != nil {
		return took, err
	}
	total := 0
	for _, n := range r.expected {
		total += n
	}
	if len(now) != total {
		return took, fmt.Errorf("%d rows at the end, expected %d", len(now), total)
	}
	return took, r.check(now)
}

// published is all rows of the files under their final names.
func (r *trial) published() (rows []string, err error) {
	for _, port := range []string{"daily", "alerts"} {
		files, err := filepath.Glob(filepath.Join(r.folder, "out", port+"-*.jsonl"))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			list, err := lines(file)
			if err != nil {
				return nil, err
			}
			rows = append(rows, list...)
		}
	}
	return rows, nil
}

// check says whether each row is an expected one and none is there too often.
func (r *trial) check(rows []string) error {
	seen := map[string]int{}
	for _, row := range rows {
		row = canonical(row)
		if seen[row]++; seen[row] > r.expected[row] {
			return fmt.Errorf("row %s was published %d times, expected %d", row, seen[row], r.expected[row])
		}
	}
	return nil
}

// canonical is a row of JSON with its members in order.
func canonical(row string) string {
	var members map[string]any
	if err := json.Unmarshal([]byte(row), &members); err != nil {
		return row
	}
	text, err := json.Marshal(members)
	if err != nil {
		return row
	}
	return string(text)
}

func lines(file string) (list []string, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		list = append(list, s.Text())
	}
	return list, s.Err()
}
