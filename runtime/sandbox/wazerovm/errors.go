package wazerovm

import "github.com/tidemill/tidemill/internal/errcode"

// ErrReserve is this engine's alone; those that every engine has are in package vm.
var ErrReserve = errcode.New("TM-SANDBOX-014", errcode.Environment, "no address space for a guest's memory")
