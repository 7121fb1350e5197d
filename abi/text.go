package abi

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// CleanText makes text from a guest fit for a log line or a terminal: valid UTF-8, with control characters but tab and newline
// replaced, so that a guest cannot move the cursor or forge a line of another log.
func CleanText(b []byte) string {
	s := string(b)
	clean := utf8.ValidString(s)
	for _, r := range s {
		if !printable(r) {
			clean = false
		}
	}
	if clean {
		return s
	}
	return strings.Map(func(r rune) rune {
		if printable(r) {
			return r
		}
		return utf8.RuneError
	}, strings.ToValidUTF8(s, string(utf8.RuneError)))
}

func printable(r rune) bool { return r == '\n' || r == '\t' || !unicode.IsControl(r) }
