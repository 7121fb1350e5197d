package operator

import (
	"github.com/tidemill/tidemill/sdk-go/internal/abi"
	"github.com/tidemill/tidemill/sdk-go/internal/engine"
)

// Counter is a metric that only grows. What is added counts when the items under way take effect.
type Counter struct{ core metricCore[counter] }

// Add adds n.
func (c *Counter) Add(n uint64) { c.core.slot.Metrics.Add(c.core.id, n) }

// Gauge is a metric with a value, the last one set in a subtask.
type Gauge struct{ core metricCore[gauge] }

// Set sets the value.
func (g *Gauge) Set(v float64) { g.core.slot.Metrics.Set(g.core.id, v) }

type metricKind interface{ kind() string }

type counter struct{}
type gauge struct{}

func (counter) kind() string { return abi.MetricCounter }
func (gauge) kind() string   { return abi.MetricGauge }

type metricCore[K metricKind] struct {
	slot *engine.Slot
	id   int
}

func (c *metricCore[K]) Declare(s *engine.Slot, d engine.Declaration) error {
	var k K
	c.slot = s
	c.id = s.AddMetric(abi.BindMetric{Name: d.Name, Kind: k.kind(), Doc: d.Doc})
	return nil
}
