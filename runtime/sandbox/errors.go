package sandbox

import "github.com/tidemill/tidemill/internal/errcode"

// Errors of a module that does not do what a job needs, found when it is described and opened.
var (
	ErrDescribe   = errcode.New("TM-SANDBOX-050", errcode.Invalid, "the module's description of itself is not usable")
	ErrEntry      = errcode.New("TM-SANDBOX-051", errcode.Invalid, "the module has no such operator")
	ErrParam      = errcode.New("TM-SANDBOX-052", errcode.Invalid, "a parameter of an operator is wrong")
	ErrOpen       = errcode.New("TM-SANDBOX-053", errcode.Invalid, "the operator refused its parameters or inputs")
	ErrDescriptor = errcode.New("TM-SANDBOX-054", errcode.Invalid, "the operator's binding descriptor is not usable")
	ErrReserved   = errcode.New("TM-SANDBOX-055", errcode.Invalid, "the module uses a feature that is specified but not supported yet")
	ErrPorts      = errcode.New("TM-SANDBOX-056", errcode.Invalid, "the inputs of an operator do not fit its ports")
)

// Errors of a guest at run time. Each names the operator, the module, the item at fault and what the guest said.
var (
	ErrTrap     = errcode.New("TM-SANDBOX-060", errcode.Failed, "the guest trapped")
	ErrFuel     = errcode.New("TM-SANDBOX-061", errcode.Failed, "the guest used up its fuel")
	ErrStack    = errcode.New("TM-SANDBOX-062", errcode.Failed, "the guest nested its calls too deep")
	ErrMemory   = errcode.New("TM-SANDBOX-063", errcode.Failed, "the guest passed its memory limit")
	ErrExit     = errcode.New("TM-SANDBOX-064", errcode.Failed, "the guest exited")
	ErrHostCall = errcode.New("TM-SANDBOX-065", errcode.Failed, "the guest misused a host function")
	ErrAnswer   = errcode.New("TM-SANDBOX-066", errcode.Failed, "the guest gave an invalid answer")
	ErrOperator = errcode.New("TM-SANDBOX-067", errcode.Failed, "the operator returned an error")
	ErrItem     = errcode.New("TM-SANDBOX-068", errcode.Failed, "one item alone exceeds a limit of the contract")
)

// Errors that no policy for records can take.
var (
	ErrTraps   = errcode.New("TM-SANDBOX-070", errcode.Failed, "the guest faulted too often within a minute")
	ErrRounds  = errcode.New("TM-SANDBOX-071", errcode.Failed, "timers kept firing without end")
	ErrChanged = errcode.New("TM-SANDBOX-072", errcode.Failed, "a new instance of the operator describes itself otherwise than the first")
	ErrSDK     = errcode.New("TM-SANDBOX-073", errcode.Failed, "the guest cannot read the host's frames")
)
