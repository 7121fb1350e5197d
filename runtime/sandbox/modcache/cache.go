package modcache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/sandbox/meter"
	"github.com/tidemill/tidemill/runtime/sandbox/profile"
	"github.com/tidemill/tidemill/runtime/sandbox/script"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
)

// compileTimeMax is the time that a module may take to compile. Ordinary ones take 0.3 to 0.4 s a MB; some steps of a compiler are
// not linear, and a module made for it can keep one busy for hours.
const compileTimeMax = 5 * time.Minute

// ErrSlow is about the module, or about a machine that is overloaded.
var ErrSlow = errcode.New("TM-SANDBOX-016", errcode.Invalid, "the module takes too long to compile")

// Options configure a Cache.
type Options struct {
	// Folder keeps verdicts, metered bytes and compiled code; empty for none. It must be as private as the binary: whoever can
	// write it can run code in this process.
	Folder string
	// Limits are those that modules are checked against.
	Limits profile.Limits
	// Bases are the interpreters that the host carries.
	Bases []script.Base
	// Warn is told when the folder cannot be used. It may be nil and must be safe for concurrent use.
	Warn func(error)
	// Compiling is told the size of a module that is about to be compiled because nothing was kept of it. It may be nil and must
	// be safe for concurrent use.
	Compiling func(bytes int)
}

// Digest is the SHA-256 of a module's original bytes.
type Digest [sha256.Size]byte

// String is the digest in hex.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// Module is a module ready to be instantiated. It is owned by the cache: its Compiled must not be closed by users.
type Module struct {
	Digest   Digest
	Compiled vm.Compiled
	Report   meter.Report   // of the base, where the module is code for one
	Script   *script.Module // nil where the module is not code for an interpreter
	// Description is what the module has said that it holds, for whoever asks next: it always says the same. Nil until somebody
	// has asked.
	Description atomic.Pointer[abi.Description]
}

// Cache loads modules. It is safe for concurrent use.
type Cache struct {
	engine vm.Engine
	folder string // of verdicts and metered bytes, empty for none
	limits profile.Limits
	bases  []script.Base
	warn   func(error)
	began  func(bytes int) // told of each compilation
	most   time.Duration   // for a compilation

	mu      sync.Mutex
	modules map[key]*pending
	closed  bool
}

// key names what is loaded: a module, or the base of others, which is used otherwise than the same bytes as a module.
type key struct {
	digest Digest
	base   bool
}

// pending is one module under way or done.
type pending struct {
	done   chan struct{}
	late   <-chan struct{}    // closed when the compilation has taken too long, or has ended
	cancel context.CancelFunc // ends it, between two functions
	module *Module
	err    error
}

// New makes a cache. newEngine makes its engine, which may keep compiled code in the folder it is given (empty for none).
func New(newEngine func(folder string) vm.Engine, o Options) *Cache {
	c := &Cache{limits: o.Limits, warn: o.Warn, began: o.Compiling, most: compileTimeMax, bases: o.Bases, modules: map[key]*pending{}}
	if c.warn == nil {
		c.warn = func(error) {}
	}
	if c.began == nil {
		c.began = func(int) {}
	}
	code := ""
	if o.Folder != "" {
		if err := usable(o.Folder); err != nil {
			c.warn(fmt.Errorf("using the module cache in memory only: %w", err))
		} else {
			c.folder, code = filepath.Join(o.Folder, "modules"), filepath.Join(o.Folder, "code")
		}
	}
	c.engine = newEngine(code)
	return c
}

// usable finds out whether files can be made in a folder, by making one.
func usable(folder string) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(folder, ".probe-*")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// Load returns the module of these bytes, which must not change meanwhile. Loads of the same bytes share one compilation, or one
// refusal, which is an *errcode.Error. Refusals are not kept: they are cheap, and whoever uploads rubbish should not fill memory.
// A compilation goes on when the load that began it is cancelled; others may wait for it.
func (c *Cache) Load(ctx context.Context, original []byte) (*Module, error) {
	digest := Digest(sha256.Sum256(original))
	return c.load(ctx, key{digest: digest}, func(ctx context.Context) (*Module, error) {
		user, err := script.Parse(original)
		if err != nil {
			return nil, err
		}
		if user != nil {
			return c.script(ctx, digest, user)
		}
		return c.make(ctx, digest, func() ([]byte, error) { return original, nil })
	})
}

// load returns what build makes, which runs once.
func (c *Cache) load(ctx context.Context, k key, build func(context.Context) (*Module, error)) (*Module, error) {
	p, err := c.join(ctx, k, build)
	if err != nil {
		return nil, err
	}
	select {
	case <-p.done:
	case <-p.late:
	case <-ctx.Done():
	}
	select { // a module that is there counts, whatever else has ended
	case <-p.done:
		return p.module, p.err
	default:
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return nil, c.slow() // the engine gives up between two functions; it is in the middle of one
}

// join finds the compilation of a module, or begins it.
func (c *Cache) join(ctx context.Context, k key, build func(context.Context) (*Module, error)) (*pending, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errors.New("the module cache is closed")
	}
	if p, known := c.modules[k]; known {
		return p, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.most)
	p := &pending{done: make(chan struct{}), late: ctx.Done(), cancel: cancel}
	c.modules[k] = p
	go func() {
		defer cancel()
		p.module, p.err = build(ctx)
		if p.err != nil {
			c.forget(k)
		}
		close(p.done)
	}()
	return p, nil
}

func (c *Cache) slow() error {
	return ErrSlow.Errorf("the module is not compiled after %v", c.most).
		Do("try again when the machine is less busy; else a function of the module is too large: split it")
}

func (c *Cache) forget(k key) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.modules, k)
}

// make loads a module from the folder or from scratch.
func (c *Cache) make(ctx context.Context, digest Digest, original func() ([]byte, error)) (*Module, error) {
	e, kept := c.read(digest)
	if !kept {
		binary, err := original()
		if err != nil {
			return nil, err
		}
		m, err := profile.Check(binary, c.limits)
		if err != nil {
			return nil, err
		}
		if e.metered, e.Report, err = meter.Rewrite(m); err != nil {
			return nil, profile.Refused(err)
		}
		e.MemoryBytesMin = uint64(m.Memories[0].Min) * profile.PageBytes
		c.began(len(binary))
	}
	compiled, err := c.engine.Compile(ctx, e.metered)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, c.slow()
	}
	if err != nil {
		return nil, err
	}
	if !kept {
		c.write(digest, e) // only now: the engine has checked the types
	}
	return &Module{Digest: digest, Compiled: compiled, Report: e.Report}, nil
}

// Close closes every module, and ends what is being compiled. No instance may be running.
func (c *Cache) Close(ctx context.Context) error {
	c.mu.Lock()
	c.closed = true
	modules := slices.Collect(maps.Values(c.modules))
	c.mu.Unlock() // what is under way ends by itself, and may need the lock for it
	var errs []error
	for _, l := range modules {
		l.cancel()
		<-l.done
		if l.module != nil {
			errs = append(errs, l.module.Compiled.Close(ctx))
		}
	}
	return errors.Join(append(errs, c.engine.Close(ctx))...)
}
