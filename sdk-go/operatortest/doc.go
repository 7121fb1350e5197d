// Package operatortest runs an operator in an ordinary Go test, without WebAssembly: on rows that the test gives, with event time
// and processing time that the test moves. It is a small host in memory that speaks the contract's frames with the same engine
// that a module holds, and keeps the ten rules of the contract.
//
//	h := operatortest.New(t, "delays", operatortest.Config{Key: []string{"carrier"}, EventTime: "time_hour"})
//	operatortest.Send(h, "flights", Flight{Carrier: "UA", Dest: "IAH"})
//	h.AdvanceWatermark(operator.EndOfTime)
//	got := operatortest.Rows[Daily](h, "daily")
//
// The operator is one that the program registered, so the test lies in the operator's own package. With Config.Shake frames are
// cut at random, states are asked for instead of sent, and the operator is replaced by a new one between frames: what it emits must
// not depend on any of this. After each frame its memory is overwritten, so that an operator that keeps a string without cloning
// it shows.
//
// A Harness is for one goroutine.
package operatortest
