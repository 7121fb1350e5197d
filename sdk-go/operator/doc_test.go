package operator_test

import (
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tidemill/tidemill/sdk-go/operator"
)

// TestTheSmallestOperatorHasTenLines takes the first program of the package comment, counts its lines and compiles it.
func TestTheSmallestOperatorHasTenLines(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "doc.go", nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		t.Fatal(err)
	}
	_, program, _ := strings.Cut(file.Doc.Text(), "\tpackage main\n")
	program, _, found := strings.Cut("package main\n"+program, "\n\n")
	if !found {
		t.Fatal("the package comment has no program")
	}
	program = strings.ReplaceAll(program, "\n\t", "\n") + "\n"
	if n := strings.Count(program, "\n"); n > 10 {
		t.Errorf("the smallest operator has %d lines:\n%s", n, program)
	}
	sdk, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	const name = "github.com/tidemill/tidemill/sdk-go"
	for file, text := range map[string]string{
		"main.go": program,
		"go.mod":  "module hello\n\ngo 1.26\n\nrequire " + name + " v0.0.0\n\nreplace " + name + " => " + sdk + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "vet", ".")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off", "GOPROXY=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s\n%s", err, program, out)
	}
}

func TestTimes(t *testing.T) {
	for _, c := range []struct {
		at   operator.Timestamp
		date string
		text string
	}{
		{0, "1970-01-01", "1970-01-01T00:00:00Z"},
		{-1, "1969-12-31", "1969-12-31T23:59:59.999999Z"},
		{operator.At(time.Date(2013, 2, 28, 23, 59, 59, 999_999_999, time.UTC)), "2013-02-28", "2013-02-28T23:59:59.999999Z"},
		{operator.At(time.Date(2024, 2, 29, 0, 0, 0, 0, time.UTC)), "2024-02-29", "2024-02-29T00:00:00Z"},
		{operator.At(time.Date(1900, 3, 1, 12, 0, 0, 0, time.UTC)), "1900-03-01", "1900-03-01T12:00:00Z"},
	} {
		if c.at.Date().String() != c.date || c.at.String() != c.text {
			t.Errorf("%d: %s %s, want %s %s", c.at, c.at.Date(), c.at, c.date, c.text)
		}
		if start := c.at.Date().Start(); start > c.at || c.at.Sub(start) >= 24*time.Hour {
			t.Errorf("%s does not lie in the day that starts at %s", c.at, start)
		}
		for _, d := range []time.Duration{time.Microsecond, time.Second, time.Hour, 7 * time.Minute} {
			cut := c.at.Truncate(d)
			if cut > c.at || c.at.Sub(cut) >= d || cut%operator.Timestamp(d/time.Microsecond) != 0 {
				t.Errorf("%d cut to %v is %d", c.at, d, cut)
			}
			if cut.Add(d) <= c.at {
				t.Errorf("%d + %v is not after %d", cut, d, c.at)
			}
		}
	}
	if operator.NoTime.String() != "none" || operator.EndOfTime.String() != "end" {
		t.Error("the ends of time have no names")
	}
}
