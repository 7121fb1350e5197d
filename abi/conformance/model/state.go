package model

import (
	"fmt"
	"slices"

	"github.com/tidemill/tidemill/abi/conformance/program"
)

// State is all state and timers as sorted lines.
func (m *Model) State() []string {
	var lines []string
	add := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	for key, k := range m.keys {
		for i, name := range []string{"cell", "plain"} {
			if k.values[i] != nil {
				add("%s of %v: %v", name, key, *k.values[i])
			}
		}
		for i, name := range []string{"items", "near"} {
			for n, record := range k.lists[i] {
				add("%s of %v, %06d: %v", name, key, n, record)
			}
		}
		for i, name := range []string{"words", "close", "pairs"} {
			for mapKey, record := range k.maps[i] {
				add("%s of %v, %q: %v", name, key, mapKey.Name(i), record)
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
