// Package meter measures what metering costs (P2): the programs of runtime/bench/corpus, in C, Rust and Go, as they are and
// metered, on the same engine, over several paddings of the code in front of them, because placement alone moves a loop.
//
// It is all test, since only tests beside the sandbox's engine may know the engine:
//
//	go test ./runtime/bench/meter                  the corpus gives the same results metered
//	go test ./runtime/bench/meter -p2              measures and prints (some minutes)
//	go test ./runtime/bench/meter -p2 -write       also appends the raw pairs to runtime/bench/results/meter.jsonl
package meter
