// Package trial runs one operator alone on the records of its inputs, one record at a time, and writes down everything that it
// does: what it emits, which state it changes, which timers it sets and which fire.
//
// It is the same module in the same sandbox as in a job, on the memory back-end, without tasks, checkpoints or sinks. Each record
// is a batch of its own; after each, event time advances as far as the records so far allow. At the end of input the watermark
// becomes maximal. Processing time stands still, or moves by a fixed step after each record, so a trial is the same every time.
package trial
