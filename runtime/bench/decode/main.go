// Command decode measures the decoders (P11): records of 200 bytes into five of their columns, JSON and CSV. In turn with each
// runs what one would write with the standard library: encoding/json into a struct of the same five members, and encoding/csv,
// strconv and time.Parse. Both sides must give the same values.
//
//	go run ./runtime/bench/decode          prints
//	go run ./runtime/bench/decode -write   also appends the raw pairs to runtime/bench/results/decode.jsonl
//	go run ./runtime/bench/decode -profile cpu.out -format json
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime/pprof"

	_ "github.com/tidemill/tidemill/connectors/format/csv"
	_ "github.com/tidemill/tidemill/connectors/format/json"
	"github.com/tidemill/tidemill/runtime/bench/measure"
)

const (
	records = 1024 // in one chunk, each different
	chunks  = 400  // a run
)

type options struct {
	pairs           int
	write           bool
	notes           string
	profile, format string
}

func main() {
	var o options
	flag.IntVar(&o.pairs, "pairs", 9, "pairs of runs")
	flag.BoolVar(&o.write, "write", false, "append the results")
	flag.StringVar(&o.notes, "notes", "", "what to say about the machine in the results")
	flag.StringVar(&o.profile, "profile", "", "write a CPU profile of one run there, and stop")
	flag.StringVar(&o.format, "format", "json", "with -profile: json or csv")
	flag.Parse()
	if err := run(o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "decode:", err)
		os.Exit(1)
	}
}

func run(o options, out io.Writer) error {
	root, err := measure.Root()
	if err != nil {
		return err
	}
	lines, text := flights()
	want := fingerprint(lines)
	for _, c := range []struct {
		format, option, header, what, budget string
		data                                 []byte
		rival                                func([]byte) ([]flight, error)
		rivalName                            string
	}{
		{"json", `{}`, "", "200-byte JSON records into five columns", "A <= 700 ns a record", text.json, byEncodingJSON, "encoding/json, a struct"},
		{"csv", `{header: true, "null": NA}`, csvHeader, "200-byte CSV records of 20 fields into five columns", "A <= 300 ns a record",
			text.csv, byEncodingCSV, "encoding/csv, strconv, time.Parse"},
		{"csv", `{header: true, "null": NA}`, csvHeader, "200-byte CSV records of 20 fields, four of them quoted, into five columns",
			"for information", text.quoted, byEncodingCSV, "encoding/csv, strconv, time.Parse"},
	} {
		columns, err := newColumns(c.format, c.option, c.header, c.data)
		if err != nil {
			return err
		}
		a := measure.Side{Name: "the decoder of " + c.format, Want: want, Run: columns.decode}
		b := measure.Side{Name: c.rivalName, Want: want, Run: func() (int64, string, error) { return repeat(c.data, c.rival) }}
		if o.profile != "" {
			if c.format == o.format {
				return profileOne(o.profile, a)
			}
			continue
		}
		r, err := measure.Compare("P11", c.what, "record", o.pairs, a, b)
		if err != nil {
			return err
		}
		r.Budget, r.Notes = c.budget, o.notes
		r.Print(out)
		if o.write {
			if err := r.Append(root, "decode"); err != nil {
				return err
			}
		}
	}
	return nil
}

// profileOne writes a CPU profile of some runs.
func profileOne(file string, side measure.Side) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	for range 10 {
		if _, _, err := side.Run(); err != nil {
			return err
		}
	}
	return nil
}
