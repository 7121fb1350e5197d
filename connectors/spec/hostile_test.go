package spec

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/internal/errcode"
)

// TestHostileText feeds what made the YAML parser run for minutes or take all memory.
func TestHostileText(t *testing.T) {
	bomb := "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c,", c-1), 10), ","))
	}
	cases := []string{bomb, "a: &x [*x]", "a: \xff", "", "\x00"}
	for _, unit := range []string{"[", "{", "- ", "? ", "&a ", "{a: ", "a: [", "*a ", "\"", "'", "|\n", "a:\n", "!!x ", ": ", "%a\n", "---\n", ">"} {
		cases = append(cases, strings.Repeat(unit, 10_000), strings.Repeat(unit, fileBytesMax/len(unit)), strings.Repeat(unit, fileBytesMax))
	}
	for i, text := range cases {
		start := time.Now()
		doc, err := Load("f.yaml", []byte(text), nil)
		if err == nil && doc == nil || err != nil && !errcode.Is(err, ErrSyntax) {
			t.Errorf("case %d (%.20q): %v", i, text, err)
		}
		if d := time.Since(start); d > 20*time.Second { // they take milliseconds; the parser alone took minutes
			t.Errorf("case %d (%.20q) took %v", i, text, d)
		}
	}
}
