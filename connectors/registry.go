package connectors

import (
	"context"
	"sort"
	"sync"

	"github.com/tidemill/tidemill/connectors/spec"
)

// SourceType is a kind of source that job.yaml can name.
type SourceType struct {
	Name    string // connector: <Name>
	Doc     string // what it is, for the reference
	Example string // options as in job.yaml, for the reference; a test parses it
	Options *spec.Object
	// New makes a source from its options; it does not touch data. Errors name the option's place.
	New func(ctx context.Context, env Env, options spec.Values) (Source, error)
}

// SinkType is a kind of sink that job.yaml can name.
type SinkType struct {
	Name    string
	Doc     string
	Example string
	Options *spec.Object
	New     func(ctx context.Context, env Env, options spec.Values) (Sink, error)
}

var registry struct {
	sync.Mutex
	sources map[string]*SourceType
	sinks   map[string]*SinkType
}

// RegisterSource makes a source known. It panics where the name is taken: that is a mistake of the program.
func RegisterSource(t SourceType) {
	registry.Lock()
	defer registry.Unlock()
	if registry.sources == nil {
		registry.sources = map[string]*SourceType{}
	}
	if registry.sources[t.Name] != nil {
		panic("connectors: source " + t.Name + " is registered twice")
	}
	registry.sources[t.Name] = &t
}

// RegisterSink makes a sink known. It panics where the name is taken.
func RegisterSink(t SinkType) {
	registry.Lock()
	defer registry.Unlock()
	if registry.sinks == nil {
		registry.sinks = map[string]*SinkType{}
	}
	if registry.sinks[t.Name] != nil {
		panic("connectors: sink " + t.Name + " is registered twice")
	}
	registry.sinks[t.Name] = &t
}

// LookupSource returns the source of that name, or nil.
func LookupSource(name string) *SourceType {
	registry.Lock()
	defer registry.Unlock()
	return registry.sources[name]
}

// LookupSink returns the sink of that name, or nil.
func LookupSink(name string) *SinkType {
	registry.Lock()
	defer registry.Unlock()
	return registry.sinks[name]
}

// Sources lists the registered sources, by name.
func Sources() []*SourceType {
	registry.Lock()
	defer registry.Unlock()
	list := make([]*SourceType, 0, len(registry.sources))
	for _, t := range registry.sources {
		list = append(list, t)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return list
}

// Sinks lists the registered sinks, by name.
func Sinks() []*SinkType {
	registry.Lock()
	defer registry.Unlock()
	list := make([]*SinkType, 0, len(registry.sinks))
	for _, t := range registry.sinks {
		list = append(list, t)
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return list
}

// SourceChoices are the registered sources as choices of a selector: for the declaration of job.yaml's sources.
func SourceChoices() []spec.Choice {
	var list []spec.Choice
	for _, t := range Sources() {
		list = append(list, spec.Choice{Name: t.Name, Doc: t.Doc, Object: t.Options})
	}
	return list
}

// SinkChoices are the registered sinks as choices of a selector.
func SinkChoices() []spec.Choice {
	var list []spec.Choice
	for _, t := range Sinks() {
		list = append(list, spec.Choice{Name: t.Name, Doc: t.Doc, Object: t.Options})
	}
	return list
}
