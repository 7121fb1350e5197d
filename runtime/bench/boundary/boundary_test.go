package main

import (
	"testing"

	"github.com/tidemill/tidemill/runtime/sandbox/wat"
)

// TestBoundaryAllocates nothing: a frame without output is written, called and answered in memory that was there.
func TestBoundaryAllocatesNothing(t *testing.T) {
	op, meter, err := open(wat.Must(emptyGuest), "idle")
	if err != nil {
		t.Fatal(err)
	}
	defer op.Close()
	b := batch()
	n := testing.AllocsPerRun(1000, func() {
		if err := op.Process(0, b); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
	if meter.Frames.Load() != 1001 || meter.Traps.Load() != 0 {
		t.Errorf("%d frames, %d traps", meter.Frames.Load(), meter.Traps.Load())
	}
}

func BenchmarkBoundary(b *testing.B) {
	op, _, err := open(wat.Must(emptyGuest), "idle")
	if err != nil {
		b.Fatal(err)
	}
	defer op.Close()
	in := batch()
	b.ReportAllocs()
	for b.Loop() {
		if err := op.Process(0, in); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/rows, "ns/record")
}

func BenchmarkCopy(b *testing.B) {
	side := copies()
	for b.Loop() {
		if _, _, err := side.Run(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/frames, "ns/frame")
}
