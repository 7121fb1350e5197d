package failpoint_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/tidemill/tidemill/internal/failpoint"
)

func TestArm(t *testing.T) {
	defer failpoint.Arm("", 0, nil)
	hits := 0
	failpoint.Arm(failpoint.ManifestBefore, 2, func() { hits++ })
	for i, at := range []string{failpoint.ManifestBefore, failpoint.ManifestAfter, failpoint.SinkFlushed} {
		failpoint.Hit(at)
		if hits != 0 {
			t.Fatalf("hit %d, %s, fired", i, at)
		}
	}
	failpoint.Hit(failpoint.ManifestBefore)
	if hits != 1 {
		t.Fatalf("the second hit fired %d times", hits)
	}
	failpoint.Hit(failpoint.ManifestBefore)
	failpoint.Hit(failpoint.ManifestBefore)
	if hits != 1 {
		t.Errorf("it fired again: %d", hits)
	}
	failpoint.Arm(failpoint.ManifestAfter, 1, func() { hits++ })
	failpoint.Arm("", 0, nil)
	failpoint.Hit(failpoint.ManifestAfter)
	if hits != 1 {
		t.Error("it fired after it was disarmed")
	}
}

// TestEnvironment arms windows of a child: it dies by SIGKILL at exactly the hit asked for.
func TestEnvironment(t *testing.T) {
	if os.Getenv("FAILPOINT_TEST_CHILD") != "" {
		for i := range 3 {
			fmt.Println("before", i+1)
			failpoint.Hit(failpoint.CommitRenameBetween)
		}
		fmt.Println("end")
		return
	}
	for _, c := range []struct {
		spec   string
		last   string // line of the child
		killed bool
		code   int
	}{
		{"commit.rename.between", "before 1", true, 0},
		{"commit.rename.between:3", "before 3", true, 0},
		{"commit.rename.between:4", "PASS", false, 0},
		{"manifest.after", "PASS", false, 0},
		{"commit.rename.betwixt", "no such failpoint", false, 2},
		{"manifest.after:0", "want NAME or NAME:N", false, 2},
		{"manifest.after:x", "want NAME or NAME:N", false, 2},
	} {
		child := exec.Command(os.Args[0], "-test.run=^TestEnvironment$")
		child.Env = append(os.Environ(), "FAILPOINT_TEST_CHILD=1", failpoint.Environment+"="+c.spec)
		out, _ := child.CombinedOutput()
		status := child.ProcessState.Sys().(syscall.WaitStatus)
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		if last := lines[len(lines)-1]; !strings.Contains(last, c.last) || status.Signaled() != c.killed || status.ExitStatus() != c.code && !c.killed {
			t.Errorf("%s: %q, %v", c.spec, out, child.ProcessState)
		}
		if c.killed && status.Signal() != syscall.SIGKILL {
			t.Errorf("%s: it died by %v", c.spec, status.Signal())
		}
	}
}

func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range failpoint.Names() {
		if seen[name] || name == "" {
			t.Errorf("window %q", name)
		}
		seen[name] = true
	}
}

func BenchmarkHit(b *testing.B) {
	for b.Loop() {
		failpoint.Hit(failpoint.SinkFlushed)
	}
}
