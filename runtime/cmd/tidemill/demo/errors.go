package demo

import "github.com/tidemill/tidemill/internal/errcode"

// The errors of this package.
var (
	errDiffers = errcode.New("TM-DEMO-001", errcode.Failed, "The published rows are not the expected ones")
	errClaim   = errcode.New("TM-DEMO-002", errcode.Failed, "Something that the demo claims does not hold")
	errWorker  = errcode.New("TM-DEMO-003", errcode.Failed, "A worker did not do what it should")
	errFolder  = errcode.New("TM-DEMO-004", errcode.Environment, "The demo's folder cannot be used")
)
