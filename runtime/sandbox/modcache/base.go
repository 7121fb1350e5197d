package modcache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/tidemill/tidemill/runtime/sandbox/script"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
)

// script makes a module of code for an interpreter. Its base is checked, metered, compiled and started once a process, whatever
// the number of modules on it.
func (c *Cache) script(ctx context.Context, digest Digest, user *script.Module) (*Module, error) {
	base, err := c.carried(user.Base)
	if err != nil {
		return nil, err
	}
	var baseDigest Digest
	if _, err := hex.Decode(baseDigest[:], []byte(user.Base.SHA256)); err != nil {
		return nil, err // cannot be: Parse has checked it
	}
	started, err := c.load(ctx, key{digest: baseDigest, base: true}, func(ctx context.Context) (*Module, error) {
		return c.start(ctx, baseDigest, base)
	})
	if err != nil {
		return nil, err
	}
	program, err := script.Load(ctx, started.Compiled.(*interpreter).Compiled, user.Code)
	if err != nil {
		return nil, err
	}
	return &Module{Digest: digest, Compiled: program, Report: started.Report, Script: user}, nil
}

// carried finds the base that a module names.
func (c *Cache) carried(want script.Reference) (*script.Base, error) {
	near := ""
	for i := range c.bases {
		if c.bases[i].SHA256 == want.SHA256 {
			return &c.bases[i], nil
		}
		if c.bases[i].Language == want.Language {
			near = fmt.Sprintf("; this one carries %s", c.bases[i].Reference)
		}
	}
	return nil, script.ErrBase.Errorf("the module is code for %s, digest %s, which this host does not carry", want, want.SHA256).
		At("section %s", script.BaseSection).
		Do("build the module again with the `tidemill` that is to run it, or run it with the release that it was built with%s", near)
}

// start compiles a base and lets it begin from an image of itself.
func (c *Cache) start(ctx context.Context, digest Digest, base *script.Base) (*Module, error) {
	m, err := c.make(ctx, digest, func() ([]byte, error) {
		binary, err := base.Binary()
		if err == nil && sha256.Sum256(binary) != digest {
			err = script.ErrBroken.Errorf("the interpreter %s that this host carries has another digest", base.Reference)
		}
		return binary, err
	})
	if err != nil {
		return nil, err
	}
	started, err := script.Start(ctx, m.Compiled)
	if err != nil {
		_ = m.Compiled.Close(ctx) // the first error counts
		return nil, err
	}
	m.Compiled = &interpreter{Compiled: started, base: m.Compiled}
	return m, nil
}

// interpreter is a started base.
type interpreter struct {
	vm.Compiled
	base vm.Compiled
}

// Close implements vm.Compiled.
func (i *interpreter) Close(ctx context.Context) error {
	if i.Compiled == i.base {
		return i.base.Close(ctx)
	}
	return errors.Join(i.Compiled.Close(ctx), i.base.Close(ctx))
}
