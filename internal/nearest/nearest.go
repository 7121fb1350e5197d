// Package nearest finds the known name that a mistyped one was most likely meant to be.
package nearest

// Name returns the known name with the fewest edits (an insertion, deletion, change or swap of neighbours counts one), the first
// of several; "" where none is within a third of the name's length, and at least one edit. The cost is the product of the
// lengths for each known name; names over 128 bytes are not looked at.
func Name(name string, known []string) string {
	best, least := "", max(len(name)/3, 1)+1
	if len(name) > 128 {
		return ""
	}
	for _, k := range known {
		if len(k) > 128 || k == name {
			continue
		}
		if d := distance(name, k); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance is the restricted Damerau-Levenshtein distance in bytes.
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
