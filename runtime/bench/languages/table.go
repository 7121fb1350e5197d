package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tidemill/tidemill/runtime/bench/measure"
)

// resultsName is the file of results, page where their tables are.
const (
	resultsName = "languages"
	page        = "docs/languages.md"
)

// The tables stand between these lines of the page.
const (
	begin = "<!-- begin of the tables that `go run ./runtime/bench/languages -write` writes -->\n"
	end   = "<!-- end of the tables -->\n"
)

// writeTables rewrites the tables of the page.
func writeTables(root string) error {
	path := filepath.Join(root, filepath.FromSlash(page))
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	fresh, err := withTables(root, string(text))
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(fresh), 0o644)
}

// withTables is the page's text with tables of the latest results.
func withTables(root, text string) (string, error) {
	latest, err := latestResults(root)
	if err != nil {
		return "", err
	}
	before, rest, found := strings.Cut(text, begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		return "", fmt.Errorf("%s has no place for the tables", page)
	}
	return before + begin + "\n" + startTable(latest) + "\n" + recordTable(latest) + "\n" + provenance(latest) + "\n" + end + after, nil
}

// latestResults are the last results of each comparison, by what was compared.
func latestResults(root string) (map[string]*measure.Result, error) {
	f, err := os.Open(filepath.Join(root, "runtime", "bench", "results", resultsName+".jsonl"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	latest := map[string]*measure.Result{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		r := new(measure.Result)
		if err := json.Unmarshal(lines.Bytes(), r); err != nil {
			return nil, err
		}
		latest[r.What] = r
	}
	return latest, lines.Err()
}

var titles = map[string]string{"go": "Go", "rust": "Rust", "python": "Python"}

func startTable(latest map[string]*measure.Result) string {
	rows := []struct {
		title string
		value func(r *measure.Result) string
	}{
		{"module", func(r *measure.Result) string { return size(r.Figures["module_bytes"]) }},
		{"interpreter, in the binary and once a process", func(r *measure.Result) string { return size(r.Figures["base_bytes"]) }},
		{"a module (or interpreter) that no cache has", func(r *measure.Result) string { return ms(r.Figures["new_cpu_ms"]) }},
		{"first record of a new process, compiled code on disk", func(r *measure.Result) string { return ms(r.CPUNsA.Median / 1e6) }},
		{"plan and first record, compiled in the process", func(r *measure.Result) string { return ms(r.CPUNsB.Median / 1e6) }},
		{"one more instance", func(r *measure.Result) string { return ms(r.Figures["instance_cpu_ms"]) }},
		{"private memory of an instance", func(r *measure.Result) string { return size(r.Figures["instance_bytes"]) }},
	}
	var b strings.Builder
	b.WriteString("| CPU time, or size | Go | Rust | Python |\n|---|---|---|---|\n")
	for _, row := range rows {
		fmt.Fprintf(&b, "| %s |", row.title)
		for _, language := range languages {
			cell := "-"
			if r := latest[startOf(language)]; r != nil {
				cell = row.value(r)
			}
			fmt.Fprintf(&b, " %s |", cell)
		}
		b.WriteString("\n")
	}
	return b.String()
}

func startOf(language string) string { return language + ": start to the first record" }

func recordTable(latest map[string]*measure.Result) string {
	var b strings.Builder
	b.WriteString("| ns of CPU a record | rows a batch | native Go | Go | Rust | Python |\n|---|---|---|---|---|---|\n")
	for _, w := range workloads {
		for _, rows := range batchRows {
			native, cells := "-", ""
			for _, language := range languages {
				r := latest[recordsOf(w, language, rows)]
				if r == nil {
					cells += " - |"
					continue
				}
				if native == "-" {
					native = ns(r.CPUNsB.Median)
				}
				cells += fmt.Sprintf(" %s (%.1fx) |", ns(r.CPUNsA.Median), r.RatioAB.Median)
			}
			fmt.Fprintf(&b, "| %s | %d | %s |%s\n", w.name, rows, native, cells)
		}
	}
	return b.String()
}

func recordsOf(w *workload, language string, rows int) string {
	return fmt.Sprintf("%s in %s, batches of %d", w.name, language, rows)
}

// provenance says where the figures are from.
func provenance(latest map[string]*measure.Result) string {
	var b strings.Builder
	for _, language := range languages {
		if r := latest[startOf(language)]; r != nil {
			fmt.Fprintf(&b, "%s: commit %s, %s, %s, %s.\n", titles[language], r.Commit, r.Machine, r.Go, r.When[:10])
		}
	}
	return b.String()
}

func size(bytes float64) string {
	switch {
	case bytes == 0:
		return "-"
	case bytes >= 1<<20:
		return fmt.Sprintf("%.1f MiB", bytes/(1<<20))
	}
	return fmt.Sprintf("%.0f KiB", bytes/(1<<10))
}

func ms(v float64) string {
	if v < 10 {
		return fmt.Sprintf("%.1f ms", v)
	}
	return fmt.Sprintf("%.0f ms", v)
}

func ns(v float64) string {
	if v < 100 {
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.0f", v)
}
