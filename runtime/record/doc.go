// Package record holds what flows through a job: batches of typed columns with their event times, positions and row kinds, and
// the encoding of keys that decides which subtask owns a record.
//
// A column keeps Arrow's buffer layout (validity bitmap, i32 offsets, little-endian values) in plain slices, so that it enters a
// guest's memory by copying whole buffers. A batch is immutable once it has been emitted: parts of the data plane share it and
// its columns freely. Builders (Column.Append...) are for the one goroutine that fills a batch.
//
// Keys are encoded to bytes whose order is the order of the values (key.go has the format; abi/SPEC.md pins it): the bytes
// are what state is stored under, and their hash gives the key group (I5).
//
// The package imports nothing of Tidemill and does no I/O.
package record
