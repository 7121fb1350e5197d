package conformance

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"sync"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/abi/conformance/program"
	"github.com/tidemill/tidemill/runtime/operator"
	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/sandbox"
	"github.com/tidemill/tidemill/runtime/sandbox/modcache"
	"github.com/tidemill/tidemill/runtime/sandbox/profile"
	"github.com/tidemill/tidemill/runtime/sandbox/script"
	"github.com/tidemill/tidemill/runtime/sandbox/script/python"
	"github.com/tidemill/tidemill/runtime/sandbox/vm"
)

// Guest is a compiled module that has the interpreter.
type Guest struct {
	Language string
	module   sandbox.Module
	limits   sandbox.Limits

	columnar bool // it has the operator that takes columns

	mu       sync.Mutex
	bindings map[asked]*abi.Binding
}

// Load compiles a module on an engine.
func Load(language, path string, engine func(folder string) vm.Engine, limits sandbox.Limits) (*Guest, error) {
	binary, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	cache := modcache.New(engine, modcache.Options{
		Limits: profile.Limits{MemoryBytesMax: abi.MemoryBytesMaxPython}, Bases: []script.Base{python.Base()},
	})
	m, err := cache.Load(context.Background(), binary)
	if err != nil {
		return nil, fmt.Errorf("loading %s: %w", path, err)
	}
	limits.TrapsPerMinute, limits.LogLinesPerSec = 1<<30, 1<<20
	g := &Guest{
		Language: language, module: sandbox.FromCache(m), limits: limits,
		bindings: map[asked]*abi.Binding{},
	}
	d, err := sandbox.Describe(g.module, limits)
	if err != nil {
		return nil, err
	}
	g.columnar = d.Entry(columnarEntry) != nil
	return g, nil
}

// asked is what a binding depends on.
type asked struct {
	entry      string
	frameBytes int
}

// binding is what the guest binds, asked once.
func (g *Guest) binding(a asked) (*abi.Binding, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if b := g.bindings[a]; b != nil {
		return b, nil
	}
	limits := g.limits
	limits.FrameBytesMax = a.frameBytes
	request := sandbox.Request(a.entry, "conformance", "interpreter", 0, 1, inputs(), keyFields, map[string]any{})
	found, err := sandbox.Inspect(g.module, limits, request)
	if err != nil {
		return nil, err
	}
	g.bindings[a] = found.Binding
	return found.Binding, nil
}

// The operators' names: every guest has the first, and may have the second.
const (
	rowsEntry     = "interpreter"
	columnarEntry = "columnar"
)

func params(c *program.Case) map[string]any {
	return map[string]any{"on_watermark": hex.EncodeToString(c.OnWatermark), "on_end": hex.EncodeToString(c.OnEnd)}
}

// Columns of the input.
var (
	keyFields = []record.Field{{Name: "k", Type: record.UTF8, Nullable: true}, {Name: "g", Type: record.I64}}
	inSchema  = &record.Schema{Fields: inFields()}
	// Port more has what an SDK must widen, and a column that is not null where the operator would take nulls.
	moreSchema = &record.Schema{Fields: append(keyFields[:2:2], record.Field{Name: "program", Type: record.Binary},
		record.Field{Name: "large", Type: record.I32}, record.Field{Name: "text", Type: record.UTF8})}
)

// inFields puts the key apart and what the operator does not read between what it does.
func inFields() []record.Field {
	fields := []record.Field{keyFields[1], {Name: "unread", Type: record.UTF8, Nullable: true}}
	for i, f := range program.Fields {
		if i == len(program.Fields)/2 {
			fields = append(fields, keyFields[0], record.Field{Name: "program", Type: record.Binary})
		}
		fields = append(fields, record.Field{Name: f.Name, Type: typeOf(f.Type), Nullable: f.Nullable})
	}
	return fields
}

func typeOf(t program.Type) record.Type {
	typ, ok := record.ParseType(string(t))
	if !ok {
		panic("conformance: no type " + string(t))
	}
	return typ
}

func inputs() []operator.Input {
	return []operator.Input{
		{Port: "in", Schema: inSchema, Keys: []int{inSchema.Index("k"), inSchema.Index("g")}},
		{Port: "more", Schema: moreSchema, Keys: []int{0, 1}},
	}
}

// outputs are the guest's ports as a task would be told them.
func outputs(b *abi.Binding) []operator.Output {
	var out []operator.Output
	for i := range b.Outputs {
		schema := &record.Schema{}
		for _, f := range b.Outputs[i].Fields {
			schema.Fields = append(schema.Fields, record.Field{Name: f.Name, Type: record.Type(f.Type), Nullable: f.Nullable})
		}
		out = append(out, operator.Output{Port: b.Outputs[i].Name, Schema: schema})
	}
	return out
}
