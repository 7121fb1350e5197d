package hot

import (
	"errors"
	"io"

	"github.com/tidemill/tidemill/runtime/record"
	"github.com/tidemill/tidemill/runtime/state"
)

// restore hands on the entries of a segment that are of the key groups wanted.
func restore(from state.Reader, groups [2]int, maxParallelism int, entry func(e *state.Entry, hash uint64) error) error {
	for {
		e, err := from.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		hash := record.HashKey(e.Key)
		if g := record.KeyGroup(hash, maxParallelism); g < groups[0] || g >= groups[1] {
			continue
		}
		if err := entry(&e, hash); err != nil {
			return err
		}
	}
}
