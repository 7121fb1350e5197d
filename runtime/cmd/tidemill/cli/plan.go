package cli

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tidemill/tidemill/runtime/plan"
)

// validateResult is the result of validate as JSON.
type validateResult struct {
	Job       string   `json:"job"`
	Digest    string   `json:"digest"`
	Sources   int      `json:"sources"`
	Operators int      `json:"operators"`
	Sinks     int      `json:"sinks"`
	Warnings  []string `json:"warnings"`
}

func (a *app) validateCommand() *cobra.Command {
	var o jobOptions
	c := &cobra.Command{
		Use:   "validate JOB.yaml",
		Short: "Check a job without running it",
		Long: "validate checks everything that can be known before records flow: fields and values, connectors, headers of sources, modules,\n" +
			"ports, columns, keys and parameters. It writes nothing and names every error that it can find at once.",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error { return a.validate(args[0], o) },
	}
	o.flags(c)
	return c
}

func (a *app) validate(file string, o jobOptions) error {
	made, err := a.planned(file, o)
	if err != nil {
		return err
	}
	r := &validateResult{Job: made.Job, Digest: made.Digest, Warnings: append([]string{}, made.Warnings...)}
	for _, n := range made.Nodes {
		switch {
		case n.Source != nil:
			r.Sources++
		case n.Sink != nil:
			r.Sinks++
		default:
			r.Operators++
		}
	}
	a.result = r
	if !a.json {
		for _, w := range r.Warnings {
			fmt.Fprintln(a.Stderr, "warning:", w)
		}
		fmt.Fprintf(a.Stdout, "%s is valid: job %s with %s, %s and %s\n", file, r.Job, several(r.Sources, "source"),
			several(r.Operators, "operator"), several(r.Sinks, "sink"))
	}
	return nil
}

func several(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (a *app) planCommand() *cobra.Command {
	var o jobOptions
	c := &cobra.Command{
		Use:   "plan JOB.yaml",
		Short: "Show what would run: tasks, ports, columns, exchanges",
		Long: "plan shows the tasks that a job becomes: which nodes are chained, how records travel between tasks (forward within a task, hash\n" +
			"by key, pin and rebalance without one), what each port carries, and which state and timers the operators keep.",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			made, err := a.planned(args[0], o)
			if err != nil {
				return err
			}
			return a.show(made.Describe(), made)
		},
	}
	o.flags(c)
	return c
}

var _ printer = (*plan.Plan)(nil)

// printer is a result that people read.
type printer interface{ Print(io.Writer) }

// show keeps a result for --json, or prints it.
func (a *app) show(result any, text printer) error {
	a.result = result
	if !a.json {
		text.Print(a.Stdout)
	}
	return nil
}
