package plan

import (
	"context"
	"errors"
	"io/fs"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/internal/vfs"
	"github.com/tidemill/tidemill/runtime/sandbox"
	"github.com/tidemill/tidemill/runtime/sandbox/modcache"
)

// Modules is what a plan needs of the sandbox.
type Modules interface {
	// Load returns a module that has been validated, metered, compiled and described. Errors are coded.
	Load(ctx context.Context, path string) (*Module, error)
	// Inspect opens an entry of a module on an instance that is thrown away. Errors are coded; that of a parameter has the place
	// "params.NAME".
	Inspect(m *Module, limits Limits, request abi.OpenRequest) (*sandbox.Inspection, error)
}

// Guests are modules from files, by way of a cache. They are safe for concurrent use.
type Guests struct {
	Files vfs.FS
	Cache *modcache.Cache
}

// Load implements Modules.
func (g *Guests) Load(ctx context.Context, path string) (*Module, error) {
	original, err := ReadModule(g.Files, path)
	if err != nil {
		return nil, err
	}
	loaded, err := g.Cache.Load(ctx, original)
	if err != nil {
		return nil, err
	}
	m := &Module{Path: path, Digest: loaded.Digest.String(), Guest: sandbox.FromCache(loaded)}
	if m.Describe, err = sandbox.Describe(m.Guest, sandbox.Limits{}); err != nil {
		return nil, err
	}
	return m, nil
}

// ReadModule reads the bytes of a module. Errors are coded.
func ReadModule(files vfs.FS, path string) ([]byte, error) {
	info, err := files.Stat(path)
	switch {
	case err != nil:
		return nil, unreadable(path, err)
	case info.IsDir():
		return nil, unreadable(path, errors.New("it is a folder"))
	case info.Size() > abi.ModuleBytesMax:
		return nil, errModule.Errorf("%s has %d bytes; a module has at most %d", path, info.Size(), abi.ModuleBytesMax).At("%s", path)
	}
	original, err := vfs.ReadFile(files, path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	return original, nil
}

func unreadable(path string, err error) error {
	e := errModule.Errorf("%s cannot be read", path).At("%s", path).Because(err)
	if errors.Is(err, fs.ErrNotExist) {
		e = e.Do("build it with `tidemill build`, or mend the path: it is relative to job.yaml")
	}
	return e
}

// Inspect implements Modules.
func (g *Guests) Inspect(m *Module, limits Limits, request abi.OpenRequest) (*sandbox.Inspection, error) {
	return sandbox.Inspect(m.Guest, limits.sandbox(), request)
}

func (l Limits) sandbox() sandbox.Limits {
	return sandbox.Limits{
		MemoryBytesMax: uint64(l.MemoryBytesMax), FuelBase: l.FuelBase, FuelPerItem: l.FuelPerItem, TrapsPerMinute: l.TrapsPerMinute,
	}
}

// Guest is the configuration of the sandbox for an operator that is a module.
func (o *Operator) Guest() sandbox.Config {
	c := sandbox.Config{Module: o.Module.Guest, Entry: o.Module.Entry, Binding: o.Binding, Limits: o.Limits.sandbox()}
	if o.Limits.RecycleInstance {
		c.Recycle = sandbox.RecycleBarrier
	}
	return c
}
