// Command archive packs the sources of sdk-go into sdk-go.zip, which the binary carries for `tidemill new`. Equal sources give
// equal bytes. It is run by go generate in package build.
package main

import (
	"fmt"
	"os"

	"github.com/tidemill/tidemill/runtime/build"
)

func main() {
	packed, err := build.PackSDK("../../sdk-go")
	if err == nil {
		err = os.WriteFile("sdk-go.zip", packed, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
