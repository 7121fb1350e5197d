// Package script knows modules that are code for an interpreter: a user's sources in custom sections, and the name of the base, the
// WebAssembly module of the interpreter, by its digest.
//
// A user module holds three custom sections and nothing else: tidemill.base names the base, tidemill.code is the archive of the
// sources, tidemill.describe is what the base answers to describe once it has loaded them. All three are canonical: the same
// sources give the same bytes, whoever writes them. Parse reads such a module and believes nothing; Module.Encode and
// Archive.Encode write one.
//
// A Program joins the two at run time. Its instances are the base's. Where the engine has images, the interpreter starts once, the
// archive is loaded once, and an instance begins with a private view of that memory; else each instance starts and loads within its
// own fuel. To the rest of the sandbox a Program is a compiled module like any other. Standalone joins them in a file: the base with the archive in its memory, an ordinary module.
//
// The base that the binary carries is in the folder python.
package script
