// Command start measures how soon work begins.
//
// P8: a Go module (examples/late-flights) to the first record that it has taken: from the cache on disk, as a new process finds it,
// and when it is already compiled in the process; and a new module, without any cache.
//
// P7 (-kill): `tidemill run` of the same example, slowed, is killed with SIGKILL in the middle and started again at once; what counts
// is the time from the kill to the first new row that it publishes. Each run is killed twice, and its rows are compared with the
// expected ones to the end.
//
//	go run ./runtime/bench/start               P8, prints
//	go run ./runtime/bench/start -kill         P7, prints; needs the go command to build tidemill
//	go run ./runtime/bench/start -write ...    also appends the raw pairs to runtime/bench/results/start.jsonl
package main

import (
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/tidemill/tidemill/runtime/bench/measure"
)

func main() {
	pairs := flag.Int("pairs", 5, "pairs of runs")
	write := flag.Bool("write", false, "append the results")
	notes := flag.String("notes", "", "what to say about the machine in the results")
	kill := flag.Bool("kill", false, "P7 in place of P8")
	profile := flag.String("profile", "", "write a CPU profile of five starts from the cache on disk there, and stop")
	flag.Parse()
	if *profile != "" {
		if err := profileStarts(*profile); err != nil {
			fmt.Fprintln(os.Stderr, "start:", err)
			os.Exit(1)
		}
		return
	}
	if err := run(*pairs, *write, *kill, *notes, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "start:", err)
		os.Exit(1)
	}
}

func run(pairs int, write, kill bool, notes string, out io.Writer) error {
	root, err := measure.Root()
	if err != nil {
		return err
	}
	measured := modules
	if kill {
		measured = kills
	}
	results, err := measured(root, pairs)
	if err != nil {
		return err
	}
	for _, r := range results {
		r.Notes += "; " + notes
		r.Print(out)
		fmt.Fprintf(out, "  wall ms a %s: A median %.1f, B median %.1f\n  %s\n", r.Unit, r.WallNsA.Median/1e6, r.WallNsB.Median/1e6, r.Notes)
		if !write {
			continue
		}
		if err := r.Append(root, "start"); err != nil {
			return err
		}
	}
	return nil
}
