package vmtest

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/runtime/sandbox/meter"
	"github.com/tidemill/tidemill/runtime/sandbox/wasm"
)

// testSpecification runs the official suites of WebAssembly 1.0 and of 2.0 without SIMD, which lie in wazero's module, twice side
// by side: as they are and metered. Each command must give what the suite expects, and both must give the same bits. A suite that has
// moved or a runner that skips must not pass: so many assertions must run.
func testSpecification(t *testing.T, e Engine) {
	if testing.Short() {
		t.Skip("takes some 20 s")
	}
	root := filepath.Join(wazeroFolder(t), "internal", "integration_test", "spectest")
	host, err := os.ReadFile(filepath.Join(root, "testdata", "spectest.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range slices.Sorted(maps.Keys(e.Suites)) {
		files, err := filepath.Glob(filepath.Join(root, string(version), "testdata", "*.json"))
		if err != nil || len(files) == 0 {
			t.Fatalf("no suite %s: %v", version, err)
		}
		total := specCount{kinds: map[string]int{}, skipped: map[string]int{}}
		for _, file := range files {
			name := strings.TrimSuffix(filepath.Base(file), ".json")
			if strings.HasPrefix(name, "simd_") {
				total.skipped["files of SIMD"]++
				continue
			}
			t.Run(string(version)+"/"+name, func(t *testing.T) {
				runSpecFile(t, e, version, file, host, &total)
			})
		}
		t.Logf("%s: %d assertions: %v; skipped: %v", version, total.run, sorted(total.kinds), sorted(total.skipped))
		if total.run < e.Suites[version] {
			t.Errorf("%s: only %d assertions ran, there must be %d", version, total.run, e.Suites[version])
		}
	}
}

func sorted(counts map[string]int) []string {
	var list []string
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		list = append(list, fmt.Sprintf("%s %d", k, counts[k]))
	}
	return list
}

func wazeroFolder(t testing.TB) string {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		t.Fatalf("finding wazero's module: %v", err)
	}
	return strings.TrimSpace(string(out))
}

type specCount struct {
	run     int
	kinds   map[string]int
	skipped map[string]int
}

type specCommand struct {
	Type       string
	Line       int
	Name       string
	Filename   string
	As         string
	Text       string
	ModuleType string `json:"module_type"`
	Action     struct {
		Type   string
		Module string
		Field  string
		Args   []specValue
	}
	Expected []specValue
}

type specValue struct {
	Type  string
	Value any
}

// specSide is one of the two runs.
type specSide struct {
	linker  Linker
	meter   bool
	modules map[string]Module
	last    Module
}

func runSpecFile(t *testing.T, e Engine, version Version, file string, host []byte, total *specCount) {
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var script struct{ Commands []specCommand }
	if err := json.Unmarshal(raw, &script); err != nil {
		t.Fatal(err)
	}
	var sides [2]*specSide
	for i := range sides {
		s := &specSide{linker: e.Link(t, version, specRefuel), meter: i == 1, modules: map[string]Module{}}
		defer s.linker.Close()
		if _, err := s.linker.Instantiate(host, "spectest"); err != nil {
			t.Fatal(err)
		}
		sides[i] = s
	}
	for i := 0; i < len(script.Commands); i++ {
		c := &script.Commands[i]
		as := ""
		if next := i + 1; c.Type == "module" && next < len(script.Commands) && script.Commands[next].Type == "register" {
			as = script.Commands[next].As
			i++
		}
		skip, err := c.check(e, sides, filepath.Dir(file), as)
		switch {
		case err != nil:
			t.Errorf("line %d, %s: %v", c.Line, c.Type, err)
		case skip != "":
			total.skipped[skip]++
			continue
		}
		total.kinds[c.Type]++
		total.run++
	}
}

// specRefuel has tiny slices: every refuel is a place where a mistake could show.
func specRefuel(balance int64) int64 {
	if balance >= 0 {
		panic(fmt.Sprintf("refuel is called with %d", balance))
	}
	return balance + max(200, -balance)
}

