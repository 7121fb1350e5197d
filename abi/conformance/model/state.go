package model

import (
	"fmt"
	"maps"
	"slices"

	"github.com/tidemill/tidemill/abi/conformance/program"
)

// lives is what cells have to live from when they were last written, in us of processing time, by state: section 4 of SPEC.md.
var lives = map[string]int64{"brief": 100_000, "fading": 250_000, "mist": 1_000_000}

// until says when a cell will have expired.
func until(state string, written int64) string {
	if lives[state] == 0 {
		return ""
	}
	return fmt.Sprint(" until ", written+lives[state])
}

// expire takes away what is absent from now on.
func (k *keyed) expire(now int64) {
	if brief := k.values[2]; brief != nil && now-brief.written >= lives["brief"] {
		k.values[2] = nil
	}
	k.lists[2] = slices.DeleteFunc(k.lists[2], func(c cell) bool { return now-c.written >= lives["fading"] })
	maps.DeleteFunc(k.maps[3], func(_ program.MapKey, c cell) bool { return now-c.written >= lives["mist"] })
}

// State is all state and timers as sorted lines.
func (m *Model) State() []string {
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for key, k := range m.keys {
		k.expire(m.now)
		for i, name := range []string{"cell", "plain", "brief"} {
			if k.values[i] != nil {
				add("%s of %v: %v%s", name, key, k.values[i].record, until(name, k.values[i].written))
			}
		}
		for i, name := range []string{"items", "near", "fading"} {
			for n, element := range k.lists[i] {
				add("%s of %v, %06d: %v%s", name, key, n, element.record, until(name, element.written))
			}
		}
		for i, name := range []string{"words", "close", "pairs", "mist"} {
			for mapKey, entry := range k.maps[i] {
				add("%s of %v, %q: %v%s", name, key, mapKey.Name(i), entry.record, until(name, entry.written))
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
