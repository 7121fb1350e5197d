// Package cli is the command line: it reads flags, wires the parts of the runtime together, and shows what came of it.
//
// Every verb ends in one report: for people as text on standard output and errors on standard error, with --json as one object
// {command, ok, result, error} on standard output. The exit code is 0 for success, and else that of the error's class: 1 failed
// at run time, 2 invalid input, 3 the environment (package errcode).
//
// Progress goes to standard error: a live view where both streams are terminals, else lines. Standard output belongs to results,
// and to the records of a stdout sink.
//
// The first SIGINT or SIGTERM stops a running job in order, the second ends the process at once.
package cli
