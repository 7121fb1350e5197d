// Package faultfs makes files fail, for tests.
//
// FS wraps any vfs.FS and fails chosen operations with a chosen error: the n-th write with ENOSPC, every one after it too, or
// everything from some operation on, as if the process had stopped there. A write that fails has written half of its bytes, as a
// full disk does.
//
//	for n := 1; ; n++ {
//		faulty := faultfs.Wrap(disk)
//		faulty.FailAt(n, syscall.ENOSPC, faultfs.Writes...)
//		run(faulty)
//		if !faulty.Fired() {
//			break // every write has failed once
//		}
//	}
//
// Around a vfs.Mem, which knows what is durable, it shows what a crash at any operation leaves: FailFrom, then Mem.Crash.
//
// It is safe for concurrent use.
package faultfs
