package guestlog

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/tidemill/tidemill/runtime/operator"
)

// TestStacksAreForDebugging: of a Go program that dies everybody sees what it says, and its stack only who looks for it.
func TestStacksAreForDebugging(t *testing.T) {
	var out bytes.Buffer
	to := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	g := New(to, &operator.Meter{}, func() int64 { return 0 }, 100)
	g.Write(2, []byte("panic: oh\n\ngoroutine 1 [run"))
	g.Write(2, []byte("ning]:\nmain.f(...)\n\tmain.go:7"))
	g.Flush()
	g.Write(2, []byte("next call\n"))
	g.Write(1, []byte("goroutine 5\n"))
	g.Write(2, []byte("fatal error: out of memory\nruntime stack:\nruntime.throw()\n"))
	g.Flush()
	var got []string
	for line := range strings.Lines(out.String()) {
		_, line, _ = strings.Cut(strings.TrimSpace(line), " level=")
		got = append(got, line)
	}
	want := []string{
		`WARN msg="panic: oh"`, `DEBUG msg=""`, `DEBUG msg="goroutine 1 [running]:"`, `DEBUG msg=main.f(...)`, `DEBUG msg="\tmain.go:7"`,
		`WARN msg="next call"`, `INFO msg="goroutine 5"`,
		`WARN msg="fatal error: out of memory"`, `DEBUG msg="runtime stack:"`, `DEBUG msg=runtime.throw()`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
