// Command tidemill runs stream-processing jobs whose operators are WebAssembly modules. `tidemill help` lists its verbs.
package main

import (
	"os"

	"github.com/tidemill/tidemill/runtime/cmd/tidemill/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], cli.Process())) }
