// Package timers keeps the timers of one subtask, of both domains, and hands out those that are due in rounds.
//
// A timer is a cell with its time, name and tag; the timers of a key and a domain form a pairing heap, ordered by time, then name
// in declaration order, then tag (rule 4 of the ABI), linked by refs. A heap over the keys, by domain, holds each key at a time
// not later than its earliest timer: deleting a timer or moving it back touches only its key, and what is out of date in the
// heap over the keys is put right when it comes up. An index by identity (key, domain, name, tag, and time where a name may have
// many) finds the timer that a setting replaces. So setting costs a few memory accesses and firing a logarithm.
//
// Timers are durable by space (domain and name), key, and time with tag; the cells are frozen for checkpoints like those of
// state. A Queue belongs to one goroutine; only what Freeze returns is read by another.
package timers
