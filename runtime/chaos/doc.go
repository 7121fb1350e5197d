// Package chaos kills real processes. Its tests run the binary on a whole year of flights (336,776 records, testdata), end it
// with SIGKILL at every named failpoint and at random moments, start it again, and compare every published row with what an
// independent program computed (examples/late-flights/expected.py). They take minutes, so they have the build tag long:
//
//	go test -tags long -v ./runtime/chaos
//
// Each kill prints a line: the window, how many checkpoints were complete, the positions they hold.
package chaos
