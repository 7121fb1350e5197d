// Package hot is the hot tables of keyed state: the back-end that package memory is, and that package badgerdb puts a store beneath.
//
// Each state of a subtask is one table of cells (package cells); timers are a queue (package timers). All work is done in passes
// over blocks of a batch's keys: first the slots of the index are read, then the headers of the cells, then the rows, so that the
// misses of one pass overlap. Rows are kept as at rest, so that a checkpoint copies and a restore copies.
package hot
