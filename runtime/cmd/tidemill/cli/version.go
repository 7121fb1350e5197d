package cli

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Version is set by the linker of a release.
var Version = "dev"

// versionResult is the result of version as JSON.
type versionResult struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // of the sources, where the build knew it
	Modified bool   `json:"modified"`           // the sources had changes beside it
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

// Print implements printer.
func (v *versionResult) Print(w io.Writer) {
	revision := ""
	if v.Revision != "" {
		revision = fmt.Sprintf(", revision %.12s", v.Revision)
	}
	if v.Modified {
		revision += " with changes"
	}
	fmt.Fprintf(w, "tidemill version %s%s, %s, %s\n", v.Version, revision, v.Go, v.Platform)
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version of this binary", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.showVersion() },
	}
}

func (a *app) showVersion() error {
	v := &versionResult{Version: Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				v.Revision = s.Value
			case "vcs.modified":
				v.Modified = s.Value == "true"
			}
		}
	}
	return a.show(v, v)
}
