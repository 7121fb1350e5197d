package cli

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/tidemill/tidemill/connectors"
	_ "github.com/tidemill/tidemill/connectors/all" // every connector and format
	"github.com/tidemill/tidemill/internal/vfs"
	"github.com/tidemill/tidemill/runtime/cmd/tidemill/view"
	"github.com/tidemill/tidemill/runtime/engine"
	"github.com/tidemill/tidemill/runtime/engine/embedded"
	"github.com/tidemill/tidemill/runtime/job"
	"github.com/tidemill/tidemill/runtime/plan"
	"github.com/tidemill/tidemill/runtime/sandbox/modcache"
	"github.com/tidemill/tidemill/runtime/sandbox/profile"
	"github.com/tidemill/tidemill/runtime/sandbox/script"
	"github.com/tidemill/tidemill/runtime/sandbox/script/python"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
	"github.com/tidemill/tidemill/runtime/sandbox/wazerovm"
	"github.com/tidemill/tidemill/runtime/state"
	"github.com/tidemill/tidemill/runtime/state/badgerdb"
	"github.com/tidemill/tidemill/runtime/state/memory"
)

// cacheVariable names the folder of the module cache; the default is tidemill in the user's cache folder.
const cacheVariable = "TIDEMILL_CACHE"

// moduleMemoryBytesMax is the greatest memory that a module may ask for at its start; a job lowers it with memory_bytes_max.
const moduleMemoryBytesMax = 1 << 30

// secretsBytesMax limits a secrets file.
const secretsBytesMax = 1 << 20

// parts are what a command needs to plan and run jobs.
type parts struct {
	app    *app
	log    *slog.Logger
	cache  *modcache.Cache
	stdout io.Writer // for stdout sinks; nil where the command has other use of it
}

func (a *app) parts(log *slog.Logger) *parts {
	warn := func(err error) { log.Debug("module cache", "error", err) }
	return &parts{app: a, log: log, cache: modcache.New(
		func(folder string) vm.Engine { return wazerovm.New(folder, warn) },
		modcache.Options{Folder: a.cacheFolder(), Limits: profile.Limits{MemoryBytesMax: moduleMemoryBytesMax},
			Bases: []script.Base{python.Base()}, Warn: warn, Compiling: func(bytes int) { a.compiling(log, bytes) }},
	)}
}

// noticedBytesMin is the size from which the compilation of a module takes so long, half a second and more, that it is said.
const noticedBytesMin = 2 << 20

func (a *app) compiling(log *slog.Logger, bytes int) {
	if bytes >= noticedBytesMin {
		log.Info("compiling a module or interpreter that is new here, which takes some seconds; it is kept for the next time",
			"size", view.Bytes(int64(bytes)), "cache", a.cacheFolder())
	}
}

// cacheFolder is empty where there is no place for it: then modules are compiled anew each time.
func (a *app) cacheFolder() string {
	if folder, set := a.Env(cacheVariable); set {
		return folder
	}
	folder, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(folder, "tidemill")
}

func (p *parts) close() error { return p.cache.Close(context.WithoutCancel(p.app.ctx)) }

// jobOptions are the flags of all verbs that read a job.yaml.
type jobOptions struct {
	secrets     string
	parallelism int
}

// job reads a job.yaml.
func (a *app) job(file string, o jobOptions) (*job.Job, error) { return a.jobAt(file, o, nil) }

// jobAt reads a job.yaml with other paths for some of its sources.
func (a *app) jobAt(file string, o jobOptions, paths map[string]string) (*job.Job, error) {
	env := job.Environment{Lookup: a.Env, Paths: paths}
	if o.secrets != "" {
		info, err := a.Files.Stat(o.secrets)
		if err == nil && info.Size() > secretsBytesMax {
			return nil, errUsage.Errorf("the secrets file has %d bytes; at most %d are read", info.Size(), secretsBytesMax).At("%s", o.secrets)
		}
		text, err := vfs.ReadFile(a.Files, o.secrets)
		if err != nil {
			return nil, errUsage.Errorf("the secrets file cannot be read").At("%s", o.secrets).Because(err)
		}
		if env.Secrets, err = job.Secrets(o.secrets, text); err != nil {
			return nil, err
		}
	}
	j, err := job.Read(a.Files, file, env)
	if err != nil {
		return nil, err
	}
	if o.parallelism > 0 {
		if o.parallelism > j.MaxParallelism {
			return nil, errUsage.Errorf("--parallelism %d is more than the job's max_parallelism, %d", o.parallelism, j.MaxParallelism).
				At("%s", file).Do("give at most %d", j.MaxParallelism)
		}
		j.Parallelism = o.parallelism
	}
	return j, nil
}

// plan makes the plan of a job, with warnings of modules that are older than their sources.
func (p *parts) plan(j *job.Job) (*plan.Plan, error) {
	guests := &plan.Guests{Files: p.app.Files, Cache: p.cache}
	made, err := plan.Make(p.app.ctx, j, guests, connectors.Env{Clock: p.app.Clock, FS: p.app.Files, Log: p.log, Stdout: p.stdout})
	if err != nil {
		return nil, err
	}
	made.Warnings = append(made.Warnings, plan.Stale(p.app.Files, made)...)
	return made, nil
}

// engine runs plans in this process.
func (p *parts) engine(made *plan.Plan) engine.Engine {
	return &embedded.Engine{
		Clock: p.app.Clock, FS: p.app.Files, Log: p.log,
		Backends: map[string]state.Factory{"memory": memory.Factory{}, "badger": badgerdb.Factory{}},
		WorkDir:  filepath.Join(made.Checkpoint.Store, "work"),
	}
}

// planned reads and plans a job, and closes everything again: for verbs that only look.
func (a *app) planned(file string, o jobOptions) (made *plan.Plan, err error) {
	j, err := a.job(file, o)
	if err != nil {
		return nil, err
	}
	p := a.parts(a.log(a.Stderr))
	p.stdout = io.Discard // nothing runs
	defer func() { err = errors.Join(err, p.close()) }()
	return p.plan(j)
}
