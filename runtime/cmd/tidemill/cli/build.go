package cli

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/runtime/build"
	"github.com/tidemill/tidemill/runtime/cmd/tidemill/view"
)

func (a *app) buildCommand() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "build DIR",
		Short: "Build an operator's sources into a .wasm module",
		Long: "build makes a module of the Go sources in a folder, with the plain Go toolchain and the one recipe that an operator needs. The same\n" +
			"sources and version of Go give the same bytes.",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			made, err := build.Build(a.ctx, args[0], out)
			if err != nil {
				return err
			}
			return a.show(made, builtText{made})
		},
	}
	c.Flags().StringVarP(&out, "output", "o", "", "the module's path; without it, DIR/<name of DIR>.wasm")
	return c
}

// builtText shows what build made.
type builtText struct{ *build.Built }

// Print implements printer.
func (b builtText) Print(w io.Writer) {
	fmt.Fprintf(w, "%s: %s, sha256:%.12s, %s\n", b.Path, view.Bytes(int64(b.Bytes)), b.SHA256, b.Go)
}

func (a *app) newCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "new DIR",
		Short: "Begin a project: an operator in Go with a test, a job and some data",
		Long:  "new writes a project into a new folder. It has the SDK's sources with it, so that it builds, tests and runs offline.",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			made, err := build.New(args[0])
			if err != nil {
				return err
			}
			return a.show(made, projectText{made})
		},
	}
}

// projectText shows what new made.
type projectText struct{ *build.Project }

// Print implements printer.
func (p projectText) Print(w io.Writer) {
	fmt.Fprintf(w, "%s has a project; next:\n", p.Dir)
	fmt.Fprintf(w, "  cd %s\n  go test ./...\n  tidemill build .\n  tidemill run job.yaml\n", filepath.ToSlash(p.Dir))
}
