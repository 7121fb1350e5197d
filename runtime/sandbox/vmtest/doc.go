// Package vmtest is the suite that defines an engine of package vm: what calls, faults, limits, fuel and host functions do, to the unit
// and the byte; and that what the meter makes of a module does the same as the module, by random programs and by the specification's
// own suites. Every engine passes it.
package vmtest
