// Package statetest is the suite that defines a state back-end: passing Run is what being one means.
//
// Random programs of loads, changes, timers, freezes and restores run against the back-end and against Model, which is the
// dumbest correct implementation: Go maps. A program splits the key space over several back-ends, writes its checkpoints while
// the owners go on, crashes, and restores under another split; after every command what the back-end says is compared with the
// model. Every program has a seed, and a failure prints it. Half of the programs run with a hot table of one byte, so that all
// that may be forgotten is, at every turn.
//
// Named cases are beside them: schemas that are refused, states that are not declared any more, the limit of a subtask's state
// (cases.go), and rule 4 of the ABI, sentence by sentence, each also with a checkpoint between any two settings (rules.go).
package statetest
