package script

import "github.com/tidemill/tidemill/internal/errcode"

// What can be wrong with code for an interpreter.
var (
	ErrModule  = errcode.New("TM-SANDBOX-020", errcode.Invalid, "the module of code for an interpreter is malformed")
	ErrBase    = errcode.New("TM-SANDBOX-021", errcode.Invalid, "the host does not carry the interpreter that the module needs")
	ErrArchive = errcode.New("TM-SANDBOX-022", errcode.Invalid, "the archive of an operator's sources is not usable")
	ErrLoad    = errcode.New("TM-SANDBOX-023", errcode.Invalid, "the operator's code could not be loaded")
	ErrBroken  = errcode.New("TM-SANDBOX-024", errcode.Failed, "the interpreter does not keep to its contract")
)
