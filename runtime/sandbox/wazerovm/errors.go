package wazerovm

import "github.com/tidemill/tidemill/internal/errcode"

// What can be wrong with the memory of an instance; the errors that every engine has are in package vm.
var (
	ErrReserve  = errcode.New("TM-SANDBOX-014", errcode.Environment, "no address space for a guest's memory")
	ErrSnapshot = errcode.New("TM-SANDBOX-017", errcode.Invalid, "the module's instances cannot begin from a memory image")
)
