package hot

import "github.com/tidemill/tidemill/runtime/state/hot/table"

// freezeSweeps is how many chunks of each table with a TTL are swept before a checkpoint, so that an operator that writes nothing
// shrinks, too: 4 MiB, some 100,000 cells, in less than a millisecond where none of them has expired.
const freezeSweeps = 16

// SetNow implements state.Backend.
func (b *Backend) SetNow(us int64) { b.clock.Now = max(b.clock.Now, us) }

// sweepAfter takes out some of what has expired, as much as changes to a table ask for.
func sweepAfter(t table.Table, changes int, bytes int64) error {
	life := t.Lifetime()
	if !life.Ends {
		return nil
	}
	for range life.Owe(changes, bytes) {
		if _, err := t.Sweep(); err != nil {
			return err
		}
	}
	return nil
}

// sweepBefore takes out some of what has expired before a checkpoint is frozen.
func (b *Backend) sweepBefore() error {
	for _, t := range b.tables {
		if !t.Lifetime().Ends {
			continue
		}
		for range freezeSweeps {
			last, err := t.Sweep()
			if err != nil {
				return err
			}
			if last {
				break
			}
		}
	}
	return nil
}

// sweepAll takes out all that has expired.
func (b *Backend) sweepAll() error {
	for _, t := range b.tables {
		if !t.Lifetime().Ends {
			continue
		}
		for range 2 { // the first pass begins where the last Sweep ended
			for last := false; !last; {
				var err error
				if last, err = t.Sweep(); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