// check runs one command on both sides. skip names why a command does not count.
func (c *specCommand) check(e Engine, sides [2]*specSide, folder, as string) (skip string, err error) {
	if c.ModuleType == "text" {
		return "modules as text", nil
	}
	switch c.Type {
	case "module":
		b, err := os.ReadFile(filepath.Join(folder, c.Filename))
		if err != nil {
			return "", err
		}
		for _, s := range sides {
			if s.last, err = s.instantiate(b, as); err != nil {
				return "", fmt.Errorf("metered %t: %w", s.meter, err)
			}
			if c.Name != "" {
				s.modules[c.Name] = s.last
			}
		}
		return "", nil
	case "assert_invalid", "assert_malformed", "assert_unlinkable", "assert_uninstantiable":
		b, err := os.ReadFile(filepath.Join(folder, c.Filename))
		if err != nil {
			return "", err
		}
		late := e.LateTables && c.Type == "assert_uninstantiable" && c.Text == "out of bounds table access"
		for _, s := range sides {
			if _, err := s.instantiate(b, ""); (err != nil) == late {
				return "", fmt.Errorf("metered %t: error %w, wanted one: %t", s.meter, err, !late)
			}
		}
		return "", nil
	case "assert_return", "action", "assert_trap", "assert_exhaustion":
		return "", c.act(sides)
	case "register":
		return "registrations", nil
	}
	return "", fmt.Errorf("unknown command")
}

func (s *specSide) instantiate(b []byte, as string) (Module, error) {
	if s.meter {
		m, err := wasm.Decode(b)
		if err != nil {
			return nil, err
		}
		if b, _, err = meter.Rewrite(m); err != nil {
			return nil, err
		}
	}
	return s.linker.Instantiate(b, as)
}

// act runs an action on both sides and compares them with each other and with the expectation.
func (c *specCommand) act(sides [2]*specSide) error {
	var results [2][]uint64
	var traps [2]string
	for i, s := range sides {
		m := s.last
		if c.Action.Module != "" {
			m = s.modules[c.Action.Module]
		}
		if c.Action.Type == "get" {
			results[i] = []uint64{m.Global(c.Action.Field)}
			continue
		}
		var args []uint64
		for _, a := range c.Action.Args {
			args = append(args, a.bits())
		}
		results[i], traps[i] = m.Call(c.Action.Field, args...)
	}
	plain, metered := traps[0], traps[1]
	wantTrap := c.Type == "assert_trap" || c.Type == "assert_exhaustion"
	if plain != metered || (plain != "") != wantTrap {
		return fmt.Errorf("%s: %q as it is, %q metered", c.Action.Field, plain, metered)
	}
	if wantTrap || c.Type == "action" {
		return nil
	}
	if len(results[0]) != len(c.Expected) || len(results[1]) != len(c.Expected) {
		return fmt.Errorf("%s: %d and %d results, expected %d", c.Action.Field, len(results[0]), len(results[1]), len(c.Expected))
	}
	for i, want := range c.Expected {
		for side, got := range results {
			if !want.accepts(got[i]) {
				return fmt.Errorf("%s: side %d gives %#x, expected %v", c.Action.Field, side, got[i], want)
			}
		}
		if a, b := results[0][i], results[1][i]; a != b && want.Type != "funcref" {
			return fmt.Errorf("%s: %#x as it is, %#x metered", c.Action.Field, a, b)
		}
	}
	return nil
}

// bits is a value as an argument. An external reference is n+1, and null is 0.
func (v specValue) bits() uint64 {
	s, is := v.Value.(string)
	if !is || s == "null" {
		return 0
	}
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		signed, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			panic(fmt.Sprintf("value %v: %v", v, err))
		}
		if n = uint64(signed); v.Type == "i32" {
			n = uint64(uint32(signed))
		}
	}
	if v.Type == "externref" {
		n++
	}
	return n
}

// accepts compares a result. "nan:canonical" and "nan:arithmetic" stand for sets of bit patterns.
func (v specValue) accepts(got uint64) bool {
	if v.Type == "funcref" || v.Type == "externref" && v.Value == nil {
		return v.Value != "null" || got == 0
	}
	if s, _ := v.Value.(string); strings.HasPrefix(s, "nan:") {
		if v.Type == "f32" {
			return math.IsNaN(float64(math.Float32frombits(uint32(got))))
		}
		return math.IsNaN(math.Float64frombits(got))
	}
	if v.Type == "i32" || v.Type == "f32" {
		got = uint64(uint32(got))
	}
	return got == v.bits()
}
