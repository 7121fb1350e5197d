package vm

import "github.com/tidemill/tidemill/internal/errcode"

// What can be wrong with a module only the engine finds, or with starting it.
var (
	ErrInvalid     = errcode.New("TM-SANDBOX-011", errcode.Invalid, "the module does not validate")
	ErrStart       = errcode.New("TM-SANDBOX-012", errcode.Invalid, "the module's start functions failed")
	ErrMemoryLimit = errcode.New("TM-SANDBOX-013", errcode.Invalid, "the module needs more memory than it may have")
	ErrSnapshot    = errcode.New("TM-SANDBOX-017", errcode.Invalid, "the module's instances cannot begin from a memory image")
)
