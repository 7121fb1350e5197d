package cli

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/runtime/build"
	"github.com/tidemill/tidemill/runtime/cmd/tidemill/view"
)

func (a *app) buildCommand() *cobra.Command {
	var o build.Options
	c := &cobra.Command{
		Use:   "build PATH",
		Short: "Build an operator's sources into a .wasm module",
		Long: "build makes a module of the sources in a folder, or of one Python file, in the language that the files are of, with the language's\n" +
			"own toolchain and the one recipe that an operator needs. Python needs no toolchain: the module carries the sources and names the\n" +
			"interpreter, which is in this binary. The same sources and version of the toolchain give the same bytes.",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			o.CacheFolder = a.cacheFolder()
			o.Compiling = func(bytes int) { a.compiling(a.log(a.Stderr), bytes) }
			made, err := build.Build(a.ctx, args[0], o)
			if err != nil {
				return err
			}
			return a.show(made, builtText{made})
		},
	}
	c.Flags().StringVarP(&o.Out, "output", "o", "", "the module's path; without it, the name of the project (in go.mod, Cargo.toml or pyproject.toml), or else of the folder or file, with .wasm")
	c.Flags().BoolVar(&o.Standalone, "standalone", false, "put the interpreter that the operator needs into the module")
	return c
}

// builtText shows what build made.
type builtText struct{ *build.Built }

// Print implements printer.
func (b builtText) Print(w io.Writer) {
	fmt.Fprintf(w, "%s: %s, sha256:%.12s, %s\n", b.Path, view.Bytes(int64(b.Bytes)), b.SHA256, b.Toolchain)
}

func (a *app) newCommand() *cobra.Command {
	lang := build.Languages()[0]
	c := &cobra.Command{
		Use:   "new DIR",
		Short: "Begin a project: an operator with a test, a job and some data",
		Long:  "new writes a project into a new folder. It has the SDK's sources with it, so that it builds, tests and runs offline.",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			made, err := build.New(args[0], lang)
			if err != nil {
				return err
			}
			return a.show(made, projectText{made})
		},
	}
	c.Flags().StringVarP(&lang, "lang", "l", lang, "the operator's language: "+strings.Join(build.Languages(), ", "))
	return c
}

// projectText shows what new made.
type projectText struct{ *build.Project }

// Print implements printer.
func (p projectText) Print(w io.Writer) {
	fmt.Fprintf(w, "%s has a project; next:\n  cd %s\n", p.Dir, filepath.ToSlash(p.Dir))
	for _, command := range p.Next {
		fmt.Fprintf(w, "  %s\n", command)
	}
}
