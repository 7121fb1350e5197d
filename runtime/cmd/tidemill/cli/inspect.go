package cli

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/cmd/tidemill/inspection"
	"github.com/tidemill/tidemill/runtime/plan"
)

func (a *app) inspectCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "inspect FILE.wasm",
		Short: "Show what a module holds and whether it may run",
		Long: "inspect validates a module, meters and compiles it, asks it what it holds, and opens each operator once with its default\n" +
			"parameters and the columns that it asks for, on an instance that is thrown away. No record flows.",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return a.inspect(args[0]) },
	}
}

func (a *app) inspect(file string) (err error) {
	p := a.parts(a.log(a.Stderr))
	defer func() { err = errors.Join(err, p.close()) }()
	original, err := plan.ReadModule(a.Files, file)
	if err != nil {
		return err
	}
	loaded, err := p.cache.Load(a.ctx, original)
	if err != nil {
		return inFile(err, file)
	}
	r, err := inspection.Of(file, original, loaded)
	if err != nil {
		return inFile(err, file)
	}
	return a.show(r, r)
}

// inFile puts the file before the place of an error in a module.
func inFile(err error, file string) error {
	if e := errcode.Of(err); e != nil {
		e.Place = strings.TrimSuffix(file+": "+e.Place, ": ")
	}
	return err
}
