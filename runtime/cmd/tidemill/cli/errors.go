package cli

import "github.com/tidemill/tidemill/internal/errcode"

// The errors of this package.
var (
	errUsage    = errcode.New("TM-CLI-001", errcode.Invalid, "The command line is not understood")
	errFailed   = errcode.New("TM-CLI-002", errcode.Failed, "The command failed")
	errMachine  = errcode.New("TM-CLI-003", errcode.Environment, "The machine does not let the command work")
	errKilled   = errcode.New("TM-CLI-004", errcode.Failed, "The command was interrupted")
	errDamage   = errcode.New("TM-CLI-005", errcode.Failed, "The checkpoint store is damaged")
	errListen   = errcode.New("TM-CLI-006", errcode.Environment, "An address cannot be listened on")
	errNotFound = errcode.New("TM-CLI-007", errcode.Invalid, "There is nothing of that name")
)
