package badgerdb

import (
	"math/rand/v2"
	"syscall"
	"testing"
	"time"
)

// cpuTime is what the process has used, user and system, Badger's goroutines included.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkFiveTimesHot counts uniform keys whose cells are five times as large as the hot table may be, with a checkpoint every
// 64 batches of 4,096 records; loading from Badger, writing to it and its compactions are all included.
func BenchmarkFiveTimesHot(b *testing.B) {
	const n, rows, cellBytes = 1_000_000, 4096, 32
	m := newMillion(b, n, n*cellBytes/5)
	r := rand.New(rand.NewPCG(8, 8))
	keys := make([]int, rows)
	order := r.Perm(n)
	for i := 0; i+rows <= n; i += rows {
		m.step(order[i : i+rows])
		if i/rows%64 == 63 {
			m.checkpoint(false)
		}
	}
	m.checkpoint(false)
	m.wait()
	before := m.b.Stats().StoreReads
	b.ReportAllocs()
	b.ResetTimer()
	start := cpuTime()
	for i := range b.N {
		for k := range keys {
			keys[k] = r.IntN(n)
		}
		m.step(keys)
		if i%64 == 63 {
			m.checkpoint(false)
		}
	}
	m.wait()
	records := float64(b.N) * rows
	b.ReportMetric(float64(cpuTime()-start)/records, "cpu-ns/record")
	b.ReportMetric(float64(m.b.Stats().StoreReads-before)/records, "reads/record")
}
