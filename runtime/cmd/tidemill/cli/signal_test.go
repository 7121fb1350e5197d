package cli

import (
	"bytes"
	"os"
	"strings"
	"syscall"
	"testing"
)

// Where no job runs, one signal ends the command: here one that would compile a module.
func TestASignalEndsACommand(t *testing.T) {
	signals := make(chan os.Signal, 1)
	signals <- syscall.SIGTERM
	var stdout, stderr bytes.Buffer
	s := Process()
	s.Stdout, s.Stderr, s.Signals = &stdout, &stderr, signals
	s.Env = func(name string) (string, bool) {
		if name == "TIDEMILL_CACHE" {
			return t.TempDir(), true
		}
		return "", false
	}
	code := Main([]string{"inspect", "../../../../examples/late-flights/delays.wasm"}, s)
	if code != 1 || !strings.Contains(stderr.String(), "TM-CLI-004") {
		t.Errorf("exit code %d, %s%s", code, stdout.String(), stderr.String())
	}
}
