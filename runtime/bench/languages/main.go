// Command languages measures what operators cost by the language that they are written in: the same three in Go, Rust and Python
// (folder guests), beside the same written natively in Go behind the contract of the runtime.
//
// price is stateless (a text, a whole number and a float in, a float out), spend keeps a sum by key, parse reads 200 bytes of JSON.
// Each is given batches of 1, 16, 256 and 4,096 rows, through the whole way of a batch through the sandbox: frame, call, answer,
// its check, output and state. What counts is CPU time of the process a record. Outputs are added up and compared with the native
// operator's before any time counts. Beside it: the module's size, its compilation, the start of an instance up to its first
// record, and the memory of a thousand instances.
//
//	go run ./runtime/bench/languages                 prints; needs what builds Rust, and leaves Rust out where it is missing
//	go run ./runtime/bench/languages -write          also appends to runtime/bench/results/languages.jsonl and rewrites the
//	                                                 tables of docs/languages.md from it
//	go run ./runtime/bench/languages -only python    one language, for work on it
//	go run ./runtime/bench/languages -tables         rewrites the tables from the results
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/tidemill/tidemill/runtime/bench/measure"
	"github.com/tidemill/tidemill/runtime/build"
)

func main() {
	var o options
	flag.IntVar(&o.pairs, "pairs", 5, "pairs of runs")
	flag.BoolVar(&o.write, "write", false, "append the results and rewrite the tables")
	flag.StringVar(&o.only, "only", "", "one language")
	flag.StringVar(&o.notes, "notes", "", "what to say about the machine in the results")
	flag.IntVar(&o.instances, "instances", 1000, "instances that are held for their memory")
	tables := flag.Bool("tables", false, "rewrite the tables from the results, and measure nothing")
	flag.Parse()
	do := func() error { return run(o, os.Stdout) }
	if *tables {
		do = func() error {
			root, err := measure.Root()
			if err != nil {
				return err
			}
			return writeTables(root)
		}
	}
	if err := do(); err != nil {
		fmt.Fprintln(os.Stderr, "languages:", err)
		os.Exit(1)
	}
}

type options struct {
	pairs, instances int
	write            bool
	only, notes      string
}

// languages in the order of the tables.
var languages = []string{"go", "rust", "python"}

func run(o options, out io.Writer) error {
	root, err := measure.Root()
	if err != nil {
		return err
	}
	folder, err := os.MkdirTemp("", "languages")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	for _, language := range languages {
		if o.only != "" && o.only != language {
			continue
		}
		module, err := buildGuest(root, folder, language)
		if err != nil {
			fmt.Fprintf(out, "%s is left out: %v\n", language, err)
			continue
		}
		results, err := measureLanguage(o, folder, language, module)
		if err != nil {
			return fmt.Errorf("%s: %w", language, err)
		}
		for _, r := range results {
			r.Notes = join(r.Notes, o.notes)
			r.Print(out)
			if !o.write {
				continue
			}
			if err := r.Append(root, resultsName); err != nil {
				return err
			}
		}
		if o.write {
			if err := writeTables(root); err != nil {
				return err
			}
		}
	}
	return nil
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + "; " + b
}

func buildGuest(root, folder, language string) ([]byte, error) {
	source := filepath.Join(root, "runtime", "bench", "languages", "guests", language)
	built, err := build.Build(context.Background(), source, build.Options{Out: filepath.Join(folder, language+".wasm"), CacheFolder: filepath.Join(folder, "build")})
	if err != nil {
		return nil, err
	}
	return os.ReadFile(built.Path)
}

func measureLanguage(o options, folder, language string, module []byte) ([]*measure.Result, error) {
	start, err := starts(o, filepath.Join(folder, "cache-"+language), language, module)
	if err != nil {
		return nil, err
	}
	results := []*measure.Result{start}
	ctx := context.Background()
	cache := newCache(filepath.Join(folder, "cache-"+language))
	defer cache.Close(ctx)
	for _, w := range workloads {
		guest := func() (*side, error) { return w.guest(ctx, cache, module) }
		for _, rows := range batchRows {
			r, err := compare(o, w, language, rows, guest, w.native)
			if err != nil {
				return nil, err
			}
			results = append(results, r)
		}
	}
	return results, nil
}
