package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/tidemill/tidemill/runtime/bench/measure"
	"github.com/tidemill/tidemill/runtime/sandbox/modcache"
	"github.com/tidemill/tidemill/runtime/sandbox/script/python"
)

// starts measures what comes before the first record, and what an instance keeps: A is from the cache on disk, as a new process
// finds it, B one more instance where the module is compiled in the process; both up to the first record. New is a module, or an
// interpreter, that no cache has.
func starts(o options, folder, language string, module []byte) (*measure.Result, error) {
	ctx := context.Background()
	w := workloads[0]
	b := w.batch(1)
	first := func(cache *modcache.Cache) (int64, string, error) {
		s, err := w.guest(ctx, cache, module)
		if err != nil {
			return 0, "", err
		}
		if err := s.op.Process(0, b); err != nil {
			return 0, "", err
		}
		return 1, fmt.Sprintf("%d row", s.rows), s.op.Close()
	}
	fresh := func(folder string) (int64, string, error) {
		cache := newCache(folder)
		defer cache.Close(ctx)
		return first(cache)
	}
	before := measure.CPU()
	if _, _, err := fresh(folder); err != nil {
		return nil, err
	}
	compiled := measure.CPU() - before
	warm := newCache(folder)
	defer warm.Close(ctx)
	r, err := measure.Compare("LANG-start", language+": start to the first record", "start", o.pairs,
		measure.Side{Name: "from the cache on disk", Want: "1 row", Run: func() (int64, string, error) { return fresh(folder) }},
		measure.Side{Name: "one more instance, planned and opened", Want: "1 row", Run: func() (int64, string, error) { return first(warm) }})
	if err != nil {
		return nil, err
	}
	one, err := oneInstance(warm, w, module, o)
	if err != nil {
		return nil, err
	}
	r.Figures = map[string]float64{"module_bytes": float64(len(module)), "new_cpu_ms": compiled.Seconds() * 1e3,
		"instance_bytes": one.bytes, "instance_cpu_ms": one.cpuMs, "instances": float64(o.instances)}
	if language == "python" {
		base, err := python.Base().Binary()
		if err != nil {
			return nil, err
		}
		r.Figures["base_bytes"] = float64(len(base))
	}
	r.Budget = "A: Rust <= 20 ms, Go <= 60 ms; one instance: Rust <= 2 ms, Go and Python <= 5 ms; memory: Rust and Python <= 2 MiB, Go <= 8 MiB"
	r.Notes = fmt.Sprintf("new: %.0f ms of CPU; an instance of %d held: %.2f ms of CPU to open, %.2f MiB of private memory after its first record",
		r.Figures["new_cpu_ms"], o.instances, one.cpuMs, one.bytes/(1<<20))
	return r, nil
}

// cost is that of one instance among many.
type cost struct{ bytes, cpuMs float64 }

// oneInstance opens many operators at once and gives each a record.
func oneInstance(cache *modcache.Cache, w *workload, module []byte, o options) (cost, error) {
	config, params, err := w.config(context.Background(), cache, module)
	if err != nil {
		return cost{}, err
	}
	b := w.batch(1)
	var held []*side
	defer func() {
		for _, s := range held {
			s.op.Close()
		}
	}()
	memory, err := privateBytes()
	if err != nil {
		return cost{}, err
	}
	cpu := measure.CPU()
	for range o.instances {
		s, err := w.opened(newOperator(config), params)
		if err != nil {
			return cost{}, err
		}
		held = append(held, s)
	}
	opened := measure.CPU() - cpu
	for _, s := range held {
		if err := s.op.Process(0, b); err != nil {
			return cost{}, err
		}
	}
	now, err := privateBytes()
	if err != nil {
		return cost{}, err
	}
	n := float64(o.instances)
	return cost{bytes: (now - memory) / n, cpuMs: opened.Seconds() * 1e3 / n}, nil
}

// privateBytes is the memory that the process shares with nobody, the garbage of Go's own heap left out.
func privateBytes() (float64, error) {
	runtime.GC()
	debug.FreeOSMemory()
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var kib float64
		if line, found := strings.CutPrefix(s.Text(), "RssAnon:"); found {
			_, err := fmt.Sscanf(line, "%f kB", &kib)
			return kib * 1024, err
		}
	}
	return 0, fmt.Errorf("there is no RssAnon in /proc/self/status")
}
