package build

import "github.com/tidemill/tidemill/internal/errcode"

// Errors of building and starting projects.
var (
	ErrToolchain = errcode.New("TM-BUILD-001", errcode.Environment, "the toolchain that the sources need is missing")
	ErrSources   = errcode.New("TM-BUILD-002", errcode.Invalid, "the folder holds no sources of an operator")
	ErrCompile   = errcode.New("TM-BUILD-003", errcode.Invalid, "the compiler refused the sources")
	ErrMarker    = errcode.New("TM-BUILD-004", errcode.Invalid, "what was built is not a Tidemill module")
	ErrWrite     = errcode.New("TM-BUILD-005", errcode.Environment, "a file could not be written")
	ErrName      = errcode.New("TM-BUILD-006", errcode.Invalid, "the name of a project is not usable")
	ErrExists    = errcode.New("TM-BUILD-007", errcode.Invalid, "the folder of a new project exists already")
	ErrLanguage  = errcode.New("TM-BUILD-008", errcode.Invalid, "there are no projects in that language")
)
