// Command archive packs the sources of each SDK into an archive (sdk-go.zip, ...), which the binary carries for `tidemill new`. It
// is run by go generate in package build.
package main

import (
	"fmt"
	"os"

	"github.com/tidemill/tidemill/runtime/build"
)

func main() {
	archives, err := build.Archives("../..")
	for name, packed := range archives {
		if err == nil {
			err = os.WriteFile(name, packed, 0o644)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
