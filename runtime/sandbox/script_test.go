package sandbox

import (
	"context"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/sandbox/modcache"
	"github.com/tidemill/tidemill/runtime/sandbox/profile"
	"github.com/tidemill/tidemill/runtime/sandbox/script"
	"github.com/tidemill/tidemill/runtime/sandbox/script/scripttest"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
	"github.com/tidemill/tidemill/runtime/sandbox/wazerovm"
)

// scriptCache has the test's interpreter.
func scriptCache(t *testing.T) *modcache.Cache {
	c := modcache.New(func(string) vm.Engine { return wazerovm.New("", nil) },
		modcache.Options{Limits: profile.Limits{MemoryBytesMax: abi.MemoryBytesMax}, Bases: []script.Base{scripttest.Base()}})
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return c
}

func scriptModule(t *testing.T, c *modcache.Cache, binary []byte) Module {
	t.Helper()
	m, err := c.Load(context.Background(), binary)
	if err != nil {
		t.Fatal(err)
	}
	return FromCache(m)
}

func TestScripts(t *testing.T) {
	c := scriptCache(t)
	m := scriptModule(t, c, scripttest.Module(scripttest.Base(), "fine"))
	if m.Limits(Limits{}).MemoryBytesMax != abi.MemoryBytesMaxPython || m.Limits(Limits{MemoryBytesMax: 1 << 20}).MemoryBytesMax != 1<<20 {
		t.Error("an interpreter has another memory limit than its own, or than the job's")
	}
	d, err := Describe(m, Limits{})
	if err != nil || d.Entry("op") == nil {
		t.Fatalf("%+v, %v", d, err)
	}
	if again, err := Describe(Module{description: m.description}, Limits{}); err != nil || again != d {
		t.Errorf("a module is asked twice: %v", err)
	}
	if _, err := Inspect(m, Limits{}, abi.OpenRequest{Entry: "op", Inputs: []abi.OpenInput{{Port: "in"}}}); err != nil {
		t.Error(err)
	}
	other := scripttest.Redescribed(scripttest.Module(scripttest.Base(), "fine"))
	if _, err := Describe(scriptModule(t, c, other), Limits{}); !errcode.Is(err, ErrDescribe) || !strings.Contains(err.Error(), "otherwise than its code does") {
		t.Errorf("a module that describes itself otherwise: %v", err)
	}
}

// wholeEngine is an engine without images.
type wholeEngine struct{ vm.Engine }

func (e wholeEngine) Compile(ctx context.Context, metered []byte) (vm.Compiled, error) {
	c, err := e.Engine.Compile(ctx, metered)
	return struct{ vm.Compiled }{c}, err
}

// TestScriptsWithoutImages has each instance start the interpreter and load the code, within its own fuel; with images none does.
func TestScriptsWithoutImages(t *testing.T) {
	whole := modcache.New(func(string) vm.Engine { return wholeEngine{wazerovm.New("", nil)} },
		modcache.Options{Limits: profile.Limits{MemoryBytesMax: abi.MemoryBytesMax}, Bases: []script.Base{scripttest.Base()}})
	defer whole.Close(context.Background())
	images := scriptCache(t)
	used := func(c *modcache.Cache, characters int) int64 {
		m := scriptModule(t, c, scripttest.Module(scripttest.Base(), strings.Repeat("x", characters)))
		limits := m.Limits(Limits{})
		g, err := throwAway(&m, &limits)
		if err != nil {
			t.Fatal(err)
		}
		defer g.close()
		if loads := g.instance.Memory()[12]; loads != 1 {
			t.Errorf("the code was loaded %d times", loads)
		}
		return g.instance.FuelUsed()
	}
	if a, b, again := used(whole, 100), used(whole, 1100), used(whole, 1100); a <= 0 || b < a+10*1000 || b != again {
		t.Errorf("loading takes %d and %d units, and %d again", a, b, again)
	}
	if n := used(images, 1100); n != 0 {
		t.Errorf("an instance from an image begins with %d units", n)
	}
	m := scriptModule(t, whole, scripttest.Module(scripttest.Base(), scripttest.Fails))
	if _, err := Describe(m, Limits{}); !errcode.Is(err, script.ErrLoad) || errcode.Of(err).Place != "op.py:12" {
		t.Errorf("code that does not load: %v", err)
	}
}

func TestScriptsThatDoNotLoad(t *testing.T) {
	c := scriptCache(t)
	for source, want := range map[string]struct {
		code        *errcode.Code
		place, text string
	}{
		scripttest.Fails:  {script.ErrLoad, "op.py:12", "No module named 'numpy'"},
		scripttest.Loops:  {script.ErrLoad, "", "fuel exhausted"},
		scripttest.Traps:  {script.ErrLoad, "", "trap: unreachable"},
		scripttest.Chaos:  {script.ErrBroken, "", "is not in its memory"},
		scripttest.Babble: {script.ErrBroken, "", "not an error object"},
	} {
		_, err := c.Load(context.Background(), scripttest.Module(scripttest.Base(), "some code "+source))
		if e := errcode.Of(err); !errcode.Is(err, want.code) || !strings.Contains(err.Error(), want.text) || want.code == script.ErrLoad && e.Place != want.place {
			t.Errorf("%s: %v", source, err)
		}
	}
}
