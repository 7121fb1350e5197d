// Package connectortest is the acceptance suite of connectors: passing it is what being a source or a sink means.
//
// TestSource reads a source in every way a job may: split by split in batches of random sizes, from every position of a random
// walk, through a restored enumerator. TestSink plays a job around a sink: writers on several subtasks, barriers, commits, a
// process killed between any two steps or at any operation on a file, a power failure, a full disk, restores of older checkpoints
// and at another parallelism; after each restore the sink must show exactly the records that it should.
//
// Everything random takes a seed that a failure prints.
package connectortest
