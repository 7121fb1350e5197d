// Package lint holds the rules of this tree that a compiler does not check, as an ordinary test: which package may import which
// (the table in layers.go), which folder alone may import a named dependency, where the clock, randomness and files may be
// touched directly, how large a package may grow, and words that do not belong into the text.
//
// It reads the sources with go/parser and runs nothing of them. A rule that is broken names the file, the line and the rule.
package lint
