// Package wat assembles modules from text, for tests: a small part of WebAssembly's text format, close enough to read hand-written
// modules as what they are, and able to write ones that no compiler makes.
//
//	(module
//	  (import "tidemill_v1" "fuel_left" (func $left (result i64)))
//	  (memory (export "memory") 1)
//	  (global $n (mut i32) (i32.const 7))
//	  (func $run (export "run") (param $x i32) (result i64) (local i64 i64)
//	    loop $again
//	      local.get $x  br_if $again
//	    end
//	    call $left))
//
// Fields are module, type, import (of functions), func, table, memory, global, export, start, elem (active, in table 0, or
// passive), data (active or passive) and custom. Instructions are flat, not nested, but for the initialisers of globals and
// offsets; blocks name their result as in (result i32) or their type as in (type $t). Beyond the standard,
// (raw 0xfd 12) stands for bytes in a body, (locals 50001 i32) for a run of locals, and (section 13 "...") for the bytes of a
// whole section.
//
// Random writes programs for tests that compare two ways of running one.
//
// Errors name what they stumble over: input comes from this tree.
package wat
