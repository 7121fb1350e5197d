//go:build long

package conformance

import (
	"flag"
	"testing"
	"time"
)

var (
	duration  = flag.Duration("duration", time.Minute, "how long TestLong draws cases")
	firstSeed = flag.Uint64("seed", 1_000_000, "the first case of TestLong")
)

// TestLong draws cases, one seed after another, until its time is over:
//
//	go test -tags long -run TestLong -timeout 2h ./abi/conformance -args -duration 1h -seed 7
func TestLong(t *testing.T) {
	end := time.Now().Add(*duration)
	seed := *firstSeed
	for ; time.Now().Before(end); seed++ {
		if !checkSeed(t, seed, 6) {
			return
		}
	}
	t.Logf("%d cases, seeds %d to %d", seed-*firstSeed, *firstSeed, seed-1)
}
