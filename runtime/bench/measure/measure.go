// Package measure takes figures that can be trusted on a shared machine: two programs in turn (A B A B ...), the ratio pair by
// pair, the same program against itself beside it (A/A), CPU time of the whole process beside wall time, and the outputs
// checked before any timing counts. Results are appended to runtime/bench/results with the commit and the machine, never
// rewritten.
package measure

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"syscall"
	"time"
)

// Side is one of the two programs of a comparison.
type Side struct {
	Name string
	// Run does the work once and returns how many records (or other units) it was and a text that describes its output; the
	// text is compared with Want before the figures count.
	Run  func() (units int64, output string, err error)
	Want string
}

// Sample is one run.
type Sample struct {
	WallNs float64 `json:"wall_ns"` // a unit
	CPUNs  float64 `json:"cpu_ns"`  // a unit: user and system of the whole process
}

// Pair is a run of A and the run of B right after it.
type Pair struct {
	A, B Sample
}

// Result is one line of a results file.
type Result struct {
	Bench   string   `json:"bench"` // P1, P4-hot ...
	What    string   `json:"what"`
	A       string   `json:"a"`
	B       string   `json:"b,omitempty"`
	Unit    string   `json:"unit"` // what was counted: "record"
	Units   int64    `json:"units"`
	Pairs   []Pair   `json:"pairs"`
	AA      []Sample `json:"aa"` // A once more, after each pair: A/A shows the noise
	RatioAB Spread   `json:"ratio_a_b"`
	RatioAA Spread   `json:"ratio_a_a"`
	CPUNsA  Spread   `json:"cpu_ns_a"`
	CPUNsB  Spread   `json:"cpu_ns_b"`
	WallNsA Spread   `json:"wall_ns_a"`
	WallNsB Spread   `json:"wall_ns_b"`
	Output  string   `json:"output_check"` // how the outputs were checked
	Budget  string   `json:"budget,omitempty"`
	Notes   string   `json:"notes,omitempty"`
	// Figures are what else was measured, by a name that tells the unit.
	Figures map[string]float64 `json:"figures,omitempty"`
	Commit  string             `json:"commit"`
	Machine string             `json:"machine"`
	Go      string             `json:"go"`
	When    string             `json:"when"`
}

// Spread is the minimum, median and maximum of a figure.
type Spread struct {
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	Max    float64 `json:"max"`
}

// SpreadOf summarises values.
func SpreadOf(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	v := append([]float64(nil), values...)
	sort.Float64s(v)
	median := v[len(v)/2]
	if len(v)%2 == 0 {
		median = (v[len(v)/2-1] + v[len(v)/2]) / 2
	}
	return Spread{v[0], median, v[len(v)-1]}
}

// CPU is the user and system time that the process has used.
func CPU() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// Compare runs A, B, A in turn, pairs times after one run each that does not count. Ratios are of CPU time.
func Compare(bench, what, unit string, pairs int, a, b Side) (*Result, error) {
	r := &Result{Bench: bench, What: what, A: a.Name, B: b.Name, Unit: unit,
		Output: "each run's output equals the expected one: " + clip(a.Want)}
	for i := -1; i < pairs; i++ {
		sa, n, err := once(a)
		if err != nil {
			return nil, err
		}
		sb, _, err := once(b)
		if err != nil {
			return nil, err
		}
		again, _, err := once(a)
		if err != nil {
			return nil, err
		}
		if i < 0 {
			continue // warm-up
		}
		r.Units = n
		r.Pairs = append(r.Pairs, Pair{sa, sb})
		r.AA = append(r.AA, again)
	}
	r.summarise()
	return r, nil
}

func clip(s string) string {
	if len(s) > 200 {
		return s[:200] + "..."
	}
	return s
}

func once(s Side) (Sample, int64, error) {
	runtime.GC()
	cpu, start := CPU(), time.Now()
	units, output, err := s.Run()
	wall, used := time.Since(start), CPU()-cpu
	if err != nil {
		return Sample{}, 0, fmt.Errorf("%s: %w", s.Name, err)
	}
	if output != s.Want {
		return Sample{}, 0, fmt.Errorf("%s: the output is %q, expected %q: no timing counts", s.Name, output, s.Want)
	}
	return Sample{float64(wall.Nanoseconds()) / float64(units), float64(used.Nanoseconds()) / float64(units)}, units, nil
}

func (r *Result) summarise() {
	var ab, aa, ca, cb, wa, wb []float64
	for i, p := range r.Pairs {
		ab = append(ab, p.A.CPUNs/p.B.CPUNs)
		aa = append(aa, p.A.CPUNs/r.AA[i].CPUNs)
		ca, cb = append(ca, p.A.CPUNs), append(cb, p.B.CPUNs)
		wa, wb = append(wa, p.A.WallNs), append(wb, p.B.WallNs)
	}
	r.RatioAB, r.RatioAA = SpreadOf(ab), SpreadOf(aa)
	r.CPUNsA, r.CPUNsB, r.WallNsA, r.WallNsB = SpreadOf(ca), SpreadOf(cb), SpreadOf(wa), SpreadOf(wb)
}

// Append adds the result as one JSON line to runtime/bench/results/<file>.jsonl below root, the module's folder.
func (r *Result) Append(root, file string) error {
	r.Commit, r.Machine, r.Go = Commit(root), Machine(), runtime.Version()
	r.When = time.Now().UTC().Format(time.RFC3339)
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(root, "runtime", "bench", "results", file+".jsonl"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := f.Write(append(line, '\n')); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// Print writes the result for people.
func (r *Result) Print(w io.Writer) {
	fmt.Fprintf(w, "%s  %s (%d %ss a run, %d pairs)\n", r.Bench, r.What, r.Units, r.Unit, len(r.Pairs))
	row := func(name string, s Spread) {
		fmt.Fprintf(w, "  %-34s min %9.2f  median %9.2f  max %9.2f\n", name, s.Min, s.Median, s.Max)
	}
	row("A cpu ns/"+r.Unit+": "+r.A, r.CPUNsA)
	row("B cpu ns/"+r.Unit+": "+r.B, r.CPUNsB)
	row("A/B", r.RatioAB)
	row("A/A", r.RatioAA)
	if r.Budget != "" {
		fmt.Fprintf(w, "  budget: %s\n", r.Budget)
	}
}

// Commit names the checkout, with "+" where it has changes.
func Commit(root string) string {
	out, err := exec.Command("git", "-C", root, "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	commit := strings.TrimSpace(string(out))
	if dirty, err := exec.Command("git", "-C", root, "status", "--porcelain", "-uno").Output(); err == nil && len(dirty) > 0 {
		commit += "+"
	}
	return commit
}

// Machine describes the processor and memory.
func Machine() string {
	model := runtime.GOARCH
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			if name, ok := strings.CutPrefix(s.Text(), "model name"); ok {
				model = strings.TrimLeft(name, "\t :")
				break
			}
		}
	}
	return fmt.Sprintf("%s, %d cores, %s", model, runtime.NumCPU(), runtime.GOOS)
}

// Root is the module's folder, found upwards from the working folder.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if b, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil && strings.Contains(string(b), "module github.com/tidemill/tidemill\n") {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("no go.mod of tidemill above the working folder")
		}
		dir = parent
	}
}
