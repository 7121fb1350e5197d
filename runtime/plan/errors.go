package plan

import "github.com/tidemill/tidemill/internal/errcode"

// The errors of this package.
var (
	errConnector = errcode.New("TM-PLAN-001", errcode.Invalid, "A connector cannot be set up")
	errPort      = errcode.New("TM-PLAN-002", errcode.Invalid, "An operator has no such port, or a port is left without input")
	errColumn    = errcode.New("TM-PLAN-003", errcode.Invalid, "A column does not exist")
	errType      = errcode.New("TM-PLAN-004", errcode.Invalid, "A column has a type that cannot be used there")
	errKey       = errcode.New("TM-PLAN-005", errcode.Invalid, "The key does not fit the operator's ports")
	errParam     = errcode.New("TM-PLAN-006", errcode.Invalid, "A parameter is not one that the module declares, or has a wrong type")
	errEntry     = errcode.New("TM-PLAN-007", errcode.Invalid, "The module has no such operator")
	errUnion     = errcode.New("TM-PLAN-008", errcode.Invalid, "Several inputs of one port have different columns")
	errEventTime = errcode.New("TM-PLAN-010", errcode.Invalid, "An operator reads the event time of records that have none")
	errModule    = errcode.New("TM-PLAN-009", errcode.Invalid, "A module cannot be used")
)
