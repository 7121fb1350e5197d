package model

import (
	"fmt"
	"maps"
	"slices"

	"github.com/tidemill/tidemill/abi/conformance/program"
)

// What cells have to live from when they were last written, in us of processing time, as SPEC.md has it in section 4.
const (
	briefLives  = 100_000
	fadingLives = 250_000
	mistLives   = 1_000_000
)

// expire takes away what is absent from now on.
func (k *keyed) expire(now int64) {
	if brief := k.values[2]; brief != nil && now-brief.written >= briefLives {
		k.values[2] = nil
	}
	k.lists[2] = slices.DeleteFunc(k.lists[2], func(c cell) bool { return now-c.written >= fadingLives })
	maps.DeleteFunc(k.maps[3], func(_ program.MapKey, c cell) bool { return now-c.written >= mistLives })
}

// State is all state and timers as sorted lines.
func (m *Model) State() []string {
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for key, k := range m.keys {
		k.expire(m.now)
		for i, name := range []string{"cell", "plain", "brief"} {
			if k.values[i] != nil {
				add("%s of %v: %v", name, key, k.values[i].record)
			}
		}
		for i, name := range []string{"items", "near", "fading"} {
			for n, element := range k.lists[i] {
				add("%s of %v, %06d: %v", name, key, n, element.record)
			}
		}
		for i, name := range []string{"words", "close", "pairs", "mist"} {
			for mapKey, entry := range k.maps[i] {
				add("%s of %v, %q: %v", name, key, mapKey.Name(i), entry.record)
			}
		}
		for tag, p := range k.programs {
			add("programs of %v, %q: %x", key, tag, p)
		}
		for _, t := range k.timers {
			add("%s of %v: %d %q", program.TimerNames[t.name], key, t.time, t.tag)
		}
	}
	slices.Sort(lines)
	return lines
}
