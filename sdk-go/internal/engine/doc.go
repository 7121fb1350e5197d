// Package engine runs operators: it declares them from their struct, describes and opens them, and turns a frame into calls of
// the user's functions and what they did into an answer. Packages operator and state are its face; what a user's struct holds
// of theirs (ports, states, timers, metrics) are its Parts.
//
// A Slot is one operator of one subtask. All its methods run in one goroutine, and everything it keeps besides the declared
// parts is scratch memory that is reused from frame to frame.
//
// The engine is the same in a module and in a test: in a module the exports of this package drive it (exports.go) and the host's
// imports answer it; package operatortest drives it natively with a host of its own.
package engine
