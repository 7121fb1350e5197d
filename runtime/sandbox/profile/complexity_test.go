package profile

import (
	"strings"
	"testing"

	"github.com/tidemill/tidemill/internal/errcode"
	"github.com/tidemill/tidemill/runtime/sandbox/wasm"
	"github.com/tidemill/tidemill/runtime/sandbox/wat"
)

// What a compiler takes more than linear time for is refused beyond a limit, and not at it.
func TestComplexity(t *testing.T) {
	nested := func(n int, open string) string { return strings.Repeat(open+" ", n) + strings.Repeat("end ", n) }
	for _, c := range []struct {
		name, want string
		body       func(n int) string
		max        int
	}{
		{"loops in a row", "more than 500 loops", func(n int) string { return strings.Repeat("loop end ", n) }, loopsMax},
		{"loops in loops", "more than 500 loops", func(n int) string { return nested(n, "loop") }, loopsMax},
		{"blocks in blocks", "more than 5000 blocks within each other", func(n int) string { return nested(n, "block") }, nestingMax},
		{"targets", "a br_table of 20001 targets", func(n int) string { return "i32.const 0 br_table" + strings.Repeat(" 0", n+1) }, tableTargetsMax},
	} {
		for n, refused := range map[int]bool{c.max: false, c.max + 1: true} {
			binary, err := wat.Assemble("(module (func " + c.body(n) + "))")
			if err != nil {
				t.Fatal(err)
			}
			m, err := wasm.Decode(binary)
			if err != nil {
				t.Fatal(err)
			}
			err = checkCode(m)
			if !refused && err != nil {
				t.Errorf("%d %s: %v", n, c.name, err)
			}
			if refused && (!errcode.Is(err, ErrLimit) || !strings.Contains(err.Error(), c.want) || !strings.Contains(errcode.Of(err).Place, "function 0")) {
				t.Errorf("%d %s: %v, want %s", n, c.name, err, c.want)
			}
		}
	}
}
