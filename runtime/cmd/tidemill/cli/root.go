package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/tidemill/tidemill/connectors/spec"
	"github.com/tidemill/tidemill/internal/clock"
	"github.com/tidemill/tidemill/internal/vfs"
)

// Streams is the world around a command.
type Streams struct {
	Stdout, Stderr io.Writer
	Env            func(name string) (string, bool)
	Clock          clock.Clock
	Files          vfs.FS
	// Terminal says that both streams are a terminal.
	Terminal bool
	// Signals delivers what asks the command to stop.
	Signals <-chan os.Signal
}

// Process is the world around this process.
func Process() Streams {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	return Streams{
		Stdout: os.Stdout, Stderr: os.Stderr, Env: os.LookupEnv, Clock: clock.System, Files: vfs.Disk,
		Terminal: term.IsTerminal(int(os.Stdout.Fd())) && term.IsTerminal(int(os.Stderr.Fd())), Signals: signals,
	}
}

// app is one invocation.
type app struct {
	Streams
	ctx    context.Context // ends with the first signal; where orderly is set, with the second
	cancel context.CancelFunc
	stop   chan struct{} // closed by the first signal
	// orderly says that a job runs, which the first signal stops in order.
	orderly atomic.Bool
	json    bool
	debug   bool
	level   slog.LevelVar

	command string // of the verb that ran: "checkpoint ls"
	result  any    // for --json; may be set beside an error
}

// Main runs one command line and returns its exit code.
func Main(args []string, streams Streams) int {
	a := &app{Streams: streams, stop: make(chan struct{}), command: "tidemill"}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	defer a.cancel()
	go a.watchSignals()
	root := a.root()
	root.SetArgs(args)
	root.SetOut(a.Stdout)
	root.SetErr(a.Stderr)
	err := root.ExecuteContext(a.ctx)
	if a.json || err != nil && wantsJSON(args) { // a flag may be wrong before --json is read
		r := report{Command: a.command, OK: err == nil, Result: a.result}
		if err != nil {
			r.Error = failureOf(err)
		}
		if printing := printJSON(a.Stdout, r); err == nil {
			err = printing
		}
	} else if err != nil {
		printError(a.Stderr, err)
	}
	return exitCode(err)
}

func wantsJSON(args []string) bool {
	for _, arg := range args {
		if arg == "--json" {
			return true
		}
	}
	return false
}

func (a *app) watchSignals() {
	select {
	case <-a.Signals:
		close(a.stop)
		if !a.orderly.Load() {
			a.cancel()
		}
	case <-a.ctx.Done():
		return
	}
	select {
	case <-a.Signals:
		a.cancel()
	case <-a.ctx.Done():
	}
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "tidemill",
		Short: "Stream processing with WebAssembly operators",
		Long: "tidemill runs stream-processing jobs whose operators are WebAssembly modules: keyed state, timers, event time and\n" +
			"exactly-once checkpoints in one binary. `tidemill demo` shows it; `tidemill new` begins an operator of your own.",
		Args:          cobra.ArbitraryArgs, // else cobra words the error
		SilenceErrors: true, SilenceUsage: true,
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print one JSON object {command, ok, result, error} instead of text")
	root.PersistentFlags().BoolVar(&a.debug, "debug", false, "log more")
	version := false
	root.Flags().BoolVar(&version, "version", false, "print the version")
	root.RunE = func(c *cobra.Command, given []string) error {
		if version {
			return a.showVersion()
		}
		return a.group(c, given)
	}
	help := root.HelpFunc()
	root.SetHelpFunc(func(c *cobra.Command, args []string) {
		if !a.json {
			help(c, args)
			return
		}
		var text strings.Builder
		c.SetOut(&text)
		help(c, args)
		a.command, a.result = "help", map[string]string{"text": text.String()}
	})
	root.SetFlagErrorFunc(a.usage)
	root.AddCommand(a.runCommand(), a.validateCommand(), a.planCommand(), a.inspectCommand(), a.testCommand(), a.buildCommand(),
		a.newCommand(), a.checkpointCommand(), a.stateCommand(), a.demoCommand(), a.versionCommand())
	a.prepare(root)
	return root
}

// prepare makes wrong arguments coded errors and notes which verb runs.
func (a *app) prepare(c *cobra.Command) {
	for _, sub := range c.Commands() {
		a.prepare(sub)
	}
	if args := c.Args; args != nil {
		c.Args = func(c *cobra.Command, given []string) error {
			if args(c, given) != nil { // in words that are cobra's
				return a.usage(c, fmt.Errorf("it does not take %s", several(len(given), "argument")))
			}
			return nil
		}
	}
	if c.HasSubCommands() && c.RunE == nil {
		c.Args = cobra.ArbitraryArgs // else cobra words the error
		c.RunE = a.group
		return
	}
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		a.command = verb(c)
		if a.debug {
			a.level.Set(slog.LevelDebug)
		}
		if f := c.Flags().Lookup("parallelism"); f != nil && f.Changed && (f.Value.String() == "0" || f.Value.String()[0] == '-') {
			return a.usage(c, errors.New("--parallelism must be at least 1"))
		}
		return nil
	}
}

// group runs a command that only has others.
func (a *app) group(c *cobra.Command, given []string) error {
	if len(given) == 0 && !a.json {
		return c.Help()
	}
	return unknownVerb(c, given)
}

// verb is a command's name without the program's: "checkpoint ls".
func verb(c *cobra.Command) string { return strings.TrimPrefix(c.CommandPath(), "tidemill ") }

// usage codes a mistake in flags or arguments.
func (a *app) usage(c *cobra.Command, err error) error {
	a.command = verb(c)
	return errUsage.Errorf("%v", err).At("%s", c.CommandPath()).Do("usage: %s; `%s --help` explains", c.UseLine(), c.CommandPath())
}

func unknownVerb(c *cobra.Command, given []string) error {
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	if len(given) == 0 {
		return errUsage.Errorf("a command is missing").At("%s", c.CommandPath()).Do("one of %s", strings.Join(names, ", "))
	}
	return errUsage.Errorf("there is no command %q%s", given[0], spec.Nearest(given[0], names)).At("%s", c.CommandPath()).
		Do("known: %s", strings.Join(names, ", "))
}

// log writes to standard error; guests' lines are in it too.
func (a *app) log(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: &a.level}))
}
