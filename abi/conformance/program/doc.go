// Package program is the language of abi/conformance/PROGRAM.md as the driver and the model see it: programs taken apart into
// commands, drawn at random, and written out for people. Guests have decoders of their own.
package program
