// Package memory is the state back-end that keeps everything in memory. A restart rebuilds it from checkpoints.
package memory

import (
	"github.com/tidemill/tidemill/runtime/state"
	"github.com/tidemill/tidemill/runtime/state/hot"
)

// Factory makes back-ends; of the options only StateBytesMax counts.
type Factory struct{}

// New implements state.Factory.
func (Factory) New(options state.Options) (state.Backend, error) { return hot.New(options, nil), nil }
