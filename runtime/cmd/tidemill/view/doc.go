// Package view shows people what a running job does: a live picture on a terminal, or lines.
//
// A Board turns snapshots of the job's counters into rates and text; it starts nothing and reads no clock. Live and Lines take
// snapshots at intervals and draw what the board says. Both are told of the job's events and print what must not be missed:
// where the job goes on, checkpoints that are damaged, restarts.
package view
