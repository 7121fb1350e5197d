// Package datagen is the source datagen: records made by rule, for tests, demonstrations and measurements.
//
// Every value is a function of the seed, the column and the record's number, computed by a counter-based generator: nothing is
// carried from record to record. So a reader opened at a position goes on exactly there, at the cost of nothing, and results do
// not depend on splits, batches or restores. Record i of split s of n has the number i*n+s: all splits advance alike.
//
// A record of an i64 key and a timestamp takes about 10 ns: columns are filled one after the other, a batch at a time.
package datagen
