// Package lateflights holds the example's files for `tidemill demo`, which runs them in any folder.
package lateflights

import (
	"embed"
	"io/fs"
)

// Flights is the number of records in the committed month.
const Flights = 27_004

//go:embed job.yaml delays.wasm testdata/flights.csv testdata/expected-30-120/*.jsonl
var files embed.FS

// Files are job.yaml and all that it names, with the paths that it uses.
func Files() fs.FS { return files }

// Expected has a file NAME.jsonl for each sink that is not to stay empty, made by expected.py with the parameters of job.yaml.
func Expected() fs.FS {
	sub, err := fs.Sub(files, "testdata/expected-30-120")
	if err != nil {
		panic("lateflights: " + err.Error()) // the folder is in this file's embed line
	}
	return sub
}
