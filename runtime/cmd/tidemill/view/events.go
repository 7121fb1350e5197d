package view

import (
	"fmt"
	"strings"
	"time"

	"github.com/tidemill/tidemill/runtime/checkpoint"
	"github.com/tidemill/tidemill/runtime/engine"
)

// Text is what people are told of an event; empty where it is not worth a line.
func Text(e engine.Event) string {
	switch e := e.(type) {
	case engine.Skipped:
		var damage []string
		for i := range e.Damage {
			damage = append(damage, e.Damage[i].Error())
		}
		return fmt.Sprintf("WARNING: checkpoint %d is DAMAGED and is passed over: %s", e.Checkpoint, strings.Join(damage, "; "))
	case engine.Restored:
		if e.Manifest.Finished {
			return "" // there is nothing to go on with
		}
		return "going on from " + Restored(e.Manifest)
	case engine.Restarting:
		return fmt.Sprintf("FAILED: %v\nrestart %d in %s", e.Err, e.Restart, Elapsed(e.Pause))
	}
	return ""
}

// Restored describes a checkpoint that a job goes on from.
func Restored(m *checkpoint.Manifest) string {
	records, done := int64(0), 0
	for _, s := range m.Splits {
		records += s.Position.Records
		if s.Position.Done {
			done++
		}
	}
	return fmt.Sprintf("checkpoint %d of %s: %s records read, %d of %d splits to their end", m.Checkpoint,
		m.Time.UTC().Format(time.RFC3339), Count(records), done, len(m.Splits))
}
