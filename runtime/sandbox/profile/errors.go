package profile

import "github.com/tidemill/tidemill/internal/errcode"

// The reasons to refuse a module.
var (
	ErrMalformed = errcode.New("TM-SANDBOX-001", errcode.Invalid, "the file is not a well-formed WebAssembly module")
	ErrFeature   = errcode.New("TM-SANDBOX-002", errcode.Invalid, "the module uses a WebAssembly feature outside the portable profile")
	ErrImport    = errcode.New("TM-SANDBOX-003", errcode.Invalid, "the module imports something that the host does not offer")
	ErrSignature = errcode.New("TM-SANDBOX-004", errcode.Invalid, "the module imports a host function with another signature")
	ErrVersion   = errcode.New("TM-SANDBOX-005", errcode.Invalid, "the module speaks no version of the ABI that the host speaks")
	ErrExport    = errcode.New("TM-SANDBOX-006", errcode.Invalid, "an export of the ABI is missing or has another signature")
	ErrLimit     = errcode.New("TM-SANDBOX-007", errcode.Invalid, "the module exceeds a limit")
	ErrCommand   = errcode.New("TM-SANDBOX-008", errcode.Invalid, "the module is a command, not a reactor")
	ErrMemory    = errcode.New("TM-SANDBOX-009", errcode.Invalid, "the module does not have one memory of its own")
	ErrReserved  = errcode.New("TM-SANDBOX-010", errcode.Invalid, "the module uses a name that is reserved for the host")
	ErrSegment   = errcode.New("TM-SANDBOX-015", errcode.Invalid, "an initial segment leads out of its memory or table")
)
