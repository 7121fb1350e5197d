package task

import "github.com/tidemill/tidemill/internal/errcode"

// The codes of this package.
var (
	ErrRejected = errcode.New("TM-RUN-020", errcode.Failed, "a record was rejected and the policy is fail")
	ErrPanic    = errcode.New("TM-RUN-021", errcode.Failed, "native code of an operator or connector panicked")
)
