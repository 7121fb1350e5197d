package spec

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// scalar turns a field's text into its Go value: string, int64, float64, bool or time.Duration ([]string for a List of one). The
// error says what is wanted and does not repeat the text, which may be a secret.
func (f *Field) scalar(text string) (any, error) {
	v, err := f.convert(text)
	if err != nil {
		return nil, err
	}
	if err := f.inRange(v); err != nil {
		return nil, err
	}
	if f.Check != nil {
		if err := f.Check(text); err != nil {
			if f.Secret {
				return nil, errors.New("want another value")
			}
			return nil, err
		}
	}
	return v, nil
}

func (f *Field) convert(text string) (any, error) {
	switch f.Kind {
	case String:
		return text, nil
	case List:
		return []string{text}, nil
	case Int:
		v, err := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 10, 64)
		if err != nil {
			return nil, errors.New("want a whole number")
		}
		return v, nil
	case Float:
		v, err := strconv.ParseFloat(strings.ReplaceAll(text, "_", ""), 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return nil, errors.New("want a number")
		}
		return v, nil
	case Bool:
		switch text {
		case "true":
			return true, nil
		case "false":
			return false, nil
		}
		return nil, errors.New("want true or false")
	case Duration:
		v, err := time.ParseDuration(text)
		if err != nil {
			return nil, errors.New("want a duration like 500ms, 30s or 24h")
		}
		return v, nil
	case Size:
		return parseSize(text)
	case Enum:
		for _, e := range f.Enum {
			if e == text {
				return text, nil
			}
		}
		return nil, fmt.Errorf("want %s%s", orList(f.Enum), Nearest(text, f.Enum))
	case Nested:
		return nil, errors.New("want a mapping")
	case Map:
		return nil, errors.New("want a mapping")
	}
	return nil, fmt.Errorf("want no scalar")
}

func (f *Field) inRange(v any) error {
	low, high := f.Min != "" && less(v, f.bound(f.Min)), f.Max != "" && less(f.bound(f.Max), v)
	if !low && !high {
		return nil
	}
	unit := ""
	if f.Unit != "" {
		unit = " " + f.Unit
	}
	switch {
	case f.Max == "":
		return fmt.Errorf("want at least %s%s", f.Min, unit)
	case f.Min == "":
		return fmt.Errorf("want at most %s%s", f.Max, unit)
	}
	return fmt.Errorf("want %s to %s%s", f.Min, f.Max, unit)
}

func (f *Field) bound(text string) any {
	v, err := f.convert(text)
	if err != nil {
		panic("spec: " + f.Name + ": bound " + text + ": " + err.Error())
	}
	return v
}

func less(a, b any) bool {
	switch a := a.(type) {
	case int64:
		return a < b.(int64)
	case float64:
		return a < b.(float64)
	case time.Duration:
		return a < b.(time.Duration)
	}
	return false
}

var sizeUnits = []struct {
	suffix string
	bytes  int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1},
}

func parseSize(text string) (any, error) {
	number, unit := text, int64(1)
	for _, u := range sizeUnits {
		if strings.HasSuffix(text, u.suffix) {
			number, unit = strings.TrimSpace(strings.TrimSuffix(text, u.suffix)), u.bytes
			break
		}
	}
	v, err := strconv.ParseInt(strings.ReplaceAll(number, "_", ""), 10, 64)
	if err != nil || v < 0 || v > math.MaxInt64/unit {
		return nil, errors.New("want a number of bytes like 65536, 64KiB or 128MiB")
	}
	return v * unit, nil
}

func orList(names []string) string {
	switch len(names) {
	case 0:
		return "nothing"
	case 1:
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// Nearest returns `; did you mean "x"?` for the known name that is nearest to what was written, or "" where none is near.
func Nearest(written string, known []string) string {
	best, least := "", max(2, len(written)/3)+1
	for _, k := range known {
		if d := editDistance(strings.ToLower(written), strings.ToLower(k)); d < least && d < len(k) {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// editDistance is the optimal string alignment distance: insertions, deletions, replacements and swaps of neighbours.
func editDistance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			row[j] = min(row[j-1]+1, last[j]+1, last[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
